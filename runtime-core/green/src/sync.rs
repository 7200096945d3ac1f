//! A lock and a channel for blocking-style code.
//!
//! The other primitives of [`runtime_library::sync`] need no counterpart: `wait(event.wait())`,
//! `wait(semaphore.acquire())`.

use std::ops::{Deref, DerefMut};

use runtime_library::sync;
pub use runtime_library::sync::MutexGuard;

use crate::wait;

/// A lock that suspends green tasks instead of their thread. You may hold it across a wait. It dereferences to a
/// [`runtime_library::sync::Mutex`], so stackless tasks may use the same lock.
///
/// ```
/// use runtime_core::green::{self, sync::Mutex};
///
/// let event_loop = runtime_n1::Loop::new()?;
/// let sum = event_loop.block_on(async {
///     let task = green::spawn(|| {
///         let sum = Mutex::new(3);
///         let mut guard = sum.wait_lock();
///         green::yield_now();
///         *guard += 4;
///         *guard
///     });
///     task.await.unwrap()
/// });
/// assert_eq!(sum, 7);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct Mutex<T: ?Sized>(sync::Mutex<T>);

impl<T> Mutex<T> {
    /// Creates an unlocked lock.
    pub fn new(value: T) -> Self {
        Self(sync::Mutex::new(value))
    }

    /// Returns the value.
    pub fn into_inner(self) -> T {
        self.0.into_inner()
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Waits for the lock; first come, first served.
    ///
    /// # Panics
    /// Where [`wait`](crate::wait()) does.
    #[inline(always)]
    pub fn wait_lock(&self) -> MutexGuard<'_, T> {
        wait(self.0.lock())
    }
}

impl<T: ?Sized> Deref for Mutex<T> {
    type Target = sync::Mutex<T>;
    fn deref(&self) -> &sync::Mutex<T> {
        &self.0
    }
}

impl<T: ?Sized> DerefMut for Mutex<T> {
    fn deref_mut(&mut self) -> &mut sync::Mutex<T> {
        &mut self.0
    }
}

/// A bounded channel: the two ends are [`runtime_library::sync::channel`]'s. `capacity` is at least 1.
pub fn channel<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let (sender, receiver) = sync::channel(capacity);
    (Sender(sender), Receiver(receiver))
}

/// The sending end of a [`channel`].
#[derive(Debug)]
pub struct Sender<T>(sync::Sender<T>);

/// The receiving end of a [`channel`]. It is an iterator over the received values.
#[derive(Debug)]
pub struct Receiver<T>(sync::Receiver<T>);

impl<T> Sender<T> {
    /// Waits for room and sends.
    ///
    /// # Errors
    /// Gives the value back if every receiver is gone.
    ///
    /// # Panics
    /// Where [`wait`](crate::wait()) does.
    #[inline(always)]
    pub fn send(&self, value: T) -> Result<(), T> {
        wait(self.0.send(value))
    }

    /// The end for stackless tasks.
    pub fn into_inner(self) -> sync::Sender<T> {
        self.0
    }
}

impl<T> Receiver<T> {
    /// Waits for the next value; `None` if every sender is gone and the channel is empty.
    ///
    /// # Panics
    /// Where [`wait`](crate::wait()) does.
    #[inline(always)]
    pub fn recv(&self) -> Option<T> {
        wait(self.0.recv())
    }

    /// The end for stackless tasks.
    pub fn into_inner(self) -> sync::Receiver<T> {
        self.0
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Iterator for Receiver<T> {
    type Item = T;
    fn next(&mut self) -> Option<T> {
        self.recv()
    }
}
