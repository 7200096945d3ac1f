//! Clause 5: a thread that runs the runtime until it is stopped.

use std::sync::mpsc;
use std::thread;

use super::ForeverSubject;
use super::event::{Count, Event};
use runtime_kernel::{spawn, yield_now};
use runtime_library::Runtime;
use runtime_library::calls::{Calls, call_soon};

/// 5: a task ends the present run, without any effect on other tasks.
pub fn c05_a_stop_by_a_task_ends_the_run<S: ForeverSubject>() {
    let subject = S::start();
    for _ in 0..100 {
        let (rt, reached) = (subject.handle(), Event::new());
        let (stops, notify) = (rt.clone(), reached.clone());
        let task = rt.spawn(async move {
            yield_now().await;
            notify.set();
            S::stop(&stops);
            7
        });
        subject.run_forever();
        assert!(reached.is_set(), "it ended before it was stopped");
        assert_eq!(subject.run(task).expect("the task that stopped it"), 7);
    }
}

/// 5: so does a thread outside the runtime, even if the run has nothing to do.
pub fn c05_a_stop_from_another_thread_ends_the_run<S: ForeverSubject>() {
    let subject = S::start();
    for round in 0..100 {
        let (rt, running) = (subject.handle(), Event::new());
        let notify = running.clone();
        drop(rt.spawn(async move { notify.set() }));
        let stopper = thread::spawn(move || {
            running.wait_blocking();
            // Sometimes the run is idle by then, sometimes it isn't.
            (0..round * 10).for_each(|_| std::hint::spin_loop());
            S::stop(&rt);
        });
        subject.run_forever();
        stopper.join().expect("the thread that stopped it");
    }
}

/// 5: a stop before a run ends that run, and not the one after it.
pub fn c05_a_stop_before_a_run_ends_that_run_alone<S: ForeverSubject>() {
    let subject = S::start();
    for _ in 0..20 {
        let rt = subject.handle();
        S::stop(&rt);
        // Otherwise this hangs.
        subject.run_forever();
        let reached = Event::new();
        let (stops, notify) = (rt.clone(), reached.clone());
        drop(rt.spawn(async move {
            for _ in 0..10 {
                yield_now().await;
            }
            notify.set();
            S::stop(&stops);
        }));
        subject.run_forever();
        assert!(reached.is_set(), "one stop ended two runs");
    }
}

/// 5: a stop before a run leaves it one iteration: tasks that are ready by then still run, as in asyncio. Where tasks
/// have their own threads, they run anyway.
pub fn c05_a_stop_before_a_run_leaves_it_a_round<S: ForeverSubject>() {
    const TASKS: usize = 10;
    let subject = S::start();
    let rt = subject.handle();
    let alone = rt.capabilities().workers == Some(1);
    for round in 1..=20 {
        let (begun, ended) = (Count::new(), Count::new());
        for _ in 0..TASKS {
            let (begun, ended) = (begun.clone(), ended.clone());
            drop(rt.spawn(async move {
                begun.add();
                yield_now().await;
                ended.add();
            }));
        }
        S::stop(&rt);
        subject.run_forever();
        if alone {
            assert_eq!(begun.get(), TASKS, "in round {round}");
            assert_eq!(ended.get(), 0, "more than a round, in round {round}");
        }
        subject.run(async move { ended.reach(TASKS).await });
    }
}

/// 5: tasks that have not ended when a run ends continue in the next one at the latest, from where they are.
pub fn c05_tasks_go_on_in_the_next_run<S: ForeverSubject>() {
    const TASKS: usize = 20;
    const ROUNDS: usize = 10;
    let subject = S::start();
    let rt = subject.handle();
    let (arrived, goes_on) = (Count::new(), Count::new());
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let (arrived, goes_on) = (arrived.clone(), goes_on.clone());
            rt.spawn(async move {
                for round in 1..=ROUNDS {
                    arrived.add();
                    goes_on.reach(round).await;
                }
            })
        })
        .collect();
    for round in 1..=ROUNDS {
        let (stops, all_here) = (rt.clone(), arrived.reach(round * TASKS));
        drop(rt.spawn(async move {
            all_here.await;
            S::stop(&stops);
        }));
        subject.run_forever();
        assert_eq!(arrived.get(), round * TASKS);
        // Between two runs: they may be woken while nobody runs them.
        goes_on.add();
    }
    subject.run(async move {
        for task in tasks {
            task.await.expect("it went on");
        }
    });
}

/// 5: asyncio's `call_soon_threadsafe`: a call that another thread schedules is made even if the run sleeps.
pub fn c05_a_call_from_another_thread_wakes_an_idle_run<S: ForeverSubject>() {
    let subject = S::start();
    let rt = subject.handle();
    let caller = thread::spawn(move || {
        for number in 0..300 {
            let (answer, answered) = mpsc::channel();
            drop(rt.call_soon(move || answer.send(number).expect("the caller waits")));
            // Nothing else is scheduled until this is answered: a run that sleeps through it sleeps for ever.
            assert_eq!(answered.recv(), Ok(number));
        }
        S::stop(&rt);
    });
    subject.run_forever();
    caller.join().expect("all were answered");
}

/// 5: calls that are scheduled during a run are made in it, including the callbacks of tasks.
pub fn c05_calls_of_a_run_forever_are_made<S: ForeverSubject>() {
    let subject = S::start();
    let (rt, made) = (subject.handle(), Count::new());
    let (stops, count) = (rt.clone(), made.clone());
    drop(rt.call_soon(move || {
        count.add();
        let inner = count.clone();
        drop(call_soon(move || {
            inner.add();
            let last = inner.clone();
            spawn(async move { last.add() }).on_complete(move |_| {
                inner.add();
                S::stop(&stops);
            });
        }));
    }));
    subject.run_forever();
    assert_eq!(made.get(), 4);
}
