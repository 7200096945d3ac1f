//! A fair counting semaphore.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use super::wait_queue::{Locked, Resource, Serving, Status, WaitQueue, Waiter};
use crate::{budget, context, park};

const LANE: usize = 0;

/// A number of permits, handed out first come, first served. A newcomer does not overtake one who waits, not even one who
/// waits for more permits than there are.
///
/// ```
/// use runtime_core::park::block_on_current_thread;
/// use runtime_core::sync::Semaphore;
///
/// let at_most_two = Semaphore::new(2);
/// block_on_current_thread(async {
///     let first = at_most_two.acquire().await.unwrap();
///     let _second = at_most_two.acquire().await.unwrap();
///     assert!(at_most_two.try_acquire().is_err());
///     drop(first);
///     assert_eq!(at_most_two.available_permits(), 1);
/// });
/// ```
#[derive(Debug)]
pub struct Semaphore {
    queue: WaitQueue<Permits>,
}

#[derive(Debug)]
struct Permits {
    available: usize,
    closed: bool,
}

/// The semaphore or queue was closed: what is waited for will not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed;

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("closed")
    }
}

impl Error for Closed {}

/// Why [`Semaphore::try_acquire`] gave no permit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryAcquireError {
    /// The semaphore was closed.
    Closed,
    /// There are too few permits, or others wait already.
    NoPermits,
}

impl fmt::Display for TryAcquireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "closed",
            Self::NoPermits => "no permits available",
        })
    }
}

impl Error for TryAcquireError {}

impl Resource for Permits {
    #[inline]
    fn serve(serving: &mut Serving<'_, Self>) {
        while let Some(need) = serving.next_waiter(LANE) {
            let permits = serving.state();
            if permits.closed {
                serving.dismiss(LANE);
            } else if need <= permits.available {
                permits.available -= need;
                serving.grant(LANE);
            } else {
                return;
            }
        }
    }

    fn give_back(&mut self, _: usize, need: usize) {
        self.available += need;
    }
}

/// What a newcomer gets without waiting.
#[inline]
fn try_take(locked: &mut Locked<'_, Permits>, need: usize) -> Result<(), TryAcquireError> {
    let others_wait = locked.has_waiters(LANE);
    let permits = locked.state();
    if permits.closed {
        return Err(TryAcquireError::Closed);
    }
    if others_wait || permits.available < need {
        return Err(TryAcquireError::NoPermits);
    }
    permits.available -= need;
    Ok(())
}

impl Semaphore {
    /// The most permits that a semaphore may have.
    pub const MAX_PERMITS: usize = usize::MAX >> 3;

    /// A semaphore with so many permits.
    ///
    /// # Panics
    /// If they are more than [`MAX_PERMITS`](Semaphore::MAX_PERMITS).
    pub fn new(permits: usize) -> Self {
        assert_within_range(permits);
        Self {
            queue: WaitQueue::new(Permits {
                available: permits,
                closed: false,
            }),
        }
    }

    /// Permits that nobody holds and that have not been promised to a waiter.
    pub fn available_permits(&self) -> usize {
        self.queue.lock().state().available
    }

    /// Waits for one permit, which is given back when the [`Permit`] is dropped.
    ///
    /// Cancel safe: a permit that a dropped future was about to get goes to the next in line. Its place in line is lost.
    ///
    /// # Errors
    /// [`Closed`] if the semaphore is closed, now or while waiting.
    pub fn acquire(&self) -> Acquire<'_> {
        self.acquire_many(1)
    }

    /// Waits for `count` permits at once; see [`acquire`](Semaphore::acquire). For more than there will ever be it waits, and
    /// holds up those behind it, until the semaphore is closed.
    pub fn acquire_many(&self, count: usize) -> Acquire<'_> {
        Acquire {
            semaphore: self,
            count,
            waiter: Waiter::new(&self.queue),
        }
    }

    /// [`acquire`](Semaphore::acquire) with a permit that is not bound to a borrow.
    ///
    /// # Errors
    /// [`Closed`] if the semaphore is closed, now or while waiting.
    pub async fn acquire_owned(self: Arc<Self>) -> Result<OwnedPermit, Closed> {
        self.acquire_many_owned(1).await
    }

    /// [`acquire_many`](Semaphore::acquire_many) with permits that are not bound to a borrow.
    ///
    /// # Errors
    /// [`Closed`] if the semaphore is closed, now or while waiting.
    pub async fn acquire_many_owned(self: Arc<Self>, count: usize) -> Result<OwnedPermit, Closed> {
        self.acquire_many(count).await?.forget();
        Ok(OwnedPermit {
            semaphore: self,
            count,
        })
    }

    /// One permit, if it can be had without waiting and without overtaking anyone.
    ///
    /// # Errors
    /// [`TryAcquireError`] says why not.
    pub fn try_acquire(&self) -> Result<Permit<'_>, TryAcquireError> {
        self.try_acquire_many(1)
    }

    /// `count` permits, if they can be had without waiting and without overtaking anyone.
    ///
    /// # Errors
    /// [`TryAcquireError`] says why not.
    pub fn try_acquire_many(&self, count: usize) -> Result<Permit<'_>, TryAcquireError> {
        try_take(&mut self.queue.lock(), count)?;
        Ok(Permit {
            semaphore: self,
            count,
        })
    }

    /// [`try_acquire`](Semaphore::try_acquire) with a permit that is not bound to a borrow.
    ///
    /// # Errors
    /// [`TryAcquireError`] says why not.
    pub fn try_acquire_owned(self: Arc<Self>) -> Result<OwnedPermit, TryAcquireError> {
        self.try_acquire()?.forget();
        Ok(OwnedPermit {
            semaphore: self,
            count: 1,
        })
    }

    /// [`acquire`](Semaphore::acquire) for a thread that runs no tasks: blocks it.
    ///
    /// # Errors
    /// [`Closed`] if the semaphore is closed, now or while waiting.
    ///
    /// # Panics
    /// Inside of a task.
    pub fn blocking_acquire(&self) -> Result<Permit<'_>, Closed> {
        context::assert_may_block(
            "Semaphore::blocking_acquire",
            "use `acquire().await` instead",
        );
        park::block_on_current_thread(self.acquire())
    }

    /// Adds permits, for those who wait first.
    ///
    /// # Panics
    /// If there are more than [`MAX_PERMITS`](Semaphore::MAX_PERMITS) then.
    pub fn add_permits(&self, count: usize) {
        let mut locked = self.queue.lock();
        let available = locked.state().available.saturating_add(count);
        assert_within_range(available);
        locked.state().available = available;
        self.queue.serve(locked);
    }

    /// Sends all who wait away, and whoever comes later. Permits already granted stay valid.
    pub fn close(&self) {
        self.queue.update(|permits| permits.closed = true);
    }

    /// True after [`close`](Semaphore::close).
    pub fn is_closed(&self) -> bool {
        self.queue.lock().state().closed
    }

    #[inline]
    fn release(&self, count: usize) {
        if count > 0 {
            self.queue.update(|permits| permits.available += count);
        }
    }
}

fn assert_within_range(permits: usize) {
    assert!(
        permits <= Semaphore::MAX_PERMITS,
        "a semaphore may have at most {} permits, not {permits}",
        Semaphore::MAX_PERMITS
    );
}

pin_project! {
    /// The future of [`Semaphore::acquire`] and [`Semaphore::acquire_many`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct Acquire<'a> {
        semaphore: &'a Semaphore,
        count: usize,
        #[pin]
        waiter: Waiter<'a, Permits>,
    }
}

impl<'a> Future for Acquire<'a> {
    type Output = Result<Permit<'a>, Closed>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let spent = ready!(budget::poll_proceed(cx));
        let this = self.project();
        let mut turn = this.waiter.turn();
        let taken = match turn.status() {
            Status::New => try_take(turn.locked(), *this.count),
            Status::Waiting => Err(TryAcquireError::NoPermits),
            Status::Granted => Ok(()),
            Status::Dismissed => Err(TryAcquireError::Closed),
        };
        let result = match taken {
            Ok(()) => Ok(Permit {
                semaphore: this.semaphore,
                count: *this.count,
            }),
            Err(TryAcquireError::Closed) => Err(Closed),
            Err(TryAcquireError::NoPermits) => {
                turn.wait(LANE, *this.count, cx.waker());
                return Poll::Pending;
            }
        };
        spent.made_progress();
        Poll::Ready(result)
    }
}

/// Permits of a [`Semaphore`], given back when it is dropped.
#[derive(Debug)]
#[must_use = "dropped at once, the permit is given back at once"]
pub struct Permit<'a> {
    semaphore: &'a Semaphore,
    count: usize,
}

impl Permit<'_> {
    /// How many permits it stands for.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Never gives the permits back: the semaphore has fewer from now on.
    pub fn forget(self) {
        mem::forget(self);
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.semaphore.release(self.count);
    }
}

/// Permits of a [`Semaphore`] that they keep alive, given back when it is dropped.
#[derive(Debug)]
#[must_use = "dropped at once, the permit is given back at once"]
pub struct OwnedPermit {
    semaphore: Arc<Semaphore>,
    count: usize,
}

impl OwnedPermit {
    /// How many permits it stands for.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Never gives the permits back: the semaphore has fewer from now on.
    pub fn forget(mut self) {
        // The reference to the semaphore is still to be dropped.
        self.count = 0;
    }
}

impl Drop for OwnedPermit {
    fn drop(&mut self) {
        self.semaphore.release(self.count);
    }
}
