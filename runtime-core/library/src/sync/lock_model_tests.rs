//! Mutex with condition, event, barrier and join against simple models, with waiters that give up at any time.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::Poll;

use proptest::prelude::*;

use super::polled::poll_once;
use super::*;

#[derive(Clone, Debug)]
enum LockStep {
    Lock,
    TryLock,
    /// Polls the entry at this index, modulo the number of entries.
    Poll(usize),
    /// Drops it, whether it is a waiter or a guard.
    Drop(usize),
    /// The holder of the lock waits for the condition.
    Wait,
    /// The holder of the lock notifies this many waiters.
    Notify(usize),
    NotifyAll,
}

fn lock_step() -> impl Strategy<Value = LockStep> {
    use LockStep::*;
    prop_oneof![
        6 => Just(Lock),
        2 => Just(TryLock),
        10 => any::<usize>().prop_map(Poll),
        6 => any::<usize>().prop_map(Drop),
        6 => Just(Wait),
        4 => (0usize..4).prop_map(Notify),
        1 => Just(NotifyAll),
    ]
}

enum LockEntry<'a> {
    Lock(Pin<Box<Lock<'a, u32>>>),
    Wait(Pin<Box<WaitNotified<'a, u32>>>),
    Guard(MutexGuard<'a, u32>),
    Gone,
}

/// What a mutex and a condition should do; waiters are identified by their index.
#[derive(Default)]
struct LockModel {
    /// The holder of the lock, whether it knows it or not.
    owner: Option<usize>,
    waiters: VecDeque<usize>,
    /// The waiters for the condition.
    requeued: VecDeque<usize>,
    /// Those that were notified, and pass that on if they leave.
    passes_on: Vec<usize>,
}

impl LockModel {
    /// Queues a waiter, or hands it the lock.
    fn arrive(&mut self, waiter: usize) {
        match self.owner {
            None => self.owner = Some(waiter),
            Some(_) => self.waiters.push_back(waiter),
        }
    }

    fn unlock(&mut self) {
        self.owner = self.waiters.pop_front();
    }

    fn notify(&mut self, count: usize, passes_on: bool) -> usize {
        let called: Vec<_> = self
            .requeued
            .drain(..count.min(self.requeued.len()))
            .collect();
        for &waiter in &called {
            if passes_on {
                self.passes_on.push(waiter);
            }
            self.arrive(waiter);
        }
        called.len()
    }

    /// It has the lock and knows it.
    fn has_lock(&mut self, waiter: usize) {
        self.passes_on.retain(|other| *other != waiter);
    }

    fn leave(&mut self, waiter: usize) {
        self.requeued.retain(|other| *other != waiter);
        if self.passes_on.contains(&waiter) {
            self.has_lock(waiter);
            self.notify(1, true);
        }
        self.waiters.retain(|other| *other != waiter);
        if self.owner == Some(waiter) {
            self.unlock();
        }
    }
}

#[derive(Clone, Debug)]
enum BarrierStep {
    Come,
    Poll(usize),
    Drop(usize),
    /// Sets an event; resets a barrier.
    First,
    /// Clears an event; breaks a barrier.
    Second,
}

fn barrier_step() -> impl Strategy<Value = BarrierStep> {
    use BarrierStep::*;
    prop_oneof![
        8 => Just(Come),
        8 => any::<usize>().prop_map(Poll),
        4 => any::<usize>().prop_map(Drop),
        1 => Just(First),
        1 => Just(Second),
    ]
}

/// The state of a waiter in the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WaiterState {
    Waits,
    /// It continues when it is polled; for a barrier, with this index.
    Released(usize),
    Refused,
}

#[derive(Clone, Debug)]
enum JoinStep {
    Put,
    Get,
    Done,
    Join,
    Poll(usize),
    Drop(usize),
    Drain,
}

/// A future that waits for all items to be done.
type Joining<'a> = Pin<Box<Join<'a, Fifo<u32>>>>;

fn join_step() -> impl Strategy<Value = JoinStep> {
    use JoinStep::*;
    prop_oneof![
        8 => Just(Put),
        8 => Just(Get),
        8 => Just(Done),
        4 => Just(Join),
        4 => any::<usize>().prop_map(Poll),
        2 => any::<usize>().prop_map(Drop),
        1 => Just(Drain),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_mutex_and_a_condition_match_their_model(
        steps in proptest::collection::vec(lock_step(), 1..120),
    ) {
        let (mutex, condition) = (Mutex::new(0), Condition::new());
        let mut model = LockModel::default();
        let mut entries: Vec<LockEntry<'_>> = Vec::new();
        for step in steps {
            let holder = entries.iter().position(|entry| matches!(entry, LockEntry::Guard(_)));
            let new = entries.len();
            match step {
                LockStep::Lock => {
                    let mut lock = Box::pin(mutex.lock());
                    model.arrive(new);
                    entries.push(match poll_once(lock.as_mut()) {
                        Poll::Ready(guard) => LockEntry::Guard(guard),
                        Poll::Pending => LockEntry::Lock(lock),
                    });
                    prop_assert_eq!(matches!(entries[new], LockEntry::Guard(_)), model.owner == Some(new));
                }
                LockStep::TryLock => {
                    let guard = mutex.try_lock();
                    prop_assert_eq!(guard.is_some(), model.owner.is_none());
                    if let Some(guard) = guard {
                        model.arrive(new);
                        entries.push(LockEntry::Guard(guard));
                    }
                }
                LockStep::Poll(index) if new > 0 => {
                    let waiter = index % new;
                    let polled = match &mut entries[waiter] {
                        LockEntry::Lock(lock) => poll_once(lock.as_mut()),
                        LockEntry::Wait(wait) => poll_once(wait.as_mut()),
                        LockEntry::Guard(_) | LockEntry::Gone => continue,
                    };
                    prop_assert_eq!(polled.is_ready(), model.owner == Some(waiter));
                    if let Poll::Ready(guard) = polled {
                        model.has_lock(waiter);
                        entries[waiter] = LockEntry::Guard(guard);
                    }
                }
                LockStep::Drop(index) if new > 0 => {
                    let waiter = index % new;
                    entries[waiter] = LockEntry::Gone;
                    model.leave(waiter);
                }
                LockStep::Wait => {
                    let Some(waiter) = holder else { continue };
                    let LockEntry::Guard(guard) = std::mem::replace(&mut entries[waiter], LockEntry::Gone) else {
                        unreachable!("it holds the lock")
                    };
                    let mut wait = Box::pin(condition.wait(guard));
                    prop_assert!(poll_once(wait.as_mut()).is_pending());
                    entries[waiter] = LockEntry::Wait(wait);
                    model.requeued.push_back(waiter);
                    model.unlock();
                }
                LockStep::Notify(count) => {
                    let Some(LockEntry::Guard(guard)) = holder.map(|waiter| &entries[waiter]) else { continue };
                    prop_assert_eq!(condition.notify(guard, count), model.notify(count, true));
                }
                LockStep::NotifyAll => {
                    let Some(LockEntry::Guard(guard)) = holder.map(|waiter| &entries[waiter]) else { continue };
                    prop_assert_eq!(condition.notify_all(guard), model.notify(usize::MAX, false));
                }
                LockStep::Poll(_) | LockStep::Drop(_) => {}
            }
            prop_assert_eq!(mutex.is_locked(), model.owner.is_some());
            prop_assert_eq!(condition.waiters(), model.requeued.len());
        }
        entries.clear();
        prop_assert!(!mutex.is_locked());
        prop_assert_eq!(condition.waiters(), 0);
    }

    #[test]
    fn an_event_matches_its_model(
        steps in proptest::collection::vec(barrier_step(), 1..80),
    ) {
        let event = Event::new();
        let mut set = false;
        let mut waiters: Vec<(Pin<Box<WaitSet<'_>>>, WaiterState)> = Vec::new();
        for step in steps {
            match step {
                BarrierStep::Come => {
                    let mut wait = Box::pin(event.wait());
                    prop_assert_eq!(poll_once(wait.as_mut()).is_ready(), set);
                    if !set {
                        waiters.push((wait, WaiterState::Waits));
                    }
                }
                BarrierStep::Poll(index) if !waiters.is_empty() => {
                    let index = index % waiters.len();
                    let (wait, state) = &mut waiters[index];
                    let ready = poll_once(wait.as_mut()).is_ready();
                    prop_assert_eq!(ready, *state != WaiterState::Waits);
                    if ready {
                        drop(waiters.remove(index));
                    }
                }
                BarrierStep::Drop(index) if !waiters.is_empty() => {
                    drop(waiters.remove(index % waiters.len()));
                }
                BarrierStep::First => {
                    event.set();
                    set = true;
                    waiters.iter_mut().for_each(|(_, state)| *state = WaiterState::Released(0));
                }
                BarrierStep::Second => {
                    event.clear();
                    set = false;
                }
                BarrierStep::Poll(_) | BarrierStep::Drop(_) => {}
            }
            prop_assert_eq!(event.is_set(), set);
        }
    }

    #[test]
    fn a_barrier_matches_its_model(
        parties in 1usize..5,
        steps in proptest::collection::vec(barrier_step(), 1..120),
    ) {
        let barrier = Barrier::new(parties);
        let mut broken = false;
        let mut waiters: Vec<(Pin<Box<WaitAll<'_>>>, WaiterState)> = Vec::new();
        let waiting = |waiters: &[(_, WaiterState)]| {
            waiters.iter().filter(|(_, state)| *state == WaiterState::Waits).count()
        };
        for step in steps {
            match step {
                BarrierStep::Come => {
                    let mut wait = Box::pin(barrier.wait());
                    let polled = poll_once(wait.as_mut());
                    if broken {
                        prop_assert_eq!(polled, Poll::Ready(Err(BrokenBarrier)));
                    } else if waiting(&waiters) + 1 == parties {
                        let Poll::Ready(Ok(arrival)) = polled else { panic!("{polled:?}") };
                        prop_assert_eq!((arrival.index(), arrival.is_leader()), (parties - 1, true));
                        let waits = waiters.iter_mut().filter(|(_, state)| *state == WaiterState::Waits);
                        for (index, (_, state)) in waits.enumerate() {
                            *state = WaiterState::Released(index);
                        }
                    } else {
                        prop_assert!(polled.is_pending());
                        waiters.push((wait, WaiterState::Waits));
                    }
                }
                BarrierStep::Poll(index) if !waiters.is_empty() => {
                    let index = index % waiters.len();
                    let (wait, state) = &mut waiters[index];
                    let polled = poll_once(wait.as_mut());
                    match (polled, *state) {
                        (Poll::Pending, WaiterState::Waits) => continue,
                        (Poll::Ready(Err(BrokenBarrier)), WaiterState::Refused) => {}
                        (Poll::Ready(Ok(arrival)), WaiterState::Released(index)) => {
                            prop_assert_eq!((arrival.index(), arrival.is_leader()), (index, false));
                        }
                        unexpected => panic!("{unexpected:?}"),
                    }
                    drop(waiters.remove(index));
                }
                BarrierStep::Drop(index) if !waiters.is_empty() => {
                    drop(waiters.remove(index % waiters.len()));
                }
                BarrierStep::First | BarrierStep::Second => {
                    broken = matches!(step, BarrierStep::Second);
                    if broken { barrier.abort() } else { barrier.reset() }
                    for (_, state) in &mut waiters {
                        if *state == WaiterState::Waits {
                            *state = WaiterState::Refused;
                        }
                    }
                }
                BarrierStep::Poll(_) | BarrierStep::Drop(_) => {}
            }
            prop_assert_eq!(barrier.is_broken(), broken);
            prop_assert_eq!(barrier.waiting(), waiting(&waiters));
        }
    }

    #[test]
    fn a_join_matches_its_model(
        steps in proptest::collection::vec(join_step(), 1..100),
    ) {
        let queue = Queue::unbounded();
        let (mut inside, mut taken, mut closed) = (0, 0, false);
        let mut joins: Vec<(Joining<'_>, bool)> = Vec::new();
        for step in steps {
            match step {
                JoinStep::Put => {
                    prop_assert_eq!(queue.try_put(0).is_err(), closed);
                    inside += usize::from(!closed);
                }
                JoinStep::Get => {
                    let got = queue.try_get().is_ok();
                    prop_assert_eq!(got, inside > 0);
                    if got {
                        inside -= 1;
                        taken += 1;
                    }
                }
                JoinStep::Done if taken > 0 => {
                    queue.task_done();
                    taken -= 1;
                }
                JoinStep::Join => {
                    let mut join = Box::pin(queue.join());
                    let ready = poll_once(join.as_mut()).is_ready();
                    prop_assert_eq!(ready, inside + taken == 0);
                    if !ready {
                        joins.push((join, false));
                    }
                }
                JoinStep::Poll(index) if !joins.is_empty() => {
                    let index = index % joins.len();
                    let (join, released) = &mut joins[index];
                    let ready = poll_once(join.as_mut()).is_ready();
                    prop_assert_eq!(ready, *released);
                    if ready {
                        drop(joins.remove(index));
                    }
                }
                JoinStep::Drop(index) if !joins.is_empty() => {
                    drop(joins.remove(index % joins.len()));
                }
                JoinStep::Drain => {
                    prop_assert_eq!(queue.close_and_drain().count(), inside);
                    inside = 0;
                    closed = true;
                }
                JoinStep::Done | JoinStep::Poll(_) | JoinStep::Drop(_) => {}
            }
            if inside + taken == 0 {
                joins.iter_mut().for_each(|(_, released)| *released = true);
            }
        }
    }
}
