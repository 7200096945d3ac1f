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

/// A lock around a value: asyncio's `Lock`, with what it protects inside of it.
///
/// Hold it across an `.await` if need be; if not, a lock of the standard library is cheaper.
///
/// - *Fairness*: first come, first served. An unlock hands the lock to the first in line in the same step, and nobody
///   overtakes it, the one that has just unlocked included. So while somebody waits, each hand-over costs a switch of
///   tasks. In exchange nobody waits longer than it takes those before it.
/// - *Threads*: a waiter that is a thread (a task under 1:1, or a thread in [`blocking_lock`](Mutex::blocking_lock))
///   is woken when its turn has come, and the lock is left to whoever runs first: a newcomer that is a thread too may
///   overtake it. If the woken thread runs half a millisecond after its first wake-up, or later, and finds the lock
///   held, the next unlock hands the lock over. So it is overtaken for half a millisecond, and for as long as the
///   kernel takes to run it after that. Those in line never overtake each other. See
///   [`Capabilities::overtaken_for`](crate::runtime::Capabilities::overtaken_for).
/// - *Cancelling*: a future that is dropped while it waits leaves the line, and one that was handed the lock and is
///   dropped before it noticed hands it on. Its place in line is lost.
/// - *Panics*: a guard dropped by a panic unlocks. There is no poison: you see what the panic left half done.
/// - *Cost*: locking and unlocking are one atomic step each while nobody waits. Waiting allocates nothing; how many
///   wait makes no difference. In one run on 2 cores, under M:N: 0.16 of what tokio's costs and 0.54 of async-lock's
///   while nobody else wants it; 0.12 of tokio's with eight tasks that all want it, and 0.18 if each unlock hands it
///   over. `lab compare lock` and `lab compare mutex-contended --param held=0,1` measure it.
///
/// A task that locks what it holds itself waits for ever.
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

// SAFETY: the value is reached by whoever has the one permit, or by `&mut self`: one thread at a time, to which it is
// sent.
unsafe impl<T: ?Sized + Send> Sync for Mutex<T> {}

impl<T> Mutex<T> {
    /// A lock that nobody holds.
    pub fn new(value: T) -> Self {
        Self {
            permits: Permits::new(1),
            value: UnsafeCell::new(value),
        }
    }

    /// The value, as nobody else can reach the lock any more.
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

    /// [`lock`](Mutex::lock) with a guard that is not bound to a borrow.
    pub async fn lock_owned(self: Arc<Self>) -> OwnedMutexGuard<T> {
        // A mutex is never closed.
        let _ = self.permits.take(1).await;
        note_got(Primitive::Mutex, &*self);
        OwnedMutexGuard {
            mutex: self,
            _value: PhantomData,
        }
    }

    /// The lock, if it can be had without waiting and without overtaking anyone.
    #[inline]
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.permits.try_take(1).ok()?;
        Some(self.guard())
    }

    /// [`try_lock`](Mutex::try_lock) with a guard that is not bound to a borrow.
    pub fn try_lock_owned(self: Arc<Self>) -> Option<OwnedMutexGuard<T>> {
        self.permits.try_take(1).ok()?;
        note_got(Primitive::Mutex, &*self);
        Some(OwnedMutexGuard {
            mutex: self,
            _value: PhantomData,
        })
    }

    /// [`lock`](Mutex::lock) for a thread that runs no tasks: blocks it, in line with the tasks.
    ///
    /// # Panics
    /// Inside of a task.
    pub fn blocking_lock(&self) -> MutexGuard<'_, T> {
        context::assert_may_block("Mutex::blocking_lock", "use `lock().await` instead");
        // Without all that waiting needs, as it is free nearly always.
        match self.try_lock() {
            Some(guard) => guard,
            None => park::block_on_current_thread(self.lock()),
        }
    }

    /// True while somebody holds the lock: asyncio's `locked()`.
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

    /// The guard of one who has the permit.
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
    /// As sendable and as sharable as what it gives access to.
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
        // SAFETY: the guard is the mutex's one permit; the value is borrowed for no longer than the guard is.
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
    /// As sendable and as sharable as what it gives access to.
    _value: PhantomData<Box<T>>,
}

impl<T: ?Sized> Deref for OwnedMutexGuard<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the guard is the mutex's one permit; the value is borrowed for no longer than the guard is.
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
