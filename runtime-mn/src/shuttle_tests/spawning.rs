//! Where tasks come from, and that each of them runs once.

use super::*;

#[test]
fn tasks_from_the_root_from_tasks_and_from_foreign_threads_run_once() {
    check_policies(|runtime| {
        let tally = Tally::new(6);
        let foreign = [4, 5].map(|number| {
            let (tally, handle) = (tally.clone(), runtime.handle().clone());
            thread::spawn(move || {
                let task = handle.spawn(tally.task(number, yields(1)));
                assert_eq!(handle.block_on(task).unwrap(), number);
            })
        });
        let of_root = tally.clone();
        runtime.block_on(async move {
            let tally = of_root.clone();
            let parents = [0, 1].map(|number| {
                let of_child = tally.clone();
                runtime_core::spawn(tally.task(number, async move {
                    let child = runtime_core::spawn(of_child.task(2 + number, async {}));
                    assert_eq!(child.await.unwrap(), 2 + number);
                }))
            });
            for (number, parent) in parents.into_iter().enumerate() {
                assert_eq!(parent.await.unwrap(), number);
            }
        });
        for thread in foreign {
            thread.join().unwrap();
        }
        drop(runtime);
        tally.assert_all_ran_once();
    });
}

/// More tasks than a worker keeps to itself. Each goes to the back several times.
#[test]
fn a_storm_of_yields_with_thieves_loses_no_task() {
    check_policies(|runtime| {
        let tally = Tally::new(5);
        let of_root = tally.clone();
        let sum = runtime.block_on(async move {
            let tasks: Vec<_> = (0..5)
                .map(|number| runtime_core::spawn(of_root.task(number, yields(3))))
                .collect();
            let mut sum = 0;
            for task in tasks {
                sum += task.await.unwrap();
            }
            sum
        });
        assert_eq!(sum, 10);
        drop(runtime);
        tally.assert_all_ran_once();
    });
}

/// Two of three workers are held up for good unless the third one is woken for the queued task. The last worker that
/// stops searching wakes it. There is no monitor.
#[test]
fn a_delayed_worker_does_not_block_other_tasks() {
    check(|| {
        let runtime = plain().build().unwrap();
        let tally = Tally::new(3);
        let gates = [(); 2].map(|()| runtime_core::park::Parker::new());
        let unparkers = gates.each_ref().map(runtime_core::park::Parker::unparker);
        let mut tasks: Vec<_> = gates
            .into_iter()
            .enumerate()
            .map(|(number, gate)| {
                // This blocks its worker, which a task should not do.
                runtime.spawn(tally.task(number, async move {
                    gate.park(None);
                }))
            })
            .collect();
        tasks.push(runtime.spawn(tally.task(2, async move {
            unparkers
                .iter()
                .for_each(runtime_core::park::Unparker::unpark);
        })));
        for task in tasks {
            runtime.block_on(task).unwrap();
        }
        drop(runtime);
        tally.assert_all_ran_once();
    });
}
