//! Mutex and condition: who gets the lock, who is notified, and what is left when one of them leaves at any moment.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::thread;

use super::polled::{poll_once, ready, waiting};
use super::*;
use runtime_kernel::park::block_on_current_thread as block_on;

type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// What may be sent and shared between threads, and what may not.
fn _guards_are_as_sendable_as_their_values() {
    fn send<T: Send>(_: T) {}
    fn sync<T: Sync>(_: T) {}
    let mutex = Arc::new(Mutex::new(Cell::new(1)));
    send(mutex.lock());
    send(Condition::new().wait(block_on(mutex.lock())));
    send(block_on(mutex.clone().lock_owned()));
    sync(Mutex::new(Cell::new(1)));
    sync(block_on(Mutex::new(1).lock()));
}

#[test]
fn the_lock_goes_to_waiters_before_newcomers() {
    let mutex = Mutex::new(0);
    let held = mutex.try_lock().unwrap();
    assert!(mutex.is_locked());
    let first = waiting(mutex.lock());
    let mut second = waiting(mutex.lock());
    drop(held);
    assert!(mutex.is_locked(), "it is the first waiter's already");
    assert!(mutex.try_lock().is_none());
    assert!(poll_once(second.as_mut()).is_pending());
    let guard = ready(first);
    drop(guard);
    drop(ready(second));
    assert!(!mutex.is_locked());
    assert!(mutex.try_lock().is_some());
}

#[test]
fn an_unlocking_task_does_not_overtake_waiters() {
    let mutex = Mutex::new(0);
    let held = mutex.try_lock().unwrap();
    let first = waiting(mutex.lock());
    drop(held);
    let again = waiting(mutex.lock());
    drop(ready(first));
    drop(ready(again));
}

#[test]
fn owned_guards_keep_the_mutex_and_unlock_it() {
    let mutex = Arc::new(Mutex::new(1));
    let mut guard = block_on(mutex.clone().lock_owned());
    assert!(mutex.clone().try_lock_owned().is_none());
    let next = waiting(mutex.clone().lock_owned());
    *guard += 1;
    drop(guard);
    assert_eq!(*ready(next), 2);
    assert_eq!(Arc::strong_count(&mutex), 1);
    assert_eq!(Arc::into_inner(mutex).map(Mutex::into_inner), Some(2));
}

#[test]
fn a_mutex_may_hold_an_unsized_value_and_prints_it_if_unlocked() {
    let mutex: &mut Mutex<[u8]> = &mut Mutex::new([1, 2]);
    mutex.get_mut()[0] = 7;
    assert_eq!(format!("{mutex:?}"), "Mutex { value: [7, 2] }");
    let guard = mutex.try_lock().unwrap();
    assert_eq!(format!("{guard:?}"), "[7, 2]");
    assert_eq!(format!("{mutex:?}"), "Mutex { value: <locked> }");
}

#[test]
fn a_panic_with_the_lock_held_unlocks() {
    let mutex = Mutex::new(0);
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let mut guard = mutex.try_lock().unwrap();
        *guard = 1;
        panic!("as planned");
    }));
    assert!(outcome.is_err());
    assert_eq!(*mutex.try_lock().unwrap(), 1);
}

#[test]
fn threads_and_futures_that_hold_the_lock_exclude_each_other() {
    const ROUNDS: u64 = if cfg!(miri) { 20 } else { 3000 };
    let mutex = Mutex::new(0_u64);
    thread::scope(|scope| {
        for number in 0..4 {
            let mutex = &mutex;
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    if (round + number) % 3 == 0 {
                        // A waiter that usually gives up.
                        drop(poll_once(std::pin::pin!(mutex.lock())));
                    }
                    let mut guard = if number % 2 == 0 {
                        mutex.blocking_lock()
                    } else {
                        block_on(mutex.lock())
                    };
                    let seen = *guard;
                    std::hint::spin_loop();
                    *guard = seen + 1;
                }
            });
        }
    });
    assert_eq!(mutex.into_inner(), 4 * ROUNDS);
}

/// When a waiter leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Departure {
    BeforeItsWakeUp,
    AfterItsWakeUp,
    AfterItHasTheLock,
}

const WAITERS: usize = 4;

fn departures() -> impl Iterator<Item = (usize, Departure)> {
    (0..WAITERS).flat_map(|position| {
        [
            Departure::BeforeItsWakeUp,
            Departure::AfterItsWakeUp,
            Departure::AfterItHasTheLock,
        ]
        .map(|departure| (position, departure))
    })
}

#[test]
fn a_waiter_that_leaves_at_any_moment_hands_the_lock_on() {
    for (position, departure) in departures() {
        let mutex = Mutex::new(());
        let held = mutex.try_lock().unwrap();
        let mut waiters: Vec<_> = (0..WAITERS).map(|_| Some(waiting(mutex.lock()))).collect();
        if departure == Departure::BeforeItsWakeUp {
            waiters[position] = None;
        }
        drop(held);
        for number in 0..WAITERS {
            let Some(waiter) = waiters[number].take() else {
                continue;
            };
            for behind in waiters.iter_mut().flatten() {
                assert!(poll_once(behind.as_mut()).is_pending(), "overtakes");
            }
            if (number, departure) == (position, Departure::AfterItsWakeUp) {
                drop(waiter);
            } else {
                drop(ready(waiter));
            }
        }
        assert!(!mutex.is_locked(), "{position}, {departure:?}");
    }
}

/// Four waiters for a condition, and their mutex.
fn four<'a>(mutex: &'a Mutex<()>, condition: &'a Condition) -> Vec<Boxed<'a, MutexGuard<'a, ()>>> {
    let waiters = (0..WAITERS)
        .map(|_| -> Boxed<'a, _> { waiting(condition.wait(mutex.try_lock().unwrap())) })
        .collect();
    assert_eq!(condition.waiters(), WAITERS);
    waiters
}

#[test]
fn a_notification_takes_effect_when_the_notifier_unlocks() {
    let (mutex, condition) = (Mutex::new(()), Condition::new());
    let mut waiters = four(&mutex, &condition);
    let guard = mutex.try_lock().unwrap();
    assert_eq!(condition.notify(&guard, 0), 0);
    assert_eq!(condition.notify(&guard, 2), 2);
    assert!(
        waiters
            .iter_mut()
            .all(|waiter| poll_once(waiter.as_mut()).is_pending())
    );
    drop(guard);
    assert!(mutex.is_locked(), "it is the first one's");
    assert!(
        poll_once(waiters[1].as_mut()).is_pending(),
        "it is the second"
    );
    drop(ready(waiters.remove(0)));
    drop(ready(waiters.remove(0)));
    assert!(!mutex.is_locked());
    assert!(
        waiters
            .iter_mut()
            .all(|waiter| poll_once(waiter.as_mut()).is_pending())
    );
    let guard = mutex.try_lock().unwrap();
    assert_eq!(condition.notify_all(&guard), 2);
    assert_eq!(condition.notify_all(&guard), 0);
    assert!(!condition.notify_one(&guard));
    drop(guard);
    for waiter in waiters {
        drop(ready(waiter));
    }
}

#[test]
fn notified_waiters_queue_behind_earlier_waiters_for_the_lock() {
    let (mutex, condition) = (Mutex::new(()), Condition::new());
    let mut waiters = four(&mutex, &condition);
    let guard = mutex.try_lock().unwrap();
    let before = waiting(mutex.lock());
    condition.notify_one(&guard);
    let after = waiting(mutex.lock());
    drop(guard);
    assert!(poll_once(waiters[0].as_mut()).is_pending());
    drop(ready(before));
    drop(ready(waiters.remove(0)));
    drop(ready(after));
}

#[test]
fn many_waiters_are_notified_in_order_across_batches() {
    const MANY: usize = 100;
    let (mutex, condition) = (Mutex::new(()), Condition::new());
    let waiters: Vec<_> = (0..MANY)
        .map(|_| waiting(condition.wait(mutex.try_lock().unwrap())))
        .collect();
    let guard = mutex.try_lock().unwrap();
    assert_eq!(condition.notify_all(&guard), MANY);
    drop(guard);
    for waiter in waiters {
        drop(ready(waiter));
    }
    assert!(!mutex.is_locked());
}

/// When a waiter for a condition leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DepartureOfNotified {
    BeforeItIsNotified,
    NotifiedWhileTheLockIsHeld,
    NotifiedAndGivenTheLock,
    AfterItHasTheLock,
}

#[test]
fn a_notified_waiter_that_leaves_passes_the_notification_on() {
    use DepartureOfNotified::*;
    for leaves in [
        BeforeItIsNotified,
        NotifiedWhileTheLockIsHeld,
        NotifiedAndGivenTheLock,
        AfterItHasTheLock,
    ] {
        for position in 0..WAITERS {
            // Notifies all waiters up to the one that leaves.
            let (mutex, condition) = (Mutex::new(()), Condition::new());
            let mut waiters: Vec<_> = four(&mutex, &condition).into_iter().map(Some).collect();
            let guard = mutex.try_lock().unwrap();
            if leaves == BeforeItIsNotified {
                waiters[position] = None;
            }
            condition.notify(&guard, position + 1);
            if leaves == NotifiedWhileTheLockIsHeld {
                waiters[position] = None;
            }
            drop(guard);
            let mut went_on = Vec::new();
            for (number, place) in waiters.iter_mut().enumerate() {
                let Some(mut waiter) = place.take() else {
                    continue;
                };
                if (number, leaves) == (position, NotifiedAndGivenTheLock) {
                    drop(waiter);
                    continue;
                }
                match poll_once(waiter.as_mut()) {
                    Poll::Ready(guard) => {
                        drop(guard);
                        went_on.push(number);
                    }
                    Poll::Pending => drop(waiter),
                }
            }
            let mut expected: Vec<_> = (0..WAITERS.min(position + 2))
                .filter(|number| *number != position)
                .collect();
            if leaves == AfterItHasTheLock {
                expected = (0..=position).collect();
            }
            assert_eq!(went_on, expected, "{leaves:?} at {position}");
            assert!(!mutex.is_locked(), "{leaves:?} at {position}");
            assert_eq!(condition.waiters(), 0, "{leaves:?} at {position}");
        }
    }
}

#[test]
fn a_notification_for_all_is_not_passed_to_a_later_waiter() {
    let (mutex, condition) = (Mutex::new(()), Condition::new());
    let mut waiters = four(&mutex, &condition);
    let guard = mutex.try_lock().unwrap();
    condition.notify_all(&guard);
    let mut late = waiting(condition.wait(guard));
    drop(waiters.remove(0));
    for waiter in waiters {
        drop(ready(waiter));
    }
    assert!(poll_once(late.as_mut()).is_pending());
    drop(late);
    assert!(!mutex.is_locked());
}

#[test]
fn a_wait_that_is_never_polled_unlocks() {
    let (mutex, condition) = (Mutex::new(()), Condition::new());
    let wait = condition.wait(mutex.try_lock().unwrap());
    assert!(mutex.is_locked());
    drop(wait);
    assert!(!mutex.is_locked());
}

#[test]
fn wait_for_checks_its_condition_first_and_after_each_notification() {
    let (mutex, condition) = (Mutex::new(0), Condition::new());
    drop(block_on(
        condition.wait_for(mutex.try_lock().unwrap(), |value| *value == 0),
    ));
    let mut wait = waiting(condition.wait_for(mutex.try_lock().unwrap(), |value| *value == 2));
    for expected in [false, true] {
        let mut guard = mutex.try_lock().unwrap();
        *guard += 1;
        condition.notify_one(&guard);
        drop(guard);
        assert_eq!(poll_once(wait.as_mut()).is_ready(), expected);
    }
}

#[test]
fn two_conditions_share_a_mutex() {
    const TURNS: usize = if cfg!(miri) { 20 } else { 500 };
    let (slot, full, empty) = (Mutex::new(None), Condition::new(), Condition::new());
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..TURNS {
                let mut guard =
                    empty.blocking_wait_for(slot.blocking_lock(), |slot| slot.is_none());
                *guard = Some(number);
                full.notify_one(&guard);
            }
        });
        for number in 0..TURNS {
            let mut guard = full.blocking_wait_for(slot.blocking_lock(), |slot| slot.is_some());
            assert_eq!(guard.take(), Some(number));
            empty.notify_one(&guard);
        }
    });
}

#[test]
#[should_panic(expected = "give each mutex a condition of its own")]
fn a_condition_refuses_a_second_mutex_to_wait_with() {
    let (one, other, condition) = (Mutex::new(()), Mutex::new(()), Condition::new());
    let _first = waiting(condition.wait(one.try_lock().unwrap()));
    let _second = waiting(condition.wait(other.try_lock().unwrap()));
}

#[test]
#[should_panic(expected = "give each mutex a condition of its own")]
fn a_condition_refuses_a_second_mutex_to_notify_with() {
    let (one, other, condition) = (Mutex::new(()), Mutex::new(()), Condition::new());
    let _first = waiting(condition.wait(one.try_lock().unwrap()));
    condition.notify_all(&other.try_lock().unwrap());
}
