//! A bounded channel: a [`Queue`] that its last sender or its last receiver closes.

use std::future::Future;
use std::sync::Arc;

use super::queue::{Fifo, Get, Put, Queue, TryGetError, TryPutError};
use crate::runtime::{ChannelReceiver, ChannelSender};
use runtime_kernel::primitives::atomic::{AtomicUsize, Ordering};

#[derive(Debug)]
struct Shared<T> {
    queue: Queue<T>,
    senders: AtomicUsize,
    receivers: AtomicUsize,
}

/// A bounded channel for any number of senders and receivers; each value reaches one of the receivers. In asyncio it
/// is a `Queue` that someone shuts down.
///
/// Fairness, cancel safety and cost are those of a [`Queue`]: both sides are served first come, first served, a
/// dropped future loses no value, each operation takes a short lock, and waiting allocates nothing.
///
/// ```
/// use runtime_core::sync::channel;
///
/// let (sender, receiver) = channel(10);
/// let producer = std::thread::spawn(move || {
///     for number in 0..100 {
///         sender.blocking_send(number).unwrap();
///     }
/// });
/// let mut sum = 0;
/// while let Some(number) = receiver.blocking_recv() {
///     sum += number;
/// }
/// producer.join().unwrap();
/// assert_eq!(sum, 4950);
/// ```
///
/// # Panics
/// If `capacity` is zero.
#[track_caller]
pub fn channel<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let shared = Arc::new(Shared {
        queue: Queue::new(capacity),
        senders: AtomicUsize::new(1),
        receivers: AtomicUsize::new(1),
    });
    (
        Sender {
            shared: Arc::clone(&shared),
        },
        Receiver { shared },
    )
}

/// The sending end of a [`channel`]. When the last one is dropped, receivers get the remaining values and then
/// `None`.
#[derive(Debug)]
pub struct Sender<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Sender<T> {
    /// Waits for room and sends; as cancel safe as [`Queue::put`].
    ///
    /// # Errors
    /// Returns the value if every receiver is gone.
    pub fn send(&self, value: T) -> Put<'_, Fifo<T>> {
        self.shared.queue.put(value)
    }

    /// Sends without waiting.
    ///
    /// # Errors
    /// [`TryPutError`] returns the value.
    pub fn try_send(&self, value: T) -> Result<(), TryPutError<T>> {
        self.shared.queue.try_put(value)
    }

    /// [`send`](Sender::send) for a thread that runs no tasks: blocks it.
    ///
    /// # Errors
    /// Returns the value if every receiver is gone.
    ///
    /// # Panics
    /// Inside a task.
    pub fn blocking_send(&self, value: T) -> Result<(), T> {
        self.shared.queue.blocking_put(value)
    }

    /// True if every receiver is gone, so that sending is pointless.
    pub fn is_closed(&self) -> bool {
        self.shared.queue.is_closed()
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        // Relaxed: the sender that is cloned keeps the count above zero.
        self.shared.senders.fetch_add(1, Ordering::Relaxed);
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        // Relaxed: the queue's lock orders what the senders sent before a receiver sees the close.
        if self.shared.senders.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.shared.queue.close();
        }
    }
}

/// The receiving end of a [`channel`]. When the last one is dropped, the values in the channel are dropped and
/// sending fails.
#[derive(Debug)]
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Receiver<T> {
    /// Waits for the next value; `None` if every sender is gone and the channel is empty. As cancel safe as
    /// [`Queue::get`].
    pub fn recv(&self) -> Get<'_, Fifo<T>> {
        self.shared.queue.get()
    }

    /// Receives without waiting.
    ///
    /// # Errors
    /// [`TryGetError`] says why there is nothing.
    pub fn try_recv(&self) -> Result<T, TryGetError> {
        self.shared.queue.try_get()
    }

    /// [`recv`](Receiver::recv) for a thread that runs no tasks: blocks it.
    ///
    /// # Panics
    /// Inside a task.
    pub fn blocking_recv(&self) -> Option<T> {
        self.shared.queue.blocking_get()
    }

    /// Makes sending fail from now on. Values in the channel can still be received.
    pub fn close(&self) {
        self.shared.queue.close();
    }

    /// How many values are in the channel.
    pub fn len(&self) -> usize {
        self.shared.queue.len()
    }

    /// True if no value is in the channel.
    pub fn is_empty(&self) -> bool {
        self.shared.queue.is_empty()
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        // Relaxed: the receiver that is cloned keeps the count above zero.
        self.shared.receivers.fetch_add(1, Ordering::Relaxed);
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        // Relaxed: as for the senders.
        if self.shared.receivers.fetch_sub(1, Ordering::Relaxed) == 1 {
            // Outside the lock, because destructors of values may run anything.
            drop(self.shared.queue.close_and_drain());
        }
    }
}

impl<T: Send + 'static> ChannelSender<T> for Sender<T> {
    fn send(&self, value: T) -> impl Future<Output = Result<(), T>> + Send {
        Sender::send(self, value)
    }
}

impl<T: Send + 'static> ChannelReceiver<T> for Receiver<T> {
    fn recv(&mut self) -> impl Future<Output = Option<T>> + Send {
        Receiver::recv(self)
    }
}
