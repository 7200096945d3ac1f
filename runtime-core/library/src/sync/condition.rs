//! Waiting for what a lock protects to change.

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

/// Where tasks wait until another one says that what a [`Mutex`] protects has changed: asyncio's `Condition`.
///
/// Waiting and notifying take the mutex's guard, so that neither compiles without the lock. Any number of conditions
/// may share a mutex: "not empty" and "not full", say.
///
/// A waiter gives the lock up while it waits. Notified, it is put in the mutex's own line, behind those who stand
/// there, without being woken: it wakes when the lock is its own. So who was notified first goes on first, notifying
/// many wakes them one after the other and not all at once, and a notification takes effect when the notifier unlocks.
///
/// As with any condition, [`wait`](Condition::wait) belongs in a loop that looks at the value again: others may have
/// had the lock before. [`wait_for`](Condition::wait_for) is that loop.
///
/// - *Fairness*: first come, first served, in the condition as in the mutex.
/// - *Cancelling*: a waiter that is dropped before it was notified leaves. One that is dropped after it, and before it
///   has gone on, passes the notification to the next who waits; if all were notified there is nobody whom it
///   concerns. A dropped waiter does not hold the lock.
/// - *Cost*: a short lock each for waiting and notifying, without allocating; notifying `n` is linear in `n` however
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
    /// A condition that nobody waits for.
    pub fn new() -> Self {
        Self {
            requeue: RequeueList::new(),
        }
    }

    /// Unlocks, waits until notified, and locks again. It returns without a notification only as one passed on by a
    /// waiter that was dropped.
    ///
    /// Cancel safe; see the type. The guard is the future's from the start: dropped at any time, it leaves the mutex
    /// unlocked.
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

    /// [Waits](Condition::wait) until `predicate` is true; not at all if it is already. It is called with the lock
    /// held. asyncio's `Condition.wait_for`.
    ///
    /// Cancel safe: dropped, it unlocks, and passes on a notification that it has not looked at yet; one after which
    /// the predicate was false is used up. Fairness: after each such notification it stands behind all others again.
    /// Cost: one call of `predicate` at the start and one for each notification; so let no more be notified than can
    /// go on.
    ///
    /// # Panics
    /// If others wait for this condition with another mutex.
    pub async fn wait_for<'a, T: ?Sized>(
        &'a self,
        mut guard: MutexGuard<'a, T>,
        mut predicate: impl FnMut(&mut T) -> bool,
    ) -> MutexGuard<'a, T> {
        if predicate(&mut guard) {
            // A wait gives up its poll, so that no other way through here is without end.
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
    /// Inside of a task, or if others wait for this condition with another mutex.
    pub fn blocking_wait<'a, T: ?Sized>(&'a self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        context::assert_may_block("Condition::blocking_wait", "use `wait(..).await` instead");
        park::block_on_current_thread(self.wait(guard))
    }

    /// [`wait_for`](Condition::wait_for) for a thread that runs no tasks: blocks it.
    ///
    /// # Panics
    /// Inside of a task, or if others wait for this condition with another mutex.
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

    /// Notifies the one who waits longest: asyncio's `notify()`. False if nobody waits. It goes on once `guard` and
    /// those in line before it have unlocked.
    ///
    /// # Panics
    /// If those who wait do so with another mutex than `guard`'s.
    #[track_caller]
    pub fn notify_one<T: ?Sized>(&self, guard: &MutexGuard<'_, T>) -> bool {
        self.notify(guard, 1) == 1
    }

    /// Notifies the first `count` who wait; returns how many there were.
    ///
    /// # Panics
    /// If those who wait do so with another mutex than `guard`'s.
    #[track_caller]
    pub fn notify<T: ?Sized>(&self, guard: &MutexGuard<'_, T>, count: usize) -> usize {
        self.call(guard.mutex(), count, true)
    }

    /// Notifies all who wait; returns how many there were.
    ///
    /// # Panics
    /// If those who wait do so with another mutex than `guard`'s.
    #[track_caller]
    pub fn notify_all<T: ?Sized>(&self, guard: &MutexGuard<'_, T>) -> usize {
        self.call(guard.mutex(), usize::MAX, false)
    }

    /// How many wait for a notification.
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
        // Until it is in the list.
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

    // No budget is spent: each wait gives its poll up at least once, and a refused one would hold the lock meanwhile.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut own = PollWaker::new(cx.waker());
        if let Some(guard) = this.guard.take() {
            if this.waiter.join_list(&mut own).is_err() {
                drop(guard);
                two_mutexes();
            }
            // After it has joined the list: whoever has the lock next may notify it.
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
