//! Sleeps on shards: registration, firing, parking. Tests wait for the clock only to check "not early".

use std::future::{Future, pending, poll_fn, ready};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use super::*;
use crate::blocking::BlockingPool;
use crate::budget;
use crate::context::{self, Ambient, Binding, EnterGuard, IoDriver, Refused, Role};
use crate::park::Parker;
use crate::task::Task;

const HOUR: Duration = Duration::from_secs(3600);

/// A runtime that has only timers.
struct OnlyTimers(Arc<TimerShard>);

impl Ambient for OnlyTimers {
    fn name(&self) -> &'static str {
        "only-timers"
    }
    fn scheduler_for_new_task(&self) -> Binding<'_> {
        unreachable!("no tasks here")
    }
    fn launch(&self, _: Task) -> Result<(), Refused> {
        unreachable!("no tasks here")
    }
    fn io_driver(&self) -> IoDriver {
        unreachable!("no sockets here")
    }
    fn timer_shard(&self) -> Arc<TimerShard> {
        self.0.clone()
    }
    fn blocking_pool(&self) -> &Arc<BlockingPool> {
        unreachable!("no blocking here")
    }
}

fn enter(shard: &Arc<TimerShard>) -> EnterGuard {
    context::enter(Arc::new(OnlyTimers(shard.clone())), Role::NonWorker)
}

/// A shard that counts how often its owner is unparked.
fn shard() -> (Arc<TimerShard>, Arc<AtomicUsize>) {
    let unparked = Arc::new(AtomicUsize::new(0));
    let count = unparked.clone();
    let shard = TimerShard::new(Box::new(move || {
        count.fetch_add(1, Ordering::Relaxed);
    }));
    (shard, unparked)
}

#[derive(Default)]
struct CountWakes(AtomicUsize);

impl CountWakes {
    fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Wake for CountWakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn counting_waker() -> (Arc<CountWakes>, Waker) {
    let wakes = Arc::new(CountWakes::default());
    (wakes.clone(), Waker::from(wakes))
}

fn poll_once<F: Future>(future: Pin<&mut F>, waker: &Waker) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(waker))
}

/// Runs a future on this thread, as a loop with timers does.
fn run<F: Future>(future: F) -> F::Output {
    let parker = Parker::new();
    let (unparker, waker) = (parker.unparker(), Waker::from(parker.unparker()));
    let shard = TimerShard::new(Box::new(move || unparker.unpark()));
    let _entered = enter(&shard);
    let mut future = pin!(future);
    loop {
        let armed = budget::arm();
        if let Poll::Ready(output) = poll_once(future.as_mut(), &waker) {
            return output;
        }
        drop(armed);
        if shard.fire(Instant::now()) == 0 {
            let deadline = shard.prepare_park();
            parker.park(deadline);
            shard.finish_park();
            shard.fire(Instant::now());
        }
    }
}

#[test]
fn a_sleep_is_at_most_40_bytes() {
    assert!(size_of::<Sleep>() <= 40, "{}", size_of::<Sleep>());
}

#[test]
fn zero_and_past_deadlines_complete_at_once_and_need_no_runtime() {
    let past = Instant::now();
    for sleep in [sleep(Duration::ZERO), sleep_until(past)] {
        let mut sleep = pin!(sleep);
        assert!(poll_once(sleep.as_mut(), Waker::noop()).is_ready());
        assert!(poll_once(sleep.as_mut(), Waker::noop()).is_ready());
        assert!(sleep.is_elapsed());
    }
}

#[test]
#[should_panic(expected = "`sleep` was called outside of a runtime")]
fn a_sleep_that_has_to_wait_needs_a_runtime() {
    let _ = poll_once(pin!(sleep(HOUR)), Waker::noop());
}

#[test]
fn sleeps_never_end_early() {
    for micros in [1, 100, 262, 263, 1000, 5000] {
        let duration = Duration::from_micros(micros);
        let start = Instant::now();
        run(sleep(duration));
        assert!(start.elapsed() >= duration, "{duration:?}");
    }
}

#[test]
fn a_huge_sleep_neither_overflows_nor_registers_beyond_the_clock() {
    let (shard, _) = shard();
    let _entered = enter(&shard);
    let mut never = pin!(sleep(Duration::MAX));
    assert!(poll_once(never.as_mut(), Waker::noop()).is_pending());
    assert_eq!(never.deadline(), None);
    assert_eq!(shard.next_deadline(), None);
    let mut centuries = pin!(sleep(HOUR * 24 * 365 * 400));
    assert!(poll_once(centuries.as_mut(), Waker::noop()).is_pending());
    assert_eq!(shard.fire(Instant::now() + HOUR * 24 * 365 * 399), 0);
    assert_eq!(shard.fire(Instant::now() + HOUR * 24 * 365 * 401), 1);
}

#[test]
fn firing_wakes_exactly_the_due_timers() {
    let (shard, _) = shard();
    let _entered = enter(&shard);
    let (wakes, waker) = counting_waker();
    let start = Instant::now();
    let mut soon = pin!(sleep_until(start + HOUR));
    let mut later = pin!(sleep_until(start + 2 * HOUR));
    assert!(poll_once(soon.as_mut(), &waker).is_pending());
    assert!(poll_once(later.as_mut(), &waker).is_pending());
    assert_eq!(shard.fire(start + HOUR - Duration::from_nanos(1)), 0);
    let due = shard.prepare_park().unwrap();
    assert!(due >= start + HOUR && due < start + HOUR + Duration::from_millis(1));
    assert_eq!(shard.fire(due), 1);
    assert_eq!(wakes.count(), 1);
    assert!(poll_once(soon.as_mut(), &waker).is_ready());
    assert!(poll_once(later.as_mut(), &waker).is_pending());
    assert_eq!(shard.fire(start + 3 * HOUR), 1);
    assert_eq!(shard.next_deadline(), None);
}

#[test]
fn a_dropped_sleep_leaves_no_timer() {
    let (shard, _) = shard();
    let _entered = enter(&shard);
    {
        let mut dropped = pin!(sleep(HOUR));
        assert!(poll_once(dropped.as_mut(), Waker::noop()).is_pending());
        assert!(shard.prepare_park().is_some());
        shard.finish_park();
    }
    assert_eq!(shard.prepare_park(), None);
    assert_eq!(shard.next_deadline(), None);
}

#[test]
fn only_an_earlier_insertion_unparks_a_parked_owner() {
    let (shard, unparked) = shard();
    let _entered = enter(&shard);
    let start = Instant::now();
    let count = || unparked.load(Ordering::Relaxed);
    let insert = |hours: u32| {
        let mut sleep = Box::pin(sleep_until(start + hours * HOUR));
        assert!(poll_once(sleep.as_mut(), Waker::noop()).is_pending());
        sleep
    };
    let _awake = insert(10);
    assert_eq!(count(), 0, "the owner is awake");
    assert!(shard.prepare_park().is_some());
    let _later = insert(11);
    assert_eq!(count(), 0, "the owner wakes before it");
    let _earlier = insert(9);
    assert_eq!(count(), 1);
    let _between = insert(9);
    assert_eq!(count(), 1, "the owner has been unparked already");
    let _earliest = insert(8);
    assert_eq!(count(), 2);
    shard.finish_park();
    let _afterwards = insert(7);
    assert_eq!(count(), 2);
}

#[test]
fn the_first_timer_unparks_an_owner_without_a_deadline() {
    let (shard, unparked) = shard();
    let _entered = enter(&shard);
    assert_eq!(shard.prepare_park(), None);
    let mut first = pin!(sleep(HOUR));
    assert!(poll_once(first.as_mut(), Waker::noop()).is_pending());
    assert_eq!(unparked.load(Ordering::Relaxed), 1);
}

#[test]
fn the_task_that_polled_last_is_woken() {
    let (shard, _) = shard();
    let _entered = enter(&shard);
    let (first, first_waker) = counting_waker();
    let (second, second_waker) = counting_waker();
    let mut sleep = pin!(sleep(HOUR));
    assert!(poll_once(sleep.as_mut(), &first_waker).is_pending());
    assert!(poll_once(sleep.as_mut(), &second_waker).is_pending());
    assert_eq!(shard.fire(Instant::now() + 2 * HOUR), 1);
    assert_eq!((first.count(), second.count()), (0, 1));
}

#[test]
fn a_sleep_follows_its_task_to_another_shard() {
    let (old, _) = shard();
    let (new, _) = shard();
    let (_, first_waker) = counting_waker();
    let (second, second_waker) = counting_waker();
    let mut sleep = pin!(sleep(HOUR));
    {
        let _entered = enter(&old);
        assert!(poll_once(sleep.as_mut(), &first_waker).is_pending());
    }
    let _entered = enter(&new);
    assert!(poll_once(sleep.as_mut(), &second_waker).is_pending());
    assert_eq!(old.prepare_park(), None);
    assert_eq!(old.fire(Instant::now() + 2 * HOUR), 0);
    assert_eq!(new.fire(Instant::now() + 2 * HOUR), 1);
    assert_eq!(second.count(), 1);
    assert!(poll_once(sleep.as_mut(), &second_waker).is_ready());
}

#[test]
fn a_shard_that_is_given_up_hands_its_timers_on() {
    let (old, _) = shard();
    let (new, _) = shard();
    let (wakes, waker) = counting_waker();
    let mut sleeps: Vec<_> = (1..100)
        .map(|hours| Box::pin(sleep(HOUR * hours)))
        .collect();
    {
        let _entered = enter(&old);
        for sleep in &mut sleeps {
            assert!(poll_once(sleep.as_mut(), &waker).is_pending());
        }
    }
    old.hand_on();
    assert_eq!(wakes.count(), sleeps.len());
    assert_eq!(old.next_deadline(), None);
    let _entered = enter(&new);
    for sleep in &mut sleeps {
        assert!(poll_once(sleep.as_mut(), &waker).is_pending());
    }
    assert_eq!(new.fire(Instant::now() + HOUR * 200), sleeps.len());
}

#[test]
fn a_sleep_can_be_reset_before_and_after_it_ends() {
    let (shard, _) = shard();
    let _entered = enter(&shard);
    let start = Instant::now();
    let mut sleep = pin!(sleep(HOUR));
    assert!(poll_once(sleep.as_mut(), Waker::noop()).is_pending());
    sleep.as_mut().reset(start + 3 * HOUR);
    assert_eq!(
        shard.prepare_park(),
        None,
        "it is registered at the next poll"
    );
    assert!(poll_once(sleep.as_mut(), Waker::noop()).is_pending());
    assert_eq!(shard.fire(start + 2 * HOUR), 0);
    assert_eq!(shard.fire(start + 4 * HOUR), 1);
    assert!(poll_once(sleep.as_mut(), Waker::noop()).is_ready());
    sleep.as_mut().reset(start + 5 * HOUR);
    assert!(poll_once(sleep.as_mut(), Waker::noop()).is_pending());
    sleep.as_mut().reset(start);
    assert!(poll_once(sleep.as_mut(), Waker::noop()).is_ready());
}

#[test]
fn wakers_run_and_drop_outside_of_the_lock() {
    const MANY: usize = if cfg!(miri) { 50 } else { 1000 };
    /// Uses the shard in its wake and its drop: a deadlock if the lock were held.
    struct UsesShard(Arc<TimerShard>);
    impl Wake for UsesShard {
        fn wake(self: Arc<Self>) {
            self.0.prepare_park();
        }
    }
    impl Drop for UsesShard {
        fn drop(&mut self) {
            self.0.prepare_park();
        }
    }
    let (shard, _) = shard();
    let _entered = enter(&shard);
    let mut sleeps: Vec<_> = (0..MANY)
        .map(|_| {
            let mut sleep = Box::pin(sleep(HOUR));
            let waker = Waker::from(Arc::new(UsesShard(shard.clone())));
            assert!(poll_once(sleep.as_mut(), &waker).is_pending());
            sleep
        })
        .collect();
    for sleep in &mut sleeps[..10] {
        assert!(poll_once(sleep.as_mut(), Waker::noop()).is_pending());
    }
    sleeps.truncate(MANY - 10);
    assert_eq!(shard.fire(Instant::now() + 2 * HOUR), MANY - 10);
}

#[test]
fn sleeps_may_be_dropped_while_others_fire_them() {
    const ROUNDS: u64 = if cfg!(miri) { 2 } else { 50 };
    let (shard, _) = shard();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    shard.fire(Instant::now());
                    thread::yield_now();
                }
            });
        }
        let droppers: Vec<_> = (0..2)
            .map(|seed| {
                let shard = &shard;
                scope.spawn(move || {
                    let _entered = enter(shard);
                    for round in 0..ROUNDS {
                        let start = Instant::now();
                        let mut sleeps: Vec<_> = (0..64)
                            .map(|index| {
                                let micros = (index * 7919 + round * 31 + seed) % 600;
                                Box::pin(sleep_until(start + Duration::from_micros(micros)))
                            })
                            .collect();
                        for sleep in &mut sleeps {
                            let (_, waker) = counting_waker();
                            if poll_once(sleep.as_mut(), &waker).is_ready() {
                                assert!(Instant::now() >= sleep.deadline().unwrap());
                            }
                        }
                        // Half are dropped at once; the others are polled to their end.
                        sleeps.truncate(32);
                        while sleeps
                            .iter_mut()
                            .any(|sleep| poll_once(sleep.as_mut(), Waker::noop()).is_pending())
                        {
                            thread::yield_now();
                        }
                    }
                })
            })
            .collect();
        for dropper in droppers {
            dropper.join().unwrap();
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(shard.prepare_park(), None);
}

#[test]
fn an_insertion_from_another_thread_ends_the_owners_park() {
    const ROUNDS: usize = if cfg!(miri) { 10 } else { 200 };
    for _ in 0..ROUNDS {
        let parker = Parker::new();
        let unparker = parker.unparker();
        let shard = TimerShard::new(Box::new(move || unparker.unpark()));
        let (wakes, waker) = counting_waker();
        let late = parker.unparker();
        thread::scope(|scope| {
            let inserter = scope.spawn(|| {
                let _entered = enter(&shard);
                // Miri's clock counts its own steps: a shorter sleep would be over before the first poll.
                let micros = if cfg!(miri) { 100_000 } else { 300 };
                let mut sleep = Box::pin(sleep(Duration::from_micros(micros)));
                // If the system delays this thread for that long, there is nothing to insert.
                if poll_once(sleep.as_mut(), &waker).is_ready() {
                    waker.wake_by_ref();
                    late.unpark();
                }
                sleep
            });
            // The owner has no timer of its own, and would sleep for ever if the insertion were lost.
            while wakes.count() == 0 {
                let deadline = shard.prepare_park();
                parker.park(deadline);
                shard.finish_park();
                shard.fire(Instant::now());
            }
            drop(inserter.join().unwrap());
        });
    }
}

#[test]
fn a_ready_result_beats_a_deadline_that_is_due() {
    assert_eq!(run(timeout(Duration::ZERO, ready(1))), Ok(1));
    assert_eq!(run(timeout_at(Instant::now(), ready(1))), Ok(1));
}

#[test]
fn a_timeout_ends_a_future_that_never_does() {
    let limit = Duration::from_millis(3);
    let start = Instant::now();
    assert_eq!(run(timeout(limit, pending::<()>())), Err(Elapsed));
    assert!(start.elapsed() >= limit);
    assert_eq!(run(timeout(Duration::ZERO, pending::<()>())), Err(Elapsed));
}

#[test]
fn a_timeout_ends_a_future_that_spends_the_whole_budget() {
    let greedy = poll_fn(|cx: &mut Context<'_>| -> Poll<()> {
        while let Poll::Ready(spent) = budget::poll_proceed(cx) {
            spent.made_progress();
        }
        Poll::Pending
    });
    assert_eq!(run(timeout(Duration::from_millis(1), greedy)), Err(Elapsed));
}

#[test]
fn a_loop_over_elapsed_sleeps_returns_from_its_poll() {
    let _armed = budget::arm();
    let polled = poll_once(
        pin!(async {
            loop {
                sleep(Duration::ZERO).await;
            }
        }),
        Waker::noop(),
    );
    assert!(polled.is_pending());
}

#[test]
fn an_interval_ticks_at_once_and_then_at_multiples_of_its_period() {
    let period = Duration::from_millis(2);
    let start = Instant::now();
    run(async {
        let mut interval = interval_at(start, period);
        for tick in 0..5 {
            assert_eq!(interval.tick().await, start + tick * period);
            assert!(Instant::now() >= start + tick * period);
        }
    });
}

#[test]
fn a_tick_that_was_not_awaited_to_its_end_is_not_lost() {
    let start = Instant::now();
    run(async {
        let mut interval = interval_at(start, Duration::from_millis(2));
        interval.tick().await;
        let cancelled = timeout(Duration::ZERO, interval.tick()).await;
        if cancelled.is_err() {
            assert_eq!(interval.tick().await, start + Duration::from_millis(2));
        }
    });
}

#[test]
fn many_sleeps_end_in_the_order_of_their_deadlines() {
    let (shard, _) = shard();
    let _entered = enter(&shard);
    let start = Instant::now() + HOUR;
    let order = Arc::new(std::sync::Mutex::new(Vec::new()));
    struct Note(u32, Arc<std::sync::Mutex<Vec<u32>>>);
    impl Wake for Note {
        fn wake(self: Arc<Self>) {
            self.1.lock().unwrap().push(self.0);
        }
    }
    const SLEEPS: u32 = if cfg!(miri) { 100 } else { 10_000 };
    let _sleeps: Vec<_> = (0..SLEEPS)
        .map(|index| {
            let nth = index * 7919 % SLEEPS;
            let mut sleep = Box::pin(sleep_until(start + Duration::from_millis(u64::from(nth))));
            let waker = Waker::from(Arc::new(Note(nth, order.clone())));
            assert!(poll_once(sleep.as_mut(), &waker).is_pending());
            sleep
        })
        .collect();
    assert_eq!(shard.fire(start + HOUR), SLEEPS as usize);
    assert!(order.lock().unwrap().is_sorted());
}

/// Polls its timer where it is woken, as some executors do.
struct PollsWhereItIsWoken {
    sleep: Mutex<Pin<Box<Sleep>>>,
    wakes: AtomicUsize,
}

impl Wake for PollsWhereItIsWoken {
    fn wake(self: Arc<Self>) {
        // Not for ever, so that a fault fails the test.
        if self.wakes.fetch_add(1, Ordering::Relaxed) < 10 {
            let waker = Waker::from(Arc::clone(&self));
            assert!(poll_once(self.sleep.lock().unwrap().as_mut(), &waker).is_pending());
        }
    }
}

#[test]
fn timers_that_are_registered_again_where_they_were_are_handed_on_once() {
    let (shard, _) = shard();
    let _entered = enter(&shard);
    // More than one batch of wakers.
    let all: Vec<_> = (1..=100)
        .map(|hours| {
            Arc::new(PollsWhereItIsWoken {
                sleep: Mutex::new(Box::pin(sleep(HOUR * hours))),
                wakes: AtomicUsize::new(0),
            })
        })
        .collect();
    for polls in &all {
        let waker = Waker::from(Arc::clone(polls));
        assert!(poll_once(polls.sleep.lock().unwrap().as_mut(), &waker).is_pending());
    }
    shard.hand_on();
    for polls in &all {
        assert_eq!(polls.wakes.load(Ordering::Relaxed), 1);
    }
    assert!(shard.next_deadline().is_some());
    for polls in &all {
        // The timer holds the waker, which holds the timer.
        *polls.sleep.lock().unwrap() = Box::pin(sleep(HOUR));
    }
}
