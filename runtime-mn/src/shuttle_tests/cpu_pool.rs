//! Tasks that compute for long go to separate threads, and come back.

use std::time::Duration;

use super::*;

/// A poll that lasts this long is caught.
const LONG: Duration = Duration::from_millis(20);
/// After this many catches a task is diverted.
const LONG_POLLS: usize = 2;
/// One more than it takes to return to the workers.
const SHORT_POLLS: usize = 17;

fn is_in_pool() -> bool {
    let thread = thread::current();
    thread.name().is_some_and(|name| name.ends_with("-cpu"))
}

/// Computes for long, and then only yields. Returns whether it was in the pool after each of the two.
async fn computes() -> (bool, bool) {
    for _ in 0..LONG_POLLS {
        mock_clock::sleep(LONG);
        yields(1).await;
    }
    let was_diverted = is_in_pool();
    yields(SHORT_POLLS).await;
    (was_diverted, is_in_pool())
}

#[test]
fn cpu_bound_tasks_go_to_the_pool_and_come_back() {
    let turn = AtomicUsize::new(0);
    check_in_time(move || {
        let threads = 1 + turn.fetch_add(1, Relaxed) % 2;
        let runtime = builder()
            .workers(2)
            .cpu_pool_threads(threads)
            .build()
            .unwrap();
        let tally = Tally::new(3);
        let began = mock_clock::elapsed();
        let compute = [0, 1].map(|number| {
            let (send, receive) = runtime_core::sync::oneshot::channel();
            let task = tally.task(number, async move {
                let _ = send.send(computes().await);
            });
            (runtime.spawn(task), receive)
        });
        let other = runtime.spawn(tally.task(2, yields(2)));
        for (task, seen) in compute {
            runtime.block_on(task).unwrap();
            assert_eq!(runtime.block_on(seen), Ok((true, false)));
        }
        runtime.block_on(other).unwrap();
        let lasted = mock_clock::elapsed() - began;
        assert!(lasted < 10 * LONG, "a task has waited: {lasted:?}");
        drop(runtime);
        tally.assert_all_ran_once();
    });
}

/// Whichever polls are caught, and whenever the pool's threads end.
#[test]
fn a_runtime_ends_while_tasks_are_in_the_pool() {
    check(|| {
        let runtime = builder().workers(2).cpu_pool_threads(1).build().unwrap();
        let tally = Tally::new(2);
        let tasks = [0, 1].map(|number| {
            runtime.spawn(tally.task(number, async {
                computes().await;
            }))
        });
        mock_clock::sleep(3 * LONG);
        drop(runtime);
        for task in tasks {
            let _ = runtime_core::park::block_on_current_thread(task);
        }
        tally.assert_none_leaked();
    });
}
