//! The one wait queue under all types of this module: a lock over some state, and those who wait for that state to change.
//!
//! See the module's README for the protocol. All unsafe code of `sync` that concerns waiting is in this file; a new type on top
//! of it implements [`Resource`], a handful of safe lines.
#![allow(unsafe_code)]

use std::marker::PhantomPinned;
use std::pin::Pin;
use std::ptr;
use std::task::Waker;

use super::wake_batch::WakeBatch;
use crate::primitives::{Mutex, MutexGuard, UnsafeCell};

/// Lanes of a queue: kinds of waiters that are served independently of each other, each first come, first served.
const LANES: usize = 2;

/// What is waited for. The state of a [`WaitQueue`] implements it.
pub(super) trait Resource: Sized {
    /// Serves the waiters that can be served now. Called under the lock after every change.
    ///
    /// It looks at [`next_waiter`](Serving::next_waiter) and calls [`grant`](Serving::grant) or [`dismiss`](Serving::dismiss)
    /// until there is none or the first cannot be served; a later waiter never overtakes an earlier one of its lane.
    fn serve(serving: &mut Serving<'_, Self>);

    /// Takes back what was granted to a waiter that was dropped before it used it. `serve` follows.
    fn give_back(&mut self, lane: usize, need: usize);
}

/// State of type `S` under a lock, and those who wait for it.
#[derive(Debug)]
pub(super) struct WaitQueue<S> {
    inner: Mutex<Inner<S>>,
}

#[derive(Debug)]
struct Inner<S> {
    state: S,
    lanes: [List; LANES],
}

/// A lane's waiters, first come first.
#[derive(Debug)]
struct List {
    first: *const Node,
    last: *const Node,
    len: usize,
}

// SAFETY: the nodes that it leads to are touched under the lock only, from whichever thread holds it.
unsafe impl Send for List {}

/// A waiter as the list sees it. It lives in a pinned [`Waiter`], which takes it out of the list before it is freed.
#[derive(Debug)]
struct Node {
    /// Touched under the queue's lock only.
    linked: UnsafeCell<Linked>,
}

// SAFETY: what is inside is touched under the queue's lock only.
unsafe impl Send for Node {}
// SAFETY: as above.
unsafe impl Sync for Node {}

#[derive(Debug)]
struct Linked {
    next: *const Node,
    prev: *const Node,
    waker: Option<Waker>,
    need: usize,
    lane: usize,
    status: Status,
}

/// How a [`Waiter`] stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    /// It has not queued yet, or what it queued for has been taken.
    New,
    /// It is in the queue.
    Waiting,
    /// It has been given what it needs, and is out of the queue.
    Granted,
    /// It was sent away: what it waits for will not come.
    Dismissed,
}

impl<S: Resource> WaitQueue<S> {
    pub(super) fn new(state: S) -> Self {
        let list = || List {
            first: ptr::null(),
            last: ptr::null(),
            len: 0,
        };
        Self {
            inner: Mutex::new(Inner {
                state,
                lanes: [list(), list()],
            }),
        }
    }

    #[inline]
    pub(super) fn lock(&self) -> Locked<'_, S> {
        Locked {
            inner: self.inner.lock(),
        }
    }

    /// Changes the state and serves those who waited for that.
    #[inline]
    pub(super) fn update<R>(&self, change: impl FnOnce(&mut S) -> R) -> R {
        let mut locked = self.lock();
        let result = change(&mut locked.inner.state);
        self.serve(locked);
        result
    }

    /// Serves whom it can, releases the lock, and only then wakes those served; in several goes if they are many.
    #[inline]
    pub(super) fn serve<'q>(&'q self, mut locked: Locked<'q, S>) {
        // It stays in its place on the stack: moved about with the lock's guard, it cost more than the lock.
        let mut wakers = WakeBatch::new();
        loop {
            S::serve(&mut Serving {
                inner: &mut locked.inner,
                wakers: &mut wakers,
            });
            drop(locked);
            let more = wakers.is_full();
            wakers.wake_all();
            if !more {
                return;
            }
            locked = self.lock();
        }
    }
}

/// A [`WaitQueue`] whose lock is held.
pub(super) struct Locked<'q, S> {
    inner: MutexGuard<'q, Inner<S>>,
}

impl<S> Locked<'_, S> {
    #[inline]
    pub(super) fn state(&mut self) -> &mut S {
        &mut self.inner.state
    }

    /// True if somebody waits in the lane: a newcomer must not overtake.
    #[inline]
    pub(super) fn has_waiters(&self, lane: usize) -> bool {
        self.inner.lanes[lane].len > 0
    }

    /// How many wait in the lane.
    #[inline]
    pub(super) fn waiters(&self, lane: usize) -> usize {
        self.inner.lanes[lane].len
    }
}

/// A [`WaitQueue`] whose lock is held in order to serve those who wait.
pub(super) struct Serving<'a, S> {
    inner: &'a mut Inner<S>,
    wakers: &'a mut WakeBatch,
}

impl<S> Serving<'_, S> {
    #[inline]
    pub(super) fn state(&mut self) -> &mut S {
        &mut self.inner.state
    }

    /// True if somebody waits in the lane.
    #[inline]
    pub(super) fn has_waiters(&self, lane: usize) -> bool {
        self.inner.lanes[lane].len > 0
    }

    /// What the lane's first waiter needs; `None` if there is no waiter, or no room to note one more wake-up (`serve` is then
    /// called again).
    #[inline]
    pub(super) fn next_waiter(&self, lane: usize) -> Option<usize> {
        let first = self.inner.lanes[lane].first;
        if first.is_null() || self.wakers.is_full() {
            return None;
        }
        // SAFETY: nodes in the list are alive.
        let first = unsafe { &*first };
        // SAFETY: under the lock.
        Some(first.linked.with(|linked| unsafe { (*linked).need }))
    }

    /// Gives the lane's first waiter what it needs and wakes it when the lock is released.
    ///
    /// # Panics
    /// If [`next_waiter`](Serving::next_waiter) is `None`.
    #[inline]
    pub(super) fn grant(&mut self, lane: usize) {
        self.release_first(lane, Status::Granted);
    }

    /// Sends the lane's first waiter away and wakes it when the lock is released.
    ///
    /// # Panics
    /// If [`next_waiter`](Serving::next_waiter) is `None`.
    pub(super) fn dismiss(&mut self, lane: usize) {
        self.release_first(lane, Status::Dismissed);
    }

    fn release_first(&mut self, lane: usize, status: Status) {
        let list = &mut self.inner.lanes[lane];
        assert!(!list.first.is_null(), "nobody waits");
        // SAFETY: nodes in the list are alive.
        let node = unsafe { &*list.first };
        // SAFETY: under the lock, the first of this list.
        unsafe { list.unlink(node) };
        let waker = node.linked.with_mut(|linked| {
            // SAFETY: under the lock.
            let linked = unsafe { &mut *linked };
            linked.status = status;
            linked.waker.take()
        });
        if let Some(waker) = waker {
            self.wakers.push(waker);
        }
    }
}

impl List {
    /// # Safety
    /// Under the lock; the node is pinned and in no list, and leaves this one before it is freed.
    unsafe fn push_last(&mut self, node: &Node) {
        node.linked.with_mut(|linked| {
            // SAFETY: under the lock.
            let linked = unsafe { &mut *linked };
            linked.next = ptr::null();
            linked.prev = self.last;
        });
        match ptr::NonNull::new(self.last.cast_mut()) {
            None => self.first = node,
            // SAFETY: nodes in the list are alive, and under the lock; it is another node than `node`.
            Some(last) => unsafe { last.as_ref() }
                .linked
                .with_mut(|linked| unsafe { (*linked).next = node }),
        }
        self.last = node;
        self.len += 1;
    }

    /// # Safety
    /// Under the lock; the node is in this list.
    unsafe fn unlink(&mut self, node: &Node) {
        // SAFETY: under the lock.
        let (next, prev) = node
            .linked
            .with(|linked| unsafe { ((*linked).next, (*linked).prev) });
        match ptr::NonNull::new(prev.cast_mut()) {
            None => self.first = next,
            // SAFETY: nodes in the list are alive, and under the lock.
            Some(prev) => unsafe { prev.as_ref() }
                .linked
                .with_mut(|linked| unsafe { (*linked).next = next }),
        }
        match ptr::NonNull::new(next.cast_mut()) {
            None => self.last = prev,
            // SAFETY: nodes in the list are alive, and under the lock.
            Some(next) => unsafe { next.as_ref() }
                .linked
                .with_mut(|linked| unsafe { (*linked).prev = prev }),
        }
        self.len -= 1;
    }
}

/// One who may wait, inside of a future. Dropped while it waits, it leaves the queue; dropped after it was granted something
/// that it did not take, it gives that back to be passed on.
#[derive(Debug)]
pub(super) struct Waiter<'q, S: Resource> {
    queue: &'q WaitQueue<S>,
    /// The status is other than `New`. Touched by the owner only, so that a waiter that never waited is dropped without the lock.
    queued: bool,
    node: Node,
    _pinned: PhantomPinned,
}

impl<'q, S: Resource> Waiter<'q, S> {
    pub(super) fn new(queue: &'q WaitQueue<S>) -> Self {
        Self {
            queue,
            queued: false,
            node: Node {
                linked: UnsafeCell::new(Linked {
                    next: ptr::null(),
                    prev: ptr::null(),
                    waker: None,
                    need: 0,
                    lane: 0,
                    status: Status::New,
                }),
            },
            _pinned: PhantomPinned,
        }
    }

    /// Takes the lock to see how things stand.
    #[inline]
    pub(super) fn turn(self: Pin<&mut Self>) -> Turn<'_, 'q, S> {
        // SAFETY: nothing is moved out of it, and `node` is only handed out as a shared reference.
        let this = unsafe { self.get_unchecked_mut() };
        Turn {
            queue: this.queue,
            locked: this.queue.lock(),
            queued: &mut this.queued,
            node: &this.node,
        }
    }
}

/// A waiter that holds its queue's lock.
pub(super) struct Turn<'a, 'q, S> {
    queue: &'q WaitQueue<S>,
    locked: Locked<'q, S>,
    queued: &'a mut bool,
    node: &'a Node,
}

impl<'q, S: Resource> Turn<'_, 'q, S> {
    #[inline]
    pub(super) fn locked(&mut self) -> &mut Locked<'q, S> {
        &mut self.locked
    }

    /// How the waiter stands. After `Granted` and `Dismissed` it is `New` again: the caller has to use what was granted.
    #[inline]
    pub(super) fn status(&mut self) -> Status {
        if !*self.queued {
            return Status::New;
        }
        // SAFETY: under the lock.
        let status = self.node.linked.with(|linked| unsafe { (*linked).status });
        if status != Status::Waiting {
            *self.queued = false;
        }
        status
    }

    /// Queues the waiter in `lane`, or, if it waits already, makes it wake `waker`; releases the lock.
    pub(super) fn wait(mut self, lane: usize, need: usize, waker: &Waker) {
        let replaced = self.node.linked.with_mut(|linked| {
            // SAFETY: under the lock.
            let linked = unsafe { &mut *linked };
            if *self.queued {
                match &mut linked.waker {
                    Some(own) if own.will_wake(waker) => None,
                    own => own.replace(waker.clone()),
                }
            } else {
                linked.need = need;
                linked.lane = lane;
                linked.status = Status::Waiting;
                linked.waker.replace(waker.clone())
            }
        });
        if !*self.queued {
            *self.queued = true;
            // SAFETY: under the lock; the waiter is pinned, was in no list, and its `drop` takes the node out.
            unsafe { self.locked.inner.lanes[lane].push_last(self.node) };
        }
        drop(self.locked);
        // Outside of the lock: dropping a waker may drop a task, and with it another waiter of this queue.
        drop(replaced);
    }

    /// Serves those whom the caller's change of the state allows to be served, and releases the lock.
    #[inline]
    pub(super) fn serve(self) {
        self.queue.serve(self.locked);
    }
}

impl<S: Resource> Drop for Waiter<'_, S> {
    fn drop(&mut self) {
        if !self.queued {
            return;
        }
        let mut locked = self.queue.lock();
        let (status, lane, need, waker) = self.node.linked.with_mut(|linked| {
            // SAFETY: under the lock.
            let linked = unsafe { &mut *linked };
            (linked.status, linked.lane, linked.need, linked.waker.take())
        });
        match status {
            // SAFETY: under the lock; a waiting node is in its lane's list.
            Status::Waiting => unsafe { locked.inner.lanes[lane].unlink(&self.node) },
            Status::Granted => locked.inner.state.give_back(lane, need),
            Status::New | Status::Dismissed => {}
        }
        // Also when it only waited: the one behind it may need less.
        self.queue.serve(locked);
        drop(waker);
    }
}
