//! The source of stacks: slabs, each of which is one mapping for many stacks.
#![allow(unsafe_code)]

use std::io;
use std::ops::Range;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use runtime_kernel::primitives::real_locks::{Mutex, MutexGuard};

use super::guard;

/// The smallest size of a stack, in bytes.
pub const MIN_STACK_BYTES: usize = 8 * 1024;
/// The largest size of a stack, in bytes.
pub const MAX_STACK_BYTES: usize = 1 << 30;

/// Between two stacks. Code that goes beyond the end of its stack is caught here.
pub(crate) const GUARD_BYTES: usize = 16 * 1024;
/// The number of classes: one for each power of two.
pub(super) const CLASSES: usize = 32;
/// The approximate size of the first slab of a class. Each further slab is twice as large.
const FIRST_SLAB_BYTES: usize = 4 << 20;
const MAX_SLAB_BYTES: usize = 4 << 30;
/// This many free stacks of a class keep their pages. The pages of older ones are returned to the system.
const MAX_WARM: usize = 1024;

/// All stacks of one size, which is a power of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Class(u32);

#[derive(Debug)]
pub(super) struct Pool {
    free: Mutex<Free>,
    pub(super) slabs: AtomicUsize,
    pub(super) mapped_bytes: AtomicUsize,
    /// Stacks that exist.
    pub(super) made: AtomicUsize,
    /// How many of those are in this free list.
    pub(super) resting: AtomicUsize,
    pub(super) abandoned: AtomicUsize,
}

#[derive(Debug)]
struct Free {
    /// The top addresses, newest last.
    tops: Vec<usize>,
    /// For this many of the oldest stacks, the pages were returned to the system.
    lent: usize,
    /// All slabs, newest last.
    slabs: Vec<Range<usize>>,
    /// The unused rest of the newest slab.
    fresh: Range<usize>,
    next_slab_bytes: usize,
}

static POOLS: [Pool; CLASSES] = [const { Pool::new() }; CLASSES];

impl Pool {
    const fn new() -> Self {
        Self {
            free: Mutex::new(Free {
                tops: Vec::new(),
                lent: 0,
                slabs: Vec::new(),
                fresh: 0..0,
                next_slab_bytes: FIRST_SLAB_BYTES,
            }),
            slabs: AtomicUsize::new(0),
            mapped_bytes: AtomicUsize::new(0),
            made: AtomicUsize::new(0),
            resting: AtomicUsize::new(0),
            abandoned: AtomicUsize::new(0),
        }
    }

    fn free(&self) -> MutexGuard<'_, Free> {
        // No foreign code runs under it. If a task overflows its stack here, its end is delayed until the release.
        self.free.lock()
    }
}

pub(super) fn pools() -> &'static [Pool] {
    &POOLS
}

impl Class {
    /// The class for stacks of at least this many bytes.
    pub(super) fn for_bytes(bytes: usize) -> io::Result<Self> {
        if !(MIN_STACK_BYTES..=MAX_STACK_BYTES).contains(&bytes) {
            let message = format!(
                "a green task can't have a stack of {bytes} bytes: ask for {MIN_STACK_BYTES} to {MAX_STACK_BYTES} by \
                 `green::Builder::stack_bytes`"
            );
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        Ok(Self(bytes.next_power_of_two().trailing_zeros()))
    }

    pub(super) fn stack_bytes(self) -> usize {
        1 << self.0
    }

    /// The size of a stack with its guard.
    pub(super) fn slot_bytes(self) -> usize {
        self.stack_bytes() + GUARD_BYTES
    }

    fn pool(self) -> &'static Pool {
        &POOLS[self.0 as usize]
    }

    /// All classes.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        (0..CLASSES as u32).map(Self)
    }

    /// The addresses of all stacks that were ever created, as runs of slots.
    pub(super) fn made(self) -> Vec<Range<usize>> {
        let free = self.pool().free();
        let mut made = free.slabs.clone();
        if let Some(newest) = made.last_mut() {
            newest.end = free.fresh.start;
        }
        made
    }

    pub(super) fn count_abandoned(self) {
        self.pool().abandoned.fetch_add(1, Relaxed);
    }

    /// Moves up to `most` stacks, but at least one, newest last.
    pub(super) fn take(self, into: &mut Vec<usize>, most: usize) -> io::Result<()> {
        let pool = self.pool();
        let mut free = pool.free();
        let from = free.tops.len().saturating_sub(most);
        into.extend(free.tops.drain(from..));
        free.lent = free.lent.min(from);
        pool.resting.store(from, Relaxed);
        if into.is_empty() {
            into.push(self.make(pool, &mut free)?);
        }
        Ok(())
    }

    /// Takes stacks back, newest last.
    pub(super) fn give_back(self, tops: impl Iterator<Item = usize>) {
        let pool = self.pool();
        let mut free = pool.free();
        for top in tops {
            free.tops.push(top);
            if free.tops.len() - free.lent > MAX_WARM {
                // Under the lock, because no task may begin to use it meanwhile. If the system refuses, the pages just
                // stay.
                // SAFETY: nobody uses the stack.
                unsafe {
                    lend(
                        free.tops[free.lent] - self.stack_bytes(),
                        self.stack_bytes(),
                    )
                };
                free.lent += 1;
            }
        }
        pool.resting.store(free.tops.len(), Relaxed);
    }

    /// Creates a stack.
    fn make(self, pool: &Pool, free: &mut Free) -> io::Result<usize> {
        if free.fresh.is_empty() {
            let stacks = (free.next_slab_bytes / self.slot_bytes()).max(1);
            let bytes = stacks * self.slot_bytes();
            let start = map(bytes)?;
            free.fresh = start..start + bytes;
            free.slabs.push(start..start + bytes);
            free.next_slab_bytes = (free.next_slab_bytes * 2).min(MAX_SLAB_BYTES);
            pool.slabs.fetch_add(1, Relaxed);
            pool.mapped_bytes.fetch_add(bytes, Relaxed);
        }
        let low = free.fresh.start;
        // SAFETY: the pages belong to our mapping, and nobody uses them.
        unsafe { guard::install(low, GUARD_BYTES)? };
        free.fresh.start += self.slot_bytes();
        pool.made.fetch_add(1, Relaxed);
        Ok(free.fresh.start)
    }
}

/// Reserves addresses. The system provides pages when they are touched.
fn map(bytes: usize) -> io::Result<usize> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_STACK;
    // SAFETY: a new mapping at a place that the system chooses.
    let start = unsafe {
        libc::mmap(
            ptr::null_mut(),
            bytes,
            libc::PROT_READ | libc::PROT_WRITE,
            flags,
            -1,
            0,
        )
    };
    if start == libc::MAP_FAILED {
        let error = io::Error::last_os_error();
        let message = format!("no memory for {bytes} bytes of stacks of green tasks: {error}");
        return Err(io::Error::new(error.kind(), message));
    }
    // One touched byte must cost a page of 4 KiB, not of 2 MiB. A system that refuses this has no such pages.
    // SAFETY: our own mapping.
    unsafe { libc::madvise(start, bytes, libc::MADV_NOHUGEPAGE) };
    Ok(start.expose_provenance())
}

/// Returns pages to the system until they are written again.
///
/// # Safety
/// Nobody uses their contents.
unsafe fn lend(start: usize, bytes: usize) {
    // SAFETY: by this function's contract; the addresses are of our own mapping.
    unsafe {
        libc::madvise(
            ptr::with_exposed_provenance_mut(start),
            bytes,
            libc::MADV_FREE,
        )
    };
}
