//! Where the memory of tasks comes from: pages that are cut into blocks of one size.
//!
//! A page is mapped, not allocated. Untouched memory costs nothing, so a page may be larger than what is used of it,
//! and its unused part is known to be zero. Kernels hand out memory in units of 4 KiB, at about a microsecond each. A
//! class that has grown large asks for 2 MiB at a time. Such a huge page also needs one TLB entry instead of 512,
//! which matters because tasks are visited in any order.
#![allow(unsafe_code)]

use std::ptr::{self, NonNull};

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

/// Every page starts at a multiple of at least this.
pub(super) const PAGE_ALIGN: usize = 4096;

/// The size of a class's first pages. Smaller for shuttle and Miri, for which each look at a block is a step.
const SMALL_BYTES: usize = if cfg!(any(lab_shuttle, miri)) { 4 } else { 256 } * 1024;
/// The size of its later pages.
const LARGE_BYTES: usize = 4 * HUGE_BYTES;
/// A huge page, which the kernel hands out at once.
const HUGE_BYTES: usize = 2 * 1024 * 1024;
/// A class with this many bytes gets large pages. On average, half of a huge page is wasted: an eighth of the memory
/// at this size.
const LARGE_PAGES_MIN_BYTES: usize = 8 * 1024 * 1024;

/// Zeroed memory, in blocks of one size. Dropping this does not free it: blocks may outlive any copy of it.
#[derive(Clone, Copy)]
pub(super) struct Page {
    pub(super) start: NonNull<u8>,
    pub(super) bytes: usize,
    pub(super) block_bytes: usize,
}

impl Page {
    /// Another page for a class that has `class_bytes` so far.
    ///
    /// # Panics
    /// When the system has no memory left to map.
    pub(super) fn new(block_bytes: usize, class_bytes: usize) -> Self {
        let (start, bytes) = if class_bytes < LARGE_PAGES_MIN_BYTES {
            (map(SMALL_BYTES), SMALL_BYTES)
        } else {
            (map_huge(LARGE_BYTES), LARGE_BYTES)
        };
        Self {
            start,
            bytes,
            block_bytes,
        }
    }

    /// All blocks, used or not.
    pub(super) fn blocks(self) -> impl Iterator<Item = NonNull<u8>> {
        (0..self.len()).map(move |index| {
            // SAFETY: within the page.
            unsafe { self.start.add(index * self.block_bytes) }
        })
    }

    /// The number of blocks.
    pub(super) fn len(&self) -> usize {
        self.bytes / self.block_bytes
    }

    /// Frees the memory.
    ///
    /// # Safety
    /// Nobody uses any of its blocks.
    pub(super) unsafe fn free(self) {
        // SAFETY: by this function's contract.
        unsafe { unmap(self.start.as_ptr(), self.bytes) };
    }
}

fn map(bytes: usize) -> NonNull<u8> {
    // SAFETY: the system chooses an address that nothing else uses.
    let mapped = unsafe {
        mmap_anonymous(
            ptr::null_mut(),
            bytes,
            ProtFlags::READ | ProtFlags::WRITE,
            MapFlags::PRIVATE,
        )
    };
    match mapped.map(|start| NonNull::new(start.cast())) {
        Ok(Some(start)) => start,
        _ => panic!("the system has no memory for {bytes} bytes of tasks"),
    }
}

/// Like `map`, aligned for the kernel's huge pages, which it asks for.
fn map_huge(bytes: usize) -> NonNull<u8> {
    let mapped = map(bytes + HUGE_BYTES);
    let before = mapped.align_offset(HUGE_BYTES);
    // SAFETY: within the mapping, which is larger by the maximum cost of the alignment.
    let start = unsafe { mapped.add(before) };
    // SAFETY: the ends of the mapping, which nobody uses.
    unsafe {
        unmap(mapped.as_ptr(), before);
        unmap(start.add(bytes).as_ptr(), HUGE_BYTES - before);
    }
    #[cfg(target_os = "linux")]
    {
        use rustix::mm::{Advice, madvise};
        // SAFETY: advice on our own mapping that changes no content. A refusal costs only speed.
        let _ = unsafe { madvise(start.as_ptr().cast(), bytes, Advice::LinuxHugepage) };
    }
    start
}

/// SAFETY: a range of pages from `map` that nobody uses.
unsafe fn unmap(start: *mut u8, bytes: usize) {
    if bytes > 0 {
        // SAFETY: by this function's contract. A failure leaves the range mapped: at worst a leak.
        let _ = unsafe { munmap(start.cast(), bytes) };
    }
}
