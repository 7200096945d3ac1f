//! The references that keep a task's block alive, and how it is freed.
#![allow(unsafe_code)]

use std::ptr::NonNull;

use super::header::Header;
use crate::task::current::count_in_prepaid;

/// One reference to a task, given up when it is dropped.
pub(in crate::task) struct Reference(pub(in crate::task) NonNull<Header>);

impl Reference {
    /// # Safety
    /// The caller has the reference, and gives it away.
    pub(in crate::task) unsafe fn assume(header: NonNull<Header>) -> Self {
        Self(header)
    }

    pub(in crate::task) fn header(&self) -> &Header {
        // SAFETY: alive by the reference.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        // SAFETY: our reference, given up once.
        unsafe { release(self.0) };
    }
}

/// Takes one more reference.
///
/// # Safety
/// The caller has one.
#[inline]
pub(in crate::task) unsafe fn retain(header: NonNull<Header>) {
    if !count_in_prepaid(header, 1) {
        // SAFETY: alive by the caller's reference.
        unsafe { header.as_ref() }.state.retain();
    }
}

/// Gives up one reference, and with the last one the block.
///
/// # Safety
/// The reference is the caller's.
#[inline]
pub(in crate::task) unsafe fn release(header: NonNull<Header>) {
    if count_in_prepaid(header, -1) {
        return;
    }
    // SAFETY: alive by the caller's reference.
    if let Some(scheduler) = unsafe { header.as_ref() }.state.release() {
        // SAFETY: it was the last one.
        unsafe { free(header, scheduler) };
    }
}

/// Like [`release`], for a handle that has the outcome: its reference is usually the last one.
///
/// # Safety
/// The reference is the caller's, and the task is complete.
#[inline]
pub(in crate::task) unsafe fn release_last(header: NonNull<Header>) {
    // SAFETY: alive by the caller's reference. This does not count among a poll's prepaid references, because a task
    // does not take its own outcome.
    if let Some(scheduler) = unsafe { header.as_ref() }.state.release_last() {
        // SAFETY: it was the last one.
        unsafe { free(header, scheduler) };
    }
}

/// Frees a block, and all blocks whose last reference it held.
///
/// A block holds a reference to the task that awaited it, so whole chains of ended tasks may depend on one block. A
/// loop, because no stack is deep enough for one call each.
///
/// # Safety
/// Nobody refers to the block, which belongs to this scheduler.
pub(super) unsafe fn free(header: NonNull<Header>, scheduler: u32) {
    let mut last = Some((header, scheduler));
    while let Some((header, scheduler)) = last {
        // SAFETY: by this function's contract, or because the block before held the last reference.
        let awaiter = unsafe { (header.as_ref().vtable.deallocate)(header, scheduler) };
        last = awaiter.and_then(|awaiter| {
            // Usually this is the awaiting task, which has just received the outcome in its own poll.
            if count_in_prepaid(awaiter, -1) {
                return None;
            }
            // SAFETY: alive by that reference.
            let released = unsafe { awaiter.as_ref() }.state.release();
            released.map(|scheduler| (awaiter, scheduler))
        });
    }
}
