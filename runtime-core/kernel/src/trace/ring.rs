//! One thread's records. The protocol is in the README.

use crate::primitives::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
    fence,
};

/// Words of a record.
pub(super) const WORDS: usize = 3;

/// Which records a ring keeps when there are more than fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// The first ones.
    Oldest,
    /// The last ones.
    Newest,
}

/// A ring of records. One thread at a time writes; anyone reads.
#[derive(Debug)]
pub(super) struct Ring {
    keep: Keep,
    words: Box<[AtomicU64]>,
    /// Records in all that fit, a power of two; 0: none.
    capacity: u64,
    /// Records that the writer has begun. Only kept up in a ring that keeps the newest.
    begun: AtomicU64,
    /// Records that are complete.
    done: AtomicU64,
    /// Records that were not kept, for a ring that keeps the oldest.
    dropped: AtomicU64,
}

/// What was read from a ring.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Copied {
    /// The index of the first one.
    pub(super) first: u64,
    pub(super) records: Vec<[u64; WORDS]>,
    /// Records that were written and are not here.
    pub(super) dropped: u64,
}

impl Ring {
    /// Room for `capacity` records, rounded up to a power of two.
    pub(super) fn new(capacity: usize, keep: Keep) -> Self {
        let capacity = match capacity {
            0 => 0,
            some => some.next_power_of_two(),
        };
        Self {
            keep,
            words: zeroed(capacity * WORDS),
            capacity: capacity as u64,
            begun: AtomicU64::new(0),
            done: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        }
    }

    pub(super) fn capacity(&self) -> u64 {
        self.capacity
    }

    /// How many records were written so far.
    pub(super) fn written(&self) -> u64 {
        self.done.load(Relaxed)
    }

    /// Whether another thread should write on in here.
    pub(super) fn has_room(&self) -> bool {
        match self.keep {
            Keep::Newest => self.capacity > 0,
            Keep::Oldest => self.written() < self.capacity / 2,
        }
    }

    /// Writes one record. To be called by one thread at a time: else records are torn.
    #[inline]
    pub(super) fn push(&self, record: [u64; WORDS]) {
        let index = self.done.load(Relaxed);
        if index >= self.capacity && (self.keep == Keep::Oldest || self.capacity == 0) {
            // A load and a store: nobody else writes.
            self.dropped.store(self.dropped.load(Relaxed) + 1, Relaxed);
            return;
        }
        if self.keep == Keep::Newest {
            self.begun.store(index + 1, Relaxed);
            // Pairs with the fence in `copy`: who has read a word of this record sees that it was begun.
            fence(Release);
        }
        let at = (index & (self.capacity - 1)) as usize * WORDS;
        if let Some(slot) = self.words.get(at..at + WORDS) {
            for (word, value) in slot.iter().zip(record) {
                word.store(value, Relaxed);
            }
        }
        // Release: pairs with the first load in `copy`.
        self.done.store(index + 1, Release);
    }

    /// What is in the ring. The writer may go on meanwhile.
    pub(super) fn copy(&self) -> Copied {
        // Acquire: pairs with the store at the end of `push`.
        let done = self.done.load(Acquire);
        let oldest = done.saturating_sub(self.capacity);
        let mut records = Vec::with_capacity((done - oldest) as usize);
        for index in oldest..done {
            let at = (index & (self.capacity - 1)) as usize * WORDS;
            records.push(std::array::from_fn(|word| {
                self.words[at + word].load(Relaxed)
            }));
        }
        // Pairs with the fence in `push`.
        fence(Acquire);
        let begun = self.begun.load(Relaxed);
        let first = begun.saturating_sub(self.capacity).clamp(oldest, done);
        records.drain(..(first - oldest) as usize);
        Copied {
            first,
            records,
            dropped: first + self.dropped.load(Relaxed),
        }
    }
}

#[cfg(not(lab_loom))]
#[allow(unsafe_code)]
fn zeroed(words: usize) -> Box<[AtomicU64]> {
    // The allocator has pages that are zero and not there yet: a large ring that is little used takes little memory.
    // SAFETY: all bits zero is the value 0 of an atomic.
    unsafe { Box::<[AtomicU64]>::new_zeroed_slice(words).assume_init() }
}

#[cfg(lab_loom)]
fn zeroed(words: usize) -> Box<[AtomicU64]> {
    (0..words).map(|_| AtomicU64::new(0)).collect()
}

#[cfg(all(test, lab_loom))]
mod loom_tests {
    use loom::sync::Arc;
    use loom::thread;

    use super::*;

    /// A record that tells a torn one from a whole one, and its place in the order.
    fn record(number: u64) -> [u64; WORDS] {
        [number, number * 10, number * 100]
    }

    fn whole_and_in_order(keep: Keep, writes: u64) {
        loom::model(move || {
            let ring = Arc::new(Ring::new(2, keep));
            let writer = {
                let ring = ring.clone();
                thread::spawn(move || (1..=writes).for_each(|number| ring.push(record(number))))
            };
            let copied = ring.copy();
            for (place, found) in copied.records.iter().enumerate() {
                // The record with the index 0 has the number 1.
                assert_eq!(*found, record(copied.first + place as u64 + 1));
            }
            writer.join().unwrap();
            let copied = ring.copy();
            assert_eq!(copied.records.len(), 2);
            assert_eq!(copied.dropped, writes - 2);
        });
    }

    #[test]
    fn loom_a_reader_sees_whole_records_while_they_are_overwritten() {
        whole_and_in_order(Keep::Newest, 4);
    }

    #[test]
    fn loom_a_full_ring_keeps_its_first_records() {
        whole_and_in_order(Keep::Oldest, 3);
    }
}

#[cfg(all(test, not(any(lab_loom, lab_shuttle))))]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;
    use std::thread;

    use super::*;

    fn record(number: u64) -> [u64; WORDS] {
        [number, !number, number.wrapping_mul(0x9E37_79B9_7F4A_7C15)]
    }

    #[test]
    fn records_come_out_as_they_went_in() {
        for keep in [Keep::Oldest, Keep::Newest] {
            let ring = Ring::new(4, keep);
            (0..3).for_each(|number| ring.push(record(number)));
            let copied = ring.copy();
            assert_eq!(copied.records, [record(0), record(1), record(2)]);
            assert_eq!((copied.first, copied.dropped), (0, 0));
        }
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let (oldest, newest) = (Ring::new(4, Keep::Oldest), Ring::new(4, Keep::Newest));
        for number in 0..10 {
            oldest.push(record(number));
            newest.push(record(number));
        }
        let (oldest, newest) = (oldest.copy(), newest.copy());
        assert_eq!(oldest.records, [0, 1, 2, 3].map(record));
        assert_eq!(newest.records, [6, 7, 8, 9].map(record));
        assert_eq!([oldest.dropped, newest.dropped], [6, 6]);
    }

    #[test]
    fn a_ring_without_room_counts_everything() {
        for keep in [Keep::Oldest, Keep::Newest] {
            let ring = Ring::new(0, keep);
            ring.push(record(1));
            ring.push(record(2));
            let copied = ring.copy();
            assert_eq!((copied.records.len(), copied.dropped), (0, 2));
            assert!(!ring.has_room());
        }
    }

    #[test]
    fn a_reader_sees_whole_records_while_the_writer_laps_it() {
        const WRITES: u64 = if cfg!(miri) { 300 } else { 300_000 };
        let ring = Arc::new(Ring::new(16, Keep::Newest));
        let ended = Arc::new(AtomicBool::new(false));
        let writer = {
            let (ring, ended) = (ring.clone(), ended.clone());
            thread::spawn(move || {
                (0..WRITES).for_each(|number| ring.push(record(number)));
                ended.store(true, Release);
            })
        };
        let mut last = false;
        while !last {
            last = ended.load(Acquire);
            let copied = ring.copy();
            for (place, found) in copied.records.iter().enumerate() {
                assert_eq!(*found, record(copied.first + place as u64));
            }
        }
        writer.join().unwrap();
        assert_eq!(ring.copy().first, WRITES - 16);
    }
}
