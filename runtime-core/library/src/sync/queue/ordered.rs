//! The queue itself: its contents, and everything that need not wait.

use std::fmt;

use super::apart::{Apart, Entered, Inside};
use super::errors::{TryGetError, TryPutError};
use super::items::{GET, Items, PUT, try_push};
use super::store::{Fifo, Lifo, Smallest, Store};
use crate::sync::wait_queue::{Locked, WaitQueue};
use runtime_kernel::thread_stack::on_thread_stack;

/// A queue whose items come out in the order in which they went in: asyncio's `Queue`. See [`OrderedQueue`] for its
/// methods.
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

/// A queue whose last item comes out first: asyncio's `LifoQueue`. See [`OrderedQueue`] for its methods.
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

/// A queue whose smallest item comes out first; equal items come out in the order in which they were put. asyncio's
/// `PriorityQueue`. See [`OrderedQueue`] for its methods. Putting and getting are logarithmic in the number of items.
///
/// The code that puts or gets an item compares items, outside the queue's lock. A comparison may therefore use the
/// queue: it may put, close, and ask for its length. If it gets, it finds the queue empty, or waits until the
/// comparison is over. If a comparison panics, the panic goes to the code that puts or gets. All items stay in the
/// queue, including the one that is put. A comparison can't wait: in a green task it runs on the thread's own stack,
/// where `green::wait` panics.
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

/// A queue for any number of producers and consumers. `S` determines the order in which items come out: [`Queue`],
/// [`LifoQueue`] and [`PriorityQueue`].
///
/// - *Fairness*: waiting producers and consumers are served first come, first served, and a newcomer does not
///   overtake them. Consumers get items in the order in which they began to wait, whichever of them runs first: the
///   first consumer gets the item that comes out first, the second gets the next. Producers are admitted in that
///   order, and put their values when they run.
/// - *Cancelling*: no item is lost or changes its place. If a dropped future was about to get an item or a place,
///   that goes to the next waiter.
/// - *Closing*: after [`close`](OrderedQueue::close) no item can be put, and consumers get the remaining items.
///   [`close_and_drain`](OrderedQueue::close_and_drain) ends the queue at once. They are asyncio's `shutdown`.
/// - *Joining*: [`join`](OrderedQueue::join) waits until all items are done, as reported by
///   [`task_done`](OrderedQueue::task_done), or by the [`Job`](super::Job)s of [`get_job`](OrderedQueue::get_job).
/// - *Cost*: a short lock for each operation, whether it waits or not. Waiting allocates nothing, and the number of
///   waiters makes no difference. Memory grows with the number of items and is kept: a queue that has been as full
///   before allocates nothing.
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
    /// If `capacity` is zero, which means "without a bound" in asyncio: use [`unbounded`](OrderedQueue::unbounded).
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
    /// [`TryPutError`] returns the value.
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
    /// [`TryGetError`] says why there is nothing.
    #[doc(alias = "get_nowait")]
    pub fn try_get(&self) -> Result<S::Item, TryGetError> {
        comparing::<S, _>(|| {
            // A comparison that gets from its own queue finds nothing.
            let apart = self.enter().map_err(|Inside| TryGetError::Empty)?;
            let mut locked = self.queue.lock();
            let others_wait = locked.has_waiters(GET);
            let behind = locked.state().claim_free(others_wait)?;
            Ok(self.fetch(locked, apart, behind))
        })
    }

    /// Enters the part outside the lock, if there is one. Call it before the lock is taken.
    #[inline]
    pub(super) fn enter(&self) -> Result<Option<Entered<'_, S>>, Inside> {
        if S::APART {
            self.apart.enter().map(Some)
        } else {
            Ok(None)
        }
    }

    /// Serves those that wait for the item that was put, or for more room.
    #[inline]
    pub(super) fn has_put(&self, locked: Locked<'_, Items<S>>) {
        locked.serve_waiters();
        self.order();
    }

    /// Puts new items in order, if that compares items and no thread is in the middle of it.
    #[inline]
    pub(super) fn order(&self) {
        if !S::APART {
            return;
        }
        comparing::<S, _>(|| {
            if let Some(mut apart) = self.apart.try_enter() {
                self.queue.lock().state().store().move_to(&mut apart);
                apart.order();
            }
        });
    }

    /// Takes the claimed item, and serves those that wait for its place.
    // Always inlined: otherwise the guard of the lock is passed through memory.
    #[inline(always)]
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

    /// Like [`fetch`](OrderedQueue::fetch), for queues that compare items.
    fn fetch_apart(
        &self,
        mut locked: Locked<'_, Items<S>>,
        apart: Entered<'_, S>,
        behind: usize,
    ) -> S::Item {
        // Dropped after the thread has left `apart`: then others can take the item.
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

    /// Marks one of the items that were taken out as done: asyncio's `task_done`. With [`Job`](super::Job)s you don't
    /// call it.
    ///
    /// # Panics
    /// If it is called more often than items were taken out.
    #[track_caller]
    pub fn task_done(&self) {
        if !self.finish_one() {
            too_many_done();
        }
    }

    /// False if every item that was taken is already done.
    pub(super) fn finish_one(&self) -> bool {
        self.queue.update(|items| {
            let taken = items.has_taken();
            if taken {
                items.finish(1);
            }
            taken
        })
    }

    /// Closes the queue for new items: tasks that wait for room get their values back, and once the queue is empty,
    /// tasks that wait for an item get `None`. asyncio's `shutdown()`.
    #[doc(alias = "shutdown")]
    pub fn close(&self) {
        self.queue.update(Items::close);
    }

    /// Closes the queue and returns the remaining items, in order: asyncio's `shutdown(immediate=True)`. All waits
    /// end. The returned items count as done; items that were taken before don't.
    #[doc(alias = "shutdown")]
    ///
    /// For a [`PriorityQueue`]: a comparison that drains its own queue gets the items that were put meanwhile. The
    /// rest can still be got.
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

    /// True if there is no room except what is reserved for waiting producers.
    pub fn is_full(&self) -> bool {
        !self.queue.lock().state().has_free_place()
    }

    /// The maximum number of items; `usize::MAX` without a bound. asyncio's `maxsize`.
    #[doc(alias = "maxsize")]
    pub fn capacity(&self) -> usize {
        self.capacity
    }
}

/// Calls `function`, which enters the part outside the lock and may compare items there.
///
/// If that is user code, it is called on the thread's own stack. On that of a green task, a comparison could wait, and
/// suspend the task while no other thread can take an item. On the thread's own stack such a wait is refused, and a
/// deep comparison has room.
#[inline]
pub(super) fn comparing<S: Store, R>(function: impl FnOnce() -> R) -> R {
    if S::APART {
        on_thread_stack(function)
    } else {
        function()
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
