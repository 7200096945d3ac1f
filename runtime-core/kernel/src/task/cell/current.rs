//! The task that a thread polls: whether it has yielded, and what it has taken of its poller's prepaid references.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ptr::{self, NonNull};
use std::task::Waker;

use super::Header;
use crate::primitives::thread_local;
use crate::task::state::PREPAID;
use crate::task::waker;

/// A thread's poll, the innermost one.
#[derive(Clone, Copy)]
pub(super) struct Current {
    header: *const Header,
    /// The task asked to be put behind the others.
    pub(super) yielded: bool,
    /// How many of the poller's prepaid references are in use.
    pub(super) taken: i32,
}

impl Current {
    pub(super) const fn of(header: *const Header) -> Self {
        Self {
            header,
            yielded: false,
            taken: 0,
        }
    }
}

thread_local! {
    pub(super) static CURRENT: Cell<Current> = const { Cell::new(Current::of(ptr::null())) };
    /// The scheduler whose thread this is.
    static SERVED: Cell<Option<u32>> = const { Cell::new(None) };
}

/// Marks the calling thread's task as yielding, if `waker` is that task's own: its poller then queues it again, which
/// saves changes of the state word. A waker of something in between (a join, a select) must really be woken, or the
/// part of the task that yielded would not be polled again.
pub(in crate::task) fn yield_current(waker: &Waker) -> bool {
    CURRENT.with(|cell| {
        let current = cell.get();
        if current.header.is_null() || !waker::is_of(waker, current.header) {
            return false;
        }
        cell.set(Current {
            yielded: true,
            ..current
        });
        true
    })
}

/// Whether `waker` is that of the task that this thread polls.
pub(in crate::task) fn is_own_waker(waker: &Waker) -> bool {
    current().is_some_and(|header| waker::is_of(waker, header.as_ptr()))
}

/// The task that this thread polls, innermost.
pub(in crate::task) fn current() -> Option<NonNull<Header>> {
    NonNull::new(CURRENT.get().header.cast_mut())
}

/// Calls `body` on a thread that has a reference on the scheduler with that number for as long as this takes.
pub(in crate::task) fn serve<R>(scheduler: u32, body: impl FnOnce() -> R) -> R {
    struct Return(Option<u32>);
    impl Drop for Return {
        fn drop(&mut self) {
            SERVED.set(self.0);
        }
    }
    let _return = Return(SERVED.replace(Some(scheduler)));
    body()
}

/// Whether the scheduler with that number lives on through whatever this thread does now: it serves it, or polls a
/// task of its.
#[inline]
pub(super) fn keeps(scheduler: u32) -> bool {
    let serves = SERVED.try_with(|served| served.get() == Some(scheduler));
    serves.unwrap_or(false) || polls_for(scheduler)
}

fn polls_for(scheduler: u32) -> bool {
    CURRENT
        .try_with(|cell| {
            // SAFETY: who polls a task has a reference on it.
            let current = unsafe { cell.get().header.as_ref() };
            current.is_some_and(|current| current.state.scheduler() == scheduler)
        })
        .unwrap_or(false)
}

/// Counts references taken (or given back) among the prepaid references of the calling thread's poll. False: it polls
/// another task, or they are used up.
#[inline]
pub(super) fn count_in_prepaid(header: NonNull<Header>, change: i32) -> bool {
    // A waker may be dropped when the thread's locals are gone.
    CURRENT
        .try_with(|cell| {
            let current = cell.get();
            let taken = current.taken + change;
            let counts = ptr::eq(current.header, header.as_ptr()) && taken.abs() < PREPAID;
            if counts {
                cell.set(Current { taken, ..current });
            }
            counts
        })
        .unwrap_or(false)
}

#[cfg(all(test, not(lab_loom)))]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;
    use crate::task::{Schedule, SchedulerArc, Task};

    struct Nothing;
    // SAFETY: memory is from the default methods.
    unsafe impl Schedule for Nothing {
        fn schedule(_: &SchedulerArc<Self>, _: Task) {
            unreachable!("nothing is woken")
        }
    }

    #[test]
    fn a_thread_keeps_a_scheduler_while_it_serves_it_and_no_longer() {
        let (outer, inner) = (SchedulerArc::new(Nothing), SchedulerArc::new(Nothing));
        let keep = || [&outer, &inner].map(|it| keeps(it.erased().number()));
        assert_eq!(keep(), [false, false]);
        outer.erased().serve(|| {
            assert_eq!(keep(), [true, false]);
            inner.erased().serve(|| assert_eq!(keep(), [false, true]));
            assert_eq!(keep(), [true, false]);
            let serves = || inner.erased().serve(|| panic!("this is part of the test"));
            assert!(catch_unwind(AssertUnwindSafe(serves)).is_err());
            assert_eq!(keep(), [true, false]);
            std::thread::scope(|scope| {
                scope.spawn(|| assert_eq!(keep(), [false, false]));
            });
        });
        assert_eq!(keep(), [false, false]);
    }
}
