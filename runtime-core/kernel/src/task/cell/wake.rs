//! What makes a task due: wakes and aborts.
#![allow(unsafe_code)]

use std::ptr::NonNull;

use super::header::Header;
use super::references::{Reference, free};
use crate::task::current::try_current;
use crate::task::id::TaskId;
use crate::task::scheduler_ref::SchedulerRef;
use crate::task::state::{COMPLETE, RUNNING, SCHEDULED, Woke};
use crate::thread_stack::in_the_middle;
use crate::trace::{self, Cause, Fact};

/// Whether the scheduler with that number outlives whatever this thread does now: the thread serves it, or polls one
/// of its tasks.
#[inline]
fn keeps(scheduler: u32) -> bool {
    SchedulerRef::is_served_here(scheduler) || polls_for(scheduler)
}

fn polls_for(scheduler: u32) -> bool {
    try_current().is_some_and(|header| {
        // SAFETY: it is a header, and a thread that polls a task has a reference to it.
        let current = unsafe { header.cast::<Header>().as_ref() };
        current.state.scheduler() == scheduler
    })
}

/// Call this before the task can run elsewhere.
#[inline(always)]
fn note_wake(head: &Header) {
    if trace::is_on_here() {
        note_woken(head);
    }
}

/// A wake that finds the task already due, or complete, does not count.
#[inline]
fn wake_of(head: &Header) -> Option<Fact> {
    let is_wake = !head.state.load().has(SCHEDULED | COMPLETE);
    is_wake.then(|| {
        let task = TaskId::of(NonNull::from(head));
        Fact::Woke(task, trace::acting_task(), trace::cause_here())
    })
}

#[cold]
#[inline(never)]
fn note_woken(head: &Header) {
    if let Some(wake) = wake_of(head) {
        trace::note(wake);
    }
}

/// Records a wake by the end of a task, which is the thread's last event.
#[cold]
#[inline(never)]
fn note_woken_at_end(head: &Header) {
    if let Some(wake) = wake_of(head) {
        trace::note_right_after(wake);
    }
}

/// Asks for a poll.
///
/// # Safety
/// The caller has a reference.
pub(in crate::task) unsafe fn wake(header: NonNull<Header>) {
    let _middle = in_the_middle();
    // SAFETY: alive by the caller's reference.
    let head = unsafe { header.as_ref() };
    note_wake(head);
    if let Some(scheduler) = head.state.wake() {
        // SAFETY: the block's own scheduler, alive by the caller's reference to the block.
        unsafe { SchedulerRef::with_number(scheduler).schedule(header) };
    }
}

/// Asks for a poll of a task that awaited the task that the thread has just polled.
///
/// # Safety
/// The caller has a reference.
pub(in crate::task) unsafe fn wake_to_run(header: NonNull<Header>) {
    let _middle = in_the_middle();
    // SAFETY: alive by the caller's reference.
    let head = unsafe { header.as_ref() };
    if trace::is_on_here() {
        note_woken_at_end(head);
    }
    if let Some(scheduler) = head.state.wake_to_run() {
        // SAFETY: the block's own scheduler, alive by the caller's reference to the block.
        unsafe { SchedulerRef::with_number(scheduler).schedule(header) };
    }
}

/// Asks for a poll, and gives up a reference.
///
/// # Safety
/// The reference is the caller's.
pub(in crate::task) unsafe fn wake_and_release(header: NonNull<Header>) {
    let _middle = in_the_middle();
    // SAFETY: alive by the caller's reference.
    let head = unsafe { header.as_ref() };
    if !keeps(head.state.scheduler()) {
        // Once it is queued, the task may run, end, and drop the last reference to its scheduler, which must still
        // wake a worker: until then only our reference keeps the scheduler alive.
        // SAFETY: the reference is the caller's.
        let reference = unsafe { Reference::assume(header) };
        // SAFETY: alive by that reference, which is dropped last, even if a scheduler panics.
        unsafe { wake(reference.0) };
        return;
    }
    note_wake(head);
    match head.state.wake_and_release() {
        Woke::Nothing => {}
        // SAFETY: the block's own scheduler, which outlives this call, as was just checked.
        Woke::Queue(scheduler) => unsafe { SchedulerRef::with_number(scheduler).schedule(header) },
        // SAFETY: it was the last one.
        Woke::LastGone(scheduler) => unsafe { free(header, scheduler) },
    }
}

/// Aborts the task.
///
/// # Safety
/// The caller has a reference.
pub(in crate::task) unsafe fn abort(header: NonNull<Header>) {
    let _middle = in_the_middle();
    // SAFETY: alive by the caller's reference.
    let head = unsafe { header.as_ref() };
    trace::note(Fact::Aborted(TaskId::of(header), TaskId::current()));
    let _cause = trace::caused_by(Cause::Abort);
    note_wake(head);
    if let Some(scheduler) = head.state.abort() {
        // SAFETY: the block's own scheduler, alive by the caller's reference to the block.
        unsafe { SchedulerRef::with_number(scheduler).schedule(header) };
        return;
    }
    let state = head.state.load();
    if state.has(SCHEDULED) && !state.has(RUNNING) && !state.has(COMPLETE) {
        head.scheduler().abort_queued(TaskId::of(header));
    }
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

    /// The clock is read once for both events.
    #[cfg(not(lab_shuttle))]
    #[test]
    fn an_awaiter_is_woken_in_the_moment_after_the_end() {
        use std::sync::Mutex;

        use crate::task::{Ran, SafeSchedule, bind_named};
        use crate::trace::{Kind, Recorder};

        struct Keeps(Mutex<Vec<Task>>);
        impl SafeSchedule for Keeps {
            fn schedule(this: &SchedulerArc<Self>, task: Task) {
                this.0.lock().unwrap().push(task);
            }
        }

        let scheduler = SchedulerArc::new(Keeps(Mutex::new(Vec::new())));
        let session = Recorder::new().records_per_thread(1000).start_in_turn();
        let (child, handle) = bind_named(scheduler.erased(), "ends", async {});
        let awaits = async { handle.await.unwrap() };
        let (parent, _handle) = bind_named(scheduler.erased(), "awaits", awaits);
        assert!(matches!(parent.run(), Ran::Parked));
        assert!(matches!(child.run(), Ran::Finished));
        let woken = scheduler.0.lock().unwrap().pop().unwrap();
        assert!(matches!(woken.run(), Ran::Finished));
        let recorded = session.stop();
        let at = |kind, name| {
            let task = recorded.task(name).unwrap().id;
            let mut of_task = recorded.events().iter().filter(|it| it.task == Some(task));
            of_task.find(|it| it.kind == kind).unwrap().t_ns
        };
        recorded.assert_order(&[
            (Kind::PollEnd, "ends"),
            (Kind::Wake, "awaits"),
            (Kind::PollBegin, "awaits"),
        ]);
        // One tick: the two may lie on both sides of a nanosecond boundary.
        assert!(at(Kind::Wake, "awaits") - at(Kind::PollEnd, "ends") <= 1);
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
