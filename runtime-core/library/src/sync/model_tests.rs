//! Semaphore and queue against simple models, with waiters that give up at any time.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::Poll;

use proptest::prelude::*;

use super::polled::poll_once;
use super::*;

#[derive(Clone, Debug)]
enum SemaphoreStep {
    Acquire(usize),
    TryAcquire(usize),
    /// Polls the entry at this index, modulo the number of entries.
    Poll(usize),
    /// Drops it, whether it is a waiter or a permit.
    Drop(usize),
    Add(usize),
    Close,
}

fn semaphore_step() -> impl Strategy<Value = SemaphoreStep> {
    use SemaphoreStep::*;
    prop_oneof![
        8 => (0usize..5).prop_map(Acquire),
        4 => (0usize..5).prop_map(TryAcquire),
        8 => any::<usize>().prop_map(Poll),
        6 => any::<usize>().prop_map(Drop),
        3 => (0usize..4).prop_map(Add),
        1 => Just(Close),
    ]
}

enum SemaphoreEntry<'a> {
    Waiter(Pin<Box<Acquire<'a>>>),
    Permit(Permit<'a>),
    Gone,
}

/// What a semaphore should do; waiters are identified by their index.
#[derive(Default)]
struct SemaphoreModel {
    available: usize,
    closed: bool,
    waiters: VecDeque<(usize, usize)>,
    granted: Vec<(usize, usize)>,
}

impl SemaphoreModel {
    fn serve(&mut self) {
        if self.closed {
            self.waiters.clear();
        }
        while let Some(&(waiter, need)) = self.waiters.front()
            && need <= self.available
        {
            self.available -= need;
            self.waiters.pop_front();
            self.granted.push((waiter, need));
        }
    }

    fn newcomer(&mut self, need: usize) -> Result<(), TryAcquireError> {
        if self.closed {
            Err(TryAcquireError::Closed)
        } else if !self.waiters.is_empty() || need > self.available {
            Err(TryAcquireError::NoPermits)
        } else {
            self.available -= need;
            Ok(())
        }
    }

    fn take_granted(&mut self, waiter: usize) -> Option<usize> {
        let index = self
            .granted
            .iter()
            .position(|&(granted, _)| granted == waiter)?;
        Some(self.granted.swap_remove(index).1)
    }
}

#[derive(Clone, Debug)]
enum QueueStep {
    Put,
    Get,
    TryPut,
    TryGet,
    /// Polls the waiter at this index, modulo the number of waiters.
    Poll(usize),
    /// Drops it.
    Drop(usize),
    Close,
}

fn queue_step() -> impl Strategy<Value = QueueStep> {
    use QueueStep::*;
    prop_oneof![
        8 => Just(Put),
        8 => Just(Get),
        3 => Just(TryPut),
        3 => Just(TryGet),
        8 => any::<usize>().prop_map(Poll),
        4 => any::<usize>().prop_map(Drop),
        1 => Just(Close),
    ]
}

enum QueueWaiter<'a> {
    Put(Pin<Box<Put<'a, Fifo<u32>>>>, u32),
    /// With its own number.
    Get(Pin<Box<Get<'a, Fifo<u32>>>>, usize),
}

/// The contents of a queue, and the getters that should get them.
#[derive(Default)]
struct QueueModel {
    items: VecDeque<u32>,
    waiters: VecDeque<usize>,
    /// Those that were granted an item, in the order of their grants: the first one should get the first item.
    granted: Vec<usize>,
}

impl QueueModel {
    fn serve(&mut self) {
        while self.items.len() > self.granted.len()
            && let Some(getter) = self.waiters.pop_front()
        {
            self.granted.push(getter);
        }
    }

    /// What a getter gets that was granted an item or arrives now.
    fn get(&mut self, getter: Option<usize>) -> Option<u32> {
        let place = self.granted.iter().position(|own| Some(*own) == getter);
        let item = self.items.remove(place.unwrap_or(self.granted.len()));
        self.leave(getter);
        item
    }

    fn leave(&mut self, getter: Option<usize>) {
        self.waiters.retain(|own| Some(*own) != getter);
        self.granted.retain(|own| Some(*own) != getter);
        self.serve();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_semaphore_matches_its_model(
        permits in 0usize..5,
        steps in proptest::collection::vec(semaphore_step(), 1..80),
    ) {
        let semaphore = Semaphore::new(permits);
        let mut model = SemaphoreModel { available: permits, ..Default::default() };
        let mut entries: Vec<SemaphoreEntry<'_>> = Vec::new();
        for step in steps {
            match step {
                SemaphoreStep::Acquire(need) => {
                    let waiter = entries.len();
                    let mut acquire = Box::pin(semaphore.acquire_many(need));
                    entries.push(match (poll_once(acquire.as_mut()), model.newcomer(need)) {
                        (Poll::Ready(Ok(permit)), Ok(())) => SemaphoreEntry::Permit(permit),
                        (Poll::Ready(Err(Closed)), Err(TryAcquireError::Closed)) => SemaphoreEntry::Gone,
                        (Poll::Pending, Err(TryAcquireError::NoPermits)) => {
                            model.waiters.push_back((waiter, need));
                            SemaphoreEntry::Waiter(acquire)
                        }
                        (real, expected) => panic!("{real:?} and not {expected:?}"),
                    });
                }
                SemaphoreStep::TryAcquire(need) => {
                    let real = semaphore.try_acquire_many(need);
                    prop_assert_eq!(real.as_ref().map(|_| ()).map_err(|error| *error), model.newcomer(need));
                    if let Ok(permit) = real {
                        entries.push(SemaphoreEntry::Permit(permit));
                    }
                }
                SemaphoreStep::Poll(index) if !entries.is_empty() => {
                    let waiter = index % entries.len();
                    if let SemaphoreEntry::Waiter(acquire) = &mut entries[waiter] {
                        let polled = poll_once(acquire.as_mut());
                        let waits = model.waiters.iter().any(|&(other, _)| other == waiter);
                        match polled {
                            Poll::Pending => prop_assert!(waits),
                            Poll::Ready(Ok(permit)) => {
                                prop_assert_eq!(model.take_granted(waiter), Some(permit.count()));
                                entries[waiter] = SemaphoreEntry::Permit(permit);
                            }
                            Poll::Ready(Err(Closed)) => {
                                prop_assert!(model.closed && !waits);
                                prop_assert_eq!(model.take_granted(waiter), None);
                                entries[waiter] = SemaphoreEntry::Gone;
                            }
                        }
                    }
                }
                SemaphoreStep::Drop(index) if !entries.is_empty() => {
                    let waiter = index % entries.len();
                    match std::mem::replace(&mut entries[waiter], SemaphoreEntry::Gone) {
                        SemaphoreEntry::Gone => {}
                        SemaphoreEntry::Permit(permit) => {
                            model.available += permit.count();
                            drop(permit);
                        }
                        SemaphoreEntry::Waiter(acquire) => {
                            model.waiters.retain(|&(other, _)| other != waiter);
                            model.available += model.take_granted(waiter).unwrap_or(0);
                            drop(acquire);
                        }
                    }
                    model.serve();
                }
                SemaphoreStep::Add(count) => {
                    semaphore.add_permits(count);
                    model.available += count;
                    model.serve();
                }
                SemaphoreStep::Close => {
                    semaphore.close();
                    model.closed = true;
                    model.serve();
                }
                SemaphoreStep::Poll(_) | SemaphoreStep::Drop(_) => {}
            }
            prop_assert_eq!(semaphore.available_permits(), model.available);
        }
    }

    #[test]
    fn a_queue_keeps_the_order_and_loses_no_item(
        capacity in 1usize..4,
        steps in proptest::collection::vec(queue_step(), 1..100),
    ) {
        let queue = Queue::new(capacity);
        let mut model = QueueModel::default();
        let mut waiters: Vec<QueueWaiter<'_>> = Vec::new();
        let (mut numbers, mut getters) = (0.., 0..);
        let mut closed = false;
        for step in steps {
            // The waiter that is polled in this step; a new waiter was just added.
            let polled = match step {
                QueueStep::Put => {
                    let number = numbers.next().unwrap();
                    waiters.push(QueueWaiter::Put(Box::pin(queue.put(number)), number));
                    waiters.len() - 1
                }
                QueueStep::Get => {
                    let getter = getters.next().unwrap();
                    waiters.push(QueueWaiter::Get(Box::pin(queue.get()), getter));
                    waiters.len() - 1
                }
                QueueStep::Poll(index) if !waiters.is_empty() => index % waiters.len(),
                QueueStep::Drop(index) if !waiters.is_empty() => {
                    if let QueueWaiter::Get(get, getter) = waiters.remove(index % waiters.len()) {
                        drop(get);
                        model.leave(Some(getter));
                    }
                    continue;
                }
                QueueStep::TryPut => {
                    let number = numbers.next().unwrap();
                    match queue.try_put(number) {
                        Ok(()) => {
                            model.items.push_back(number);
                            model.serve();
                        }
                        Err(TryPutError::Closed(_)) => prop_assert!(closed),
                        Err(TryPutError::Full(_)) => prop_assert!(
                            model.items.len() == capacity || waiters.iter().any(|waiter| matches!(waiter, QueueWaiter::Put(..)))
                        ),
                    }
                    continue;
                }
                QueueStep::TryGet => {
                    match queue.try_get() {
                        Ok(number) => prop_assert_eq!(Some(number), model.get(None)),
                        Err(TryGetError::Closed) => prop_assert!(closed && model.items.is_empty()),
                        Err(TryGetError::Empty) => prop_assert!(
                            model.items.is_empty() || waiters.iter().any(|waiter| matches!(waiter, QueueWaiter::Get(..)))
                        ),
                    }
                    continue;
                }
                QueueStep::Close => {
                    queue.close();
                    closed = true;
                    continue;
                }
                QueueStep::Poll(_) | QueueStep::Drop(_) => continue,
            };
            let ended = match &mut waiters[polled] {
                QueueWaiter::Put(put, number) => match poll_once(put.as_mut()) {
                    Poll::Pending => false,
                    Poll::Ready(Ok(())) => {
                        model.items.push_back(*number);
                        model.serve();
                        true
                    }
                    Poll::Ready(Err(back)) => {
                        prop_assert!(closed && back == *number);
                        true
                    }
                },
                QueueWaiter::Get(get, getter) => match poll_once(get.as_mut()) {
                    Poll::Pending => {
                        prop_assert!(!model.granted.contains(getter));
                        if !model.waiters.contains(getter) {
                            model.waiters.push_back(*getter);
                        }
                        false
                    }
                    Poll::Ready(Some(number)) => {
                        prop_assert_eq!(Some(number), model.get(Some(*getter)));
                        true
                    }
                    Poll::Ready(None) => {
                        prop_assert!(closed && model.items.is_empty());
                        true
                    }
                },
            };
            if ended {
                waiters.remove(polled);
            }
            prop_assert_eq!(queue.len(), model.items.len());
            prop_assert!(queue.len() <= capacity);
        }
        // When the waiters are gone, every reservation is void: all items come out, and there is full room.
        waiters.clear();
        while let Ok(number) = queue.try_get() {
            prop_assert_eq!(Some(number), model.items.pop_front());
        }
        prop_assert!(model.items.is_empty());
        for _ in 0..capacity {
            prop_assert_eq!(queue.try_put(0).is_ok(), !closed);
        }
    }

    #[test]
    fn every_waiter_that_can_be_served_is_woken(
        capacity in 1usize..4,
        steps in proptest::collection::vec(queue_step(), 1..60),
    ) {
        let queue = Queue::new(capacity);
        let mut waiters: Vec<QueueWaiter<'_>> = Vec::new();
        for step in steps {
            match step {
                QueueStep::Put => {
                    let mut put = Box::pin(queue.put(0));
                    if poll_once(put.as_mut()).is_pending() {
                        waiters.push(QueueWaiter::Put(put, 0));
                    }
                }
                QueueStep::Get => {
                    let mut get = Box::pin(queue.get());
                    if poll_once(get.as_mut()).is_pending() {
                        waiters.push(QueueWaiter::Get(get, 0));
                    }
                }
                QueueStep::Drop(index) if !waiters.is_empty() => {
                    waiters.remove(index % waiters.len());
                }
                _ => {}
            }
        }
        // Each round polls everyone once. When no waiter makes progress any more, none may be waiting for something
        // that is there.
        loop {
            let before = waiters.len();
            waiters.retain_mut(|waiter| match waiter {
                QueueWaiter::Put(put, _) => poll_once(put.as_mut()).is_pending(),
                QueueWaiter::Get(get, _) => poll_once(get.as_mut()).is_pending(),
            });
            if waiters.len() == before {
                break;
            }
        }
        let putters = waiters.iter().any(|waiter| matches!(waiter, QueueWaiter::Put(..)));
        let getters = waiters.iter().any(|waiter| matches!(waiter, QueueWaiter::Get(..)));
        prop_assert!(!putters || queue.len() == capacity);
        prop_assert!(!getters || queue.is_empty());
    }
}
