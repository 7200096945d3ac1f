//! Event and barrier: which waiters are released, and which are not.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};
use std::thread;

use super::polled::{poll_once, ready, waiting};
use super::*;

#[test]
fn an_event_set_and_cleared_releases_the_waiters_at_the_set() {
    let event = Event::new();
    // More than one batch of wake-ups.
    let early: Vec<_> = (0..100).map(|_| waiting(event.wait())).collect();
    event.set();
    assert!(event.is_set());
    ready(Box::pin(event.wait()));
    event.clear();
    assert!(!event.is_set());
    let late = waiting(event.wait());
    for waiter in early {
        ready(waiter);
    }
    event.set();
    ready(late);
}

#[test]
fn a_waiter_that_returns_during_a_set_waits_for_the_next_one() {
    /// Waits again as soon as it is woken, while `set` is still waking others.
    struct ComesBack(Arc<Event>, Arc<AtomicUsize>);
    impl Wake for ComesBack {
        fn wake(self: Arc<Self>) {
            self.0.clear();
            let again = waiting_static(&self.0);
            drop(again);
            self.1.fetch_add(1, Ordering::Relaxed);
        }
    }
    fn waiting_static(event: &Event) -> Pin<Box<WaitSet<'_>>> {
        waiting(event.wait())
    }
    let (event, woken) = (Arc::new(Event::new()), Arc::new(AtomicUsize::new(0)));
    let waker = Waker::from(Arc::new(ComesBack(event.clone(), woken.clone())));
    let mut waiters: Vec<_> = (0..70).map(|_| Box::pin(event.wait())).collect();
    for waiter in &mut waiters {
        let polled = waiter.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
    }
    event.set();
    assert_eq!(woken.load(Ordering::Relaxed), 70);
    for waiter in waiters {
        ready(waiter);
    }
}

#[test]
fn a_waiter_that_leaves_an_event_at_any_moment_affects_no_other() {
    for position in 0..3 {
        for (before, polled) in [(true, false), (false, false), (false, true)] {
            let event = Event::new();
            let mut waiters: Vec<_> = (0..3).map(|_| waiting(event.wait())).collect();
            if before {
                drop(waiters.remove(position));
            }
            event.set();
            event.clear();
            if !before {
                let mut leaves = waiters.remove(position);
                assert!(!polled || poll_once(leaves.as_mut()).is_ready());
            }
            for waiter in waiters {
                ready(waiter);
            }
        }
    }
}

#[test]
fn threads_see_writes_from_before_the_set() {
    const ROUNDS: usize = if cfg!(miri) { 10 } else { 200 };
    for _ in 0..ROUNDS {
        let (event, value) = (Event::new(), AtomicUsize::new(0));
        thread::scope(|scope| {
            scope.spawn(|| {
                value.store(1, Ordering::Relaxed);
                event.set();
            });
            event.blocking_wait();
            assert_eq!(value.load(Ordering::Relaxed), 1);
        });
    }
}

#[test]
fn a_barrier_releases_its_parties_and_then_blocks_the_next() {
    let barrier = Barrier::new(3);
    assert_eq!(barrier.parties(), 3);
    for _ in 0..2 {
        let first = waiting(barrier.wait());
        let second = waiting(barrier.wait());
        assert_eq!(barrier.waiting(), 2);
        let last = ready(Box::pin(barrier.wait())).unwrap();
        assert!(last.is_leader());
        assert_eq!(barrier.waiting(), 0);
        let _next = waiting(barrier.wait());
        let others = [ready(first).unwrap(), ready(second).unwrap()];
        assert!(others.iter().all(|arrival| !arrival.is_leader()));
        let indices = [others[0].index(), others[1].index(), last.index()];
        assert_eq!(indices, [0, 1, 2]);
    }
}

#[test]
fn a_waiter_that_leaves_a_barrier_is_not_counted_unless_the_last_had_arrived() {
    for position in 0..3 {
        let barrier = Barrier::new(4);
        let mut waiters: Vec<_> = (0..3).map(|_| waiting(barrier.wait())).collect();
        drop(waiters.remove(position));
        assert_eq!(barrier.waiting(), 2);
        waiters.push(waiting(barrier.wait()));
        assert!(ready(Box::pin(barrier.wait())).unwrap().is_leader());
        // The others have passed: if one of them is dropped before it noticed, that changes nothing.
        drop(waiters.remove(position));
        let indices: Vec<_> = waiters
            .into_iter()
            .map(|waiter| ready(waiter).unwrap().index())
            .collect();
        let expected: Vec<_> = (0..3).filter(|index| *index != position).collect();
        assert_eq!(indices, expected);
        assert_eq!(barrier.waiting(), 0);
    }
}

#[test]
fn a_barrier_for_one_blocks_no_task() {
    let barrier = Barrier::new(1);
    for _ in 0..3 {
        let arrival = ready(Box::pin(barrier.wait())).unwrap();
        assert_eq!((arrival.index(), arrival.is_leader()), (0, true));
    }
}

#[test]
fn a_broken_barrier_refuses_all_waiters_until_it_is_reset() {
    let barrier = Barrier::new(3);
    let early = waiting(barrier.wait());
    barrier.abort();
    assert!(barrier.is_broken());
    assert_eq!(ready(early), Err(BrokenBarrier));
    assert_eq!(ready(Box::pin(barrier.wait())), Err(BrokenBarrier));
    barrier.reset();
    assert!(!barrier.is_broken());
    let one = waiting(barrier.wait());
    barrier.reset();
    let two = waiting(barrier.wait());
    let three = waiting(barrier.wait());
    assert_eq!(ready(one), Err(BrokenBarrier));
    assert!(ready(Box::pin(barrier.wait())).is_ok());
    assert!(ready(two).is_ok() && ready(three).is_ok());
}

#[test]
fn rounds_that_overlap_are_kept_apart() {
    const PARTIES: usize = 100;
    /// Passes the next round, breaks one, and passes another one, while the waiters of the first one are still being
    /// woken.
    struct GoesOn(Arc<Barrier>, AtomicUsize);
    impl Wake for GoesOn {
        fn wake(self: Arc<Self>) {
            match self.1.fetch_add(1, Ordering::Relaxed) {
                0 => {
                    let waiters: Vec<_> = (1..PARTIES).map(|_| waiting(self.0.wait())).collect();
                    assert!(ready(Box::pin(self.0.wait())).unwrap().is_leader());
                    for (place, waiter) in waiters.into_iter().enumerate() {
                        assert_eq!(ready(waiter).unwrap().index(), place);
                    }
                }
                1 => {
                    let waiters: Vec<_> = (1..PARTIES).map(|_| waiting(self.0.wait())).collect();
                    self.0.reset();
                    for waiter in waiters {
                        assert_eq!(ready(waiter), Err(BrokenBarrier));
                    }
                }
                _ => {}
            }
        }
    }
    let barrier = Arc::new(Barrier::new(PARTIES));
    let wake = Arc::new(GoesOn(barrier.clone(), AtomicUsize::new(0)));
    let waker = Waker::from(wake.clone());
    let mut waiters: Vec<_> = (1..PARTIES).map(|_| Box::pin(barrier.wait())).collect();
    for waiter in &mut waiters {
        let polled = waiter.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
    }
    assert!(ready(Box::pin(barrier.wait())).unwrap().is_leader());
    assert_eq!(wake.1.load(Ordering::Relaxed), PARTIES - 1);
    for (place, waiter) in waiters.into_iter().enumerate() {
        assert_eq!(ready(waiter).unwrap().index(), place);
    }
}

#[test]
fn threads_that_wait_for_each_other_keep_in_step() {
    const THREADS: usize = 3;
    const ROUNDS: usize = if cfg!(miri) { 10 } else { 300 };
    let (barrier, steps) = (Barrier::new(THREADS), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for round in 0..ROUNDS {
                    steps.fetch_add(1, Ordering::Relaxed);
                    barrier.blocking_wait().unwrap();
                    assert_eq!(steps.load(Ordering::Relaxed), (round + 1) * THREADS);
                    barrier.blocking_wait().unwrap();
                }
            });
        }
    });
}

#[test]
#[should_panic(expected = "with one party it lets everybody pass")]
fn a_barrier_for_zero_parties_is_refused() {
    let _ = Barrier::new(0);
}

#[test]
fn a_bounded_semaphore_takes_back_forgotten_permits_and_no_more() {
    let semaphore = Semaphore::bounded(2);
    let permit = semaphore.try_acquire().unwrap();
    assert!(!semaphore.is_exhausted());
    semaphore.try_acquire().unwrap().forget();
    assert!(semaphore.is_exhausted());
    semaphore.add_permits(1);
    drop(permit);
    assert_eq!(semaphore.available_permits(), 2);
    let beyond =
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| semaphore.add_permits(1)));
    let message = *beyond.unwrap_err().downcast::<String>().unwrap();
    assert!(message.contains("drop permits instead"), "{message}");
    assert_eq!(semaphore.available_permits(), 2);
}

#[test]
#[should_panic(expected = "could never be acquired")]
fn a_bounded_semaphore_without_permits_is_refused() {
    let _ = Semaphore::bounded(0);
}

#[test]
#[should_panic(expected = "add_permits")]
fn permits_do_not_overflow() {
    let semaphore = Semaphore::new(Semaphore::MAX_PERMITS);
    let _taken = semaphore.try_acquire();
    // Although the count of available permits has room: the permits that are held will come back.
    assert!(
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| semaphore.add_permits(1)))
            .is_err()
    );
    panic!("add_permits refused, as it should");
}

#[test]
#[should_panic(expected = "a semaphore may have at most")]
fn a_semaphore_of_more_permits_than_can_be_counted_is_refused() {
    let _ = Semaphore::new(usize::MAX);
}

#[test]
#[should_panic(expected = "ask for fewer")]
fn more_permits_than_there_will_ever_be_are_refused_instead_of_awaited() {
    drop(Semaphore::bounded(2).acquire_many(3));
}

#[test]
#[should_panic(expected = "ask for fewer")]
fn more_owned_permits_than_there_will_ever_be_are_refused_too() {
    let semaphore = std::sync::Arc::new(Semaphore::bounded(2));
    let _ = runtime_kernel::park::block_on_current_thread(semaphore.acquire_many_owned(3));
}
