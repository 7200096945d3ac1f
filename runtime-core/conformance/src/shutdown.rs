//! Clause 4: what happens to tasks, handles and wakers when their runtime ends.

use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use futures_lite::future::{block_on, pending, poll_once};

use super::Subject;
use super::event::Event;
use super::outcome::Outcome;
use super::probe::{Destructors, IN_FUTURE, Output, Probe, Then};
use runtime_kernel::TaskHandle;
use runtime_library::Runtime;

/// Longer than any shutdown here takes, shorter than the watchdog's time limit.
pub(super) const LONG: Duration = Duration::from_secs(30);

/// Sets its event when it is dropped.
pub(super) struct OnDrop(pub(super) Event);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.set();
    }
}

/// How the runtime ends.
#[derive(Clone, Copy, Debug)]
pub(super) enum By {
    Shutdown,
    DropOfTheOwner,
}

impl By {
    pub(super) fn end<S: Subject>(self, subject: S) {
        match self {
            By::Shutdown => {
                let running = subject.shutdown(LONG);
                assert!(running.is_empty(), "still running: {running:?}");
            }
            By::DropOfTheOwner => drop(subject),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    DroppedBefore,
    PolledAndDropped,
    Awaited,
    PolledAndAwaited,
    DroppedAfterwards,
}

/// Every use of the handle x whether the destructor panics x whether wakers outlive the runtime x whether the task
/// ever ran.
fn end_with_tasks<S: Subject>(by: By, polled: bool) {
    let subject = S::start();
    let rt = subject.handle();
    let mut lives = Vec::new();
    for handle in [
        Use::DroppedBefore,
        Use::PolledAndDropped,
        Use::Awaited,
        Use::PolledAndAwaited,
        Use::DroppedAfterwards,
    ] {
        for destructors in [Destructors::Quiet, Destructors::FuturePanics] {
            for wakers_outlive in [false, true] {
                let probe = Probe::with(destructors, wakers_outlive);
                lives.push(((handle, destructors, wakers_outlive), probe));
            }
        }
    }
    let mut handles: Vec<_> = lives
        .iter()
        .map(|(_, probe)| Some(rt.spawn(probe.future())))
        .collect();
    if polled {
        let probes: Vec<Probe> = lives.iter().map(|(_, probe)| probe.clone()).collect();
        subject.run(async move {
            for probe in probes {
                probe.polls().reach(1).await;
            }
        });
    }
    for (((handle, _, wakers_outlive), probe), task) in lives.iter().zip(&mut handles) {
        if matches!(handle, Use::PolledAndDropped | Use::PolledAndAwaited) {
            let early = block_on(poll_once(task.as_mut().expect("there")));
            assert!(early.is_none(), "the task has not ended");
        }
        if matches!(handle, Use::DroppedBefore | Use::PolledAndDropped) {
            drop(task.take());
        }
        if !wakers_outlive {
            drop(probe.take_waker());
        }
    }

    by.end(subject);

    for ((life, probe), task) in lives.iter().zip(handles) {
        let (handle, destructors, _) = life;
        assert_eq!(
            probe.futures_dropped().get(),
            1,
            "{life:?}: dropped when the runtime has ended"
        );
        if let Some(task) = task {
            assert!(
                task.is_finished(),
                "{life:?}: finished when the runtime has ended"
            );
            if *handle != Use::DroppedAfterwards {
                let expected = match destructors {
                    Destructors::FuturePanics => Outcome::Panicked(IN_FUTURE.to_owned()),
                    _ => Outcome::Cancelled,
                };
                assert_eq!(Outcome::of(block_on(task)), expected, "{life:?}");
            }
        }
        for waker in probe.take_kept() {
            waker.wake_by_ref();
            thread::spawn(move || waker.wake())
                .join()
                .expect("a wake after the end");
        }
        probe.assert_nothing_left(life);
    }
}

/// 1, 4: `shutdown` drops every waiting task once, and then each handle reports.
pub fn c04_shutdown_drops_waiting_tasks<S: Subject>() {
    end_with_tasks::<S>(By::Shutdown, true);
}

/// 1, 4: so does dropping the owner.
pub fn c04_dropping_the_owner_drops_waiting_tasks<S: Subject>() {
    end_with_tasks::<S>(By::DropOfTheOwner, true);
}

/// 1, 4: `shutdown` drops tasks that may not have run yet.
pub fn c04_shutdown_drops_tasks_just_spawned<S: Subject>() {
    end_with_tasks::<S>(By::Shutdown, false);
}

/// 1, 4: so does dropping the owner.
pub fn c04_dropping_the_owner_drops_tasks_just_spawned<S: Subject>() {
    end_with_tasks::<S>(By::DropOfTheOwner, false);
}

/// 4: the output of a task that finished unobserved is dropped with its handle at the latest.
pub fn c04_outputs_nobody_took_are_dropped<S: Subject>() {
    let subject = S::start();
    let rt = subject.handle();
    let (detached, held) = (Probe::new(), Probe::new());
    detached.tell(Then::Return);
    held.tell(Then::Return);
    drop(rt.spawn(detached.future()));
    let handle = rt.spawn(held.future());
    let probes = [detached.clone(), held.clone()];
    subject.run(async move {
        for probe in probes {
            probe.futures_dropped().reach(1).await;
        }
    });
    By::Shutdown.end(subject);
    detached.assert_nothing_left(&"detached");
    assert!(
        matches!(block_on(handle), Ok(Output { .. })),
        "a value outlives its runtime"
    );
    held.assert_nothing_left(&"held");
}

/// 4: handles, task handles and wakers do not keep a runtime alive.
pub fn c04_handles_do_not_keep_the_runtime_alive<S: Subject>() {
    let subject = S::start();
    let handles = [subject.handle(), subject.handle()];
    let probe = Probe::with(Destructors::Quiet, true);
    // A task that holds a handle must not keep its own runtime alive.
    let (inner, own) = (probe.future(), subject.handle());
    let task = handles[0].spawn(async move {
        let _own = own;
        inner.await
    });
    let polled = probe.clone();
    subject.run(async move { polled.polls().reach(1).await });
    drop(subject);
    assert_eq!(
        probe.futures_dropped().get(),
        1,
        "the runtime ended with its owner"
    );
    assert_eq!(Outcome::of(block_on(task)), Outcome::Cancelled);
    drop(handles);
}

/// 4: after the shutdown `spawn` yields a handle that reports `Cancelled`, and runs nothing.
pub fn c04_spawning_after_shutdown_reports_cancelled<S: Subject>() {
    for by in [By::Shutdown, By::DropOfTheOwner] {
        let subject = S::start();
        let rt = subject.handle();
        by.end(subject);
        let probe = Probe::new();
        probe.tell(Then::Return);
        let task = rt.spawn(probe.future());
        assert_eq!(probe.futures_dropped().get(), 1, "{by:?}: dropped at once");
        assert!(task.is_finished(), "{by:?}: finished at once");
        task.abort();
        assert_eq!(Outcome::of(block_on(task)), Outcome::Cancelled, "{by:?}");
        assert_eq!(probe.polls().get(), 0, "{by:?}: ran after the shutdown");
        drop(rt.spawn(pending::<()>()));

        let ran = Event::new();
        let (run, dropped) = (ran.clone(), Event::new());
        let on_drop = OnDrop(dropped.clone());
        let job = rt.spawn_blocking(move || {
            let _on_drop = on_drop;
            run.set();
        });
        assert_eq!(
            Outcome::of(block_on(job)),
            Outcome::Cancelled,
            "{by:?}: a blocking job"
        );
        assert!(
            dropped.is_set() && !ran.is_set(),
            "{by:?}: the job is dropped and does not run"
        );
    }
}

/// 4: a thread that awaits a task learns of the shutdown.
pub fn c04_a_thread_that_awaits_a_task_is_woken<S: Subject>() {
    let subject = S::start();
    let task = subject.handle().spawn(pending::<()>());
    let waits = Event::new();
    let notify = waits.clone();
    let waiter = thread::spawn(move || {
        let mut task = task;
        assert!(
            block_on(poll_once(&mut task)).is_none(),
            "nothing ends it yet"
        );
        notify.set();
        Outcome::of(block_on(task))
    });
    waits.wait_blocking();
    By::Shutdown.end(subject);
    assert_eq!(waiter.join().expect("the waiter"), Outcome::Cancelled);
}

/// 4: timers in use are dropped with their tasks.
pub fn c04_sleeping_tasks_are_dropped<S: Subject>() {
    let subject = S::start();
    let rt = subject.handle();
    let (sleeps, dropped) = (Event::new(), Event::new());
    let (notify, on_drop, clock) = (sleeps.clone(), OnDrop(dropped.clone()), rt.clone());
    let task = rt.spawn(async move {
        let _on_drop = on_drop;
        let mut sleep = Box::pin(clock.sleep(Duration::from_secs(3600)));
        assert!(poll_once(&mut sleep).await.is_none());
        notify.set();
        sleep.await;
    });
    subject.run(async move { sleeps.wait().await });
    let begun = Instant::now();
    By::Shutdown.end(subject);
    assert!(
        begun.elapsed() < LONG,
        "a sleep does not hold the shutdown up"
    );
    assert!(dropped.is_set());
    assert_eq!(Outcome::of(block_on(task)), Outcome::Cancelled);
}

/// 4: destructors that spawn during the shutdown are harmless, and what they spawn does not run.
pub fn c04_destructors_that_spawn_are_harmless<S: Subject>() {
    /// Spawns its successor when it is dropped.
    struct Chain<R: Runtime> {
        rt: R,
        left: usize,
        ends: Event,
    }
    impl<R: Runtime> Drop for Chain<R> {
        fn drop(&mut self) {
            if self.left == 0 {
                return self.ends.set();
            }
            let next = Chain {
                rt: self.rt.clone(),
                left: self.left - 1,
                ends: self.ends.clone(),
            };
            let task = self.rt.spawn(async move {
                let _next = next;
                pending::<()>().await;
            });
            drop(task);
        }
    }
    for by in [By::Shutdown, By::DropOfTheOwner] {
        let subject = S::start();
        let rt = subject.handle();
        let ends = Event::new();
        let chain = Chain {
            rt: rt.clone(),
            left: 20,
            ends: ends.clone(),
        };
        let held = Event::new();
        let notify = held.clone();
        let _detached = rt.spawn(async move {
            let _chain = chain;
            notify.set();
            pending::<()>().await;
        });
        subject.run(async move { held.wait().await });
        by.end(subject);
        assert!(
            ends.is_set(),
            "{by:?}: every link was dropped before the runtime had ended"
        );
    }
}

/// 4: destructors that wake other tasks during the shutdown are harmless, and what they wake does not run.
pub fn c04_destructors_that_wake_are_harmless<S: Subject>() {
    /// Wakes and finishes the other probe when it is dropped.
    struct Wakes(Probe);
    impl Drop for Wakes {
        fn drop(&mut self) {
            for waker in self.0.take_kept() {
                waker.wake();
            }
            self.0.tell(Then::Wait);
        }
    }
    for by in [By::Shutdown, By::DropOfTheOwner] {
        let subject = S::start();
        let rt = subject.handle();
        let probes = [(); 2].map(|()| Probe::with(Destructors::Quiet, true));
        // Each wakes the other: the first one to be dropped wakes one that is still there, the second one that is
        // gone.
        let tasks = [0, 1].map(|one| {
            let (own, other) = (probes[one].future(), Wakes(probes[1 - one].clone()));
            rt.spawn(async move {
                let _other = other;
                own.await
            })
        });
        let both = probes.clone();
        subject.run(async move {
            for probe in both {
                probe.polls().reach(1).await;
            }
        });
        by.end(subject);
        for (probe, task) in probes.iter().zip(tasks) {
            probe.assert_nothing_left(&by);
            assert_eq!(Outcome::of(block_on(task)), Outcome::Cancelled, "{by:?}");
        }
    }
}

/// 4: a task that wakes itself for ever does not delay the shutdown.
pub fn c04_a_task_that_always_has_work_is_dropped<S: Subject>() {
    for by in [By::Shutdown, By::DropOfTheOwner] {
        let subject = S::start();
        let rt = subject.handle();
        let (runs, dropped) = (Event::new(), Event::new());
        let (notify, on_drop, own) = (runs.clone(), OnDrop(dropped.clone()), rt.clone());
        let never = Event::new();
        let task = rt.spawn(async move {
            let _on_drop = on_drop;
            while !never.is_set() {
                notify.set();
                own.yield_now().await;
            }
        });
        subject.run(async move { runs.wait().await });
        by.end(subject);
        assert!(dropped.is_set(), "{by:?}");
        assert_eq!(Outcome::of(block_on(task)), Outcome::Cancelled, "{by:?}");
    }
}

/// 4: threads that spawn, wake and abort while the runtime ends do no harm, and every handle reports.
pub fn c04_spawning_while_the_runtime_ends_is_harmless<S: Subject>() {
    for by in [By::Shutdown, By::DropOfTheOwner] {
        let subject = S::start();
        let rt = subject.handle();
        let stop = Event::new();
        let (report, tasks) = channel();
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let (rt, stop, report) = (rt.clone(), stop.clone(), report.clone());
                thread::spawn(move || {
                    while !stop.is_set() {
                        let probe = Probe::new();
                        let task = rt.spawn(probe.future());
                        probe.tell(Then::Return);
                        task.abort();
                        let _ = report.send((probe, task));
                        thread::yield_now();
                    }
                })
            })
            .collect();
        drop(report);
        let first = tasks.recv().expect("the first task");
        by.end(subject);
        stop.set();
        for thread in threads {
            thread.join().expect("no panic while the runtime ends");
        }
        for (probe, task) in std::iter::once(first).chain(tasks) {
            drop(block_on(task));
            probe.assert_nothing_left(&by);
        }
    }
}
