//! What all handles of a runtime share, and how they are counted.
//!
//! Programs clone a handle into every task that spawns others. If each clone wrote one shared count, workers would
//! pass its cache line to and fro with every task: that was more than half of what a fork cost with two workers. So a
//! worker takes references a thousand at a time and keeps them in a [`Pool`] of its own; a clone takes one from there,
//! and a dropped handle puts one back. The shared count is that of all handles and of what lies in the pools: exact
//! when the last worker has ended, and never too low.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ops::Deref;
use std::ptr::{self, NonNull};
use std::sync::Arc;

use runtime_core::context::Ambient;
use runtime_core::primitives::atomic::{
    AtomicUsize,
    Ordering::{AcqRel, Relaxed},
};
use runtime_core::task::SchedulerRef;

use crate::local::Local;
use crate::shared::Shared;

/// References that a worker takes or gives back at a time.
const BATCH: usize = 1024;

/// What a handle leads to.
pub(crate) struct Core {
    references: AtomicUsize,
    pub(crate) shared: Arc<Shared>,
    pub(crate) scheduler: SchedulerRef,
    pub(crate) ambient: Arc<dyn Ambient>,
}

/// A counted pointer to the [`Core`].
pub(crate) struct CoreRef(NonNull<Core>);

// SAFETY: the core is Send and Sync, and its count is atomic; what a pool counts without atomics is the calling
// thread's own.
unsafe impl Send for CoreRef {}
// SAFETY: as above.
unsafe impl Sync for CoreRef {}

impl CoreRef {
    /// The first reference of a runtime's only core.
    pub(crate) fn new(shared: Arc<Shared>, ambient: Arc<dyn Ambient>) -> Self {
        let core = Box::new(Core {
            references: AtomicUsize::new(1),
            shared,
            scheduler: ambient.scheduler_for_new_task().into_owned(),
            ambient,
        });
        Self(NonNull::from(Box::leak(core)))
    }
}

impl Core {
    /// Counts references on behalf of whoever has one.
    fn add(&self, references: usize) {
        // Relaxed: the caller has a reference, so it can't be the end.
        let before = self.references.fetch_add(references, Relaxed);
        // So many can't be alive: they were forgotten. The count must not come round to zero.
        if before > usize::MAX / 2 {
            std::process::abort();
        }
    }
}

impl Deref for CoreRef {
    type Target = Core;
    #[inline]
    fn deref(&self) -> &Core {
        // SAFETY: alive as long as there is a reference.
        unsafe { self.0.as_ref() }
    }
}

impl Clone for CoreRef {
    #[inline]
    fn clone(&self) -> Self {
        match Local::current(&self.shared) {
            Some(worker) => worker.handles.take(self),
            None => {
                self.add(1);
            }
        }
        Self(self.0)
    }
}

impl Drop for CoreRef {
    #[inline]
    fn drop(&mut self) {
        match Local::current(&self.shared) {
            Some(worker) => worker.handles.put(self),
            // SAFETY: it is this reference.
            None => unsafe { give_back(self.0, 1) },
        }
    }
}

/// The references that a worker has in stock.
pub(crate) struct Pool {
    /// Null until the first comes. A runtime has one core, so all are to the same.
    core: Cell<*const Core>,
    stock: Cell<usize>,
}

impl Pool {
    pub(crate) const fn new() -> Self {
        Self {
            core: Cell::new(ptr::null()),
            stock: Cell::new(0),
        }
    }

    #[inline]
    fn take(&self, core: &CoreRef) {
        let mut stock = self.stock.get();
        if stock == 0 {
            core.add(BATCH);
            self.core.set(core.0.as_ptr());
            stock = BATCH;
        }
        self.stock.set(stock - 1);
    }

    #[inline]
    fn put(&self, core: &CoreRef) {
        let mut stock = self.stock.get() + 1;
        self.core.set(core.0.as_ptr());
        if stock > 2 * BATCH {
            // Others stay in stock, so it is not the end.
            core.references.fetch_sub(BATCH, AcqRel);
            stock -= BATCH;
        }
        self.stock.set(stock);
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        if let Some(core) = NonNull::new(self.core.get().cast_mut()) {
            let stock = self.stock.get();
            if stock > 0 {
                // SAFETY: they are this pool's, and keep the core alive.
                unsafe { give_back(core, stock) };
            }
        }
    }
}

/// Gives up references; with the last of all, the core ends.
///
/// # Safety
/// They are the caller's.
unsafe fn give_back(core: NonNull<Core>, references: usize) {
    // SAFETY: alive, as the references are counted.
    let count = unsafe { &core.as_ref().references };
    // AcqRel: every use of the core comes before its end.
    if count.fetch_sub(references, AcqRel) == references {
        // SAFETY: nobody has a reference any more; `new` made it from a box.
        drop(unsafe { Box::from_raw(core.as_ptr()) });
    }
}

#[cfg(all(test, not(lab_loom)))]
mod tests {
    use std::time::{Duration, Instant};

    use crate::{Handle, Runtime};

    /// More than a worker keeps in stock.
    const MANY: usize = 3 * super::BATCH;

    fn clones(handle: &Handle) -> Vec<Handle> {
        vec![handle.clone(); MANY]
    }

    /// Handles made on workers and dropped elsewhere, and the other way round, and from worker to worker.
    #[test]
    fn the_last_handle_of_an_ended_runtime_frees_what_they_share() {
        let runtime = Runtime::builder().workers(2).build().unwrap();
        let shared = std::sync::Arc::downgrade(&runtime.handle().core.shared);
        let handle = runtime.handle().clone();
        let from_outside = clones(&handle);
        let from_inside = runtime.block_on(async move {
            let dropping = handle.spawn(async move { drop(from_outside) });
            let passing: Vec<_> = (0..8)
                .map(|_| {
                    let handle = handle.clone();
                    handle.clone().spawn(async move { clones(&handle) })
                })
                .collect();
            dropping.await.unwrap();
            let mut handles = clones(&handle);
            for passed in passing {
                // The former ones are dropped by whichever worker this runs on.
                handles = passed.await.unwrap();
            }
            handles
        });
        let last = from_inside[0].clone();
        assert_eq!(
            runtime.shutdown(Duration::from_secs(60)),
            Vec::<String>::new()
        );
        drop(from_inside);
        assert!(shared.upgrade().is_some(), "a handle leads to it");
        drop(last);
        // A worker's thread is counted off just before it lets go of its own reference.
        let patience = Instant::now() + Duration::from_secs(20);
        while shared.upgrade().is_some() {
            assert!(Instant::now() < patience, "nobody has a handle any more");
            std::thread::yield_now();
        }
    }
}
