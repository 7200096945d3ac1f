//! Which children were woken. The protocol is in the module's README.

use std::sync::Arc;
use std::task::Waker;

use runtime_kernel::primitives::Mutex;
use runtime_kernel::primitives::atomic::{
    AtomicBool, AtomicU32,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};
use runtime_kernel::saved_waker::{PollWaker, SavedWaker};

/// No child: the end of a list.
pub(super) const EMPTY: u32 = u32::MAX;

/// Only in `head`: the list is empty, and the combinator's task waits to be woken.
const PARKED: u32 = u32::MAX - 1;

/// The children of one combinator that are due to be polled.
pub(super) struct ReadyList {
    /// The last child that was woken, `EMPTY` or `PARKED`.
    head: AtomicU32,
    /// The task to wake. Under a lock, which is taken once each time that the combinator parks.
    task: Mutex<Option<SavedWaker>>,
    nodes: Box<[Node]>,
}

/// A child, as its wakers see it.
pub(super) struct Node {
    /// The list that it belongs to; see `child_waker.rs`.
    pub(super) list: *const ReadyList,
    pub(super) index: u32,
    /// The child after this one. Belongs to the thread that has set `queued`, then to the combinator until it clears
    /// `queued`.
    next: AtomicU32,
    /// The child is in the list or in the combinator's batch, or is about to be pushed.
    queued: AtomicBool,
}

impl ReadyList {
    /// A list of `count` children. All are due, in order: the first batch begins with child 0.
    ///
    /// # Panics
    /// If there are more than `u32::MAX - 2`.
    pub(super) fn new(count: usize) -> Arc<Self> {
        assert!(
            count < PARKED as usize,
            "a combinator holds at most {PARKED} futures, not {count}: use several"
        );
        let count = count as u32;
        Arc::new_cyclic(|list| Self {
            head: AtomicU32::new(EMPTY),
            task: Mutex::new(None),
            nodes: (0..count)
                .map(|index| Node {
                    list: list.as_ptr(),
                    index,
                    next: AtomicU32::new(if index + 1 < count { index + 1 } else { EMPTY }),
                    queued: AtomicBool::new(true),
                })
                .collect(),
        })
    }

    pub(super) fn node(&self, index: u32) -> &Node {
        &self.nodes[index as usize]
    }

    /// A child was woken. Any thread may call this, at any time.
    pub(super) fn wake(&self, index: u32) {
        let node = self.node(index);
        // Release: the poll that this asks for sees what the waker's caller did, even if the child is already due.
        // Pairs with the swap in `begin`.
        if node.queued.swap(true, AcqRel) {
            return;
        }
        let mut head = self.head.load(Relaxed);
        loop {
            node.next
                .store(if head == PARKED { EMPTY } else { head }, Relaxed);
            // Release: `take` sees the link. Acquire: `PARKED` was stored after the task's waker.
            match self
                .head
                .compare_exchange_weak(head, index, AcqRel, Relaxed)
            {
                Ok(_) => break,
                Err(now) => head = now,
            }
        }
        if head == PARKED {
            let task = self.task.lock().take();
            if let Some(task) = task {
                task.wake();
            }
        }
    }

    /// The combinator takes all children that were woken. Returns the first, with the others linked behind it; or
    /// `EMPTY`.
    pub(super) fn take(&self) -> u32 {
        // Acquire: sees the links. All pushes are read-modify-writes, so this one swap pairs with each of them.
        let mut last = self.head.swap(EMPTY, Acquire);
        if last == PARKED {
            return EMPTY;
        }
        // In a stack the last one comes first. Reversed, so that no child waits behind later ones.
        let mut first = EMPTY;
        while last != EMPTY {
            let node = self.node(last);
            let before = node.next.load(Relaxed);
            node.next.store(first, Relaxed);
            first = last;
            last = before;
        }
        first
    }

    /// The combinator is about to poll a child of its batch. Returns the one after it. From here on a wake queues the
    /// child again.
    pub(super) fn begin(&self, index: u32) -> u32 {
        let node = self.node(index);
        // Before `queued` is cleared: from then on the link belongs to a waker.
        let next = node.next.load(Relaxed);
        // Acquire: pairs with the swap in `wake`.
        node.queued.swap(false, AcqRel);
        next
    }

    /// The combinator has nothing to do: the next wake of a child must wake `task`. False: a child was woken
    /// meanwhile.
    pub(super) fn park(&self, task: &Waker) -> bool {
        // Cloned before the lock is taken, because this runs user code. The clone is nearly always needed, because a
        // wake takes the last one.
        let mut own = PollWaker::new(task);
        own.prepare();
        let _ = own.store_in(&mut self.task.lock());
        // Release: the thread that replaces `PARKED` finds the waker.
        self.head
            .compare_exchange(EMPTY, PARKED, Release, Relaxed)
            .is_ok()
    }

    /// The combinator is dropped: from now on nobody is woken.
    pub(super) fn abandon(&self) {
        let task = self.task.lock().take();
        drop(task);
    }
}
