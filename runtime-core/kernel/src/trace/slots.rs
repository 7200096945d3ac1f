//! The memory of a ring.
//!
//! It is mapped, not allocated. Memory that was never written costs nothing and is known to be zero, and it goes back
//! to the system at once. An allocator would clear memory that was used before, which takes some milliseconds for a
//! large ring, in the middle of the recording. The kernel is asked for huge pages: it takes about a microsecond to
//! provide 4 KiB, which is longer than writing 170 records there.
#![allow(unsafe_code)]

use std::fmt;
use std::ops::Deref;

use crate::primitives::atomic::{AtomicU64, Ordering::Relaxed};

/// The number of words in a record.
pub(super) const WORDS: usize = 3;

/// One record.
pub(super) type Slot = [AtomicU64; WORDS];

/// Slots that are initially zero.
pub(super) struct Slots(imp::Memory);

impl Slots {
    /// No slots if there is not enough memory.
    pub(super) fn new(count: usize) -> Self {
        Self(imp::Memory::new(count))
    }

    /// Writes to each page of the first `bytes`, so that they are in memory. Call this before the first record.
    pub(super) fn touch(&self, bytes: usize) {
        const PAGE: usize = 4096 / size_of::<Slot>();
        if cfg!(any(miri, lab_loom, lab_shuttle)) {
            return;
        }
        for slot in self[..self.len().min(bytes / size_of::<Slot>())]
            .iter()
            .step_by(PAGE)
        {
            slot[0].store(0, Relaxed);
        }
    }
}

impl Deref for Slots {
    type Target = [Slot];

    #[inline]
    fn deref(&self) -> &[Slot] {
        self.0.slots()
    }
}

impl fmt::Debug for Slots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Slots({})", self.len())
    }
}

#[cfg(all(unix, not(any(miri, lab_loom, lab_shuttle))))]
mod imp {
    use std::ptr::{self, NonNull};
    use std::slice;

    use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

    use super::Slot;

    /// A huge page, which the kernel provides at once.
    const HUGE_BYTES: usize = 2 << 20;

    pub(super) struct Memory {
        start: NonNull<u8>,
        bytes: usize,
        slots: NonNull<[Slot]>,
    }

    // SAFETY: it owns the mapping, which contains only atomics.
    unsafe impl Send for Memory {}
    // SAFETY: as above.
    unsafe impl Sync for Memory {}

    impl Memory {
        pub(super) fn new(count: usize) -> Self {
            // A size beyond the address space is refused, like any size for which there is no memory.
            let wanted = count.saturating_mul(size_of::<Slot>());
            // Room for an alignment to huge pages.
            let is_large = wanted >= HUGE_BYTES;
            let bytes = if is_large {
                wanted.saturating_add(HUGE_BYTES)
            } else {
                wanted
            };
            let start = match bytes {
                0 | usize::MAX => None,
                _ => map(bytes),
            };
            let Some(start) = start else {
                return Self {
                    start: NonNull::dangling(),
                    bytes: 0,
                    slots: NonNull::slice_from_raw_parts(NonNull::dangling(), 0),
                };
            };
            let before = match is_large {
                true => start.as_ptr().align_offset(HUGE_BYTES),
                false => 0,
            };
            // SAFETY: less than a huge page, and the mapping is larger than `wanted` by that much.
            let first = unsafe { start.add(before) };
            #[cfg(target_os = "linux")]
            if is_large {
                use rustix::mm::{Advice, madvise};
                // SAFETY: advice on our own mapping that changes no content. A refusal costs only speed.
                let _ = unsafe { madvise(first.as_ptr().cast(), wanted, Advice::LinuxHugepage) };
            }
            Self {
                start,
                bytes,
                slots: NonNull::slice_from_raw_parts(first.cast(), count),
            }
        }

        #[inline]
        pub(super) fn slots(&self) -> &[Slot] {
            // SAFETY: within the mapping and aligned to a page, or no slot at all. All bits zero is the value 0 of an
            // atomic.
            unsafe { slice::from_raw_parts(self.slots.as_ptr().cast(), self.slots.len()) }
        }
    }

    impl Drop for Memory {
        fn drop(&mut self) {
            if self.bytes > 0 {
                // SAFETY: the mapping is ours, and nobody borrows it any more. A failure leaves the range mapped: at
                // worst a leak.
                let _ = unsafe { munmap(self.start.as_ptr().cast(), self.bytes) };
            }
        }
    }

    fn map(bytes: usize) -> Option<NonNull<u8>> {
        // SAFETY: the system chooses an address that nothing else uses.
        let mapped = unsafe {
            mmap_anonymous(
                ptr::null_mut(),
                bytes,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::PRIVATE | MapFlags::NORESERVE,
            )
        };
        NonNull::new(mapped.ok()?.cast())
    }
}

#[cfg(not(all(unix, not(any(miri, lab_loom, lab_shuttle)))))]
mod imp {
    use super::{AtomicU64, Slot};

    pub(super) struct Memory(Box<[Slot]>);

    impl Memory {
        pub(super) fn new(count: usize) -> Self {
            let slot = |_| std::array::from_fn(|_| AtomicU64::new(0));
            Self((0..count).map(slot).collect())
        }

        pub(super) fn slots(&self) -> &[Slot] {
            &self.0
        }
    }
}

#[cfg(all(test, not(any(lab_loom, lab_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn slots_are_zero_and_keep_what_is_put_into_them() {
        for count in [0, 1, 1000, if cfg!(miri) { 2000 } else { 200_000 }] {
            let slots = Slots::new(count);
            assert_eq!(slots.len(), count);
            slots.touch(usize::MAX);
            let words = || slots.iter().flatten();
            assert!(words().all(|word| word.load(Relaxed) == 0));
            for (number, word) in words().enumerate() {
                word.store(number as u64, Relaxed);
            }
            let mut counted = words().enumerate();
            assert!(counted.all(|(number, word)| word.load(Relaxed) == number as u64));
        }
    }

    #[test]
    #[cfg(all(unix, not(miri)))]
    fn without_memory_there_are_no_slots() {
        assert_eq!(Slots::new(usize::MAX / size_of::<Slot>() / 4).len(), 0);
    }

    /// How many bytes of this process are in memory.
    #[cfg(all(target_os = "linux", not(miri)))]
    fn resident() -> usize {
        let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
        let resident = pages.split(' ').nth(1).unwrap();
        resident.parse::<usize>().unwrap() * 4096
    }

    #[test]
    #[cfg(all(target_os = "linux", not(miri)))]
    fn untouched_slots_take_no_memory() {
        const BYTES: usize = 1 << 30;
        let before = resident();
        let slots = Slots::new(BYTES / size_of::<Slot>());
        assert_ne!(slots.len(), 0);
        slots[0][0].store(1, Relaxed);
        // A huge page, and what other tests do meanwhile.
        assert!(resident().saturating_sub(before) < BYTES / 2);
    }
}
