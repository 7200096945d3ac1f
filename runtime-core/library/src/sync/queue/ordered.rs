//! The queue itself: what is in it, and what needs no waiting.

use std::fmt;

use super::apart::{Apart, Entered, Inside};
use super::errors::{TryGetError, TryPutError};
use super::items::{GET, Items, PUT, try_push};
use super::store::{Fifo, Lifo, Smallest, Store};
use crate::sync::wait_queue::{Locked, WaitQueue};

/// A queue whose items come out in the order in which they went in: asyncio's `Queue`. See [`OrderedQueue`] for all
/// that it does.
///
/// [`channel`](crate::sync::channel()) is the same with ends that close it when they are dropped.
///
/// ```
/// use runtime_core::park::block_on_current_thread;
/// use runtime_core::sync::Queue;
///
/// let queue = Queue::new(2);
/// block_on_current_thread(async {
///     queue.put(1).await.unwrap();
///     queue.put(2).await.unwrap();
///     assert!(queue.try_put(3).is_err(), "it is full");
///     queue.close();
///     assert_eq!(queue.get().await, Some(1));
///     assert_eq!(queue.get().await, Some(2));
///     assert_eq!(queue.get().await, None);
/// });
/// ```
pub type Queue<T> = OrderedQueue<Fifo<T>>;

/// A queue whose last item comes out first: asyncio's `LifoQueue`. See [`OrderedQueue`] for all that it does.
///
/// ```
/// use runtime_core::sync::LifoQueue;
///
/// let queue = LifoQueue::new(2);
/// queue.try_put("first").unwrap();
/// queue.try_put("last").unwrap();
/// assert_eq!(queue.try_get(), Ok("last"));
/// ```
pub type LifoQueue<T> = OrderedQueue<Lifo<T>>;

/// A queue whose smallest item comes out first, and of equal ones the first in: asyncio's `PriorityQueue`. See
/// [`OrderedQueue`] for all that it does. Putting and getting are logarithmic in the number of items.
///
/// Items are compared by whoever puts or gets one, and not under the queue's lock. So a comparison may use the queue:
/// it may put, close, and ask for its length. If it gets, it finds the queue empty, or waits until the comparison is
/// over. A comparison that panics takes its panic to whoever puts or gets. All items stay in, the one that is put
/// among them.
///
/// ```
/// use runtime_core::sync::PriorityQueue;
///
/// let queue = PriorityQueue::unbounded();
/// for task in [(3, "sweep"), (1, "cook"), (2, "eat")] {
///     queue.try_put(task).unwrap();
/// }
/// assert_eq!(queue.try_get(), Ok((1, "cook")));
/// ```
///
/// With [`Reverse`](std::cmp::Reverse) items the largest comes out first.
pub type PriorityQueue<T> = OrderedQueue<Smallest<T>>;

/// A queue for any number of producers and consumers, of which `S` says in which order items come out: [`Queue`],
/// [`LifoQueue`] and [`PriorityQueue`].
///
/// - *Fairness*: producers and consumers who wait are served first come, first served, and a newcomer does not
///   overtake them. Consumers get items in the order in which they began to wait, whichever of them runs first: the
///   first one gets the one that comes out first, the second one the next. Producers are let in in that order, and
///   put their values as they run.
/// - *Cancelling*: no item is lost or changes its place. What a dropped future was about to get, an item or a place,
///   goes to the next in line.
/// - *Closing*: [`close`](OrderedQueue::close) lets nothing in any more, and consumers get what is left;
///   [`close_and_drain`](OrderedQueue::close_and_drain) ends it at once. They are asyncio's `shutdown`.
/// - *Joining*: [`join`](OrderedQueue::join) waits until all that was put is done with, as told by
///   [`task_done`](OrderedQueue::task_done), or by the [`Job`](super::Job)s of [`get_job`](OrderedQueue::get_job).
/// - *Cost*: a short lock for each operation, whether it waits or not; waiting allocates nothing, and how many wait
///   makes no difference. Memory grows with the items in it and is kept: what has been as full before allocates
///   nothing.
///
/// ```
/// use runtime_core::sync::Queue;
///
/// let queue = Queue::new(10);
/// std::thread::scope(|scope| {
///     for _ in 0..2 {
///         scope.spawn(|| {
///             while let Some(job) = queue.blocking_get_job() {
///                 assert!(*job < 100);
///             }
///         });
///     }
///     for number in 0..100 {
///         queue.blocking_put(number).unwrap();
///     }
///     queue.blocking_join();
///     queue.close();
/// });
/// ```
pub struct OrderedQueue<S: Store> {
    pub(super) queue: WaitQueue<Items<S>>,
    apart: Apart<S>,
    capacity: usize,
}

impl<S: Store> OrderedQueue<S> {
    /// An empty queue for up to `capacity` items: asyncio's `maxsize`.
    ///
    /// # Panics
    /// If `capacity` is zero, which asyncio takes for "without a bound": that is
    /// [`unbounded`](OrderedQueue::unbounded).
    #[track_caller]
    pub fn new(capacity: usize) -> Self {
        assert!(
            capacity > 0,
            "the capacity of a queue is zero: nothing could ever pass through it; `unbounded()` makes one without a bound"
        );
        Self::with_capacity(capacity)
    }

    /// An empty queue for any number of items: putting never waits. A producer that is faster than the consumers
    /// fills the memory.
    pub fn unbounded() -> Self {
        Self::with_capacity(usize::MAX)
    }

    fn with_capacity(capacity: usize) -> Self {
        Self {
            queue: WaitQueue::new(Items::new(capacity)),
            apart: Apart::new(),
            capacity,
        }
    }

    /// Puts without waiting and without overtaking anyone: asyncio's `put_nowait`.
    ///
    /// # Errors
    /// [`TryPutError`] gives the value back.
    #[doc(alias = "put_nowait")]
    pub fn try_put(&self, value: S::Item) -> Result<(), TryPutError<S::Item>> {
        let mut locked = self.queue.lock();
        let others_wait = locked.has_waiters(PUT);
        try_push(&mut locked, value, others_wait)?;
        self.has_put(locked);
        Ok(())
    }

    /// Gets without waiting and without overtaking anyone: asyncio's `get_nowait`.
    ///
    /// # Errors
    /// [`TryGetError`] says why not.
    #[doc(alias = "get_nowait")]
    pub fn try_get(&self) -> Result<S::Item, TryGetError> {
        // A comparison that gets from its own queue finds nothing.
        let apart = self.enter().map_err(|Inside| TryGetError::Empty)?;
        let mut locked = self.queue.lock();
        let others_wait = locked.has_waiters(GET);
        let behind = locked.state().claim_free(others_wait)?;
        Ok(self.fetch(locked, apart, behind))
    }

    /// Enters what is kept apart, if anything is. To be called before the lock is taken.
    #[inline]
    pub(super) fn enter(&self) -> Result<Option<Entered<'_, S>>, Inside> {
        if S::APART {
            self.apart.enter().map(Some)
        } else {
            Ok(None)
        }
    }

    /// Serves those who wait for the item that was put, or for more room.
    #[inline]
    pub(super) fn has_put(&self, locked: Locked<'_, Items<S>>) {
        locked.serve_waiters();
        self.order();
    }

    /// Puts in order what has come in, if that compares items and nobody is in the middle of it.
    #[inline]
    pub(super) fn order(&self) {
        if S::APART
            && let Some(mut apart) = self.apart.try_enter()
        {
            self.queue.lock().state().store().move_to(&mut apart);
            apart.order();
        }
    }

    /// Takes the item that was claimed, and serves those who wait for its place.
    #[inline]
    pub(super) fn fetch(
        &self,
        mut locked: Locked<'_, Items<S>>,
        apart: Option<Entered<'_, S>>,
        behind: usize,
    ) -> S::Item {
        let Some(apart) = apart else {
            let item = locked.state().store().take(behind);
            locked.serve_waiters();
            return item.expect(CLAIMED);
        };
        self.fetch_apart(locked, apart, behind)
    }

    /// As [`fetch`](OrderedQueue::fetch), where that compares items.
    fn fetch_apart(
        &self,
        mut locked: Locked<'_, Items<S>>,
        apart: Entered<'_, S>,
        behind: usize,
    ) -> S::Item {
        // Dropped after it has left what is apart: then others can take the item.
        let claim = Claim(&self.queue);
        let mut apart = apart;
        locked.state().store().move_to(&mut apart);
        drop(locked);
        let item = apart.take(behind).expect(CLAIMED);
        drop(apart);
        std::mem::forget(claim);
        self.queue.lock().serve();
        item
    }

    /// Says that one of the items that were taken out is done with: asyncio's `task_done`. With [`Job`](super::Job)s it
    /// need not be called.
    ///
    /// # Panics
    /// If it is called more often than items were taken out.
    #[track_caller]
    pub fn task_done(&self) {
        if !self.finish_one() {
            too_many_done();
        }
    }

    /// False if no item that was taken out is left to be done with.
    pub(super) fn finish_one(&self) -> bool {
        self.queue.update(|items| {
            let taken = items.has_taken();
            if taken {
                items.finish(1);
            }
            taken
        })
    }

    /// Lets nothing in any more: those who wait for room are sent away with their values, and once the items in it
    /// are gone, so are those who wait for an item. asyncio's `shutdown()`.
    #[doc(alias = "shutdown")]
    pub fn close(&self) {
        self.queue.update(Items::close);
    }

    /// Closes the queue and takes out what is in it, in its order: asyncio's `shutdown(immediate=True)`. All who wait
    /// are sent away. What is taken out counts as done with; what was taken before does not.
    #[doc(alias = "shutdown")]
    ///
    /// Of a [`PriorityQueue`], a comparison that drains its own queue gets what has come in meanwhile; the rest can
    /// still be got.
    pub fn close_and_drain(&self) -> impl Iterator<Item = S::Item> + use<S> {
        let apart = self.enter();
        let mut locked = self.queue.lock();
        let items = locked.state();
        items.close();
        let drained = match apart {
            Ok(Some(mut apart)) => items.drain(Some(&mut apart)),
            Ok(None) => items.drain(Some(&mut S::default())),
            Err(Inside) => items.drain(None),
        };
        locked.serve();
        drained
    }

    /// True after [`close`](OrderedQueue::close).
    pub fn is_closed(&self) -> bool {
        self.queue.lock().state().is_closed()
    }

    /// How many items are in it: asyncio's `qsize`.
    #[doc(alias = "qsize")]
    pub fn len(&self) -> usize {
        self.queue.lock().state().len()
    }

    /// True if no item is in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// True if there is no room that is not promised to a waiting producer.
    pub fn is_full(&self) -> bool {
        !self.queue.lock().state().has_free_place()
    }

    /// How many items it holds at most; `usize::MAX` without a bound. asyncio's `maxsize`.
    #[doc(alias = "maxsize")]
    pub fn capacity(&self) -> usize {
        self.capacity
    }
}

const CLAIMED: &str = "there are as many items as were counted";

/// An item that was claimed and not taken yet. If a comparison that panics drops it, others can take the item.
struct Claim<'a, S: Store>(&'a WaitQueue<Items<S>>);

impl<S: Store> Drop for Claim<'_, S> {
    fn drop(&mut self) {
        self.0.update(Items::give_up_claim);
    }
}

impl<S: Store> Drop for OrderedQueue<S> {
    fn drop(&mut self) {
        let apart = Some(self.apart.get_mut());
        let drained = self.queue.lock().state().drain(apart);
        drop(drained);
    }
}

#[cold]
#[track_caller]
pub(super) fn too_many_done() -> ! {
    panic!(
        "`task_done` was called more often than items were taken from the queue: call it once for each, or let `get_job` do it"
    )
}

impl<S: Store> fmt::Debug for OrderedQueue<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (len, closed) = {
            let mut locked = self.queue.lock();
            (locked.state().len(), locked.state().is_closed())
        };
        f.debug_struct("Queue")
            .field("len", &len)
            .field("capacity", &self.capacity)
            .field("closed", &closed)
            .finish()
    }
}
