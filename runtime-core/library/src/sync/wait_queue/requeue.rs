//! Waiters in a list of their own until somebody calls them into the line of a queue: what a condition is made of.
#![allow(unsafe_code)]

use std::fmt;
use std::pin::Pin;
use std::ptr;

use pin_project_lite::pin_project;

use super::line::{Line, Status};
use super::waiter::{Resource, WaitQueue, Waiter};
use runtime_kernel::primitives::Mutex;
use runtime_kernel::primitives::atomic::Ordering;
use runtime_kernel::saved_waker::PollWaker;
use runtime_kernel::wake_batch::WakeBatch;

/// Those who wait to be called, in the order of their coming. Whoever is called goes to the end of the queue's line
/// without being woken: it wakes when the queue serves it, and those called together are served in their order.
///
/// A node has one of two locks. While it is `in_requeue_list` it is the list's; the step that ends that is made under
/// both, the list's first, and is never undone; from then on it is the queue's.
pub(in crate::sync) struct RequeueList {
    inner: Mutex<Inner>,
}

struct Inner {
    line: Line,
    /// The address of the queue that those in the line belong to.
    queue: *const (),
}

// SAFETY: the address is only compared.
unsafe impl Send for Inner {}

/// Those in the requeue list belong to another queue.
#[derive(Debug)]
pub(in crate::sync) struct OtherQueue;

fn address<S: Resource>(queue: &WaitQueue<S>) -> *const () {
    ptr::from_ref(queue).cast()
}

impl fmt::Debug for RequeueList {
    /// Without what is under the lock: whoever is written to may use the condition.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequeueList").finish_non_exhaustive()
    }
}

impl RequeueList {
    pub(in crate::sync) fn new() -> Self {
        Self {
            inner: Mutex::new(Inner {
                line: Line::default(),
                queue: ptr::null(),
            }),
        }
    }

    /// How many are in it.
    pub(in crate::sync) fn waiters(&self) -> usize {
        self.inner.lock().line.len()
    }

    /// Calls the first `count` into `lane` of `queue`, where each needs `need`; returns how many there were. With
    /// `passes_on`, one that goes away after it was called, and before it was done, calls the next one in its stead.
    ///
    /// # Errors
    /// If those in the requeue list belong to another queue.
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
            if inner.line.len() == 0 {
                break;
            }
            if inner.queue != address(queue) {
                return Err(OtherQueue);
            }
            let mut locked = queue.lock();
            S::announce(queue.open());
            // In several goes if they are many: it bounds how long the locks are held.
            for _ in 0..WakeBatch::CAPACITY.min(count - called) {
                let Some(node) = inner.line.first().map(ptr::from_ref) else {
                    break;
                };
                // SAFETY: nodes in the line are alive, and this one is after it: it moves to a line under a lock that
                // is held.
                let node = unsafe { &*node };
                // SAFETY: under the list's lock, the first of its line.
                unsafe { inner.line.unlink(node) };
                // SAFETY: under both locks.
                unsafe {
                    node.with(|linked| {
                        linked.lane = lane;
                        linked.need = need;
                        linked.passes_on = passes_on;
                    });
                }
                node.in_requeue_list.store(false, Ordering::Relaxed);
                // SAFETY: under the queue's lock; the node is pinned, is in no line now, and belongs to a waiter of
                // this queue, whose `drop` takes it out.
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
    /// One who may wait in a requeue list, and in its queue's line once it was called.
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

    /// Joins those in the requeue list, behind them. The caller is `New`.
    ///
    /// # Errors
    /// If they belong to another queue.
    pub(in crate::sync) fn join_list(
        self: Pin<&mut Self>,
        own: &mut PollWaker<'_>,
    ) -> Result<(), OtherQueue> {
        own.prepare();
        let this = self.project();
        // SAFETY: nothing is moved out of it.
        let waiter = unsafe { this.waiter.get_unchecked_mut() };
        assert!(!waiter.queued, "it stands in line already");
        let mut inner = this.list.inner.lock();
        let queue = address(waiter.queue);
        if inner.line.len() == 0 {
            inner.queue = queue;
        } else if inner.queue != queue {
            return Err(OtherQueue);
        }
        let waker = own.take();
        // SAFETY: the node is in no line, and its owner's.
        let before = unsafe { waiter.node.with(|linked| linked.waker.replace(waker)) };
        waiter.node.in_requeue_list.store(true, Ordering::Relaxed);
        waiter.node.set_status(Status::Waiting);
        waiter.queued = true;
        // SAFETY: under the lock; the waiter is pinned, was in no line, and `go_away` takes the node out.
        unsafe { inner.line.push_last(&waiter.node) };
        drop(inner);
        drop(before);
        Ok(())
    }

    /// Makes it be woken by `own`, and says how it stands; after `Granted` it is `New` again: the caller has to use
    /// what was granted.
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
                // SAFETY: under the list's lock, and in its line.
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

    /// Leaves those in the requeue list; or, if it was called and that was not for all, calls the next one in its stead
    /// and leaves the queue as any waiter does.
    fn go_away(self: Pin<&mut Self>) {
        let this = self.project();
        // SAFETY: nothing is moved out of it.
        let waiter = unsafe { this.waiter.get_unchecked_mut() };
        if !waiter.queued {
            return;
        }
        let mut inner = this.list.inner.lock();
        if waiter.node.in_requeue_list.load(Ordering::Relaxed) {
            // SAFETY: under the list's lock, and in its line.
            unsafe { inner.line.unlink(&waiter.node) };
            // SAFETY: its owner's alone from here on.
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
            // Those in the requeue list now may belong to another queue: then nobody waits for what was called for.
            let _ = this.list.call(waiter.queue, (lane, need), 1, true);
        }
    }
}
