//! Clause 11: all of many tasks, or the first of them.
//!
//! The bodies use the ambient runtime and are not generic, so that they are compiled once for all schedulers.

use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll};
use std::time::Duration;

use super::AmbientSubject;
use super::event::Event;
use super::outcome::Outcome;
use super::probe::{Output, Probe, Then};
use runtime_kernel::time::Elapsed;
use runtime_kernel::{JoinHandle, spawn, yield_now};
use runtime_library::calls::every;
use runtime_library::combine::{
    TaskError, as_completed, gather, gather_outcomes, join_all, shield, try_gather, wait, wait_for,
};
use runtime_library::sync::oneshot;

const MS: Duration = Duration::from_millis(1);
const LONG: Duration = Duration::from_secs(3600);

/// Probes, and their tasks, each polled once.
async fn started<const N: usize>() -> ([Probe; N], [JoinHandle<Output>; N]) {
    let probes = [(); N].map(|()| Probe::new());
    let tasks = probes.each_ref().map(|probe| spawn(probe.future()));
    for probe in &probes {
        probe.polls().reach(1).await;
    }
    (probes, tasks)
}

/// 11: `gather` yields the values in the order of the tasks, in whichever order they end.
pub fn c11_gather_yields_the_values_in_order<S: AmbientSubject>() {
    S::start().run(async {
        let squares = (0..100_u64).map(|number| {
            spawn(async move {
                for _ in 0..number % 7 {
                    yield_now().await;
                }
                number * number
            })
        });
        let values = gather(squares).await.expect("none fails");
        assert!((0..100).map(|number| number * number).eq(values));
    });
}

/// 11: the first error of a `gather` leaves the siblings running.
pub fn c11_the_first_error_of_a_gather_leaves_the_siblings_running<S: AmbientSubject>() {
    S::start().run(async {
        let (probes, tasks) = started::<4>().await;
        probes[2].tell(Then::Panic);
        let outcome = gather(tasks).await;
        assert!(matches!(Outcome::of(outcome), Outcome::Panicked(_)));
        for probe in [&probes[0], &probes[1], &probes[3]] {
            assert_eq!(probe.futures_dropped().get(), 0, "cancelled");
            probe.tell(Then::Return);
            probe.outputs_dropped().reach(1).await;
        }
        let failing = spawn(async { Err::<(), _>("no") });
        let error = try_gather([failing]).await;
        assert!(matches!(error, Err(TaskError::Failed("no"))));
    });
}

/// 11: `gather` that returns errors among the values waits for all.
pub fn c11_gathered_outcomes_have_the_errors_among_them<S: AmbientSubject>() {
    S::start().run(async {
        let (probes, tasks) = started::<3>().await;
        tasks[0].abort();
        probes[1].tell(Then::Panic);
        probes[2].tell(Then::Return);
        let outcomes = gather_outcomes(tasks).await.into_iter().map(Outcome::of);
        let outcomes: Vec<_> = outcomes.collect();
        assert!(
            matches!(
                outcomes[..],
                [Outcome::Cancelled, Outcome::Panicked(_), Outcome::Returned]
            ),
            "{outcomes:?}"
        );
    });
}

/// 11: a dropped `gather` aborts its tasks, polled or not.
pub fn c11_a_dropped_gather_aborts_its_tasks<S: AmbientSubject>() {
    S::start().run(async {
        for polled in [false, true] {
            let (probes, tasks) = started::<3>().await;
            let mut all = gather(tasks);
            if polled {
                assert!(runtime_kernel::timeout(MS, &mut all).await.is_err());
            }
            drop(all);
            for probe in &probes {
                probe.futures_dropped().reach(1).await;
            }
        }
    });
}

/// 11: `wait` returns what is done and what is not, and cancels nothing.
pub fn c11_wait_cancels_nothing<S: AmbientSubject>() {
    S::start().run(async {
        let (probes, tasks) = started::<4>().await;
        let waited = wait(tasks).timeout(2 * MS).await;
        assert_eq!((waited.done.len(), waited.pending.len()), (0, 4));
        probes[3].tell(Then::Return);
        let rest = waited.pending.into_iter().map(|(_, task)| task);
        let waited = wait(rest).first_completed().timeout(LONG).await;
        assert_eq!(waited.done[0].0, 3);
        probes[0].tell(Then::Return);
        probes[1].tell(Then::Panic);
        let rest = waited.pending.into_iter().map(|(_, task)| task);
        let waited = wait(rest).first_error().await;
        assert!(waited.done.iter().any(|(index, _)| *index == 1));
        let rest = waited.pending.into_iter().map(|(_, task)| task);
        let rest: Vec<_> = rest.collect();
        assert_eq!(probes[2].futures_dropped().get(), 0, "cancelled");
        probes[2].tell(Then::Return);
        let waited = wait(rest).await;
        assert!(waited.pending.is_empty());
        assert!(waited.done.into_iter().all(|(_, outcome)| outcome.is_ok()));
    });
}

/// 11: `wait_for` aborts its task when the time is up, and returns when the task's future was dropped.
pub fn c11_wait_for_aborts_and_awaits_the_end<S: AmbientSubject>() {
    S::start().run(async {
        let ([probe], [task]) = started::<1>().await;
        assert!(matches!(wait_for(task, 2 * MS).await, Err(Elapsed)));
        assert_eq!(probe.futures_dropped().get(), 1, "it was awaited");
        // A result in time.
        let ([probe], [task]) = started::<1>().await;
        probe.tell(Then::Return);
        assert!(matches!(wait_for(task, LONG).await, Ok(Ok(_))));
        // Given up.
        let ([probe], [task]) = started::<1>().await;
        assert!(
            runtime_kernel::timeout(MS, wait_for(task, LONG))
                .await
                .is_err()
        );
        probe.futures_dropped().reach(1).await;
    });
}

/// 11: a shielded task continues, whatever happens to the tasks that wait for it.
pub fn c11_a_shielded_task_goes_on<S: AmbientSubject>() {
    S::start().run(async {
        let (probes, [one, two]) = started::<2>().await;
        assert!(wait_for(shield(one), MS).await.is_err());
        drop(gather([shield(two)]));
        for probe in &probes {
            assert_eq!(probe.futures_dropped().get(), 0, "cancelled");
            probe.tell(Then::Return);
            probe.outputs_dropped().reach(1).await;
        }
    });
}

/// 11: `as_completed` yields every output, in the order in which the tasks ended, where that is known.
pub fn c11_as_completed_follows_the_order_of_the_ends<S: AmbientSubject>() {
    S::start().run(async {
        let (probes, tasks) = started::<5>().await;
        let mut completed = as_completed(tasks);
        for index in [3, 0, 4, 1, 2] {
            probes[index].tell(Then::Return);
            let (first, outcome) = completed.next().await.expect("five are to come");
            assert_eq!((first, outcome.is_ok()), (index, true));
        }
        assert!(completed.next().await.is_none());
    });
}

/// 10, 11: one task waits for a hundred thousand futures, which another task completes: the cost is linear in their
/// number, and others get their turn.
pub fn c11_a_hundred_thousand_futures_complete<S: AmbientSubject>() {
    const FUTURES: usize = 100_000;
    S::start().run(async {
        let (senders, receivers): (Vec<_>, Vec<_>) =
            (0..FUTURES).map(|_| oneshot::channel()).unzip();
        let waits = Event::new();
        let waiting = waits.clone();
        let other = spawn(async move {
            waiting.wait().await;
            for (number, sender) in senders.into_iter().enumerate().rev() {
                sender.send(number).expect("it waits");
                if number % 1000 == 0 {
                    yield_now().await;
                }
            }
        });
        let numbers = {
            let mut all = join_all(receivers);
            assert!(
                runtime_kernel::timeout(Duration::ZERO, &mut all)
                    .await
                    .is_err()
            );
            waits.set();
            all.await
        };
        assert!(numbers.into_iter().eq((0..FUTURES).map(Ok)));
        other.await.expect("the other task");
    });
}

/// A future that counts its polls together with others.
struct Counted<F>(F, Arc<AtomicUsize>);

impl<F: Future + Unpin> Future for Counted<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.1.fetch_add(1, SeqCst);
        Pin::new(&mut self.0).poll(cx)
    }
}

/// 11: the cost of a hundred thousand futures is linear, in polls: each future's first, and one when it is woken.
pub fn c11_waiting_for_many_is_linear<S: AmbientSubject>() {
    const FUTURES: usize = 100_000;
    S::start().run(async {
        for form in 0..3 {
            let polls = Arc::new(AtomicUsize::new(0));
            let (senders, receivers): (Vec<_>, Vec<_>) = (0..FUTURES)
                .map(|_| {
                    let (sender, receiver) = oneshot::channel();
                    (sender, Counted(receiver, Arc::clone(&polls)))
                })
                .unzip();
            let other = spawn(async move {
                for (number, sender) in senders.into_iter().enumerate().rev() {
                    sender.send(number).expect("it waits");
                    if number % 100 == 0 {
                        yield_now().await;
                    }
                }
            });
            let ended = match form {
                0 => join_all(receivers).await.len(),
                1 => wait(receivers).await.done.len(),
                _ => {
                    let mut completed = as_completed(receivers);
                    let mut ended = 0;
                    while completed.next().await.is_some() {
                        ended += 1;
                    }
                    ended
                }
            };
            assert_eq!(ended, FUTURES);
            // If the budget ends half-way, that may cost an extra poll now and then.
            let polls = polls.load(SeqCst);
            assert!(polls <= 2 * FUTURES + FUTURES / 10, "{polls} polls");
            other.await.expect("the other task");
        }
    });
}

/// 9, 11: a limit beyond the clock's range is no limit: nothing overflows, and what ends in time yields its outcome.
pub fn c11_limits_beyond_the_clock_are_none<S: AmbientSubject>() {
    S::start().run(async {
        for limit in [Duration::MAX, Duration::from_secs(u64::MAX)] {
            let task = || {
                spawn(async {
                    runtime_kernel::sleep(MS).await;
                    7
                })
            };
            let waited = wait([task(), task()]).timeout(limit).await;
            assert_eq!((waited.done.len(), waited.pending.len()), (2, 0));
            let first = wait([task(), spawn(pending())]).timeout(limit);
            let first = first.first_completed().await;
            assert_eq!((first.done.len(), first.pending.len()), (1, 1));
            first.pending.into_iter().for_each(|(_, task)| task.abort());
            let outcome = wait_for(task(), limit).await;
            assert_eq!(outcome.expect("no limit").expect("the task"), 7);
            let outcome = runtime_kernel::timeout(limit, task()).await;
            assert_eq!(outcome.expect("no limit").expect("the task"), 7);
            let mut schedules = [
                every(limit).starting_in(MS),
                every(MS).starting_in(limit),
                every(MS).jitter(limit).seed(7),
            ]
            .map(|schedule| schedule.spawn(|| async {}));
            runtime_kernel::sleep(5 * MS).await;
            for schedule in &mut schedules {
                assert!(!schedule.is_finished(), "neither a panic nor an end");
                schedule.abort();
            }
        }
    });
}
