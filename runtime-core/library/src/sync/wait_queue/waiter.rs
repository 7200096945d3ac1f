//! The queue: state under a lock, the waiters for its changes, and how they are served.
#![allow(unsafe_code)]

use std::fmt;
use std::marker::PhantomPinned;
use std::pin::Pin;
use std::ptr;

use super::waiter_list::{Node, Status, WaiterList};

#[cfg(all(target_os = "linux", not(any(lab_loom, lab_shuttle))))]
use super::lock::{Lock, LockGuard};
#[cfg(not(all(target_os = "linux", not(any(lab_loom, lab_shuttle)))))]
use runtime_kernel::primitives::{Mutex as Lock, MutexGuard as LockGuard};
use runtime_kernel::saved_waker::{PollWaker, SavedWaker};
use runtime_kernel::wake_batch::WakeBatch;

/// The resource that is waited for. The state of a [`WaitQueue`] implements it.
pub(in crate::sync) trait Resource: Sized {
    /// The lanes of the queue, an array of lists: kinds of waiters that are served independently of each other, each
    /// first come, first served.
    type Lanes: AsRef<[WaiterList]> + AsMut<[WaiterList]> + Default + fmt::Debug;

    /// The part of the state that is also accessed without the lock; `()` if there is none.
    type Open: fmt::Debug;

    /// Serves the waiters that can be served now. Called under the lock after every change.
    ///
    /// It looks at [`next_waiter`](Serving::next_waiter) and calls [`grant`](Serving::grant) or
    /// [`dismiss`](Serving::dismiss) until there is no waiter or the first cannot be served; a later waiter never
    /// overtakes an earlier one in its lane. If threads compete for the resource, it can call the first of them
    /// instead: [`call`](Serving::call).
    fn serve(serving: &mut Serving<'_, Self>);

    /// Takes back what was granted to a waiter that was dropped before it used the grant. `serve` follows.
    fn give_back(&mut self, open: &Self::Open, lane: usize, given: usize);

    /// A waiter was dropped while it waited. `serve` follows.
    fn left(&mut self, _lane: usize, _need: usize) {}

    /// Another thread is about to queue a waiter that has not looked at the state. `serve` follows.
    fn announce(_open: &Self::Open) {}
}

/// State of type `S` under a lock, and the waiters for its changes.
pub(in crate::sync) struct WaitQueue<S: Resource> {
    open: S::Open,
    pub(super) inner: Lock<Inner<S>>,
}

pub(super) struct Inner<S: Resource> {
    pub(super) state: S,
    pub(super) lanes: S::Lanes,
}

impl<S: Resource> Inner<S> {
    #[inline]
    pub(super) fn lane(&mut self, lane: usize) -> &mut WaiterList {
        &mut self.lanes.as_mut()[lane]
    }
}

impl<S: Resource<Open = ()>> WaitQueue<S> {
    pub(in crate::sync) fn new(state: S) -> Self {
        Self::with_open(state, ())
    }
}

impl<S: Resource> WaitQueue<S> {
    pub(in crate::sync) fn with_open(state: S, open: S::Open) -> Self {
        Self {
            open,
            inner: Lock::new(Inner {
                state,
                lanes: S::Lanes::default(),
            }),
        }
    }

    /// The part that is accessed without the lock.
    #[inline]
    pub(in crate::sync) fn open(&self) -> &S::Open {
        &self.open
    }

    #[inline]
    pub(in crate::sync) fn lock(&self) -> Locked<'_, S> {
        Locked {
            queue: self,
            inner: self.inner.lock(),
        }
    }

    /// Changes the state and serves the waiters for that change.
    #[inline]
    pub(in crate::sync) fn update<R>(&self, change: impl FnOnce(&mut S) -> R) -> R {
        let mut locked = self.lock();
        let result = change(&mut locked.inner.state);
        locked.serve();
        result
    }
}

impl<S: Resource> fmt::Debug for WaitQueue<S> {
    /// Without the fields under the lock: the formatter's output may use the queue.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitQueue")
            .field("open", &self.open)
            .finish_non_exhaustive()
    }
}

/// A [`WaitQueue`] whose lock is held.
pub(in crate::sync) struct Locked<'q, S: Resource> {
    pub(super) queue: &'q WaitQueue<S>,
    pub(super) inner: LockGuard<'q, Inner<S>>,
}

impl<'q, S: Resource> Locked<'q, S> {
    #[inline]
    pub(in crate::sync) fn queue(&self) -> &'q WaitQueue<S> {
        self.queue
    }

    /// Serves the waiters that it can, releases the lock, and only then wakes them; in several batches if they are
    /// many.
    #[inline]
    pub(in crate::sync) fn serve(mut self) {
        let queue = self.queue;
        // It stays in its place on the stack: moving it with the lock's guard costs more than the lock.
        let mut wakers = WakeBatch::new();
        loop {
            S::serve(&mut Serving {
                open: &queue.open,
                inner: &mut self.inner,
                wakers: &mut wakers,
            });
            drop(self);
            let more = wakers.is_full();
            wakers.wake_all();
            if !more {
                return;
            }
            self = queue.lock();
        }
    }

    /// Like [`serve`](Locked::serve), for cases in which that does nothing without waiters: then it costs a check of
    /// each lane.
    #[inline]
    pub(in crate::sync) fn serve_waiters(self) {
        if self.inner.lanes.as_ref().iter().any(|list| list.len() > 0) {
            self.serve_out_of_line();
        }
    }

    /// Only reserves stack space for a batch of wakers if there are waiters.
    #[inline(never)]
    fn serve_out_of_line(self) {
        self.serve();
    }

    #[inline]
    pub(in crate::sync) fn state(&mut self) -> &mut S {
        &mut self.inner.state
    }

    /// True if there are waiters in the lane, so that a newcomer must not overtake.
    #[inline]
    pub(in crate::sync) fn has_waiters(&self, lane: usize) -> bool {
        self.waiters(lane) > 0
    }

    /// True if the lane's first waiter was called: what it was called for is there for faster threads.
    pub(in crate::sync) fn is_called(&self, lane: usize) -> bool {
        let first = self.inner.lanes.as_ref()[lane].first();
        first.is_some_and(|first| first.status() == Status::Called)
    }

    /// The number of waiters in the lane.
    #[inline]
    pub(in crate::sync) fn waiters(&self, lane: usize) -> usize {
        self.inner.lanes.as_ref()[lane].len()
    }
}

/// A [`WaitQueue`] whose lock is held in order to serve the waiters.
pub(in crate::sync) struct Serving<'a, S: Resource> {
    open: &'a S::Open,
    pub(super) inner: &'a mut Inner<S>,
    pub(super) wakers: &'a mut WakeBatch,
}

impl<'a, S: Resource> Serving<'a, S> {
    #[inline]
    pub(in crate::sync) fn open(&self) -> &'a S::Open {
        self.open
    }

    #[inline]
    pub(in crate::sync) fn state(&mut self) -> &mut S {
        &mut self.inner.state
    }

    /// True if there are waiters in the lane.
    #[inline]
    pub(in crate::sync) fn has_waiters(&self, lane: usize) -> bool {
        self.inner.lanes.as_ref()[lane].len() > 0
    }

    /// What the lane's first waiter needs; `None` if there is no waiter, or no room for one more wake-up (`serve` is
    /// then called again).
    #[inline]
    pub(in crate::sync) fn next_waiter(&self, lane: usize) -> Option<usize> {
        let first = self.inner.lanes.as_ref()[lane].first()?;
        if self.wakers.is_full() {
            return None;
        }
        // SAFETY: under the lock.
        Some(unsafe { first.with(|linked| linked.need) })
    }

    /// Grants the lane's first waiter what it needs. It is woken when the lock is released.
    ///
    /// # Panics
    /// If [`next_waiter`](Serving::next_waiter) is `None`.
    #[inline]
    pub(in crate::sync) fn grant(&mut self, lane: usize) {
        self.release_first(lane, Status::Granted, None);
    }

    /// Like [`grant`](Serving::grant), with a number that the waiter can read with [`Turn::given`].
    pub(in crate::sync) fn give(&mut self, lane: usize, given: usize) {
        self.release_first(lane, Status::Granted, Some(given));
    }

    /// Turns the lane's first waiter away. It is woken when the lock is released.
    ///
    /// # Panics
    /// If [`next_waiter`](Serving::next_waiter) is `None`.
    pub(in crate::sync) fn dismiss(&mut self, lane: usize) {
        self.release_first(lane, Status::Dismissed, None);
    }

    #[inline]
    pub(super) fn release_first(&mut self, lane: usize, status: Status, given: Option<usize>) {
        let list = self.inner.lane(lane);
        let node: *const Node = list.first().expect("nobody waits");
        // SAFETY: nodes in the list are alive, and this one stays so until its status says that it is out of the list.
        let node = unsafe { &*node };
        // SAFETY: under the lock, the first in this list.
        unsafe { list.unlink(node) };
        // SAFETY: under the lock.
        let waker = unsafe {
            node.with(|linked| {
                if let Some(given) = given {
                    linked.need = given;
                }
                linked.waker.take()
            })
        };
        // The last access to the node: its owner may free it from here on.
        node.set_status(status);
        if let Some(waker) = waker {
            self.wakers.push(waker);
        }
    }
}

/// A waiter inside a future. If it is dropped while it waits, it leaves the queue. If it is dropped after it was
/// granted something that it did not take, it gives that back to be passed on.
#[derive(Debug)]
pub(in crate::sync) struct Waiter<'q, S: Resource> {
    pub(super) queue: &'q WaitQueue<S>,
    /// The status is not `New`. Only the owner accesses this, so that a waiter that never waited is dropped without
    /// the lock.
    pub(super) queued: bool,
    pub(super) node: Node,
    _pinned: PhantomPinned,
}

impl<'q, S: Resource> Waiter<'q, S> {
    #[inline]
    pub(in crate::sync) fn new(queue: &'q WaitQueue<S>) -> Self {
        Self {
            queue,
            queued: false,
            node: Node::new(),
            _pinned: PhantomPinned,
        }
    }

    /// True if it is in the queue, or was served and has not used that.
    #[inline]
    pub(in crate::sync) fn is_queued(&self) -> bool {
        self.queued
    }

    /// Takes the lock to look at the state. Before that, clones `own` if the waiter is in no list yet: a clone runs
    /// user code, which may use this very queue, so it comes before the lock.
    #[inline]
    pub(in crate::sync) fn turn(self: Pin<&mut Self>, own: &mut PollWaker<'_>) -> Turn<'_, 'q, S> {
        if !self.queued {
            own.prepare();
        }
        let locked = self.queue.lock();
        self.turn_with(locked)
    }

    /// Looks at the state of a queue whose lock is held.
    ///
    /// # Panics
    /// If it is another queue.
    #[inline]
    pub(in crate::sync) fn turn_with(
        self: Pin<&mut Self>,
        locked: Locked<'q, S>,
    ) -> Turn<'_, 'q, S> {
        assert!(ptr::eq(self.queue, locked.queue), "of another queue");
        // SAFETY: nothing is moved out of it, and `node` is only handed out as a shared reference.
        let this = unsafe { self.get_unchecked_mut() };
        Turn {
            locked,
            queued: &mut this.queued,
            node: &this.node,
        }
    }

    /// The status, without taking the lock; `Waiting` may be out of date. After `Granted` and `Dismissed` it is `New`
    /// again, as with [`Turn::status`].
    #[inline]
    pub(in crate::sync) fn try_status(self: Pin<&mut Self>) -> Status {
        // SAFETY: nothing is moved out of it.
        let this = unsafe { self.get_unchecked_mut() };
        if !this.queued {
            return Status::New;
        }
        let status = this.node.status();
        if matches!(status, Status::Granted | Status::Dismissed) {
            this.queued = false;
        }
        status
    }
}

/// A waiter that holds its queue's lock.
pub(in crate::sync) struct Turn<'a, 'q, S: Resource> {
    pub(super) locked: Locked<'q, S>,
    pub(super) queued: &'a mut bool,
    pub(super) node: &'a Node,
}

impl<'q, S: Resource> Turn<'_, 'q, S> {
    #[inline]
    pub(in crate::sync) fn locked(&mut self) -> &mut Locked<'q, S> {
        &mut self.locked
    }

    /// The status of the waiter. After `Granted` and `Dismissed` it is `New` again: the caller must use what was
    /// granted.
    #[inline]
    pub(in crate::sync) fn status(&mut self) -> Status {
        if !*self.queued {
            return Status::New;
        }
        let status = self.node.status();
        if !matches!(status, Status::Waiting | Status::Called) {
            *self.queued = false;
        }
        status
    }

    /// What [`Serving::give`] gave; only after `Granted`.
    pub(in crate::sync) fn given(&self) -> usize {
        // SAFETY: under the lock.
        unsafe { self.node.with(|linked| linked.need) }
    }

    /// Queues the waiter, which is `New`, in `lane`, to be woken by `waker`; releases the lock.
    #[inline]
    pub(in crate::sync) fn wait(mut self, lane: usize, need: usize, waker: SavedWaker) {
        debug_assert!(!*self.queued, "it is already queued");
        // SAFETY: under the lock.
        let before = unsafe {
            self.node.with(|linked| {
                linked.need = need;
                linked.lane = lane;
                linked.waker.replace(waker)
            })
        };
        *self.queued = true;
        self.node.set_status(Status::Waiting);
        // SAFETY: under the lock; the waiter is pinned, was in no list, and its `drop` removes the node.
        unsafe { self.locked.inner.lane(lane).push_last(self.node) };
        drop(self.locked);
        // Usually `None`: serving a waiter takes its waker.
        drop(before);
    }

    /// Makes `own` wake a waiting waiter, and releases the lock. False if that required a clone of the waker: the
    /// clone is now made, but the waiter may have been served meanwhile, and must look again.
    #[inline]
    #[must_use]
    pub(in crate::sync) fn rewait(self, own: &mut PollWaker<'_>) -> bool {
        // SAFETY: under the lock.
        let done = unsafe { self.node.with(|linked| own.store_in(&mut linked.waker)) };
        if done {
            // A called waiter has looked, and continues to wait. If not done, it is about to look again.
            self.node.set_status(Status::Waiting);
        }
        drop(self.locked);
        if !done {
            own.prepare();
        }
        done
    }

    /// Serves the waiters that the caller's change of the state allows to be served, and releases the lock.
    #[inline]
    pub(in crate::sync) fn serve(self) {
        self.locked.serve();
    }

    /// Keeps the lock beyond the turn.
    #[inline]
    pub(in crate::sync) fn into_locked(self) -> Locked<'q, S> {
        self.locked
    }
}

impl<S: Resource> Waiter<'_, S> {
    #[cold]
    fn leave(&mut self) {
        let mut locked = self.queue.lock();
        // SAFETY: under the lock.
        let (lane, need, waker) = unsafe {
            self.node
                .with(|linked| (linked.lane, linked.need, linked.waker.take()))
        };
        match self.node.status() {
            Status::Waiting | Status::Called => {
                // SAFETY: under the lock; a waiting node is in its lane's list.
                unsafe { locked.inner.lane(lane).unlink(&self.node) };
                locked.inner.state.left(lane, need);
            }
            Status::Granted => locked.inner.state.give_back(&self.queue.open, lane, need),
            Status::New | Status::Dismissed => {}
        }
        // Also if it only waited: the one behind it may need less.
        locked.serve();
        drop(waker);
    }
}

impl<S: Resource> Drop for Waiter<'_, S> {
    #[inline]
    fn drop(&mut self) {
        if self.queued {
            self.leave();
        }
    }
}
