//! Wakers that misbehave: their clone, wake or drop uses what they wait for, or panics.
#![allow(unsafe_code)]

use std::future::Future;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};

/// When a waker misbehaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    Clone,
    Wake,
    Drop,
}

impl Moment {
    pub(super) const ALL: [Self; 3] = [Self::Clone, Self::Wake, Self::Drop];
}

/// What it then does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    UsesIt,
    Panics,
}

/// Uses the object that is waited for.
pub(super) type Touch = Arc<dyn Fn() + Send + Sync>;

/// A waker that misbehaves while it is armed, and the count of its wakes.
pub(super) struct Hostile {
    waker: ManuallyDrop<Waker>,
    shared: Arc<Shared>,
}

struct Shared {
    moment: Moment,
    deed: Deed,
    touch: Touch,
    armed: AtomicBool,
    wakes: AtomicUsize,
    deeds: AtomicUsize,
}

static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, drop_waker);

impl Hostile {
    pub(super) fn new(moment: Moment, deed: Deed, touch: &Touch) -> Self {
        let shared = Arc::new(Shared {
            moment,
            deed,
            touch: Arc::clone(touch),
            armed: AtomicBool::new(true),
            wakes: AtomicUsize::new(0),
            deeds: AtomicUsize::new(0),
        });
        let data = Arc::into_raw(Arc::clone(&shared)).cast();
        // SAFETY: the table's functions are for pointers of such an `Arc`, and obey the rules of `RawWaker`.
        let waker = ManuallyDrop::new(unsafe { Waker::new(data, &VTABLE) });
        Self { waker, shared }
    }

    /// A waker that does nothing wrong.
    pub(super) fn harmless() -> Self {
        let harmless = Self::new(Moment::Wake, Deed::UsesIt, &(Arc::new(|| {}) as Touch));
        harmless.shared.armed.store(false, SeqCst);
        harmless
    }

    pub(super) fn wakes(&self) -> usize {
        self.shared.wakes.load(SeqCst)
    }

    /// How often it has misbehaved.
    pub(super) fn deeds(&self) -> usize {
        self.shared.deeds.load(SeqCst)
    }

    /// Polls `future` with this waker; an error if that panics.
    pub(super) fn poll<T>(
        &self,
        future: &mut Pin<Box<dyn Future<Output = T> + Send>>,
    ) -> Result<Poll<T>, ()> {
        let mut cx = Context::from_waker(&self.waker);
        catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut cx))).map_err(drop)
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        self.shared.armed.store(false, SeqCst);
        // SAFETY: once, because this is the end of `self`.
        unsafe { ManuallyDrop::drop(&mut self.waker) };
    }
}

impl Shared {
    fn misbehave(&self, moment: Moment) {
        if moment != self.moment || !self.armed.load(SeqCst) {
            return;
        }
        self.deeds.fetch_add(1, SeqCst);
        match self.deed {
            Deed::UsesIt => (self.touch)(),
            // The panic hook does not print it.
            Deed::Panics => resume_unwind(Box::new("a waker's panic, as planned")),
        }
    }
}

/// # Safety
/// `data` belongs to a waker with this table, and the waker outlives `'a`.
unsafe fn shared<'a>(data: *const ()) -> &'a Shared {
    // SAFETY: the waker holds a reference to it.
    unsafe { &*data.cast::<Shared>() }
}

/// # Safety
/// `data` belongs to a waker with this table, which outlives the call.
unsafe fn clone(data: *const ()) -> RawWaker {
    // SAFETY: it belongs to a waker with this table.
    unsafe { shared(data) }.misbehave(Moment::Clone);
    // SAFETY: the pointer is that of an `Arc`, alive by this waker's reference.
    unsafe { Arc::increment_strong_count(data.cast::<Shared>()) };
    RawWaker::new(data, &VTABLE)
}

/// # Safety
/// `data` belongs to a waker with this table, which ends with this call.
unsafe fn wake(data: *const ()) {
    // SAFETY: the reference is this waker's, and given up once.
    let shared = unsafe { Arc::from_raw(data.cast::<Shared>()) };
    shared.wakes.fetch_add(1, SeqCst);
    shared.misbehave(Moment::Wake);
}

/// # Safety
/// `data` belongs to a waker with this table, which outlives the call.
unsafe fn wake_by_ref(data: *const ()) {
    // SAFETY: it belongs to a waker with this table.
    let shared = unsafe { shared(data) };
    shared.wakes.fetch_add(1, SeqCst);
    shared.misbehave(Moment::Wake);
}

/// # Safety
/// `data` belongs to a waker with this table, which ends with this call.
unsafe fn drop_waker(data: *const ()) {
    // SAFETY: the reference is this waker's, and given up once.
    let shared = unsafe { Arc::from_raw(data.cast::<Shared>()) };
    shared.misbehave(Moment::Drop);
}
