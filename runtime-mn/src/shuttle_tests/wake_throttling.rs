//! Work that a worker keeps to itself is not forgotten.

use std::time::Duration;

use runtime_core::park::Parker;

use super::*;

/// Some checks of the monitor's close watch, but less than its ordinary pauses.
const AT_ONCE: Duration = Duration::from_micros(900);
/// Work that waits this long was found only because the poll before it counts as stuck.
const STUCK: Duration = Duration::from_millis(10);

/// A throttled worker queues a task and does not return from its poll before that task has run.
#[test]
fn tasks_behind_a_poll_of_a_throttled_worker_are_found_at_once() {
    let turn = AtomicUsize::new(0);
    check_in_time(move || {
        let policy =
            ["go-like", "tokio-like", "random-steal", "priority"][turn.fetch_add(1, Relaxed) % 4];
        let runtime = builder().build_by_name(policy).unwrap();
        let tally = Tally::new(6);
        let of_root = tally.clone();
        let waited = runtime.block_on(async move {
            // Work that is done as soon as a sleeper was woken for it: the worker becomes throttled.
            for number in 0..3 {
                let short = runtime_core::spawn(of_root.task(number, yields(1)));
                short.await.unwrap();
            }
            let began = mock_clock::elapsed();
            let gate = Parker::new();
            let gates = [(); 3].map(|()| gate.unparker());
            let behind: Vec<_> = gates
                .into_iter()
                .enumerate()
                .map(|(number, gate)| {
                    let opens = async move {
                        yields(number).await;
                        gate.unpark();
                    };
                    runtime_core::spawn(of_root.task(3 + number, opens))
                })
                .collect();
            gate.park(None);
            let waited = mock_clock::elapsed() - began;
            for task in behind {
                task.await.unwrap();
            }
            waited
        });
        assert!(waited < AT_ONCE, "found after {waited:?} under {policy}");
        drop(runtime);
        tally.assert_all_ran_once();
    });
}

/// The same for a task in the LIFO slot, which never wakes a sleeper.
#[test]
fn the_next_task_of_a_poll_that_goes_on_runs_elsewhere() {
    check_in_time(|| {
        let runtime = runtime();
        let (done, wait) = runtime_core::sync::oneshot::channel();
        let gate = Parker::new();
        let opens = gate.unparker();
        let waits = runtime.spawn(async move {
            let wakes: Result<(), _> = wait.await;
            wakes.unwrap();
            opens.unpark();
        });
        let waited = runtime.block_on(async move {
            yields(2).await;
            let began = mock_clock::elapsed();
            done.send(()).unwrap();
            gate.park(None);
            mock_clock::elapsed() - began
        });
        assert!(waited < STUCK, "found after {waited:?}");
        runtime.block_on(waits).unwrap();
    });
}
