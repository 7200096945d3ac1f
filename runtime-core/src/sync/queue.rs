//! A bounded queue between tasks, fair in both directions.

use std::collections::VecDeque;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use super::wait_queue::{Locked, Resource, Serving, Status, WaitQueue, Waiter};
use crate::{budget, context, park};

/// The lane of those who wait for an item.
const GET: usize = 0;
/// The lane of those who wait for room.
const PUT: usize = 1;

/// A bounded queue for any number of producers and consumers. Items come out in the order in which they went in; producers and
/// consumers who wait are served first come, first served, and a newcomer does not overtake them.
///
/// [`channel`](super::channel) is the same with ends that close it when they are dropped.
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
#[derive(Debug)]
pub struct Queue<T> {
    queue: WaitQueue<Items<T>>,
    capacity: usize,
}

/// A waiter that is granted something does not run at once. What it was granted stays in the queue under a reservation, so that
/// nobody takes it meanwhile and nothing has to be moved back if the waiter is dropped.
#[derive(Debug)]
struct Items<T> {
    items: VecDeque<T>,
    capacity: usize,
    /// Items promised to getters; at most `items.len()`.
    promised_items: usize,
    /// Places promised to putters; with `items.len()` at most `capacity`.
    promised_places: usize,
    closed: bool,
}

impl<T> Items<T> {
    #[inline]
    fn has_free_item(&self) -> bool {
        self.items.len() > self.promised_items
    }

    #[inline]
    fn has_free_place(&self) -> bool {
        self.items.len() + self.promised_places < self.capacity
    }
}

impl<T> Resource for Items<T> {
    #[inline]
    fn serve(serving: &mut Serving<'_, Self>) {
        while serving.next_waiter(GET).is_some() {
            let items = serving.state();
            if items.has_free_item() {
                items.promised_items += 1;
                serving.grant(GET);
            } else if items.closed && items.items.is_empty() {
                serving.dismiss(GET);
            } else {
                // Also when it is closed and the last items are promised: should a getter be dropped, its item is free again.
                break;
            }
        }
        while serving.next_waiter(PUT).is_some() {
            let items = serving.state();
            if items.closed {
                serving.dismiss(PUT);
            } else if items.has_free_place() {
                items.promised_places += 1;
                serving.grant(PUT);
            } else {
                break;
            }
        }
    }

    fn give_back(&mut self, lane: usize, _: usize) {
        match lane {
            GET => self.promised_items -= 1,
            _ => self.promised_places -= 1,
        }
    }
}

/// Why [`Queue::try_put`] did not put the value, which is given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryPutError<T> {
    /// There is no room, or others wait for room already.
    Full(T),
    /// The queue was closed.
    Closed(T),
}

impl<T> TryPutError<T> {
    /// The value that was not put.
    pub fn into_inner(self) -> T {
        match self {
            Self::Full(value) | Self::Closed(value) => value,
        }
    }
}

impl<T> fmt::Display for TryPutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "the queue is full",
            Self::Closed(_) => "the queue is closed",
        })
    }
}

impl<T: fmt::Debug> Error for TryPutError<T> {}

/// Why [`Queue::try_get`] got nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryGetError {
    /// There is no item, or others wait for one already.
    Empty,
    /// The queue was closed, and no item is left.
    Closed,
}

impl fmt::Display for TryGetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the queue is empty",
            Self::Closed => "the queue is closed",
        })
    }
}

impl Error for TryGetError {}

/// Puts without waiting if there is room and nobody waits for it.
#[inline]
fn try_push<T>(locked: &mut Locked<'_, Items<T>>, value: T) -> Result<(), TryPutError<T>> {
    let others_wait = locked.has_waiters(PUT);
    let items = locked.state();
    if items.closed {
        return Err(TryPutError::Closed(value));
    }
    if others_wait || !items.has_free_place() {
        return Err(TryPutError::Full(value));
    }
    items.items.push_back(value);
    Ok(())
}

/// Gets without waiting if there is an item that is not promised.
#[inline]
fn try_pop<T>(locked: &mut Locked<'_, Items<T>>) -> Result<T, TryGetError> {
    let others_wait = locked.has_waiters(GET);
    let items = locked.state();
    if !others_wait && items.has_free_item() {
        items.items.pop_front().ok_or(TryGetError::Empty)
    } else if items.closed && items.items.is_empty() {
        Err(TryGetError::Closed)
    } else {
        Err(TryGetError::Empty)
    }
}

impl<T> Queue<T> {
    /// An empty queue for up to `capacity` items.
    ///
    /// Memory grows with the items in it, up to what `capacity` of them take.
    ///
    /// # Panics
    /// If `capacity` is zero.
    #[track_caller]
    pub fn new(capacity: usize) -> Self {
        assert!(
            capacity > 0,
            "the capacity of a queue is zero: nothing could ever pass through it"
        );
        Self {
            queue: WaitQueue::new(Items {
                items: VecDeque::new(),
                capacity,
                promised_items: 0,
                promised_places: 0,
                closed: false,
            }),
            capacity,
        }
    }

    /// Waits for room and puts `value` at the end.
    ///
    /// Cancel safe as far as the queue is concerned: a dropped future has either put its value before or never will, and its
    /// place goes to the next in line. The value is dropped with the future.
    ///
    /// # Errors
    /// Gives the value back if the queue is closed, now or while waiting.
    pub fn put(&self, value: T) -> Put<'_, T> {
        Put {
            value: Some(value),
            waiter: Waiter::new(&self.queue),
        }
    }

    /// Waits for the first item; `None` if the queue is closed and empty.
    ///
    /// Cancel safe: an item that a dropped future was about to get goes to the next in line.
    pub fn get(&self) -> Get<'_, T> {
        Get {
            waiter: Waiter::new(&self.queue),
        }
    }

    /// Puts without waiting and without overtaking anyone.
    ///
    /// # Errors
    /// [`TryPutError`] gives the value back.
    pub fn try_put(&self, value: T) -> Result<(), TryPutError<T>> {
        let mut locked = self.queue.lock();
        try_push(&mut locked, value)?;
        self.queue.serve(locked);
        Ok(())
    }

    /// Gets without waiting and without overtaking anyone.
    ///
    /// # Errors
    /// [`TryGetError`] says why not.
    pub fn try_get(&self) -> Result<T, TryGetError> {
        let mut locked = self.queue.lock();
        let value = try_pop(&mut locked)?;
        self.queue.serve(locked);
        Ok(value)
    }

    /// [`put`](Queue::put) for a thread that runs no tasks: blocks it.
    ///
    /// # Errors
    /// Gives the value back if the queue is closed, now or while waiting.
    ///
    /// # Panics
    /// Inside of a task.
    pub fn blocking_put(&self, value: T) -> Result<(), T> {
        context::assert_may_block("Queue::blocking_put", "use `put(..).await` instead");
        park::block_on_current_thread(self.put(value))
    }

    /// [`get`](Queue::get) for a thread that runs no tasks: blocks it.
    ///
    /// # Panics
    /// Inside of a task.
    pub fn blocking_get(&self) -> Option<T> {
        context::assert_may_block("Queue::blocking_get", "use `get().await` instead");
        park::block_on_current_thread(self.get())
    }

    /// Lets nothing in any more: those who wait for room are sent away with their values, and once the items in it are gone,
    /// so are those who wait for an item.
    pub fn close(&self) {
        self.queue.update(|items| items.closed = true);
    }

    /// Closes the queue and takes out what is in it, as nobody will get it.
    pub(super) fn close_and_clear(&self) -> VecDeque<T> {
        self.queue.update(|items| {
            items.closed = true;
            std::mem::take(&mut items.items)
        })
    }

    /// True after [`close`](Queue::close).
    pub fn is_closed(&self) -> bool {
        self.queue.lock().state().closed
    }

    /// How many items are in it.
    pub fn len(&self) -> usize {
        self.queue.lock().state().items.len()
    }

    /// True if no item is in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many items it holds at most.
    pub fn capacity(&self) -> usize {
        self.capacity
    }
}

pin_project! {
    /// The future of [`Queue::put`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct Put<'a, T> {
        value: Option<T>,
        #[pin]
        waiter: Waiter<'a, Items<T>>,
    }
}

impl<T> Future for Put<'_, T> {
    type Output = Result<(), T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let spent = ready!(budget::poll_proceed(cx));
        let this = self.project();
        let Some(value) = this.value.take() else {
            panic!("`Put` was polled after it completed")
        };
        let mut turn = this.waiter.turn();
        let result = match turn.status() {
            Status::New => try_push(turn.locked(), value),
            Status::Waiting => Err(TryPutError::Full(value)),
            Status::Granted => {
                let items = turn.locked().state();
                items.promised_places -= 1;
                if items.closed {
                    Err(TryPutError::Closed(value))
                } else {
                    items.items.push_back(value);
                    Ok(())
                }
            }
            Status::Dismissed => Err(TryPutError::Closed(value)),
        };
        let result = match result {
            Ok(()) => {
                turn.serve();
                Ok(())
            }
            Err(TryPutError::Closed(value)) => Err(value),
            Err(TryPutError::Full(value)) => {
                *this.value = Some(value);
                turn.wait(PUT, 1, cx.waker());
                return Poll::Pending;
            }
        };
        spent.made_progress();
        Poll::Ready(result)
    }
}

pin_project! {
    /// The future of [`Queue::get`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct Get<'a, T> {
        #[pin]
        waiter: Waiter<'a, Items<T>>,
    }
}

impl<T> Future for Get<'_, T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let spent = ready!(budget::poll_proceed(cx));
        let mut turn = self.project().waiter.turn();
        let result = match turn.status() {
            Status::New => try_pop(turn.locked()),
            Status::Waiting => Err(TryGetError::Empty),
            Status::Granted => {
                let items = turn.locked().state();
                items.promised_items -= 1;
                // Gone if all receivers of a channel are, which a getter with a borrow of one rules out.
                items.items.pop_front().ok_or(TryGetError::Closed)
            }
            Status::Dismissed => Err(TryGetError::Closed),
        };
        let result = match result {
            Ok(value) => {
                turn.serve();
                Some(value)
            }
            Err(TryGetError::Closed) => None,
            Err(TryGetError::Empty) => {
                turn.wait(GET, 1, cx.waker());
                return Poll::Pending;
            }
        };
        spent.made_progress();
        Poll::Ready(result)
    }
}
