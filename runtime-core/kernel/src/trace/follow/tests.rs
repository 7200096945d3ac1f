//! The records of followed tasks.

use std::future::{pending, poll_fn};
use std::pin::pin;
use std::thread;

use super::*;
use crate::trace::{Cause, Event, Kind, Recorded, Recorder};

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// What happened on the one thread that polls here, without the events of other tests.
fn own(recorded: &Recorded, task: u32) -> Vec<Kind> {
    let own = recorded
        .events()
        .iter()
        .filter(|event| event.task == Some(task));
    own.map(|event| event.kind).collect()
}

fn task_at(recorded: &Recorded, site: &Location<'_>) -> u32 {
    let site = format!("{}:{}", site.file(), site.line());
    let task = recorded
        .tasks()
        .iter()
        .find(|task| task.site.as_deref() == Some(&site));
    task.unwrap_or_else(|| panic!("no task of {site} in {:?}", recorded.tasks()))
        .id
}

#[test]
fn a_followed_task_is_spawned_polled_woken_and_ended() {
    let session = Recorder::new().records_per_thread(1000).start_in_turn();
    let outer = here();
    let inner = here();
    let mut begun = false;
    let outer_task = follow(
        poll_fn(|_| {
            if mem::replace(&mut begun, true) {
                return Poll::Ready(());
            }
            let mut child = pin!(follow(async {}, inner));
            assert!(poll(child.as_mut()).is_ready());
            Poll::Pending
        }),
        outer,
    );
    let mut outer_task = pin!(outer_task);
    assert!(poll(outer_task.as_mut()).is_pending());
    assert!(poll(outer_task.as_mut()).is_ready());
    let recorded = session.stop();
    let parent = task_at(&recorded, outer);
    let child = recorded
        .tasks()
        .iter()
        .find(|task| task.parent == Some(parent))
        .unwrap();
    let (begin, end) = (Kind::PollBegin, Kind::PollEnd);
    assert_eq!(
        own(&recorded, child.id),
        [Kind::Spawn, begin, end, Kind::TaskEnd]
    );
    let expected = [Kind::Spawn, begin, end, begin, end, Kind::TaskEnd];
    assert_eq!(own(&recorded, parent), expected);
}

#[test]
fn a_wake_is_recorded_once_with_its_waking_task() {
    let session = Recorder::new().records_per_thread(1000).start_in_turn();
    let sleeper = here();
    let waker = here();
    let kept = Cell::new(None);
    let sleeping = poll_fn(|cx| {
        kept.set(Some(cx.waker().clone()));
        Poll::<()>::Pending
    });
    let mut sleeping = pin!(follow(sleeping, sleeper));
    assert!(poll(sleeping.as_mut()).is_pending());
    let kept = kept.take().unwrap();
    let waking = async {
        kept.wake_by_ref();
        kept.wake_by_ref();
    };
    assert!(poll(pin!(follow(waking, waker))).is_ready());
    let recorded = session.stop();
    let (sleeper, waker) = (task_at(&recorded, sleeper), task_at(&recorded, waker));
    let is_wake = |it: &&Event| it.kind == Kind::Wake && it.task == Some(sleeper);
    let wakes: Vec<_> = recorded.events().iter().filter(is_wake).collect();
    assert_eq!(wakes.len(), 1);
    assert_eq!(wakes[0].a, Some(waker.into()));
    assert_eq!(wakes[0].b, Some(Cause::Task as u64));
}

#[track_caller]
fn here() -> &'static Location<'static> {
    Location::caller()
}

#[test]
fn a_dropped_task_was_cancelled_and_a_panicked_one_was_not() {
    let session = Recorder::new().records_per_thread(1000).start_in_turn();
    let dropped = here();
    let panicked = here();
    drop(follow(pending::<()>(), dropped));
    let bad = follow(async { panic!("on purpose") }, panicked);
    let polled = thread::spawn(move || {
        let _: Poll<()> = poll(pin!(bad));
    });
    assert!(polled.join().is_err());
    let recorded = session.stop();
    let end = |site| {
        let task = task_at(&recorded, site);
        let ends = |it: &&Event| it.kind == Kind::TaskEnd && it.task == Some(task);
        let found: Vec<_> = recorded.events().iter().filter(ends).collect();
        assert_eq!(found.len(), 1);
        found[0].a
    };
    assert_eq!((end(dropped), end(panicked)), (Some(2), Some(1)));
}

#[test]
fn a_task_from_before_the_recording_has_its_name_and_no_spawn() {
    let site = here();
    let mut polls = 0;
    let task = follow(
        poll_fn(|_| {
            polls += 1;
            if polls == 2 {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        }),
        site,
    );
    let mut task = pin!(task);
    let session = Recorder::new().records_per_thread(1000).start_in_turn();
    assert!(poll(task.as_mut()).is_pending());
    assert!(poll(task.as_mut()).is_ready());
    let recorded = session.stop();
    let task = task_at(&recorded, site);
    assert!(recorded.tasks()[task as usize].name.contains("poll_fn"));
    assert!(!own(&recorded, task).contains(&Kind::Spawn));
}

#[test]
fn a_task_that_awaits_a_handle_is_woken_by_the_end() {
    let session = Recorder::new().records_per_thread(1000).start_in_turn();
    let parent = here();
    let child = here();
    let kept = Cell::new(None);
    let waiting = poll_fn(|cx| {
        kept.set(Some(waker_at_end(cx.waker())));
        Poll::<()>::Pending
    });
    let mut waiting = pin!(follow(waiting, parent));
    assert!(poll(waiting.as_mut()).is_pending());
    assert!(poll(pin!(follow(async {}, child))).is_ready());
    kept.take().unwrap().wake();
    let recorded = session.stop();
    let (parent, child) = (task_at(&recorded, parent), task_at(&recorded, child));
    let is_wake = |it: &&Event| it.kind == Kind::Wake && it.task == Some(parent);
    let wake = recorded.events().iter().find(is_wake).unwrap();
    assert_eq!(wake.a, Some(child.into()));
}
