//! The tree of tokens. The protocol is in the module's README.

use std::fmt;
use std::sync::{Arc, Weak};

use crate::sync::Signal;
use runtime_kernel::primitives::Mutex;
use runtime_kernel::primitives::atomic::{
    AtomicBool,
    Ordering::{Acquire, Release},
};
use runtime_kernel::slots::Slots;

/// A token's place in the tree.
pub(super) struct Node {
    /// Set under the lock of `children`, never cleared.
    cancelled: AtomicBool,
    /// The waiters for `cancelled`.
    pub(super) signal: Signal,
    /// Empty once `cancelled` is set.
    children: Mutex<Slots<Weak<Node>>>,
    parent: Option<Parent>,
}

struct Parent {
    node: Arc<Node>,
    /// The child's slot in the parent's list.
    number: usize,
}

impl Node {
    pub(super) fn root() -> Arc<Self> {
        Arc::new(Self::new(false, None))
    }

    fn new(cancelled: bool, parent: Option<Parent>) -> Self {
        Self {
            cancelled: AtomicBool::new(cancelled),
            signal: Signal::new(),
            children: Mutex::new(Slots::new()),
            parent,
        }
    }

    /// A child of `self`; already cancelled if `self` is.
    pub(super) fn child(self: &Arc<Self>) -> Arc<Self> {
        let mut children = self.children.lock();
        if self.is_cancelled() {
            drop(children);
            return Arc::new(Self::new(true, None));
        }
        Arc::new_cyclic(|child: &Weak<Self>| {
            let parent = Parent {
                node: Arc::clone(self),
                number: children.insert(child.clone()),
            };
            Self::new(false, Some(parent))
        })
    }

    pub(super) fn is_cancelled(&self) -> bool {
        // Acquire: pairs with the store in `mark`: a task that ends because of the cancel sees what was done before
        // it.
        self.cancelled.load(Acquire)
    }

    /// Marks the node and all its descendants, then wakes all their waiters.
    pub(super) fn cancel(self: &Arc<Self>) {
        let mut marked = Vec::new();
        let mut due = vec![Arc::clone(self)];
        while let Some(node) = due.pop() {
            // A child that is in its destructor has no waiters and no live children: they would keep it alive.
            due.extend(node.mark().filter_map(|child| child.upgrade()));
            marked.push(node);
        }
        for node in marked {
            node.signal.notify_all();
        }
    }

    /// Marks this node. Returns its children; none if it was already marked.
    fn mark(&self) -> impl Iterator<Item = Weak<Self>> + use<> {
        let mut children = self.children.lock();
        // Release: pairs with the load in `is_cancelled`.
        self.cancelled.store(true, Release);
        children.take_all()
    }

    #[cfg(test)]
    pub(super) fn children(&self) -> usize {
        self.children.lock().len()
    }
}

impl fmt::Debug for Node {
    /// Without the fields under a lock: the formatter's output may use the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node")
            .field("cancelled", &self.is_cancelled())
            .finish_non_exhaustive()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let mut parent = self.parent.take();
        // This child alone may keep its parent alive, and so on up the tree. A loop, because the chain may be longer
        // than the stack is deep.
        while let Some(Parent { node, number }) = parent {
            let entry = node.children.lock().remove(number);
            drop(entry);
            parent = Arc::into_inner(node).and_then(|mut node| node.parent.take());
        }
    }
}
