//! Clause 9: timers are never early, and no timer is forgotten.
//!
//! Late is not wrong: the only upper bound is the watchdog's.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use futures_lite::future::{or, pending, poll_once, ready};

use super::Subject;
use super::event::{Count, Event};
use super::stress::Xorshift;
use runtime_kernel::TaskHandle;
use runtime_library::{ChannelReceiver, ChannelSender, Runtime};

const MS: Duration = Duration::from_millis(1);

type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Completes when all of `sleeps` have completed. Polls each of them whenever one wakes.
async fn all(mut sleeps: Vec<Sleep>) {
    poll_fn(move |cx| {
        sleeps.retain_mut(|sleep| sleep.as_mut().poll(cx).is_pending());
        if sleeps.is_empty() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
}

/// 9: a sleep of any length is never early.
pub fn c09_sleeps_are_never_early<S: Subject>() {
    let subject = S::start();
    let rt = subject.handle();
    subject.run(async move {
        let lengths = [
            0, 1, 100, 999_999, 1_000_000, 1_000_001, 3_141_592, 20_000_000, 70_000_000,
        ];
        for length in lengths.map(Duration::from_nanos) {
            let begun = Instant::now();
            rt.sleep(length).await;
            assert!(
                begun.elapsed() >= length,
                "sleep({length:?}) took {:?}",
                begun.elapsed()
            );

            let deadline = rt.now() + length;
            rt.sleep_until(deadline).await;
            assert!(
                rt.now() >= deadline,
                "sleep_until, {length:?} ahead, is early"
            );

            let begun = Instant::now();
            assert!(rt.timeout(length, pending::<()>()).await.is_err());
            assert!(
                begun.elapsed() >= length,
                "timeout({length:?}) took {:?}",
                begun.elapsed()
            );
        }
    });
}

/// 9: a zero or past deadline completes without waiting.
pub fn c09_zero_and_past_deadlines_do_not_wait<S: Subject>() {
    let subject = S::start();
    let rt = subject.handle();
    subject.run(async move {
        let past = rt.now();
        thread::sleep(2 * MS);
        // Two polls: an exhausted budget may cost one; a wait would cost a timer's wake-up.
        for _ in 0..300 {
            for sleep in [
                Box::pin(rt.sleep(Duration::ZERO)) as Sleep,
                Box::pin(rt.sleep_until(past)),
                Box::pin(rt.sleep_until(rt.now())),
            ] {
                sleep.await;
            }
        }
        rt.yield_now().await;
        let first = poll_once(rt.sleep(Duration::ZERO)).await;
        assert!(first.is_some(), "zero is ready at its first poll");
        let first = poll_once(rt.sleep_until(past)).await;
        assert!(first.is_some(), "the past is ready at its first poll");
    });
}

/// 9: a huge deadline neither overflows nor wakes, and does not delay other timers.
pub fn c09_huge_deadlines_neither_overflow_nor_wake<S: Subject>() {
    let subject = S::start();
    let rt = subject.handle();
    subject.run(async move {
        const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
        let lengths = [
            Duration::MAX,
            Duration::from_secs(u64::MAX),
            Duration::from_millis(u64::MAX),
            Duration::from_nanos(u64::MAX),
            1000 * YEAR,
            100 * YEAR,
            YEAR,
        ];
        let mut sleeps: Vec<Sleep> = Vec::new();
        for length in lengths {
            sleeps.push(Box::pin(rt.sleep(length)));
            if let Some(deadline) = rt.now().checked_add(length) {
                sleeps.push(Box::pin(rt.sleep_until(deadline)));
            }
        }
        let mut polls = 0;
        let watched = poll_fn(|cx| {
            polls += 1;
            for sleep in &mut sleeps {
                assert!(
                    sleep.as_mut().poll(cx).is_pending(),
                    "a huge sleep has ended"
                );
            }
            Poll::<()>::Pending
        });
        or(watched, async { rt.sleep(20 * MS).await }).await;
        for length in lengths {
            assert_eq!(rt.timeout(length, ready(5)).await.ok(), Some(5));
            let slow = async {
                rt.sleep(MS).await;
                6
            };
            assert_eq!(
                rt.timeout(length, slow).await.ok(),
                Some(6),
                "a timeout of {length:?}"
            );
        }
    });
}

/// 9: a result that is ready takes precedence over a deadline that is due.
pub fn c09_a_ready_result_beats_a_due_deadline<S: Subject>() {
    let subject = S::start();
    let rt = subject.handle();
    subject.run(async move {
        assert_eq!(rt.timeout(Duration::ZERO, ready(1)).await.ok(), Some(1));

        // Ready in the first poll, and the deadline passes before that poll ends.
        let late = async {
            thread::sleep(5 * MS);
            2
        };
        assert_eq!(rt.timeout(MS, late).await.ok(), Some(2));

        // Both come due while the task waits, or while it is busy in a poll.
        let both = Event::new();
        // On a busy machine it may be over before its first poll.
        let timeout = loop {
            let inner = both.clone();
            let mut timeout = Box::pin(rt.timeout(MS, async move { inner.wait().await }));
            if poll_once(&mut timeout).await.is_none() {
                break timeout;
            }
        };
        thread::sleep(5 * MS);
        both.set();
        assert!(
            timeout.await.is_ok(),
            "the result was there when the deadline was looked at"
        );
    });
}

/// 9, 10: the same holds when the task has used up its budget: the operation was refused for now, which does not mean
/// that it must wait.
pub fn c09_a_ready_result_beats_a_due_deadline_without_budget<S: Subject>() {
    let subject = S::start();
    let rt = subject.handle();
    subject.run(async move {
        const ITEMS: usize = 2_000;
        let (sender, mut receiver) = rt.channel::<usize>(ITEMS);
        for item in 0..ITEMS {
            sender.send(item).await.expect("we hold the receiver");
        }
        for item in 0..ITEMS {
            let received = rt.timeout(Duration::ZERO, receiver.recv()).await;
            assert_eq!(received.ok(), Some(Some(item)), "it was there");
        }
    });
}

/// 9: a timeout that is over reports it, and keeps the inner future until it is dropped.
pub fn c09_a_timeout_reports_that_it_is_over<S: Subject>() {
    let subject = S::start();
    let rt = subject.handle();
    subject.run(async move {
        let never = pending::<()>();
        let elapsed = rt
            .timeout(2 * MS, never)
            .await
            .expect_err("it never completes");
        assert!(!elapsed.to_string().is_empty());
        // A time-out around a handle does not abort its task.
        let go = Event::new();
        let wait = go.clone();
        let mut task = rt.spawn(async move {
            wait.wait().await;
            9
        });
        assert!(rt.timeout(2 * MS, &mut task).await.is_err());
        assert!(!task.is_finished(), "still running");
        go.set();
        assert_eq!(task.await.expect("it was not aborted"), 9);
    });
}

/// 9: many sleeps of many lengths at once: all complete, none early.
pub fn c09_ten_thousand_sleeps_at_once<S: Subject>() {
    const TASKS: usize = 20;
    const EACH: usize = 500;
    let subject = S::start();
    let rt = subject.handle();
    subject.run(async move {
        let tasks: Vec<_> = (1..=TASKS)
            .map(|seed| {
                let rt2 = rt.clone();
                rt.spawn(async move {
                    let mut random = Xorshift::new(seed as u64);
                    let sleeps = (0..EACH)
                        .map(|_| {
                            let length = Duration::from_micros(random.below(300_000));
                            let (deadline, clock) = (Instant::now() + length, rt2.clone());
                            let sleep = rt2.sleep(length);
                            Box::pin(async move {
                                sleep.await;
                                assert!(clock.now() >= deadline, "sleep({length:?}) is early");
                            }) as Sleep
                        })
                        .collect();
                    all(sleeps).await;
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("none is early");
        }
    });
}

/// 9: as many tasks as sleeps.
pub fn c09_many_sleeping_tasks<S: Subject>() {
    const TASKS: u64 = 500;
    let subject = S::start();
    let rt = subject.handle();
    subject.run(async move {
        let done = Count::new();
        for number in 0..TASKS {
            let (own, done) = (rt.clone(), done.clone());
            drop(rt.spawn(async move {
                let deadline = own.now() + Duration::from_micros(number * 137 % 50_000);
                own.sleep_until(deadline).await;
                assert!(own.now() >= deadline);
                done.add();
            }));
        }
        done.reach(TASKS as usize).await;
    });
}

/// 9: a sleep that was polled and dropped wakes no task, and does not disturb other timers.
pub fn c09_a_dropped_sleep_wakes_nobody<S: Subject>() {
    let subject = S::start();
    let rt = subject.handle();
    subject.run(async move {
        let mut dropped: Vec<Sleep> = Vec::new();
        let mut kept: Vec<Sleep> = Vec::new();
        for number in 0..200 {
            let sleep = Box::pin(rt.sleep(MS * (10 + number % 20)));
            if number % 2 == 0 {
                dropped.push(sleep)
            } else {
                kept.push(sleep)
            }
        }
        for sleep in &mut dropped {
            _ = poll_once(sleep).await;
        }
        // On a busy machine some are due by now.
        let mut waiting: Vec<Sleep> = Vec::new();
        for mut sleep in kept {
            if poll_once(&mut sleep).await.is_none() {
                waiting.push(sleep);
            }
        }
        drop(dropped);
        all(waiting).await;

        // Only its own timer wakes this task, so its polls can be counted.
        let own = rt.clone();
        let watched = rt.spawn(async move {
            for _ in 0..100 {
                let mut cancelled = Box::pin(own.sleep(5 * MS));
                _ = poll_once(&mut cancelled).await;
            }
            let mut polls = 0;
            let mut sleep = pin!(own.sleep(50 * MS));
            poll_fn(|cx| {
                polls += 1;
                sleep.as_mut().poll(cx)
            })
            .await;
            polls
        });
        let polls = watched.await.expect("the sleeper");
        assert!(polls < 20, "polled {polls} times: cancelled timers wake");
    });
}

/// 9: a shorter timer that another thread sets is not delayed by a longer one that is already awaited.
pub fn c09_a_shorter_timer_from_outside_is_in_time<S: Subject>() {
    let subject = S::start();
    let rt = subject.handle();
    let handle = rt.clone();
    let (asleep, rang) = (Event::new(), Event::new());
    let (wait, notify) = (asleep.clone(), rang.clone());
    let outside = thread::spawn(move || {
        wait.wait_blocking();
        let sleep = handle.sleep(5 * MS);
        drop(handle.spawn(async move {
            sleep.await;
            notify.set();
        }));
    });
    subject.run(async move {
        let long = rt.sleep(Duration::from_secs(3600));
        let ring = async move {
            asleep.set();
            rang.wait().await;
        };
        or(
            async {
                long.await;
                panic!("an hour has passed")
            },
            ring,
        )
        .await;
    });
    outside.join().expect("the thread outside");
}

/// 9: a sleep that one task has polled and another awaits wakes the latter.
/// 371t: A slow machine: the sleep was over at once.
pub fn c09_a_sleep_wakes_who_polled_it_last<S: Subject>() {
    let subject = S::start();
    let rt = subject.handle();
    subject.run(async move {
        for length in [MS, 10 * MS, 30 * MS] {
            let own = rt.clone();
            let begun = Instant::now();
            let first = rt.spawn(async move {
                let mut sleep: Sleep = Box::pin(own.sleep(length));
                let over = poll_once(&mut sleep).await;
                (sleep, over)
            });
            let (sleep, over) = first.await.expect("the first task");
            if over.is_some() {
                continue; // A slow machine: the sleep was over at once.
            }
            rt.spawn(sleep).await.expect("the second task");
            assert!(begun.elapsed() >= length);
        }
    });
}

/// 9: a sleep that is created outside the runtime and polled within it works.
pub fn c09_a_sleep_made_outside_works_within<S: Subject>() {
    let subject = S::start();
    let rt = subject.handle();
    let begun = Instant::now();
    let sleep = rt.sleep(5 * MS);
    subject.run(sleep);
    assert!(begun.elapsed() >= 5 * MS);
}

/// 9: a timer comes due while its runtime is busy, and while it is idle.
pub fn c09_timers_fire_under_load<S: Subject>() {
    let subject = S::start();
    let rt = subject.handle();
    subject.run(async move {
        let stop = Event::new();
        let busy: Vec<_> = (0..4)
            .map(|_| {
                let (own, stop) = (rt.clone(), stop.clone());
                rt.spawn(async move {
                    while !stop.is_set() {
                        own.yield_now().await;
                    }
                })
            })
            .collect();
        for _ in 0..20 {
            rt.sleep(MS).await;
        }
        stop.set();
        for task in busy {
            task.await.expect("a busy task");
        }
        for _ in 0..20 {
            rt.sleep(MS).await;
        }
    });
}

/// 9, 2: a sleeping task that is aborted ends at once, not when its timer would have.
pub fn c09_an_aborted_sleeper_ends_at_once<S: Subject>() {
    let subject = S::start();
    let rt = subject.handle();
    subject.run(async move {
        let own = rt.clone();
        let asleep = Event::new();
        let notify = asleep.clone();
        let task = rt.spawn(async move {
            let mut sleep = Box::pin(own.sleep(Duration::from_secs(3600)));
            assert!(poll_once(&mut sleep).await.is_none());
            notify.set();
            sleep.await;
        });
        asleep.wait().await;
        task.abort();
        assert!(task.await.expect_err("aborted").is_cancelled());
    });
}
