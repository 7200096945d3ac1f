//! A fair counting semaphore.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use super::closed::{Closed, TryAcquireError};
use super::permits::{self, Permits, Take};
use super::traced::{Primitive, note_got, note_released, noting_wait};
use runtime_kernel::primitives::atomic::{AtomicUsize, Ordering};
use runtime_kernel::{context, park};

/// A number of permits: asyncio's `Semaphore`, and with [`bounded`](Semaphore::bounded) its `BoundedSemaphore`.
///
/// - *Fairness*: permits are handed out first come, first served. A newcomer does not overtake a waiter, not even one
///   that waits for more permits than there are. Threads that wait may be overtaken for as long as those at a
///   [`Mutex`](super::Mutex).
/// - *Cancelling*: a permit that a dropped future was about to get goes to the next waiter.
/// - *Cost*: taking and giving back are one atomic step each while nobody waits, and a short lock otherwise. Waiting
///   allocates nothing, and the number of waiters makes no difference.
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
#[doc(alias = "BoundedSemaphore")]
pub struct Semaphore {
    permits: Permits,
    /// All permits: available, held, and granted to a waiter. Rarely changed.
    total: AtomicUsize,
    /// The maximum of `total`.
    bound: usize,
}

impl Semaphore {
    /// The maximum number of permits of a semaphore.
    pub const MAX_PERMITS: usize = permits::MAX;

    /// Creates a semaphore with this many permits. [`add_permits`](Semaphore::add_permits) may add more.
    ///
    /// With 0 permits, everyone waits until some are added.
    ///
    /// # Panics
    /// If there are more than [`MAX_PERMITS`](Semaphore::MAX_PERMITS).
    #[track_caller]
    pub fn new(permits: usize) -> Self {
        Self::with_bound(permits, Self::MAX_PERMITS)
    }

    /// A semaphore that never has more permits than these: asyncio's `BoundedSemaphore`.
    ///
    /// A [`Permit`] gives back exactly what it took, so releasing what you did not take does not compile. The only
    /// remaining mistake is [`add_permits`](Semaphore::add_permits), and here it only adds permits that were
    /// [forgotten](Permit::forget).
    ///
    /// ```should_panic
    /// let at_most_two = runtime_core::sync::Semaphore::bounded(2);
    /// at_most_two.add_permits(1);
    /// ```
    ///
    /// # Panics
    /// If there are more than [`MAX_PERMITS`](Semaphore::MAX_PERMITS), or none at all: nobody could ever get one.
    #[track_caller]
    pub fn bounded(permits: usize) -> Self {
        assert!(
            permits > 0,
            "a bounded semaphore without permits could never be acquired: give it at least one, or use `Semaphore::new(0)` and add some"
        );
        Self::with_bound(permits, permits)
    }

    #[track_caller]
    fn with_bound(permits: usize, bound: usize) -> Self {
        assert!(
            permits <= Self::MAX_PERMITS,
            "a semaphore may have at most {} permits, not {permits}",
            Self::MAX_PERMITS
        );
        Self {
            permits: Permits::new(permits),
            total: AtomicUsize::new(permits),
            bound,
        }
    }

    /// Permits that nobody holds and that were not granted to a waiter.
    pub fn available_permits(&self) -> usize {
        self.permits.available()
    }

    /// True while no permit is free: a newcomer has to wait, or is refused. asyncio's `locked()`. False is no promise:
    /// a newcomer queues behind the waiters, which may need more permits than are free.
    #[doc(alias = "locked")]
    pub fn is_exhausted(&self) -> bool {
        self.permits.available() == 0
    }

    /// Waits for one permit, which is given back when the [`Permit`] is dropped.
    ///
    /// Cancel safe: a permit that a dropped future was about to get goes to the next waiter. The future loses its
    /// place in the queue.
    ///
    /// # Errors
    /// [`Closed`] if the semaphore is closed, now or while waiting.
    pub fn acquire(&self) -> Acquire<'_> {
        self.new_acquire(1)
    }

    /// Waits for `count` permits at once; see [`acquire`](Semaphore::acquire). If the semaphore has fewer in total, it
    /// waits, and blocks those behind it, until some are added.
    ///
    /// # Panics
    /// If `count` is more than the semaphore can ever have, so that it would wait for ever: more than the bound of a
    /// [`bounded`](Semaphore::bounded) one, or than [`MAX_PERMITS`](Semaphore::MAX_PERMITS).
    #[track_caller]
    pub fn acquire_many(&self, count: usize) -> Acquire<'_> {
        self.assert_can_have(count);
        self.new_acquire(count)
    }

    #[track_caller]
    fn assert_can_have(&self, count: usize) {
        assert!(
            count <= self.bound,
            "{count} permits are asked for of a semaphore that never has more than {}: ask for fewer, or make it with more",
            self.bound
        );
    }

    fn new_acquire(&self, count: usize) -> Acquire<'_> {
        Acquire {
            semaphore: self,
            count,
            take: self.permits.take(count),
        }
    }

    /// [`acquire`](Semaphore::acquire) with a permit that does not borrow the semaphore.
    ///
    /// # Errors
    /// [`Closed`] if the semaphore is closed, now or while waiting.
    pub async fn acquire_owned(self: Arc<Self>) -> Result<OwnedPermit, Closed> {
        self.permits.take(1).await?;
        Ok(OwnedPermit {
            semaphore: self,
            count: 1,
        })
    }

    /// [`acquire_many`](Semaphore::acquire_many) with permits that do not borrow the semaphore.
    ///
    /// # Errors
    /// [`Closed`] if the semaphore is closed, now or while waiting.
    ///
    /// # Panics
    /// When polled, if `count` is more than the semaphore can ever have; see
    /// [`acquire_many`](Semaphore::acquire_many).
    pub async fn acquire_many_owned(self: Arc<Self>, count: usize) -> Result<OwnedPermit, Closed> {
        self.assert_can_have(count);
        self.permits.take(count).await?;
        Ok(OwnedPermit {
            semaphore: self,
            count,
        })
    }

    /// One permit, if it is available without waiting and without overtaking anyone.
    ///
    /// # Errors
    /// [`TryAcquireError`] says why not.
    pub fn try_acquire(&self) -> Result<Permit<'_>, TryAcquireError> {
        self.try_acquire_many(1)
    }

    /// `count` permits, if they are available without waiting and without overtaking anyone.
    ///
    /// # Errors
    /// [`TryAcquireError`] says why not.
    pub fn try_acquire_many(&self, count: usize) -> Result<Permit<'_>, TryAcquireError> {
        self.permits.try_take(count)?;
        Ok(Permit {
            semaphore: self,
            count,
        })
    }

    /// [`try_acquire`](Semaphore::try_acquire) with a permit that does not borrow the semaphore.
    ///
    /// # Errors
    /// [`TryAcquireError`] says why not.
    pub fn try_acquire_owned(self: Arc<Self>) -> Result<OwnedPermit, TryAcquireError> {
        self.permits.try_take(1)?;
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
    /// Inside a task.
    pub fn blocking_acquire(&self) -> Result<Permit<'_>, Closed> {
        context::assert_may_block(
            "Semaphore::blocking_acquire",
            "use `acquire().await` instead",
        );
        // Without everything that waiting needs, because a permit is nearly always available.
        match self.try_acquire() {
            Ok(permit) => Ok(permit),
            Err(_) => park::block_on_current_thread(self.acquire()),
        }
    }

    /// Adds permits; waiters get them first. asyncio's `release()` without a preceding `acquire()`.
    ///
    /// # Panics
    /// If the semaphore would then have more than its bound, including held permits:
    /// [`MAX_PERMITS`](Semaphore::MAX_PERMITS), or the bound of a [`bounded`](Semaphore::bounded) one.
    #[doc(alias = "release")]
    #[track_caller]
    pub fn add_permits(&self, count: usize) {
        // Relaxed: the count stands alone.
        let added = self
            .total
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |total| {
                total
                    .checked_add(count)
                    .filter(|&total| total <= self.bound)
            });
        if let Err(total) = added {
            panic!(
                "a semaphore of at most {} permits has {total}, and {count} more were added: drop permits instead of adding some, or make it with `Semaphore::new`",
                self.bound
            );
        }
        self.release(count);
    }

    /// Turns away all waiters, and everyone that comes later. Permits that were already granted stay valid.
    pub fn close(&self) {
        self.permits.close();
    }

    /// True after [`close`](Semaphore::close).
    pub fn is_closed(&self) -> bool {
        self.permits.is_closed()
    }

    #[inline]
    fn release(&self, count: usize) {
        if count > 0 {
            self.permits.give(count);
        }
    }

    fn forget(&self, count: usize) {
        self.total.fetch_sub(count, Ordering::Relaxed);
    }
}

pin_project! {
    /// The future of [`Semaphore::acquire`] and [`Semaphore::acquire_many`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct Acquire<'a> {
        semaphore: &'a Semaphore,
        count: usize,
        #[pin]
        take: Take<'a>,
    }
}

impl<'a> Future for Acquire<'a> {
    type Output = Result<Permit<'a>, Closed>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let semaphore = *this.semaphore;
        ready!(noting_wait(
            Primitive::Semaphore,
            semaphore,
            this.take.poll(cx)
        ))?;
        note_got(Primitive::Semaphore, semaphore);
        Poll::Ready(Ok(Permit {
            semaphore,
            count: *this.count,
        }))
    }
}

/// Permits of a [`Semaphore`], which are given back when this is dropped.
#[derive(Debug)]
#[must_use = "dropped at once, the permit is given back at once"]
pub struct Permit<'a> {
    semaphore: &'a Semaphore,
    count: usize,
}

impl Permit<'_> {
    /// The number of permits that it holds.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Never gives the permits back: the semaphore has fewer from now on.
    pub fn forget(mut self) {
        self.semaphore.forget(std::mem::take(&mut self.count));
    }
}

impl Drop for Permit<'_> {
    #[inline]
    fn drop(&mut self) {
        note_released(Primitive::Semaphore, self.semaphore);
        self.semaphore.release(self.count);
    }
}

/// Permits of a [`Semaphore`] that this keeps alive. They are given back when it is dropped.
#[derive(Debug)]
#[must_use = "dropped at once, the permit is given back at once"]
pub struct OwnedPermit {
    semaphore: Arc<Semaphore>,
    count: usize,
}

impl OwnedPermit {
    /// The number of permits that it holds.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Never gives the permits back: the semaphore has fewer from now on.
    pub fn forget(mut self) {
        self.semaphore.forget(std::mem::take(&mut self.count));
    }
}

impl Drop for OwnedPermit {
    fn drop(&mut self) {
        note_released(Primitive::Semaphore, &*self.semaphore);
        self.semaphore.release(self.count);
    }
}
