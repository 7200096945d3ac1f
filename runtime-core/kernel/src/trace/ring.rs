//! One thread's records. The protocol is in the README.

use super::slots::{Slots, WORDS};
use crate::primitives::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
    fence,
};

/// Which records a ring keeps if not all fit.
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
    slots: Slots,
    /// A record's slot is its index under this mask. A ring that keeps the oldest records has all bits set: a record
    /// that does not fit has no slot, and no record of a ring without room has one.
    mask: u64,
    /// The number of complete records.
    done: AtomicU64,
    /// The number of records that were not kept, for a ring that keeps the oldest.
    dropped: AtomicU64,
}

/// The records that were read from a ring.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Copied {
    /// The index of the first one.
    pub(super) first: u64,
    pub(super) records: Vec<[u64; WORDS]>,
    /// The number of records that were written and are not here.
    pub(super) dropped: u64,
}

impl Ring {
    /// Room for `capacity` records, rounded up to a power of two. If there is no memory for them, room for none.
    pub(super) fn new(capacity: usize, keep: Keep) -> Self {
        let capacity = match capacity {
            0 => 0,
            some => some.next_power_of_two(),
        };
        let slots = Slots::new(capacity);
        Self {
            mask: match keep {
                Keep::Oldest => u64::MAX,
                Keep::Newest => (slots.len() as u64).wrapping_sub(1),
            },
            slots,
            done: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        }
    }

    pub(super) fn capacity(&self) -> u64 {
        self.slots.len() as u64
    }

    /// The number of records that were written so far.
    pub(super) fn written(&self) -> u64 {
        self.done.load(Relaxed)
    }

    fn keeps_oldest(&self) -> bool {
        self.mask == u64::MAX
    }

    /// Whether another thread should continue in this ring.
    pub(super) fn has_room(&self) -> bool {
        if self.keeps_oldest() {
            self.written() < self.capacity() / 2
        } else {
            self.capacity() > 0
        }
    }

    /// Loads the first `bytes` into memory, so that no writer waits for the kernel to provide them.
    pub(super) fn prepare(&self, bytes: usize) {
        self.slots.touch(bytes);
    }

    /// Writes one record. Returns its index if it was kept. Only one thread at a time may call this; otherwise records
    /// are torn.
    #[inline]
    pub(super) fn push(&self, record: [u64; WORDS]) -> Option<u64> {
        let index = self.done.load(Relaxed);
        // Pairs with the fence in `copy`: a reader that has read a word of this record sees `done` as it is now, or
        // later.
        fence(Release);
        let Some(slot) = self.slots.get((index & self.mask) as usize) else {
            self.drop_one();
            return None;
        };
        for (word, value) in slot.iter().zip(record) {
            word.store(value, Relaxed);
        }
        // Release: pairs with the first load in `copy`.
        self.done.store(index + 1, Release);
        Some(index)
    }

    #[cold]
    fn drop_one(&self) {
        // A load and a store: nobody else writes.
        self.dropped.store(self.dropped.load(Relaxed) + 1, Relaxed);
    }

    /// One word of a record, if the record is still there. Only the writer may call this.
    #[inline]
    pub(super) fn word(&self, index: u64, word: usize) -> Option<&AtomicU64> {
        let is_there = self.done.load(Relaxed).wrapping_sub(index) <= self.slots.len() as u64;
        let slot = self.slots.get((index & self.mask) as usize)?;
        is_there.then(|| &slot[word])
    }

    /// The records in the ring. The writer may continue meanwhile.
    pub(super) fn copy(&self) -> Copied {
        // Acquire: pairs with the store at the end of `push`.
        let done = self.done.load(Acquire);
        let oldest = done.saturating_sub(self.capacity());
        let mut records = Vec::with_capacity((done - oldest) as usize);
        for index in oldest..done {
            let slot = self.slots.get((index & self.mask) as usize);
            let slot = slot.expect("a record that is complete has a slot");
            records.push(std::array::from_fn(|word| slot[word].load(Relaxed)));
        }
        // Pairs with the fence in `push`.
        fence(Acquire);
        let first = if self.keeps_oldest() {
            0
        } else {
            // The slot of the record after the complete ones may already be partly overwritten.
            let begun = self.done.load(Relaxed) + 1;
            begun.saturating_sub(self.capacity()).clamp(oldest, done)
        };
        records.drain(..(first - oldest) as usize);
        Copied {
            first,
            records,
            dropped: first + self.dropped.load(Relaxed),
        }
    }
}

#[cfg(all(test, lab_loom))]
mod loom_tests {
    use loom::sync::Arc;
    use loom::thread;

    use super::*;

    // The writer is the first thread, so that it runs first. loom remembers only the last access to an atomic. A
    // writer that loads `done` before it stores it would hide the reader's access, and loom would try only one
    // schedule.

    /// A record that shows whether it is torn, and its place in the order.
    fn record(number: u64) -> [u64; WORDS] {
        [number, number * 10, number * 100]
    }

    fn whole_and_in_order(keep: Keep, writes: u64) {
        loom::model(move || {
            let ring = Arc::new(Ring::new(2, keep));
            let reader = {
                let ring = ring.clone();
                thread::spawn(move || {
                    let copied = ring.copy();
                    for (place, found) in copied.records.iter().enumerate() {
                        // The record with the index 0 has the number 1.
                        assert_eq!(*found, record(copied.first + place as u64 + 1));
                    }
                })
            };
            // On the first thread, as in all models here.
            for number in 1..=writes {
                ring.push(record(number));
            }
            reader.join().unwrap();
            let copied = ring.copy();
            let kept = if keep == Keep::Oldest { 2 } else { 1 };
            assert_eq!(copied.records.len() as u64, kept);
            assert_eq!(copied.dropped, writes - kept);
        });
    }

    #[test]
    fn loom_a_reader_sees_whole_records_while_they_are_overwritten() {
        whole_and_in_order(Keep::Newest, 3);
    }

    #[test]
    fn loom_a_full_ring_keeps_its_first_records() {
        whole_and_in_order(Keep::Oldest, 3);
    }

    #[test]
    fn loom_a_record_is_seen_with_its_later_word_or_without() {
        loom::model(|| {
            let ring = Arc::new(Ring::new(2, Keep::Newest));
            let reader = {
                let ring = ring.clone();
                thread::spawn(move || {
                    let copied = ring.copy();
                    for (place, found) in copied.records.iter().enumerate() {
                        let number = copied.first + place as u64 + 1;
                        let later = [number, number * 10, 7];
                        assert!(*found == record(number) || number == 1 && *found == later);
                    }
                })
            };
            let index = ring.push(record(1)).unwrap();
            ring.word(index, 2).unwrap().store(7, Relaxed);
            (2..=3).for_each(|number| assert!(ring.push(record(number)).is_some()));
            assert!(ring.word(index, 2).is_none());
            reader.join().unwrap();
        });
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
            for number in 0..3 {
                assert_eq!(ring.push(record(number)), Some(number));
            }
            let copied = ring.copy();
            assert_eq!(copied.records, [record(0), record(1), record(2)]);
            assert_eq!((copied.first, copied.dropped), (0, 0));
        }
    }

    #[test]
    fn records_that_do_not_fit_are_counted() {
        let (oldest, newest) = (Ring::new(4, Keep::Oldest), Ring::new(4, Keep::Newest));
        for number in 0..10 {
            oldest.push(record(number));
            newest.push(record(number));
        }
        let (oldest, newest) = (oldest.copy(), newest.copy());
        assert_eq!(oldest.records, [0, 1, 2, 3].map(record));
        // The slot of 6 is the next to be written: a reader can't know that the write has not begun.
        assert_eq!(newest.records, [7, 8, 9].map(record));
        assert_eq!([oldest.dropped, newest.dropped], [6, 7]);
    }

    #[test]
    fn a_ring_without_room_counts_everything() {
        for keep in [Keep::Oldest, Keep::Newest] {
            let ring = Ring::new(0, keep);
            assert_eq!([ring.push(record(1)), ring.push(record(2))], [None; 2]);
            let copied = ring.copy();
            assert_eq!(copied.records.len(), 0);
            assert_eq!(copied.dropped, 2);
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
                for number in 0..WRITES {
                    ring.push(record(number));
                }
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
        assert_eq!(ring.copy().first, WRITES - 15);
    }
}
