//! Waiters in their own list until somebody calls them into the list of a queue: the basis of a condition.
#![allow(unsafe_code)]

use std::fmt;
use std::pin::Pin;
use std::ptr;

use pin_project_lite::pin_project;

use super::waiter::{Resource, WaitQueue, Waiter};
use super::waiter_list::{Status, WaiterList};
use runtime_kernel::primitives::Mutex;
use runtime_kernel::primitives::atomic::Ordering;
use runtime_kernel::saved_waker::PollWaker;
use runtime_kernel::wake_batch::WakeBatch;

/// Waiters to be called, in the order of arrival. A called waiter goes to the end of the queue's list without being
/// woken: it wakes when the queue serves it. Waiters that are called together are served in their order.
///
/// One of two locks protects a node. While it is `in_requeue_list`, it is this list's. The change that ends that state
/// is made under both locks, the list's first, and is never undone; from then on it is the queue's lock.
pub(in crate::sync) struct RequeueList {
    inner: Mutex<Inner>,
}

struct Inner {
    list: WaiterList,
    /// The address of the queue that the listed waiters belong to.
    queue: *const (),
}

// SAFETY: the address is only compared.
unsafe impl Send for Inner {}

/// The waiters in the requeue list belong to another queue.
#[derive(Debug)]
pub(in crate::sync) struct OtherQueue;

fn address<S: Resource>(queue: &WaitQueue<S>) -> *const () {
    ptr::from_ref(queue).cast()
}

impl fmt::Debug for RequeueList {
    /// Without the fields under the lock: the formatter's output may use the condition.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequeueList").finish_non_exhaustive()
    }
}

impl RequeueList {
    pub(in crate::sync) fn new() -> Self {
        Self {
            inner: Mutex::new(Inner {
                list: WaiterList::default(),
                queue: ptr::null(),
            }),
        }
    }

    /// The number of waiters in it.
    pub(in crate::sync) fn waiters(&self) -> usize {
        self.inner.lock().list.len()
    }

    /// Calls the first `count` waiters into `lane` of `queue`, where each needs `need`; returns how many it called.
    /// With `passes_on`, a waiter that leaves after it was called, and before it was done, calls the next one in its
    /// place.
    ///
    /// # Errors
    /// If the waiters in the requeue list belong to another queue.
    pub(in crate::sync) fn call<S: Resource>(
        &self,
        queue: &WaitQueue<S>,
        (lane, need): (usize, usize),
        count: usize,
        passes_on: bool,
    ) -> Result<usize, OtherQueue> {
        let mut called = 0;
        while called < count {
            let mut inner = self.inner.lock();
            if inner.list.len() == 0 {
                break;
            }
            if inner.queue != address(queue) {
                return Err(OtherQueue);
            }
            let mut locked = queue.lock();
            S::announce(queue.open());
            // In several batches if they are many: this limits how long the locks are held.
            for _ in 0..WakeBatch::CAPACITY.min(count - called) {
                let Some(node) = inner.list.first().map(ptr::from_ref) else {
                    break;
                };
                // SAFETY: nodes in the list are alive, and this one stays so: it moves to a list under a lock that is
                // held.
                let node = unsafe { &*node };
                // SAFETY: under the list's lock, the first in its list.
                unsafe { inner.list.unlink(node) };
                // SAFETY: under both locks.
                unsafe {
                    node.with(|linked| {
                        linked.lane = lane;
                        linked.need = need;
                        linked.passes_on = passes_on;
                    });
                }
                node.in_requeue_list.store(false, Ordering::Relaxed);
                // SAFETY: under the queue's lock; the node is pinned, is in no list now, and belongs to a waiter of
                // this queue, whose `drop` removes the node.
                unsafe { locked.inner.lane(lane).push_last(node) };
                called += 1;
            }
            drop(inner);
            locked.serve();
        }
        Ok(called)
    }
}

pin_project! {
    /// A waiter that may wait in a requeue list, and after it was called, in its queue's list.
    #[derive(Debug)]
    pub(in crate::sync) struct Requeued<'q, S: Resource> {
        list: &'q RequeueList,
        #[pin]
        waiter: Waiter<'q, S>,
    }

    impl<S: Resource> PinnedDrop for Requeued<'_, S> {
        fn drop(this: Pin<&mut Self>) {
            this.go_away();
        }
    }
}

impl<'q, S: Resource> Requeued<'q, S> {
    pub(in crate::sync) fn new(list: &'q RequeueList, queue: &'q WaitQueue<S>) -> Self {
        Self {
            list,
            waiter: Waiter::new(queue),
        }
    }

    /// Adds the waiter, which is `New`, at the end of the requeue list.
    ///
    /// # Errors
    /// If the listed waiters belong to another queue.
    pub(in crate::sync) fn join_list(
        self: Pin<&mut Self>,
        own: &mut PollWaker<'_>,
    ) -> Result<(), OtherQueue> {
        own.prepare();
        let this = self.project();
        // SAFETY: nothing is moved out of it.
        let waiter = unsafe { this.waiter.get_unchecked_mut() };
        assert!(!waiter.queued, "it is already queued");
        let mut inner = this.list.inner.lock();
        let queue = address(waiter.queue);
        if inner.list.len() == 0 {
            inner.queue = queue;
        } else if inner.queue != queue {
            return Err(OtherQueue);
        }
        let waker = own.take();
        // SAFETY: the node is in no list, so it belongs to its owner.
        let before = unsafe { waiter.node.with(|linked| linked.waker.replace(waker)) };
        waiter.node.in_requeue_list.store(true, Ordering::Relaxed);
        waiter.node.set_status(Status::Waiting);
        waiter.queued = true;
        // SAFETY: under the lock; the waiter is pinned, was in no list, and `go_away` removes the node.
        unsafe { inner.list.push_last(&waiter.node) };
        drop(inner);
        drop(before);
        Ok(())
    }

    /// Makes `own` wake it, and returns its status. After `Granted` it is `New` again: the caller must use what was
    /// granted.
    pub(in crate::sync) fn poll(self: Pin<&mut Self>, own: &mut PollWaker<'_>) -> Status {
        let this = self.project();
        let (list, mut waiter) = (*this.list, this.waiter);
        loop {
            let status = waiter.as_mut().try_status();
            if status != Status::Waiting {
                return status;
            }
            let inner = list.inner.lock();
            // SAFETY: nothing is moved out of it.
            let node = unsafe { &waiter.as_mut().get_unchecked_mut().node };
            if node.in_requeue_list.load(Ordering::Relaxed) {
                // SAFETY: under the list's lock, and in that list.
                let done = unsafe { node.with(|linked| own.store_in(&mut linked.waker)) };
                drop(inner);
                if done {
                    return Status::Waiting;
                }
                own.prepare();
                continue;
            }
            drop(inner);
            let mut turn = waiter.as_mut().turn(own);
            let status = turn.status();
            if status != Status::Waiting || turn.rewait(own) {
                return status;
            }
        }
    }

    /// Leaves the requeue list. If it was called, and not all were, it calls the next one in its place and leaves the
    /// queue like any waiter.
    fn go_away(self: Pin<&mut Self>) {
        let this = self.project();
        // SAFETY: nothing is moved out of it.
        let waiter = unsafe { this.waiter.get_unchecked_mut() };
        if !waiter.queued {
            return;
        }
        let mut inner = this.list.inner.lock();
        if waiter.node.in_requeue_list.load(Ordering::Relaxed) {
            // SAFETY: under the list's lock, and in that list.
            unsafe { inner.list.unlink(&waiter.node) };
            // SAFETY: from here on the node belongs only to its owner.
            let waker = unsafe { waiter.node.with(|linked| linked.waker.take()) };
            waiter.queued = false;
            drop(inner);
            drop(waker);
            return;
        }
        drop(inner);
        let (lane, need, passes_on) = {
            let _locked = waiter.queue.lock();
            // SAFETY: under the queue's lock.
            unsafe {
                waiter
                    .node
                    .with(|linked| (linked.lane, linked.need, linked.passes_on))
            }
        };
        if passes_on {
            // The listed waiters may now belong to another queue. Then nobody waits for what was called for.
            let _ = this.list.call(waiter.queue, (lane, need), 1, true);
        }
    }
}
