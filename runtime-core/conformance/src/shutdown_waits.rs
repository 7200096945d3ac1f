//! Clause 4: what the end of a runtime waits for: polls and blocking jobs, and for how long.

use std::time::{Duration, Instant};

use futures_lite::future::{block_on, pending};

use super::Subject;
use super::event::Event;
use super::outcome::Outcome;
use super::probe::{Probe, Then};
use super::shutdown::{By, LONG, OnDrop};
use super::skip;
use runtime_library::Runtime;

/// For what is still running when the time is up: however short the time, it is still running.
const SHORT: Duration = Duration::from_millis(20);

/// 4: when the time is up, `shutdown` returns the names of what is still running; here a blocking job.
pub fn c04_shutdown_names_a_blocking_job_still_running<S: Subject>() {
    let subject = S::start();
    let (runs, release) = (Event::new(), Event::new());
    let (notify, released) = (runs.clone(), release.clone());
    let job = subject.handle().spawn_blocking(move || {
        notify.set();
        released.wait_blocking();
        7
    });
    runs.wait_blocking();
    let running = subject.shutdown(SHORT);
    assert_eq!(running.len(), 1, "one job still runs: {running:?}");
    assert!(!running[0].is_empty(), "it has a name");
    release.set();
    assert_eq!(
        block_on(job).expect("what runs at the shutdown may finish"),
        7
    );
}

/// 4: `shutdown` *first* drops what is not being polled, then waits for what is, and returns as soon as that has
/// ended.
pub fn c04_shutdown_waits_for_a_blocking_job<S: Subject>() {
    let subject = S::start();
    let rt = subject.handle();
    let (runs, dropped) = (Event::new(), Event::new());
    let on_drop = OnDrop(dropped.clone());
    let _parked = rt.spawn(async move {
        let _on_drop = on_drop;
        pending::<()>().await;
    });
    let (notify, released, ended) = (runs.clone(), dropped.clone(), Event::new());
    let done = ended.clone();
    let _job = rt.spawn_blocking(move || {
        notify.set();
        // Released by the waiting task's destructor, which must not wait for us.
        released.wait_blocking();
        done.set();
    });
    runs.wait_blocking();
    let begun = Instant::now();
    let running = subject.shutdown(LONG);
    assert!(begun.elapsed() < LONG, "returns when all has ended");
    assert!(running.is_empty(), "nothing still runs: {running:?}");
    assert!(ended.is_set());
}

/// 4: dropping the owner does not wait for blocking jobs.
pub fn c04_dropping_the_owner_leaves_blocking_jobs<S: Subject>() {
    let subject = S::start();
    let (runs, release, ended) = (Event::new(), Event::new(), Event::new());
    let (notify, released, done) = (runs.clone(), release.clone(), ended.clone());
    let _job = subject.handle().spawn_blocking(move || {
        notify.set();
        released.wait_blocking();
        done.set();
    });
    runs.wait_blocking();
    drop(subject);
    assert!(!ended.is_set(), "nothing has released it");
    release.set();
    ended.wait_blocking();
}

const NO_POLLS: &str = "no task is polled while the owner ends the runtime";

/// Whether tasks run without the owner, so that one can be in its poll while the runtime ends.
fn polls_go_on_beside_the_owner<S: Subject>(subject: &S) -> bool {
    subject.handle().capabilities().parallel
}

/// 4: a task that is still in its poll when the time is up is named, and dropped when that poll returns.
pub fn c04_shutdown_names_a_task_still_polling<S: Subject>() {
    let subject = S::start();
    if !polls_go_on_beside_the_owner(&subject) {
        skip(NO_POLLS);
    }
    let (probe, runs, release) = (Probe::new(), Event::new(), Event::new());
    let (notify, released) = (runs.clone(), release.clone());
    probe.tell_to_run(
        move || {
            notify.set();
            released.wait_blocking();
        },
        Then::Wait,
    );
    let task = subject.handle().spawn(probe.future());
    runs.wait_blocking();
    let running = subject.shutdown(SHORT);
    assert_eq!(running.len(), 1, "one task still polls: {running:?}");
    assert!(!running[0].is_empty(), "it has a name");
    assert_eq!(
        probe.futures_dropped().get(),
        0,
        "not while it is being polled"
    );
    release.set();
    assert_eq!(Outcome::of(block_on(task)), Outcome::Cancelled);
    probe.assert_nothing_left(&"the task that was polling");
}

/// 4: `shutdown` and the owner's drop wait for a poll. A poll that ends with a value keeps it.
pub fn c04_the_end_waits_for_polls<S: Subject>() {
    for by in [By::Shutdown, By::DropOfTheOwner] {
        for then in [Then::Wait, Then::Return, Then::Panic] {
            let subject = S::start();
            if !polls_go_on_beside_the_owner(&subject) {
                skip(NO_POLLS);
            }
            let rt = subject.handle();
            let (probe, runs, sibling) = (Probe::new(), Event::new(), Event::new());
            let on_drop = OnDrop(sibling.clone());
            let parked = Event::new();
            let tell_parked = parked.clone();
            let _sibling = rt.spawn(async move {
                let _on_drop = on_drop;
                tell_parked.set();
                pending::<()>().await;
            });
            parked.wait_blocking();
            let (notify, released) = (runs.clone(), sibling.clone());
            probe.tell_to_run(
                move || {
                    notify.set();
                    // The shutdown drops the sibling, so it has begun.
                    released.wait_blocking();
                },
                then,
            );
            let task = rt.spawn(probe.future());
            runs.wait_blocking();
            by.end(subject);
            assert_eq!(
                probe.futures_dropped().get(),
                1,
                "{by:?}, {then:?}: the poll has ended"
            );
            let outcome = Outcome::of(block_on(task));
            match then {
                Then::Wait => assert_eq!(outcome, Outcome::Cancelled, "{by:?}"),
                Then::Return => assert_eq!(outcome, Outcome::Returned, "{by:?}"),
                Then::Panic => assert!(
                    matches!(outcome, Outcome::Panicked(_)),
                    "{by:?}: {outcome:?}"
                ),
            }
            probe.assert_nothing_left(&(by, then));
        }
    }
}
