//! Clause 6: who may wake a task, when, and how often the task is then polled.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;

use futures_lite::future::block_on;

use super::Subject;
use super::erased::maker::Inherited;
use super::event::{Count, Event};
use super::outcome::Outcome;
use super::probe::{Destructors, Probe, Then};
use super::skip;
use runtime_kernel::TaskHandle;
use runtime_library::Runtime;

/// A wake that consumes the waker, which has its own code path in most schedulers.
pub(super) fn wake_by_value(waker: &Waker) {
    let own = waker.clone();
    own.wake();
}

/// 6: each wake from a foreign thread while the task waits, or is about to wait, leads to another poll.
pub fn c06_a_foreign_thread_wakes_a_task<S: Subject>() {
    const ROUNDS: usize = 2_000;
    let subject = S::start();
    let rt = subject.handle();
    let latest: Arc<Mutex<Option<Waker>>> = Arc::default();
    let polls = Count::new();

    let (shared, counted) = (Arc::clone(&latest), polls.clone());
    let task = rt.spawn(async move {
        let mut seen = 0;
        poll_fn(move |cx| {
            seen += 1;
            // The waker is stored before the poll is counted: the other thread may wake us before we return.
            *shared.lock().unwrap_or_else(PoisonError::into_inner) = Some(cx.waker().clone());
            counted.add();
            if seen > ROUNDS {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    });
    let waking = thread::spawn(move || {
        for round in 1..=ROUNDS {
            polls.reach_blocking(round);
            let waker = latest.lock().unwrap_or_else(PoisonError::into_inner).take();
            // `None`: that poll was counted, but we have already used its waker.
            if let Some(waker) = waker {
                if round % 2 == 0 {
                    waker.wake()
                } else {
                    waker.wake_by_ref()
                }
            }
        }
    });
    let outcome = subject.run(async move { Outcome::of(task.await) });
    assert_eq!(outcome, Outcome::Returned);
    waking.join().expect("the waking thread");
}

/// 6: a wake while the task is being polled, in whichever way, leads to at least one more poll.
pub fn c06_a_wake_during_the_poll_polls_again<S: Subject>() {
    /// How a task wakes itself.
    type Way = fn(&Waker);
    let ways: [(&'static str, Way); 5] = [
        ("by reference", Waker::wake_by_ref),
        ("by value", wake_by_value),
        ("twice", |waker| {
            waker.wake_by_ref();
            waker.wake_by_ref();
        }),
        ("by a clone of a clone", |waker| {
            wake_by_value(&waker.clone())
        }),
        ("from another thread", |waker| {
            let waker = waker.clone();
            thread::spawn(move || waker.wake())
                .join()
                .expect("the wake");
        }),
    ];
    let subject = S::start();
    let rt = subject.handle();
    subject.run(async move {
        for (name, way) in ways {
            let task = rt.spawn(async move {
                let mut polls = 0;
                poll_fn(move |cx| {
                    polls += 1;
                    if polls > 100 {
                        return Poll::Ready(polls);
                    }
                    way(cx.waker());
                    Poll::Pending
                })
                .await
            });
            assert_eq!(task.await.expect(name), 101, "{name}");
        }
    });
}

/// 6: a wake that arrives from another thread in the middle of a poll is not lost.
pub fn c06_a_foreign_wake_during_the_poll_polls_again<S: Subject>() {
    const ROUNDS: usize = 500;
    let subject = S::start();
    let rt = subject.handle();
    let (polls, woken) = (Count::new(), Count::new());
    let latest: Arc<Mutex<Option<Waker>>> = Arc::default();
    let (counted, answered, shared) = (polls.clone(), woken.clone(), Arc::clone(&latest));
    let task = rt.spawn(async move {
        let mut round = 0;
        poll_fn(move |cx| {
            round += 1;
            if round > ROUNDS {
                return Poll::Ready(());
            }
            *shared.lock().unwrap_or_else(PoisonError::into_inner) = Some(cx.waker().clone());
            counted.add();
            // The poll does not end before the wake was made.
            answered.reach_blocking(round);
            Poll::Pending
        })
        .await;
    });
    let waking = thread::spawn(move || {
        for round in 1..=ROUNDS {
            polls.reach_blocking(round);
            let waker = latest.lock().unwrap_or_else(PoisonError::into_inner).take();
            waker.expect("stored before it was counted").wake();
            woken.add();
        }
    });
    let outcome = subject.run(async move { Outcome::of(task.await) });
    assert_eq!(outcome, Outcome::Returned);
    waking.join().expect("the waking thread");
}

/// 6: wakes coalesce: a thousand of them during one poll do not cause a thousand polls.
pub fn c06_wakes_during_a_poll_coalesce<S: Subject>() {
    const WHILE: Duration = Duration::from_millis(20);
    let subject = S::start();
    let rt = subject.handle();
    let polls = subject.run(async move {
        let polls = Count::new();
        let counted = polls.clone();
        let notify = Event::new();
        let end = notify.clone();
        let woken = Event::new();
        let first_poll = woken.clone();
        let task = rt.spawn(poll_fn(move |cx| {
            counted.add();
            if counted.get() == 1 {
                (0..1000).for_each(|_| cx.waker().wake_by_ref());
                woken.set();
                // Not yet: the task may be told to end during this poll.
                return Poll::Pending;
            }
            pin!(notify.wait()).poll(cx)
        }));
        first_poll.wait().await;
        // If the thousand were queued one by one, they run now, here or on another thread.
        let mut before = 0;
        while before < polls.get() && before < 1000 {
            before = polls.get();
            for _ in 0..100 {
                rt.yield_now().await;
            }
            rt.sleep(WHILE).await;
        }
        end.set();
        task.await.expect("it returns");
        polls.get()
    });
    assert!(
        (2..100).contains(&polls),
        "{polls} polls for 1000 wakes at once"
    );
}

/// 6: so do wakes of a waiting task that has had no chance to run.
pub fn c06_wakes_of_a_parked_task_coalesce<S: Subject>() {
    let subject = S::start();
    let rt = subject.handle();
    if rt.capabilities().parallel {
        skip("the task runs meanwhile, and each wake may rightly be a poll");
    }
    subject.run(async move {
        let probe = Probe::with(Destructors::Quiet, true);
        let task = rt.spawn(probe.future());
        probe.polls().reach(1).await;
        for waker in probe.take_kept() {
            for _ in 0..1000 {
                waker.wake_by_ref();
                wake_by_value(&waker);
            }
        }
        for _ in 0..100 {
            rt.yield_now().await;
        }
        assert_eq!(probe.polls().get(), 2, "one poll for all wakes");
        task.abort();
        assert_eq!(Outcome::of(task.await), Outcome::Cancelled);
    });
}

/// 6: you can wake a task through the waker of any of its polls.
pub fn c06_an_old_waker_still_wakes<S: Subject>() {
    let subject = S::start();
    let rt = subject.handle();
    subject.run(async move {
        let probe = Probe::with(Destructors::Quiet, true);
        let task = rt.spawn(probe.future());
        probe.polls().reach(1).await;
        let first = probe.take_kept().remove(0);
        for polls in 2..20 {
            probe.tell(Then::Wait);
            probe.polls().reach(polls).await;
        }
        let polls = probe.polls().get();
        first.wake();
        probe.polls().reach(polls + 1).await;
        probe.tell(Then::Return);
        assert_eq!(Outcome::of(task.await), Outcome::Returned);
    });
}

/// 6: wakers outlive their task and their runtime, and you may call and drop them anywhere.
pub fn c06_wakers_outlive_everything<S: Subject>() {
    let (finished, waiting) = (
        Probe::with(Destructors::Quiet, true),
        Probe::with(Destructors::Quiet, true),
    );
    let subject = S::start();
    let rt = subject.handle();
    let probes = [finished.clone(), waiting.clone()];
    let _detached = rt.spawn(waiting.future());
    subject.run(async move {
        let [finished, waiting] = probes;
        let task = rt.spawn(finished.future());
        finished.polls().reach(1).await;
        finished.tell(Then::Return);
        assert_eq!(Outcome::of(task.await), Outcome::Returned);
        waiting.polls().reach(1).await;
    });
    drop(subject);
    for probe in [finished, waiting] {
        let polls = probe.polls().get();
        let wakers = probe.take_kept();
        assert!(!wakers.is_empty());
        let threads: Vec<_> = wakers
            .into_iter()
            .map(|waker| {
                thread::spawn(move || {
                    for _ in 0..100 {
                        waker.wake_by_ref();
                        wake_by_value(&waker);
                        drop(waker.clone());
                    }
                    waker.wake();
                })
            })
            .collect();
        for thread in threads {
            thread.join().expect("late wakes");
        }
        assert_eq!(probe.polls().get(), polls, "polled after the runtime's end");
        probe.assert_nothing_left(&"the probe");
    }
}

/// 6, 4: when the last waker of a detached, unfinished task is dropped on a foreign thread, the future is not dropped
/// there, and the shutdown still drops it.
pub fn c06_the_last_waker_dropped_elsewhere_drops_no_future<S: Subject>() {
    let probe = Probe::new();
    let subject = S::start();
    let rt = subject.handle();
    let inner = probe.clone();
    subject.run(async move {
        drop(rt.spawn(inner.future()));
        inner.polls().reach(1).await;
        // After a later task has run, the probe's poll is over, and the scheduler's own waker is gone.
        rt.spawn(async {}).await.expect("an empty task");
    });
    let waker = probe.take_waker().expect("the waker of its only poll");
    let foreign = thread::spawn(move || {
        drop(waker);
        thread::current().id()
    });
    let foreign = foreign.join().expect("the drop");
    drop(subject);
    probe.assert_nothing_left(&"the unreachable task");
    assert_ne!(
        probe.dropped_on(),
        Some(foreign),
        "dropped where the waker was"
    );
}

/// 6: tasks of two runtimes wake each other.
pub fn c06_two_runtimes_wake_each_other<S: Subject>() {
    const ROUNDS: usize = 200;
    async fn answer(heard: Count, said: Count, first: bool) {
        for round in 1..=ROUNDS {
            if first {
                said.add();
                heard.reach(round).await;
            } else {
                heard.reach(round).await;
                said.add();
            }
        }
    }
    let (ping, pong) = (Count::new(), Count::new());
    let (heard, said) = (ping.clone(), pong.clone());
    let inherited = Inherited::of_this_thread();
    let other = thread::spawn(move || {
        inherited.here();
        let subject = S::start();
        subject.run(answer(heard, said, false));
    });
    let subject = S::start();
    subject.run(answer(pong.clone(), ping.clone(), true));
    other.join().expect("the other runtime");
    assert_eq!((ping.get(), pong.get()), (ROUNDS, ROUNDS));
}

/// 6: a handle that is first awaited by one task, then by another, wakes the latter.
pub fn c06_a_handle_wakes_who_polled_it_last<S: Subject>() {
    let subject = S::start();
    let rt = subject.handle();
    subject.run(async move {
        for _ in 0..50 {
            let probe = Probe::new();
            let mut task = rt.spawn(probe.future());
            let first = futures_lite::future::poll_once(&mut task).await;
            assert!(first.is_none());
            let waits = Event::new();
            let notify = waits.clone();
            let second = rt.spawn(async move {
                let early = futures_lite::future::poll_once(&mut task).await;
                assert!(early.is_none());
                notify.set();
                Outcome::of(task.await)
            });
            waits.wait().await;
            probe.tell(Then::Return);
            assert_eq!(second.await.expect("the second waiter"), Outcome::Returned);
        }
    });
}

/// 6: a thread that belongs to no runtime can await a handle.
pub fn c06_a_foreign_thread_awaits_a_task<S: Subject>() {
    let subject = S::start();
    let rt = subject.handle();
    let probe = Probe::new();
    let mut task = rt.spawn(probe.future());
    let done = Event::new();
    let notify = done.clone();
    let waiter = thread::spawn(move || {
        let early = block_on(futures_lite::future::poll_once(&mut task));
        assert!(early.is_none());
        probe.tell(Then::Return);
        let outcome = Outcome::of(block_on(task));
        notify.set();
        outcome
    });
    subject.run(async move { done.wait().await });
    assert_eq!(waiter.join().expect("the waiter"), Outcome::Returned);
}
