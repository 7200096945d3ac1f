//! A promise: one value, from one task to another, once.
//!
//! Everything is under one short lock. A lock-free state word was rejected: it saves a few nanoseconds in an operation
//! that happens once per allocation, and needs unsafe code for the value and two wakers.

use std::error::Error;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use runtime_kernel::primitives::Mutex;
pub use runtime_kernel::promise::Broken;
use runtime_kernel::saved_waker::{PollWaker, SavedWaker};
use runtime_kernel::{budget, context, park};

struct State<T> {
    value: Option<T>,
    /// The sender has sent or is gone: if `value` is empty, it stays empty.
    complete: bool,
    /// The receiver is gone or has closed: nothing more is accepted.
    closed: bool,
    /// Waits for `complete`.
    receiver: Option<SavedWaker>,
    /// Waits for `closed`.
    sender: Option<SavedWaker>,
}

/// Creates a promise: the [`Sender`] keeps or breaks it, the [`Receiver`] awaits it. This is asyncio's `Future` with
/// one waiter; for several waiters there is [`Promise`](runtime_kernel::promise::Promise).
///
/// Cancel safe on both sides: a dropped `(&mut receiver).await` loses nothing. Cost: one allocation, and a short lock
/// for each operation.
///
/// ```
/// use runtime_core::sync::oneshot;
///
/// let (sender, receiver) = oneshot::channel();
/// std::thread::spawn(move || sender.send(42));
/// assert_eq!(receiver.blocking_recv(), Ok(42));
/// ```
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let state = Arc::new(Mutex::new(State {
        value: None,
        complete: false,
        closed: false,
        receiver: None,
        sender: None,
    }));
    (
        Sender {
            state: Arc::clone(&state),
        },
        Receiver { state },
    )
}

/// Why [`Receiver::try_recv`] returned no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryRecvError {
    /// Not yet: the sender still exists.
    Empty,
    /// There will be none.
    Broken,
}

impl fmt::Display for TryRecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("nothing has been sent yet"),
            Self::Broken => Broken.fmt(f),
        }
    }
}

impl Error for TryRecvError {}

/// The side that keeps the promise. If it is dropped without [`send`](Sender::send), it breaks the promise.
pub struct Sender<T> {
    state: Arc<Mutex<State<T>>>,
}

impl<T> Sender<T> {
    /// Sends the value without waiting.
    ///
    /// # Errors
    /// Returns the value if the receiver is gone or has closed. `Ok` does not mean that the receiver will read the
    /// value.
    pub fn send(self, value: T) -> Result<(), T> {
        let mut state = self.state.lock();
        if state.closed {
            // `self` is dropped only after the lock was released, because its `drop` takes it.
            drop(state);
            return Err(value);
        }
        state.value = Some(value);
        Ok(())
    }

    /// True if the receiver is gone or has closed.
    pub fn is_closed(&self) -> bool {
        self.state.lock().closed
    }

    /// Waits until the receiver is gone or has closed, so that you can stop work whose result is no longer wanted.
    /// Cancel safe.
    pub async fn closed(&mut self) {
        poll_fn(|cx| self.poll_closed(cx)).await;
    }

    /// [`closed`](Sender::closed) as a poll.
    pub fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let spent = ready!(budget::poll_proceed(cx));
        let mut own = PollWaker::new(cx.waker());
        loop {
            let mut state = self.state.lock();
            if state.closed {
                drop(state);
                spent.made_progress();
                return Poll::Ready(());
            }
            if own.store_in(&mut state.sender) {
                return Poll::Pending;
            }
            drop(state);
            own.prepare();
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        // This is also the end of `send`: value and completion become visible together, because the receiver checks
        // `complete` first.
        let (receiver, sender) = {
            let mut state = self.state.lock();
            state.complete = true;
            (state.receiver.take(), state.sender.take())
        };
        if let Some(receiver) = receiver {
            receiver.wake();
        }
        drop(sender);
    }
}

/// The side that awaits the promise: a future of the value. The sender notices if it is dropped.
#[must_use = "futures do nothing unless polled"]
pub struct Receiver<T> {
    state: Arc<Mutex<State<T>>>,
}

impl<T> Receiver<T> {
    /// The value, if it is there.
    ///
    /// # Errors
    /// [`TryRecvError`] says whether it may still come.
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        let mut state = self.state.lock();
        if !state.complete {
            return Err(TryRecvError::Empty);
        }
        state.value.take().ok_or(TryRecvError::Broken)
    }

    /// True if awaiting it would not wait: the sender has sent or is gone.
    pub fn is_finished(&self) -> bool {
        self.state.lock().complete
    }

    /// Makes sending fail from now on; a value that was sent before can still be received.
    pub fn close(&mut self) {
        self.close_with(|_| ());
    }

    /// Waits for the value on a thread that runs no tasks: blocks it.
    ///
    /// # Errors
    /// [`Broken`] if the sender was dropped without sending.
    ///
    /// # Panics
    /// Inside a task.
    pub fn blocking_recv(self) -> Result<T, Broken> {
        context::assert_may_block("oneshot::Receiver::blocking_recv", "await it instead");
        park::block_on_current_thread(self)
    }

    fn close_with<R>(&self, take: impl FnOnce(&mut State<T>) -> R) {
        let (sender, taken) = {
            let mut state = self.state.lock();
            state.closed = true;
            (state.sender.take(), take(&mut state))
        };
        if let Some(sender) = sender {
            sender.wake();
        }
        drop(taken);
    }
}

impl<T> Future for Receiver<T> {
    type Output = Result<T, Broken>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let spent = ready!(budget::poll_proceed(cx));
        let mut own = PollWaker::new(cx.waker());
        loop {
            let mut state = self.state.lock();
            if state.complete {
                let value = state.value.take();
                drop(state);
                spent.made_progress();
                return Poll::Ready(value.ok_or(Broken));
            }
            if own.store_in(&mut state.receiver) {
                return Poll::Pending;
            }
            drop(state);
            own.prepare();
        }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        // A value that nobody will take is dropped here, and not whenever the sender's side is dropped.
        self.close_with(|state| (state.value.take(), state.receiver.take()));
    }
}

// Without the value: formatting it may use the promise, which is under its lock.
impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let closed = self.is_closed();
        f.debug_struct("Sender").field("closed", &closed).finish()
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let finished = self.is_finished();
        f.debug_struct("Receiver")
            .field("finished", &finished)
            .finish()
    }
}
