//! A child's waker: a pointer to its node, and a reference on the ready list that the node stands in.
//!
//! An `Arc` for each child would need no unsafe code, and an allocation for each child.
#![allow(unsafe_code)]

use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::task::{RawWaker, RawWakerVTable, Waker};

use super::ready_list::{Node, ReadyList};

static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, drop);

// SAFETY: `list` is followed only by wakers, which have a reference on it; all else in a node is atomic.
unsafe impl Send for Node {}
// SAFETY: as above.
unsafe impl Sync for Node {}

impl ReadyList {
    /// The waker of a child, without a reference of its own: for one poll. What the child clones has one.
    pub(super) fn waker(self: &Arc<Self>, index: u32) -> BorrowedWaker<'_> {
        let node = std::ptr::from_ref(self.node(index));
        // SAFETY: the table's functions are for pointers to nodes, and keep the rules of `RawWaker`. The waker is
        // never dropped, so that it gives up no reference, and is gone before `self` is.
        let waker = ManuallyDrop::new(unsafe { Waker::new(node.cast(), &VTABLE) });
        BorrowedWaker { waker, _list: self }
    }
}

/// See [`ReadyList::waker`].
pub(super) struct BorrowedWaker<'a> {
    waker: ManuallyDrop<Waker>,
    _list: &'a Arc<ReadyList>,
}

impl BorrowedWaker<'_> {
    pub(super) fn get(&self) -> &Waker {
        &self.waker
    }
}

/// SAFETY: `data` is that of a waker with this table, which has a reference on the node's list or borrows one.
unsafe fn node<'a>(data: *const ()) -> &'a Node {
    // SAFETY: by this function's contract the list is alive, and with it its nodes.
    unsafe { &*data.cast::<Node>() }
}

unsafe fn clone(data: *const ()) -> RawWaker {
    // SAFETY: of a waker with this table.
    let list = unsafe { node(data) }.list;
    // SAFETY: the list is in an `Arc` (`ReadyList::new`), and alive by this waker's reference.
    unsafe { Arc::increment_strong_count(list) };
    RawWaker::new(data, &VTABLE)
}

unsafe fn wake(data: *const ()) {
    // SAFETY: of a waker with this table.
    unsafe { wake_by_ref(data) };
    // SAFETY: the reference is this waker's, and given up once.
    unsafe { drop(data) };
}

unsafe fn wake_by_ref(data: *const ()) {
    // SAFETY: of a waker with this table.
    let node = unsafe { node(data) };
    // SAFETY: alive by this waker's reference.
    unsafe { &*node.list }.wake(node.index);
}

unsafe fn drop(data: *const ()) {
    // SAFETY: of a waker with this table.
    let list = unsafe { node(data) }.list;
    // SAFETY: the reference is this waker's, and given up once.
    unsafe { Arc::decrement_strong_count(list) };
}
