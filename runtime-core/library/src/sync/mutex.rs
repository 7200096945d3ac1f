//! A fair lock that tasks wait for without blocking their thread.
#![allow(unsafe_code)]

use std::cell::UnsafeCell;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use super::permits::{Permits, Take};
use super::traced::{Primitive, note_got, note_released, noting_wait};
use runtime_kernel::{context, park};

/// A lock around a value: asyncio's `Lock`, which here contains the value that it protects.
///
/// You can hold it across an `.await`. If you don't need to, a standard-library lock is cheaper.
///
/// - *Fairness*: first come, first served. An unlock hands the lock to the first waiter in the same step, and no task
///   overtakes it, not even the one that has just unlocked. While tasks wait, each hand-over therefore costs a task
///   switch. In exchange, no task waits longer than the waiters before it take.
/// - *Threads*: a waiter that is a thread (a task under 1:1, or a thread in [`blocking_lock`](Mutex::blocking_lock))
///   is woken when its turn has come, but the lock stays free for whichever thread runs first: a newcomer that is
///   also a thread may overtake it. If the woken thread runs half a millisecond or more after its first wake-up, and
///   finds the lock held, the next unlock hands the lock over. It can therefore be overtaken for half a millisecond,
///   plus the time that the kernel then takes to run it. Waiters never overtake each other. See
///   [`Capabilities::overtaken_for`](crate::runtime::Capabilities::overtaken_for).
/// - *Cancelling*: a future that is dropped while it waits leaves the wait queue and loses its place. A future that
///   was handed the lock, and is dropped before it noticed, passes the lock on.
/// - *Panics*: a guard that a panic drops unlocks. There is no poisoning: you may see a value that the panic left
///   half changed.
/// - *Cost*: locking and unlocking are one atomic operation each while there are no waiters. Waiting allocates
///   nothing, and the number of waiters makes no difference. In one run on 2 cores, under M:N, it cost 0.16 of
///   tokio's and 0.54 of async-lock's mutex without contention. With eight tasks that want the lock, it cost 0.12 of
///   tokio's, and 0.18 if each unlock hands it over. `lab compare lock` and
///   `lab compare mutex-contended --param held=0,1` measure it.
///
/// A task that locks a mutex that it already holds waits for ever.
///
/// ```
/// use runtime_core::park::block_on_current_thread;
/// use runtime_core::sync::Mutex;
///
/// let balance = Mutex::new(100);
/// block_on_current_thread(async {
///     let mut guard = balance.lock().await;
///     *guard -= 30;
///     assert!(balance.try_lock().is_none(), "it is held");
///     drop(guard);
///     assert_eq!(*balance.lock().await, 70);
/// });
/// ```
#[doc(alias = "Lock")]
pub struct Mutex<T: ?Sized> {
    permits: Permits,
    value: UnsafeCell<T>,
}

// SAFETY: only the holder of the only permit can reach the value, or `&mut self`: one thread at a time, to which the
// value is sent.
unsafe impl<T: ?Sized + Send> Sync for Mutex<T> {}

impl<T> Mutex<T> {
    /// An unlocked lock.
    pub fn new(value: T) -> Self {
        Self {
            permits: Permits::new(1),
            value: UnsafeCell::new(value),
        }
    }

    /// The value. Nobody else can reach the lock any more.
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Waits for the lock: asyncio's `acquire()`, or `async with`. The guard unlocks when it is dropped.
    ///
    /// Cancel safe; see the type.
    #[inline]
    #[doc(alias = "acquire")]
    pub fn lock(&self) -> Lock<'_, T> {
        Lock {
            mutex: self,
            take: self.permits.take(1),
        }
    }

    /// [`lock`](Mutex::lock) with a guard that does not borrow the mutex.
    pub async fn lock_owned(self: Arc<Self>) -> OwnedMutexGuard<T> {
        // A mutex is never closed.
        let _ = self.permits.take(1).await;
        note_got(Primitive::Mutex, &*self);
        OwnedMutexGuard {
            mutex: self,
            _value: PhantomData,
        }
    }

    /// The lock, if it is free and there are no waiters.
    #[inline]
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.permits.try_take(1).ok()?;
        Some(self.guard())
    }

    /// [`try_lock`](Mutex::try_lock) with a guard that does not borrow the mutex.
    pub fn try_lock_owned(self: Arc<Self>) -> Option<OwnedMutexGuard<T>> {
        self.permits.try_take(1).ok()?;
        note_got(Primitive::Mutex, &*self);
        Some(OwnedMutexGuard {
            mutex: self,
            _value: PhantomData,
        })
    }

    /// [`lock`](Mutex::lock) for a thread that runs no tasks: blocks it, in the same queue as the tasks.
    ///
    /// # Panics
    /// Inside a task.
    pub fn blocking_lock(&self) -> MutexGuard<'_, T> {
        context::assert_may_block("Mutex::blocking_lock", "use `lock().await` instead");
        // Without everything that waiting needs, because the lock is nearly always free.
        match self.try_lock() {
            Some(guard) => guard,
            None => park::block_on_current_thread(self.lock()),
        }
    }

    /// True while the lock is held: asyncio's `locked()`.
    #[doc(alias = "locked")]
    pub fn is_locked(&self) -> bool {
        self.permits.available() == 0
    }

    /// The value, without locking: nobody else can reach the lock.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }

    pub(super) fn permits(&self) -> &Permits {
        &self.permits
    }

    /// The guard for the holder of the permit.
    #[inline]
    pub(super) fn guard(&self) -> MutexGuard<'_, T> {
        note_got(Primitive::Mutex, self);
        MutexGuard {
            mutex: self,
            _value: PhantomData,
        }
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> From<T> for Mutex<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_struct("Mutex");
        match self.try_lock() {
            Some(guard) => text.field("value", &&*guard).finish(),
            None => text.field("value", &format_args!("<locked>")).finish(),
        }
    }
}

pin_project! {
    /// The future of [`Mutex::lock`].
    #[must_use = "futures do nothing unless polled"]
    pub struct Lock<'a, T: ?Sized> {
        mutex: &'a Mutex<T>,
        #[pin]
        take: Take<'a>,
    }
}

impl<T: ?Sized> fmt::Debug for Lock<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lock").finish_non_exhaustive()
    }
}

impl<'a, T: ?Sized> Future for Lock<'a, T> {
    type Output = MutexGuard<'a, T>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        // A mutex is never closed.
        let _ = ready!(noting_wait(
            Primitive::Mutex,
            *this.mutex,
            this.take.poll(cx)
        ));
        Poll::Ready(this.mutex.guard())
    }
}

/// Holds a [`Mutex`]; unlocks it when it is dropped.
#[must_use = "dropped at once, the mutex is unlocked at once"]
pub struct MutexGuard<'a, T: ?Sized> {
    mutex: &'a Mutex<T>,
    /// `Send` and `Sync` if the value is.
    _value: PhantomData<&'a mut T>,
}

impl<'a, T: ?Sized> MutexGuard<'a, T> {
    pub(super) fn mutex(&self) -> &'a Mutex<T> {
        self.mutex
    }
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the guard is the mutex's only permit; the value is borrowed for no longer than the guard is.
        unsafe { &*self.mutex.value.get() }
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above, and the guard is borrowed exclusively.
        unsafe { &mut *self.mutex.value.get() }
    }
}

impl<T: ?Sized> Drop for MutexGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        note_released(Primitive::Mutex, self.mutex);
        self.mutex.permits.give(1);
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// Holds a [`Mutex`] that it keeps alive; unlocks it when it is dropped.
#[must_use = "dropped at once, the mutex is unlocked at once"]
pub struct OwnedMutexGuard<T: ?Sized> {
    mutex: Arc<Mutex<T>>,
    /// `Send` and `Sync` if the value is.
    _value: PhantomData<Box<T>>,
}

impl<T: ?Sized> Deref for OwnedMutexGuard<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the guard is the mutex's only permit; the value is borrowed for no longer than the guard is.
        unsafe { &*self.mutex.value.get() }
    }
}

impl<T: ?Sized> DerefMut for OwnedMutexGuard<T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above, and the guard is borrowed exclusively.
        unsafe { &mut *self.mutex.value.get() }
    }
}

impl<T: ?Sized> Drop for OwnedMutexGuard<T> {
    fn drop(&mut self) {
        note_released(Primitive::Mutex, &*self.mutex);
        self.mutex.permits.give(1);
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for OwnedMutexGuard<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
