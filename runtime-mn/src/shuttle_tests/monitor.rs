//! Workers that are stuck in polls, and the workers that take over from them.

use std::time::Duration;

use runtime_core::park::Parker;
use runtime_core::sync::oneshot;

use super::*;

/// More than it takes to catch two polls, and less than a thread without work is kept.
const SOON: Duration = Duration::from_millis(50);

/// Two workers, which sleep for a while. Then a task blocks each of them until another task has run that it has queued
/// there, in a queue or in the LIFO slot. Returns how long they blocked.
fn all_workers_block(policy: &str, pause: Duration) -> Duration {
    let builder = builder().workers(2).max_replacement_workers(2);
    let runtime = builder.build_by_name(policy).unwrap();
    mock_clock::sleep(pause);
    let tally = Tally::new(5);
    let began = mock_clock::elapsed();
    let blocks: Vec<_> = (0..2)
        .map(|number| {
            let of_child = tally.clone();
            runtime.spawn(tally.task(number, async move {
                let gate = Parker::new();
                let opens = gate.unparker();
                let (wakes, waits) = oneshot::channel();
                let child = runtime_core::spawn(of_child.task(2 + number, async move {
                    if number == 0 {
                        assert_eq!(waits.await, Ok(()));
                    } else {
                        yields(1).await;
                    }
                    opens.unpark();
                }));
                if number == 0 {
                    yields(2).await;
                    wakes.send(()).unwrap();
                }
                gate.park(None);
                child.await.unwrap();
            }))
        })
        .collect();
    let injected = runtime.spawn(tally.task(4, yields(1)));
    for task in blocks.into_iter().chain([injected]) {
        runtime.block_on(task).unwrap();
    }
    let lasted = mock_clock::elapsed() - began;
    drop(runtime);
    tally.assert_all_ran_once();
    lasted
}

/// After some pauses the monitor is asleep, or just going to sleep.
fn policy_and_pause(turn: &AtomicUsize) -> (&'static str, Duration) {
    let turn = turn.fetch_add(1, Relaxed);
    let looks = [0, 8, 9, 10, 11][turn / POLICIES.len() % 5];
    (
        POLICIES[turn % POLICIES.len()],
        looks * Duration::from_millis(5),
    )
}

#[test]
fn replacement_workers_soon_run_the_tasks_of_stuck_workers() {
    let turn = AtomicUsize::new(0);
    check_in_time(move || {
        let (policy, pause) = policy_and_pause(&turn);
        let lasted = all_workers_block(policy, pause);
        assert!(lasted < SOON, "it took {lasted:?} under {policy}");
    });
}

#[test]
fn tasks_of_stuck_workers_run_whenever_the_monitor_checks() {
    let turn = AtomicUsize::new(0);
    check(move || {
        let (policy, pause) = policy_and_pause(&turn);
        all_workers_block(policy, pause);
    });
}

/// A timer belongs to the worker on which it was set. That worker is stuck when the timer is due.
#[test]
fn the_timers_of_a_stuck_worker_fire() {
    check_in_time(|| {
        let runtime = builder()
            .workers(1)
            .max_replacement_workers(1)
            .build()
            .unwrap();
        let (began, gate) = (mock_clock::elapsed(), Parker::new());
        let opens = gate.unparker();
        runtime.block_on(async move {
            let sleeps = runtime_core::spawn(async move {
                runtime_core::sleep(Duration::from_millis(3)).await;
                opens.unpark();
            });
            yields(2).await;
            gate.park(None);
            sleeps.await.unwrap();
        });
        let lasted = mock_clock::elapsed() - began;
        assert!(
            (Duration::from_millis(3)..SOON).contains(&lasted),
            "{lasted:?}"
        );
    });
}

/// The same for a worker that is away in `block_in_place`. With and without the monitor's thread.
#[test]
fn the_timers_of_a_worker_that_is_away_fire() {
    let turn = AtomicUsize::new(0);
    check_in_time(move || {
        let builder = builder().workers(1).max_replacement_workers(1);
        let has_monitor = turn.fetch_add(1, Relaxed) % 2 == 0;
        let runtime = builder.monitor(has_monitor).build().unwrap();
        let (began, gate) = (mock_clock::elapsed(), Parker::new());
        let opens = gate.unparker();
        runtime.block_on(async move {
            let sleeps = runtime_core::spawn(async move {
                runtime_core::sleep(Duration::from_millis(3)).await;
                opens.unpark();
            });
            yields(2).await;
            crate::block_in_place(|| gate.park(None));
            sleeps.await.unwrap();
        });
        let lasted = mock_clock::elapsed() - began;
        assert!(
            (Duration::from_millis(3)..SOON).contains(&lasted),
            "{lasted:?}"
        );
    });
}

/// One worker, whose task blocks in place after each of these pauses until another task has run that it has queued.
/// Returns how long it blocked in total.
fn the_only_worker_is_away(keep_alive: Duration, pauses: [u64; 3]) -> Duration {
    let runtime = builder()
        .workers(1)
        .max_replacement_workers(1)
        .replacement_keep_alive(keep_alive)
        .build()
        .unwrap();
    let mut lasted = Duration::ZERO;
    for pause in pauses {
        mock_clock::sleep(Duration::from_millis(pause));
        let began = mock_clock::elapsed();
        let (done, wait) = oneshot::channel();
        let blocks = runtime.spawn(async move {
            let child = runtime_core::spawn(async move { done.send(()).unwrap() });
            assert_eq!(crate::block_in_place(|| wait.blocking_recv()), Ok(()));
            child.await.unwrap();
        });
        runtime.block_on(blocks).unwrap();
        lasted += mock_clock::elapsed() - began;
    }
    lasted
}

#[test]
fn a_replacement_worker_that_waits_is_sent_again_soon() {
    check_in_time(|| {
        let lasted = the_only_worker_is_away(Duration::from_secs(10), [0, 20, 100]);
        assert!(lasted < SOON, "it took {lasted:?}");
    });
}

/// A replacement worker that was not needed for long has lost its thread: next time it gets a new one.
#[test]
fn a_replacement_worker_whose_thread_has_ended_is_sent_again() {
    check(|| {
        the_only_worker_is_away(Duration::from_millis(1), [0, 0, 2]);
    });
}
