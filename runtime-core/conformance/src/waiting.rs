//! Clauses 2 and 11: waiting for tasks through their handles.

use std::time::Duration;

use super::Subject;
use super::event::{Count, Event};
use super::outcome::Outcome;
use super::probe::{Probe, Then};
use runtime_kernel::TaskHandle;
use runtime_library::Runtime;

/// 2: a dropped handle detaches its task, whenever it is dropped.
pub fn c02_dropping_a_handle_detaches<S: Subject>() {
    const TASKS: usize = 100;
    let subject = S::start();
    let rt = subject.handle();
    subject.run(async move {
        let (go, done) = (Event::new(), Count::new());
        for number in 0..TASKS {
            let (own, go, done) = (rt.clone(), go.clone(), done.clone());
            let task = rt.spawn(async move {
                for _ in 0..number % 3 {
                    own.yield_now().await;
                }
                go.wait().await;
                done.add();
            });
            if number % 2 == 0 {
                rt.yield_now().await;
            }
            drop(task);
        }
        go.set();
        done.reach(TASKS).await;
    });
}

/// 2: a task that is detached outside the runtime runs, too.
pub fn c02_detached_from_outside<S: Subject>() {
    let subject = S::start();
    let rt = subject.handle();
    let done = Count::new();
    let notify = done.clone();
    let outside = std::thread::spawn(move || {
        for _ in 0..50 {
            let notify = notify.clone();
            drop(rt.spawn(async move { notify.add() }));
        }
    });
    subject.run(async move { done.reach(50).await });
    outside.join().expect("the thread outside");
}

/// 1: `is_finished` says whether awaiting would wait.
pub fn c01_is_finished_tells<S: Subject>() {
    let subject = S::start();
    let rt = subject.handle();
    subject.run(async move {
        let probe = Probe::new();
        let mut task = rt.spawn(probe.future());
        probe.polls().reach(1).await;
        assert!(!task.is_finished());
        probe.tell(Then::Return);
        while !task.is_finished() {
            rt.yield_now().await;
        }
        let at_once = futures_lite::future::poll_once(&mut task).await;
        assert!(at_once.is_some(), "finished, so it does not wait");
    });
}

/// 2, 11: waiting for a handle with a time-out cancels nothing; aborting it afterwards and awaiting the end does.
pub fn c11_a_timeout_over_a_handle_cancels_nothing<S: Subject>() {
    let subject = S::start();
    let rt = subject.handle();
    subject.run(async move {
        let probe = Probe::new();
        let mut task = rt.spawn(probe.future());
        for _ in 0..3 {
            let waited = rt.timeout(Duration::from_millis(2), &mut task).await;
            assert!(waited.is_err(), "the task waits");
            assert_eq!(probe.futures_dropped().get(), 0, "cancelled by a mere wait");
        }
        task.abort();
        assert_eq!(Outcome::of(task.await), Outcome::Cancelled);
        assert_eq!(probe.futures_dropped().get(), 1);
    });
}

/// 11: if one of several tasks fails, the others continue.
pub fn c11_a_failure_leaves_the_others_running<S: Subject>() {
    let subject = S::start();
    let rt = subject.handle();
    subject.run(async move {
        let probes = [(); 6].map(|()| Probe::new());
        let tasks = probes.each_ref().map(|probe| rt.spawn(probe.future()));
        let mut tasks = tasks.into_iter().enumerate().collect::<Vec<_>>();
        let (_, first) = tasks.remove(0);
        probes[0].tell(Then::Panic);
        assert!(matches!(Outcome::of(first.await), Outcome::Panicked(_)));
        let (_, second) = tasks.remove(0);
        second.abort();
        assert_eq!(Outcome::of(second.await), Outcome::Cancelled);
        for (number, task) in tasks {
            assert!(!task.is_finished(), "task {number} still waits");
            probes[number].tell(Then::Return);
            assert_eq!(Outcome::of(task.await), Outcome::Returned, "task {number}");
        }
    });
}

/// 1: chains and trees of tasks that await one another end; even deep ones overflow no stack.
pub fn c01_deep_chains_of_awaits_end<S: Subject>() {
    fn link<R: Runtime>(
        rt: R,
        left: usize,
    ) -> std::pin::Pin<Box<dyn Future<Output = usize> + Send>> {
        Box::pin(async move {
            if left == 0 {
                return 0;
            }
            let child = rt.spawn(link(rt.clone(), left - 1));
            1 + child.await.expect("a child")
        })
    }
    let subject = S::start();
    let rt = subject.handle();
    let depth = match rt.capabilities().workers {
        // Threads are expensive: a chain of threads is only as deep as it must be to reveal an error.
        None => 200,
        // A sanitizer has its own mappings for each stack, and each green task has a stack. The system allows a
        // process some 65,000 mappings.
        Some(_) if cfg!(any(lab_asan, lab_tsan)) => 1_000,
        Some(_) => 100_000,
    };
    let root = link(rt, depth);
    assert_eq!(subject.run(root), depth);
}

/// 1: a wide tree of tasks.
pub fn c01_wide_trees_of_tasks_end<S: Subject>() {
    let subject = S::start();
    let rt = subject.handle();
    let sum = subject.run(async move {
        let branches: Vec<_> = (0..30_u64)
            .map(|branch| {
                let own = rt.clone();
                rt.spawn(async move {
                    let leaves: Vec<_> = (0..30)
                        .map(|leaf| own.spawn(async move { branch * leaf }))
                        .collect();
                    let mut sum = 0;
                    for leaf in leaves.into_iter().rev() {
                        sum += leaf.await.expect("a leaf");
                    }
                    sum
                })
            })
            .collect();
        let mut sum = 0;
        for branch in branches {
            sum += branch.await.expect("a branch");
        }
        sum
    });
    assert_eq!(sum, 435 * 435);
}

/// 2: a task may abort itself, its parent and its siblings.
pub fn c02_tasks_abort_one_another<S: Subject>() {
    let subject = S::start();
    let rt = subject.handle();
    subject.run(async move {
        let probes = [(); 10].map(|()| Probe::new());
        let tasks: Vec<_> = probes
            .iter()
            .map(|probe| rt.spawn(probe.future()))
            .collect();
        for probe in &probes {
            probe.polls().reach(1).await;
        }
        let killer = rt.spawn(async move {
            for task in &tasks {
                task.abort();
                task.abort();
            }
            for task in tasks {
                assert_eq!(Outcome::of(task.await), Outcome::Cancelled);
            }
        });
        killer.await.expect("the killer");
        for probe in probes {
            probe.assert_nothing_left(&"an aborted sibling");
        }
    });
}

/// 1: a future is dropped within its runtime, not on the thread that aborts it.
pub fn c01_an_abort_from_outside_drops_no_future_there<S: Subject>() {
    let subject = S::start();
    let rt = subject.handle();
    for wakes in [false, true] {
        let probe = Probe::new();
        let mut task = rt.spawn(probe.future());
        let (parked, ended) = (probe.clone(), Event::new());
        let notify = ended.clone();
        let outside = std::thread::spawn(move || {
            parked.polls().reach_blocking(1);
            if wakes {
                parked.tell(Then::Wait);
            } else {
                drop(parked.take_waker());
            }
            let _ = futures_lite::future::block_on(futures_lite::future::poll_once(&mut task));
            task.abort();
            let outcome = Outcome::of(futures_lite::future::block_on(task));
            notify.set();
            (outcome, std::thread::current().id())
        });
        subject.run(async move { ended.wait().await });
        let (outcome, foreign) = outside.join().expect("the thread outside");
        assert_eq!(outcome, Outcome::Cancelled);
        probe.assert_nothing_left(&"aborted from outside");
        assert_ne!(
            probe.dropped_on(),
            Some(foreign),
            "dropped on a foreign thread"
        );
    }
}
