//! The slot in which a scheduled task waits for its thread.
//!
//! A waker fills the slot, and then unparks the thread. The thread checks the slot, and parks if it is empty. An
//! unpark that comes between the check and the park makes the park return at once. The thread then checks again, so
//! no wake-up is lost. One slot is enough, because the task cell ensures that a task is scheduled at most once at a
//! time.

use std::ptr::{self, NonNull};

use runtime_kernel::primitives::atomic::{
    AtomicPtr,
    Ordering::{AcqRel, Acquire, Relaxed},
};

/// Holds a task in its raw form, or nothing.
pub(crate) struct Due(AtomicPtr<()>);

impl Due {
    pub(crate) fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    /// Fills the slot. Returns its previous content.
    pub(crate) fn put(&self, task: NonNull<()>) -> Option<NonNull<()>> {
        // Release: publishes what the waker wrote. Acquire: sees the previous content.
        NonNull::new(self.0.swap(task.as_ptr(), AcqRel))
    }

    /// Empties the slot.
    pub(crate) fn take(&self) -> Option<NonNull<()>> {
        // Read first: usually the slot is empty, and wakers write to this cache line.
        if self.is_empty() {
            return None;
        }
        // Acquire: pairs with the Release in `put`.
        NonNull::new(self.0.swap(ptr::null_mut(), Acquire))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.load(Relaxed).is_null()
    }
}

#[cfg(all(test, lab_loom))]
#[allow(unsafe_code)]
mod loom_tests {
    use loom::cell::UnsafeCell;
    use loom::sync::Arc;
    use loom::thread;
    use runtime_kernel::park::Parker;

    use super::*;

    /// What a waker writes before it wakes; loom reports an access that is not ordered.
    type Written = UnsafeCell<u32>;

    /// Makes the task due `wakers` times, one after the other, because a task is due only once at a time. The thread
    /// sees what each waker wrote, and parks whenever it finds nothing. loom reports a deadlock if a wake-up is lost.
    fn every_wake_is_seen(wakers: usize) {
        loom::model(move || {
            let due = Arc::new(Due::new());
            let written: Arc<Vec<Written>> =
                Arc::new((0..wakers).map(|_| UnsafeCell::new(0)).collect());
            let parker = Parker::new();
            let unparker = parker.unparker();
            let waker = {
                let (due, written) = (due.clone(), written.clone());
                thread::spawn(move || {
                    for number in 0..wakers {
                        // A task is due again only after its poll: here, when its slot is empty.
                        while !due.is_empty() {
                            thread::yield_now();
                        }
                        // SAFETY: loom checks each access.
                        written[number].with_mut(|it| unsafe { *it = 7 });
                        let task = NonNull::new(ptr::without_provenance_mut::<()>(number + 1));
                        assert_eq!(due.put(task.unwrap()), None);
                        unparker.unpark();
                    }
                })
            };
            let mut seen = 0;
            while seen < wakers {
                match due.take() {
                    Some(task) => {
                        let number = task.addr().get() - 1;
                        assert_eq!(number, seen);
                        // SAFETY: loom checks each access.
                        written[number].with(|it| assert_eq!(unsafe { *it }, 7));
                        seen += 1;
                    }
                    None => {
                        parker.park(None);
                    }
                }
            }
            waker.join().unwrap();
            assert_eq!(due.take(), None);
        });
    }

    #[test]
    fn loom_a_wake_ends_the_park() {
        every_wake_is_seen(1);
    }

    #[test]
    fn loom_each_of_two_wakes_is_seen() {
        every_wake_is_seen(2);
    }

    /// The thread that takes a task sees what its waker wrote, without the parker's synchronisation.
    #[test]
    fn loom_a_task_sees_the_writes_of_its_waker() {
        loom::model(|| {
            let due = Arc::new(Due::new());
            let written: Arc<Written> = Arc::new(UnsafeCell::new(0));
            let waker = {
                let (due, written) = (due.clone(), written.clone());
                thread::spawn(move || {
                    // SAFETY: loom checks each access.
                    written.with_mut(|it| unsafe { *it = 7 });
                    due.put(NonNull::new(ptr::without_provenance_mut(1)).unwrap());
                })
            };
            if due.take().is_some() {
                // SAFETY: loom checks each access.
                written.with(|it| assert_eq!(unsafe { *it }, 7));
            }
            waker.join().unwrap();
        });
    }

    /// Two tasks in one slot: only a program that binds two tasks to one thread can cause this. Each comes out once.
    #[test]
    fn loom_no_task_is_lost_or_duplicated() {
        loom::model(|| {
            let due = Arc::new(Due::new());
            let putters: Vec<_> = (1..=2)
                .map(|number| {
                    let due = due.clone();
                    thread::spawn(move || {
                        due.put(NonNull::new(ptr::without_provenance_mut(number)).unwrap())
                    })
                })
                .collect();
            let mut out: Vec<_> = due.take().into_iter().collect();
            out.extend(
                putters
                    .into_iter()
                    .filter_map(|thread| thread.join().unwrap()),
            );
            out.extend(due.take());
            let mut numbers: Vec<_> = out.iter().map(|task| task.addr().get()).collect();
            numbers.sort_unstable();
            assert_eq!(numbers, [1, 2]);
        });
    }
}
