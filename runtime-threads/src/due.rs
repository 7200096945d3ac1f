//! The one place where a task waits for its thread while it is due.
//!
//! A waker fills the place, and then unparks the thread. The thread looks into the place, and parks if it is empty. An
//! unpark that comes between the look and the park makes the park return at once. So the thread looks again, and no
//! wake-up is lost. One place is enough, because the task cell sees to it that a task is due at most once at a time.

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

    /// Fills the place. Returns what was there before.
    pub(crate) fn put(&self, task: NonNull<()>) -> Option<NonNull<()>> {
        // Release: hands over what the waker wrote. Acquire: takes over what was there.
        NonNull::new(self.0.swap(task.as_ptr(), AcqRel))
    }

    /// Empties the place.
    pub(crate) fn take(&self) -> Option<NonNull<()>> {
        // A look first: as a rule the place is empty, and wakers write to this cache line.
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

    /// `wakers` make the task due, one after the other, as a task is due once at a time. The thread sees what each of
    /// them wrote, and parks whenever it finds nothing. loom reports a deadlock if a wake-up is lost.
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
                        // A task is due again only after its poll: here, when its place is empty.
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

    /// Whoever takes a task sees what its waker wrote, without the parker's help.
    #[test]
    fn loom_a_task_comes_with_what_its_waker_wrote() {
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

    /// Two tasks in one place, which only a program can do that binds two tasks to one thread: each comes out once.
    #[test]
    fn loom_nothing_that_was_put_there_is_lost_or_doubled() {
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
