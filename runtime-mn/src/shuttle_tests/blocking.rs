//! Threads that wait for tasks, and tasks that block.

use runtime_core::park::block_on_current_thread;
use runtime_core::sync::oneshot;

use super::*;
use crate::block_in_place;

#[test]
fn two_threads_block_on_one_runtime() {
    check_policies(|runtime| {
        let tally = Tally::new(4);
        let roots = [0, 1].map(|number| {
            let (tally, handle) = (tally.clone(), runtime.handle().clone());
            thread::spawn(move || {
                let of_child = tally.clone();
                handle.block_on(tally.task(number, async move {
                    let child = runtime_core::spawn(of_child.task(2 + number, yields(1)));
                    child.await.unwrap();
                }))
            })
        });
        for (number, thread) in roots.into_iter().enumerate() {
            assert_eq!(thread.join().unwrap(), number);
        }
        drop(runtime);
        tally.assert_all_ran_once();
    });
}

/// The task blocks until another task behind it in the same worker's queue has run: another worker takes that one
/// over, or a replacement worker if all workers are blocked. With and without the monitor's thread.
#[test]
fn tasks_behind_a_task_that_blocks_in_place_run() {
    let turn = AtomicUsize::new(0);
    check(move || {
        let turn = turn.fetch_add(1, Relaxed);
        let policy = POLICIES[turn % POLICIES.len()];
        let runtime = builder()
            .workers(2)
            .monitor(turn % 2 == 0)
            .max_replacement_workers(2)
            .build_by_name(policy)
            .unwrap();
        let tally = Tally::new(4);
        let blocks = [0, 1].map(|number| {
            let of_child = tally.clone();
            runtime.spawn(tally.task(number, async move {
                let (done, wait) = oneshot::channel();
                let child = runtime_core::spawn(of_child.task(2 + number, async move {
                    yields(1).await;
                    done.send(number).unwrap();
                }));
                assert_eq!(block_in_place(|| wait.blocking_recv()), Ok(number));
                child.await.unwrap();
            }))
        });
        for task in blocks {
            runtime.block_on(task).unwrap();
        }
        drop(runtime);
        tally.assert_all_ran_once();
    });
}

/// There is nothing to take over when the only worker's task blocks in place. A task that comes later must find a
/// worker.
#[test]
fn tasks_spawned_while_all_workers_are_blocked_run() {
    let turn = AtomicUsize::new(0);
    check(move || {
        let turn = turn.fetch_add(1, Relaxed);
        let runtime = builder()
            .workers(1)
            .monitor(turn % 2 == 0)
            .max_replacement_workers(1)
            .build_by_name(POLICIES[turn % POLICIES.len()])
            .unwrap();
        let tally = Tally::new(2);
        let (done, wait) = oneshot::channel();
        let away = runtime.spawn(tally.task(0, async move {
            assert_eq!(block_in_place(|| wait.blocking_recv()), Ok(()));
        }));
        let (of_task, handle) = (tally.clone(), runtime.handle().clone());
        let other = thread::spawn(move || {
            handle.spawn(of_task.task(1, async move { done.send(()).unwrap() }))
        });
        let comes = other.join().unwrap();
        for task in [away, comes] {
            runtime.block_on(task).unwrap();
        }
        drop(runtime);
        tally.assert_all_ran_once();
    });
}

#[test]
fn blocking_functions_run_and_wake_their_tasks() {
    check(|| {
        let runtime = builder().max_blocking_threads(2).build().unwrap();
        let sum = runtime.block_on(async {
            let jobs = [1, 2, 3].map(|n| runtime_core::spawn_blocking(move || n));
            let mut sum = 0;
            for job in jobs {
                sum += job.await.unwrap();
            }
            sum
        });
        assert_eq!(sum, 6);
        let last = runtime.handle().spawn_blocking(|| 1);
        drop(runtime);
        // It ran, or was cancelled in the queue.
        let _ = block_on_current_thread(last);
    });
}
