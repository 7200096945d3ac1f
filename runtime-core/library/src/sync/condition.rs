//! Waiting for a change of the value that a lock protects.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::mutex::{Mutex, MutexGuard};
use super::permits::{self, InLine};
use super::traced::{Primitive, noting_wait};
use super::wait_queue::{OtherQueue, RequeueList, Requeued, Status};
use runtime_kernel::saved_waker::PollWaker;
use runtime_kernel::{budget, context, park};

/// A condition variable: tasks wait until another one notifies them that the value of a [`Mutex`] has changed.
/// asyncio's `Condition`.
///
/// Waiting and notifying take the mutex's guard, so neither compiles without the lock. Any number of conditions may
/// share a mutex, for example "not empty" and "not full".
///
/// A waiter releases the lock while it waits. When it is notified, it enters the mutex's wait queue at the end,
/// without being woken: it wakes when it gets the lock. The first to be notified therefore continues first. Notifying
/// many wakes them one after the other and not all at once. A notification takes effect when the notifier unlocks.
///
/// As with any condition, call [`wait`](Condition::wait) in a loop that checks the value again, because others may
/// have had the lock before. [`wait_for`](Condition::wait_for) is that loop.
///
/// - *Fairness*: first come, first served, in the condition as in the mutex.
/// - *Cancelling*: a waiter that is dropped before it was notified leaves. A waiter that is dropped after it was
///   notified, and before it continued, passes the notification to the next waiter, unless all were notified. A
///   dropped waiter does not hold the lock.
/// - *Cost*: a short lock each for waiting and notifying, without allocating. Notifying `n` is linear in `n`, however
///   many wait.
///
/// ```
/// use runtime_core::park::block_on_current_thread;
/// use runtime_core::sync::{Condition, Mutex};
///
/// let (level, changed) = (Mutex::new(0), Condition::new());
/// std::thread::scope(|scope| {
///     scope.spawn(|| {
///         let high = changed.blocking_wait_for(level.blocking_lock(), |level| *level >= 3);
///         assert_eq!(*high, 3);
///     });
///     block_on_current_thread(async {
///         for _ in 0..3 {
///             let mut level = level.lock().await;
///             *level += 1;
///             changed.notify_all(&level);
///         }
///     });
/// });
/// ```
///
/// ```compile_fail
/// # use runtime_core::sync::Condition;
/// Condition::new().notify_one(); // without the lock
/// ```
#[derive(Debug)]
pub struct Condition {
    requeue: RequeueList,
}

impl Default for Condition {
    fn default() -> Self {
        Self::new()
    }
}

impl Condition {
    /// A condition without waiters.
    pub fn new() -> Self {
        Self {
            requeue: RequeueList::new(),
        }
    }

    /// Unlocks, waits until notified, and locks again. It has no spurious wake-ups; the notification may be one that
    /// a dropped waiter passed on.
    ///
    /// Cancel safe; see the type. The future owns the guard from the start: if it is dropped at any time, the mutex
    /// is unlocked.
    ///
    /// # Panics
    /// When polled, if others wait for this condition with another mutex.
    pub fn wait<'a, T: ?Sized>(&'a self, guard: MutexGuard<'a, T>) -> WaitNotified<'a, T> {
        let mutex = guard.mutex();
        WaitNotified {
            mutex,
            guard: Some(guard),
            waiter: Requeued::new(&self.requeue, mutex.permits().queue()),
        }
    }

    /// [Waits](Condition::wait) until `predicate` is true, or not at all if it already is. The predicate is called
    /// with the lock held. asyncio's `Condition.wait_for`.
    ///
    /// Cancel safe: when dropped, it unlocks, and passes on a notification that it has not handled yet. A
    /// notification after which the predicate was false is used up. Fairness: after each such notification it waits
    /// behind all others again. Cost: one call of `predicate` at the start and one for each notification, so don't
    /// notify more waiters than can continue.
    ///
    /// # Panics
    /// If others wait for this condition with another mutex.
    pub async fn wait_for<'a, T: ?Sized>(
        &'a self,
        mut guard: MutexGuard<'a, T>,
        mut predicate: impl FnMut(&mut T) -> bool,
    ) -> MutexGuard<'a, T> {
        if predicate(&mut guard) {
            // A wait ends its poll, so a loop that always waits can't run without end; this path needs the budget.
            budget::consume_budget().await;
            return guard;
        }
        loop {
            guard = self.wait(guard).await;
            if predicate(&mut guard) {
                return guard;
            }
        }
    }

    /// [`wait`](Condition::wait) for a thread that runs no tasks: blocks it.
    ///
    /// # Panics
    /// Inside a task, or if others wait for this condition with another mutex.
    pub fn blocking_wait<'a, T: ?Sized>(&'a self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        context::assert_may_block("Condition::blocking_wait", "use `wait(..).await` instead");
        park::block_on_current_thread(self.wait(guard))
    }

    /// [`wait_for`](Condition::wait_for) for a thread that runs no tasks: blocks it.
    ///
    /// # Panics
    /// Inside a task, or if others wait for this condition with another mutex.
    pub fn blocking_wait_for<'a, T: ?Sized>(
        &'a self,
        guard: MutexGuard<'a, T>,
        predicate: impl FnMut(&mut T) -> bool,
    ) -> MutexGuard<'a, T> {
        context::assert_may_block(
            "Condition::blocking_wait_for",
            "use `wait_for(..).await` instead",
        );
        park::block_on_current_thread(self.wait_for(guard, predicate))
    }

    /// Notifies the longest waiter: asyncio's `notify()`. False if there is no waiter. The waiter continues once
    /// `guard`, and those before it in the mutex's wait queue, have unlocked.
    ///
    /// # Panics
    /// If the waiters wait with a different mutex from `guard`'s.
    #[track_caller]
    pub fn notify_one<T: ?Sized>(&self, guard: &MutexGuard<'_, T>) -> bool {
        self.notify(guard, 1) == 1
    }

    /// Notifies the first `count` waiters; returns how many it notified.
    ///
    /// # Panics
    /// If the waiters wait with a different mutex from `guard`'s.
    #[track_caller]
    pub fn notify<T: ?Sized>(&self, guard: &MutexGuard<'_, T>, count: usize) -> usize {
        self.call(guard.mutex(), count, true)
    }

    /// Notifies all waiters; returns how many it notified.
    ///
    /// # Panics
    /// If the waiters wait with a different mutex from `guard`'s.
    #[track_caller]
    pub fn notify_all<T: ?Sized>(&self, guard: &MutexGuard<'_, T>) -> usize {
        self.call(guard.mutex(), usize::MAX, false)
    }

    /// The number of waiters that have not been notified.
    pub fn waiters(&self) -> usize {
        self.requeue.waiters()
    }

    #[track_caller]
    fn call<T: ?Sized>(&self, mutex: &Mutex<T>, count: usize, passes_on: bool) -> usize {
        let queue = mutex.permits().queue();
        match self
            .requeue
            .call(queue, (permits::LANE, 1), count, passes_on)
        {
            Ok(called) => called,
            Err(OtherQueue) => two_mutexes(),
        }
    }
}

#[cold]
#[track_caller]
fn two_mutexes() -> ! {
    panic!("a condition is used with two mutexes at a time: give each mutex a condition of its own")
}

pin_project! {
    /// The future of [`Condition::wait`].
    #[must_use = "futures do nothing unless polled, and this one holds the lock until then"]
    pub struct WaitNotified<'a, T: ?Sized> {
        mutex: &'a Mutex<T>,
        // Until it is in the requeue list.
        guard: Option<MutexGuard<'a, T>>,
        #[pin]
        waiter: Requeued<'a, InLine>,
    }
}

impl<T: ?Sized> fmt::Debug for WaitNotified<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitNotified").finish_non_exhaustive()
    }
}

impl<'a, T: ?Sized> Future for WaitNotified<'a, T> {
    type Output = MutexGuard<'a, T>;

    // Spends no budget: each wait ends its poll at least once, and a refused wait would hold the lock meanwhile.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut own = PollWaker::new(cx.waker());
        if let Some(guard) = this.guard.take() {
            if this.waiter.join_list(&mut own).is_err() {
                drop(guard);
                two_mutexes();
            }
            // After it has joined the list: the next thread that has the lock may notify it.
            drop(guard);
            return noting_wait(Primitive::Condition, *this.mutex, Poll::Pending);
        }
        match this.waiter.poll(&mut own) {
            Status::Granted => Poll::Ready(this.mutex.guard()),
            Status::Waiting => Poll::Pending,
            Status::Called => unreachable!("who was notified is handed the lock"),
            Status::New | Status::Dismissed => {
                panic!("`WaitNotified` was polled after it completed")
            }
        }
    }
}
