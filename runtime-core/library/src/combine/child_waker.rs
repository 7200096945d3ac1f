//! A child's waker: a pointer to its node, and a reference to the ready list that contains the node.
//!
//! An `Arc` for each child would need no unsafe code, but an allocation for each child.
#![allow(unsafe_code)]

use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::task::{RawWaker, RawWakerVTable, Waker};

use super::ready_list::{Node, ReadyList};

static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, drop);

// SAFETY: only wakers follow `list`, and they have a reference to it; everything else in a node is atomic.
unsafe impl Send for Node {}
// SAFETY: as above.
unsafe impl Sync for Node {}

impl ReadyList {
    /// The waker of a child for one poll, without its own reference. Its clones have one.
    pub(super) fn waker(self: &Arc<Self>, index: u32) -> BorrowedWaker<'_> {
        let node = std::ptr::from_ref(self.node(index));
        // SAFETY: the table's functions are for pointers to nodes, and obey the rules of `RawWaker`. The waker is
        // never dropped, so it gives up no reference, and it does not outlive `self`.
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

/// # Safety
/// `data` belongs to a waker with this table, which has a reference to the node's list or borrows one, for `'a`.
unsafe fn node<'a>(data: *const ()) -> &'a Node {
    // SAFETY: by this function's contract the list is alive, and so are its nodes.
    unsafe { &*data.cast::<Node>() }
}

/// # Safety
/// `data` belongs to a waker with this table, which outlives the call.
unsafe fn clone(data: *const ()) -> RawWaker {
    // SAFETY: it belongs to a waker with this table.
    let list = unsafe { node(data) }.list;
    // SAFETY: the list is in an `Arc` (`ReadyList::new`), and alive by this waker's reference.
    unsafe { Arc::increment_strong_count(list) };
    RawWaker::new(data, &VTABLE)
}

/// # Safety
/// `data` belongs to a waker with this table, and owns a reference, which ends with this call.
unsafe fn wake(data: *const ()) {
    // SAFETY: it belongs to a waker with this table.
    unsafe { wake_by_ref(data) };
    // SAFETY: the reference is this waker's, and given up once.
    unsafe { drop(data) };
}

/// # Safety
/// `data` belongs to a waker with this table, which outlives the call.
unsafe fn wake_by_ref(data: *const ()) {
    // SAFETY: it belongs to a waker with this table.
    let node = unsafe { node(data) };
    // SAFETY: alive by this waker's reference.
    unsafe { &*node.list }.wake(node.index);
}

/// # Safety
/// `data` belongs to a waker with this table, and owns a reference, which ends with this call.
unsafe fn drop(data: *const ()) {
    // SAFETY: it belongs to a waker with this table.
    let list = unsafe { node(data) }.list;
    // SAFETY: the reference is this waker's, and given up once.
    unsafe { Arc::decrement_strong_count(list) };
}
