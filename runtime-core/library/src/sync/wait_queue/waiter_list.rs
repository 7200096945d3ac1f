//! A list of waiters: intrusive, in the order of arrival.
#![allow(unsafe_code)]

use std::ptr;

use super::turn_came::TurnCame;
use runtime_kernel::primitives::UnsafeCell;
use runtime_kernel::primitives::atomic::{AtomicBool, AtomicU8, Ordering};
use runtime_kernel::saved_waker::SavedWaker;

/// The waiters of one lane, in the order of arrival. It lies inside the lock that protects it and its nodes.
#[derive(Debug)]
pub(in crate::sync) struct WaiterList {
    first: *const Node,
    last: *const Node,
    len: usize,
}

// SAFETY: its nodes are accessed only under the lock, from whichever thread holds it.
unsafe impl Send for WaiterList {}

/// The status of a waiter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(in crate::sync) enum Status {
    /// It has not queued yet, or has taken what it queued for.
    New,
    /// It is in the queue, or in a [`RequeueList`](super::RequeueList) before it.
    Waiting,
    /// It is the first in its list, and was woken to take what it needs, unless others are faster.
    Called,
    /// It was given what it needs, and is out of the queue.
    Granted,
    /// It was turned away: what it waits for will not come.
    Dismissed,
}

/// A waiter as its list sees it. It lies in a pinned [`Waiter`](super::Waiter), which removes it from the list before
/// it is freed.
#[derive(Debug)]
pub(super) struct Node {
    /// Accessed only under the lock of the list that the node is in; only by its owner while it is in none.
    linked: UnsafeCell<Linked>,
    /// Changed under the lock. The change to `Granted` or `Dismissed` is the serving thread's last access: from then
    /// on the node belongs to its owner, which may read the status without the lock.
    status: AtomicU8,
    /// It waits in a requeue list, so nobody serves it before it is called. Changed and read under the list's lock;
    /// the call also holds the queue's.
    pub(super) in_requeue_list: AtomicBool,
}

// SAFETY: the contents are accessed under the lock, or by the owner while nobody else knows the node.
unsafe impl Send for Node {}
// SAFETY: as above.
unsafe impl Sync for Node {}

/// What is known about a waiter.
#[derive(Debug)]
pub(super) struct Linked {
    next: *const Node,
    prev: *const Node,
    /// Wakes it when it is served.
    pub(super) waker: Option<SavedWaker>,
    /// How much it needs; after a grant, what it was given.
    pub(super) need: usize,
    /// The lane that it is in, or was last in.
    pub(super) lane: usize,
    /// It was called out of a requeue list by a call that passes to the next one if this one leaves.
    pub(super) passes_on: bool,
    /// It waits by blocking its thread: see [`overtaking`](super::overtaking).
    pub(super) is_thread: bool,
    /// When it was first called.
    pub(super) turn_came: TurnCame,
}

impl Node {
    #[inline]
    pub(super) fn new() -> Self {
        Self {
            linked: UnsafeCell::new(Linked {
                next: ptr::null(),
                prev: ptr::null(),
                waker: None,
                need: 0,
                lane: 0,
                passes_on: false,
                is_thread: false,
                turn_came: TurnCame::default(),
            }),
            status: AtomicU8::new(Status::New as u8),
            in_requeue_list: AtomicBool::new(false),
        }
    }

    /// The waiter's status. Without the lock, `Waiting` may be out of date.
    #[inline]
    pub(super) fn status(&self) -> Status {
        // Acquire: pairs with the Release in `set_status`; the caller sees what was done with the node before.
        match self.status.load(Ordering::Acquire) {
            status if status == Status::New as u8 => Status::New,
            status if status == Status::Waiting as u8 => Status::Waiting,
            status if status == Status::Called as u8 => Status::Called,
            status if status == Status::Granted as u8 => Status::Granted,
            _ => Status::Dismissed,
        }
    }

    #[inline]
    pub(super) fn set_status(&self, status: Status) {
        // Release: pairs with the Acquire in `status`.
        self.status.store(status as u8, Ordering::Release);
    }

    /// # Safety
    /// The caller holds the lock of the list that the node is in or will be in, or owns a node that is in none. `f`
    /// does not access this node again.
    #[inline]
    pub(super) unsafe fn with<R>(&self, f: impl FnOnce(&mut Linked) -> R) -> R {
        // SAFETY: the caller has exclusive access.
        self.linked.with_mut(|linked| f(unsafe { &mut *linked }))
    }
}

impl Default for WaiterList {
    fn default() -> Self {
        Self {
            first: ptr::null(),
            last: ptr::null(),
            len: 0,
        }
    }
}

impl WaiterList {
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The first waiter.
    #[inline]
    pub(super) fn first(&self) -> Option<&Node> {
        // SAFETY: nodes in the list are alive: they leave it, under the lock that the caller holds, before they are
        // freed.
        unsafe { self.first.as_ref() }
    }

    /// # Safety
    /// Under the lock; the node is pinned and in no list, and leaves this one before it is freed.
    #[inline]
    pub(super) unsafe fn push_last(&mut self, node: &Node) {
        // SAFETY: under the lock.
        unsafe {
            node.with(|linked| {
                linked.next = ptr::null();
                linked.prev = self.last;
            });
        }
        // SAFETY: nodes in the list are alive.
        match unsafe { self.last.as_ref() } {
            None => self.first = node,
            // SAFETY: under the lock; it is another node than `node`.
            Some(last) => unsafe { last.with(|last| last.next = node) },
        }
        self.last = node;
        self.len += 1;
    }

    /// # Safety
    /// Under the lock; the node is in this list.
    #[inline]
    pub(super) unsafe fn unlink(&mut self, node: &Node) {
        // SAFETY: under the lock.
        let (next, prev) = unsafe { node.with(|linked| (linked.next, linked.prev)) };
        // SAFETY: nodes in the list are alive.
        match unsafe { prev.as_ref() } {
            None => self.first = next,
            // SAFETY: under the lock; it is another node than `node`.
            Some(prev) => unsafe { prev.with(|prev| prev.next = next) },
        }
        // SAFETY: nodes in the list are alive.
        match unsafe { next.as_ref() } {
            None => self.last = prev,
            // SAFETY: under the lock; it is another node than `node`.
            Some(next) => unsafe { next.with(|next| next.prev = prev) },
        }
        self.len -= 1;
    }
}
