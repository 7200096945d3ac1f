//! Who keeps a task's block alive, and who frees it.
#![allow(unsafe_code)]

use std::ptr::NonNull;

use super::Header;
use super::current::count_in_prepaid;

/// One reference on a task, given up when it is dropped.
pub(in crate::task) struct Reference(pub(in crate::task) NonNull<Header>);

impl Reference {
    /// # Safety
    /// The reference is the caller's to give.
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

/// As [`release`], by a handle that has the outcome: its reference is the last one, as a rule.
///
/// # Safety
/// The reference is the caller's, and the task is complete.
#[inline]
pub(in crate::task) unsafe fn release_last(header: NonNull<Header>) {
    // Not among the prepaid references of a poll: a task does not take its own outcome.
    // SAFETY: alive by the caller's reference.
    if let Some(scheduler) = unsafe { header.as_ref() }.state.release_last() {
        // SAFETY: it was the last one.
        unsafe { free(header, scheduler) };
    }
}

/// Frees a block, and those whose last reference goes with it.
///
/// A block holds a reference on the task that awaited it, and so may whole chains of tasks that have ended hang on
/// one block: a loop, as no stack is deep enough for one call each.
///
/// # Safety
/// Nobody refers to the block, which is this scheduler's.
pub(super) unsafe fn free(header: NonNull<Header>, scheduler: u32) {
    let mut last = Some((header, scheduler));
    while let Some((header, scheduler)) = last {
        // SAFETY: by this function's contract, or the last reference was that of the block before.
        let awaiter = unsafe { (header.as_ref().vtable.deallocate)(header, scheduler) };
        last = awaiter.and_then(|awaiter| {
            // SAFETY: alive by that reference.
            let released = unsafe { awaiter.as_ref() }.state.release();
            released.map(|scheduler| (awaiter, scheduler))
        });
    }
}
