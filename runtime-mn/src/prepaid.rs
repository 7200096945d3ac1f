//! Counted references that a worker pays for in advance.
//!
//! Programs clone a handle into every task that spawns others. If each clone wrote one shared count, its cache line
//! would move between workers with every task: that was more than half of the cost of a fork with two workers. A
//! worker therefore takes a thousand references at a time and keeps them [prepaid](Prepaid). A clone takes one from
//! there, and a dropped handle puts one back. The shared count includes all handles and all prepaid references: it is
//! exact when the last worker has ended, and never too low.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ptr::{self, NonNull};

use runtime_core::primitives::atomic::{
    AtomicUsize,
    Ordering::{AcqRel, Relaxed},
};

/// References that a worker takes or gives back at a time.
pub(crate) const BATCH: usize = 1024;

/// A counted value begins with it.
pub(crate) struct Header {
    references: AtomicUsize,
    /// Frees the value. Called once, when no references are left, with a pointer that may be used for all of it.
    free: unsafe fn(NonNull<Header>),
}

impl Header {
    /// The header of a new value with one reference.
    ///
    /// # Safety
    /// The header is the first field of a `repr(C)` value, and `free` frees that value, given a pointer that may be
    /// used for all of it.
    pub(crate) unsafe fn new(free: unsafe fn(NonNull<Self>)) -> Self {
        Self {
            references: AtomicUsize::new(1),
            free,
        }
    }

    /// Counts references on behalf of a caller that has one.
    pub(crate) fn add(&self, references: usize) {
        // Relaxed: the caller has a reference, so this can't be the end.
        let before = self.references.fetch_add(references, Relaxed);
        // So many can't be alive: they were leaked by `forget`. The count must not wrap to zero.
        if before > usize::MAX / 2 {
            std::process::abort();
        }
    }
}

/// Gives up references. With the last of all, the value is freed.
///
/// # Safety
/// They are the caller's, and the pointer may be used for the whole value.
pub(crate) unsafe fn give_back(header: NonNull<Header>, references: usize) {
    // SAFETY: alive, because the references are counted.
    let (count, free) = unsafe { (&header.as_ref().references, header.as_ref().free) };
    // AcqRel: every use of the value comes before its end.
    if count.fetch_sub(references, AcqRel) == references {
        // SAFETY: there is no reference any more; by the contract of `Header::new`.
        unsafe { free(header) };
    }
}

/// The references that a worker has prepaid.
pub(crate) struct Prepaid {
    /// Null until the first reference is taken. A runtime has only one counted value, which all references are to.
    header: Cell<*const Header>,
    count: Cell<usize>,
}

impl Prepaid {
    pub(crate) const fn new() -> Self {
        Self {
            header: Cell::new(ptr::null()),
            count: Cell::new(0),
        }
    }

    /// Takes a reference.
    ///
    /// # Safety
    /// The caller has another reference, and there are no references to any other value here.
    #[inline]
    pub(crate) unsafe fn take(&self, header: NonNull<Header>) {
        let mut count = self.count.get();
        if count == 0 {
            // SAFETY: alive, because the caller has a reference.
            unsafe { header.as_ref() }.add(BATCH);
            self.header.set(header.as_ptr());
            count = BATCH;
        }
        self.count.set(count - 1);
    }

    /// Puts a reference in.
    ///
    /// # Safety
    /// The reference is the caller's, who gives it away, and there are no references to any other value here. The
    /// pointer may be used for the whole value.
    #[inline]
    pub(crate) unsafe fn put(&self, header: NonNull<Header>) {
        let mut count = self.count.get() + 1;
        self.header.set(header.as_ptr());
        if count > 2 * BATCH {
            // Others stay, so this is not the end. SAFETY: they keep the value alive.
            unsafe { header.as_ref() }
                .references
                .fetch_sub(BATCH, AcqRel);
            count -= BATCH;
        }
        self.count.set(count);
    }
}

impl Drop for Prepaid {
    fn drop(&mut self) {
        let count = self.count.get();
        if let Some(header) = NonNull::new(self.header.get().cast_mut())
            && count > 0
        {
            // SAFETY: they belong to this worker, and keep the value alive.
            unsafe { give_back(header, count) };
        }
    }
}
