//! How tasks and runtimes end: aborts, panics, shutdowns and drops at any moment.

use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

use runtime_core::park::block_on_current_thread;

use super::*;

#[test]
fn an_abort_that_races_with_the_end_leaves_one_outcome() {
    check_policies(|runtime| {
        let tally = Tally::new(3);
        let tasks = [0, 1, 2].map(|number| runtime.spawn(tally.task(number, yields(number))));
        let aborts = tasks.each_ref().map(|task| task.abort_handle());
        let other = thread::spawn(move || aborts.iter().for_each(|task| task.abort()));
        for (number, task) in tasks.into_iter().enumerate() {
            match runtime.block_on(task) {
                Ok(output) => assert_eq!(output, number),
                Err(error) => assert!(error.is_cancelled(), "{error}"),
            }
        }
        other.join().unwrap();
        drop(runtime);
        tally.assert_none_leaked();
    });
}

/// Not by `panic!`, at which shuttle would print the schedule.
fn panic_quietly() {
    resume_unwind(Box::new("on purpose"));
}

#[test]
fn panics_stay_with_their_tasks() {
    check_policies(|runtime| {
        let tally = Tally::new(4);
        let tasks = [0, 1, 2].map(|number| {
            runtime.spawn(tally.task(number, async move {
                yields(1).await;
                if number != 1 {
                    panic_quietly();
                }
            }))
        });
        for (number, task) in tasks.into_iter().enumerate() {
            let outcome = runtime.block_on(task);
            assert_eq!(outcome.is_err_and(|error| error.is_panic()), number != 1);
        }
        let root = tally.task(3, async { panic_quietly() });
        let caught = catch_unwind(AssertUnwindSafe(|| runtime.block_on(root)));
        assert_eq!(caught.unwrap_err().downcast_ref(), Some(&"on purpose"));
        drop(runtime);
        tally.assert_all_ran_once();
    });
}

#[test]
fn a_shutdown_that_races_with_spawns_and_wakes_leaks_no_future_and_ends_every_handle() {
    check_policies(|runtime| {
        let tally = Tally::new(6);
        let (wake, woken) = runtime_core::sync::oneshot::channel::<()>();
        let waits = runtime.spawn(tally.task(0, async move {
            let _ = woken.await;
        }));
        let never_ends = runtime.spawn(tally.task(1, pending::<()>()));
        let spawns = [2, 3].map(|number| {
            let (tally, handle) = (tally.clone(), runtime.handle().clone());
            thread::spawn(move || {
                let of_task = tally.clone();
                let task = handle.spawn(tally.task(number, async move {
                    let child = runtime_core::spawn(of_task.task(number + 2, yields(1)));
                    let _ = child.await;
                }));
                match block_on_current_thread(task) {
                    Ok(output) => assert_eq!(output, number),
                    Err(error) => assert!(error.is_cancelled(), "{error}"),
                }
            })
        });
        let wakes = thread::spawn(move || wake.send(()));
        assert_eq!(runtime.shutdown(Duration::MAX), Vec::<String>::new());
        // It may have been woken before the end.
        let _ = block_on_current_thread(waits);
        assert!(block_on_current_thread(never_ends).is_err());
        for thread in spawns {
            thread.join().unwrap();
        }
        let _ = wakes.join().unwrap();
        tally.assert_none_leaked();
    });
}

#[test]
fn a_runtime_that_is_dropped_while_tasks_run_ends_them_all() {
    check_policies(|runtime| {
        let tally = Tally::new(6);
        let handles = [0, 1, 2].map(|number| {
            let of_child = tally.clone();
            runtime.spawn(tally.task(number, async move {
                drop(runtime_core::spawn(
                    of_child.task(3 + number, pending::<()>()),
                ));
                loop {
                    // Otherwise a schedule by priorities would run nothing else.
                    thread::yield_now();
                    yield_now().await;
                }
            }))
        });
        drop(runtime);
        for task in handles {
            assert!(block_on_current_thread(task).unwrap_err().is_cancelled());
        }
        tally.assert_none_leaked();
    });
}

/// The workers end by themselves once the poll has returned.
#[test]
fn a_runtime_that_is_dropped_by_one_of_its_tasks_ends() {
    check(|| {
        let runtime = runtime();
        let tally = Tally::new(2);
        let idle = runtime.spawn(tally.task(0, pending::<()>()));
        let handle = runtime.handle().clone();
        let drops = handle.spawn(tally.task(1, async move { drop(runtime) }));
        let _ = block_on_current_thread(drops);
        assert!(block_on_current_thread(idle).unwrap_err().is_cancelled());
        tally.assert_none_leaked();
    });
}

/// The monitor checks the workers, goes to sleep when all of them do, is woken when one wakes up, and ends. No poll
/// lasts long enough to be caught.
#[test]
fn the_monitor_disturbs_no_task_and_ends() {
    check(|| {
        let runtime = builder()
            .monitor(true)
            .stuck_after(Duration::from_secs(3600))
            .build()
            .unwrap();
        let tally = Tally::new(2);
        for number in [0, 1] {
            let task = runtime.spawn(tally.task(number, yields(1)));
            runtime.block_on(task).unwrap();
        }
        drop(runtime);
        tally.assert_all_ran_once();
    });
}
