//! The state that all handles of a runtime share; see [`prepaid`](crate::prepaid) for how they are counted.
#![allow(unsafe_code)]

use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::Arc;

use runtime_core::blocking::BlockingPool;
use runtime_core::context::Ambient;
use runtime_core::sync::Semaphore;
use runtime_core::task::SchedulerRef;

use crate::parts::list::Installed;
use crate::prepaid::{Header, give_back};
use crate::scheduler::{Local, Shared};

/// The value behind a handle.
#[repr(C)]
pub(crate) struct Core {
    header: Header,
    pub(crate) shared: Arc<Shared<Installed>>,
    pub(crate) scheduler: SchedulerRef,
    pub(crate) ambient: Arc<dyn Ambient>,
    pub(crate) blocking: Arc<BlockingPool>,
    pub(crate) policy: &'static str,
    /// A permit for each `stop` that has not yet ended a `run_forever`.
    pub(crate) stops: Semaphore,
}

/// A counted pointer to the [`Core`].
pub(crate) struct CoreRef(NonNull<Core>);

// Checks what the two `unsafe impl`s below claim about the core.
const _: () = {
    const fn is_shareable<T: Send + Sync>() {}
    is_shareable::<Core>();
};

// SAFETY: the core is Send and Sync, as the compiler has checked above, and its count is atomic; references that a
// worker counts without atomics belong to the calling thread.
unsafe impl Send for CoreRef {}
// SAFETY: as above.
unsafe impl Sync for CoreRef {}

impl CoreRef {
    /// The first reference to a runtime's only core.
    pub(crate) fn new(
        shared: Arc<Shared<Installed>>,
        ambient: Arc<dyn Ambient>,
        policy: &'static str,
    ) -> Self {
        let core = Box::new(Core {
            // SAFETY: it is the first field, and `free` frees the box.
            header: unsafe { Header::new(Self::free) },
            shared,
            scheduler: ambient.scheduler_for_new_task().into_owned(),
            blocking: Arc::clone(ambient.blocking_pool()),
            ambient,
            policy,
            stops: Semaphore::new(0),
        });
        Self(NonNull::from(Box::leak(core)))
    }

    /// SAFETY: called once, with a pointer to a core that is no longer used.
    unsafe fn free(header: NonNull<Header>) {
        // SAFETY: `new` made it from a box.
        drop(unsafe { Box::from_raw(header.cast::<Core>().as_ptr()) });
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
            // SAFETY: the worker is of the runtime whose only core this is, and `self` is a reference.
            Some(worker) => unsafe { worker.parts.prepaid.take(self.0.cast()) },
            None => self.header.add(1),
        }
        Self(self.0)
    }
}

impl Drop for CoreRef {
    #[inline]
    fn drop(&mut self) {
        match Local::current(&self.shared) {
            // SAFETY: as in `clone`, and it gives this reference away.
            Some(worker) => unsafe { worker.parts.prepaid.put(self.0.cast()) },
            // SAFETY: it gives back this reference.
            None => unsafe { give_back(self.0.cast(), 1) },
        }
    }
}
