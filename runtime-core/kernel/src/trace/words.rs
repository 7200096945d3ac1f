//! How an event becomes a record: the second and the third word.

use super::acting::acting_task;
use super::table::{Fact, Kind, Outcome, Queue, Table, WorkerId};
use crate::task::TaskId;

/// Kinds of records that don't become events of their own.
pub(super) const NAMED: u8 = 29;
pub(super) const UNPARKS: u8 = 30;
pub(super) const THREAD_IS: u8 = 31;

/// The bits of an address in a record.
pub(super) const PAYLOAD: u64 = (1 << 48) - 1;
const KIND_SHIFT: u32 = 48;
const KIND: u64 = 0x1F;
const QUEUE_SHIFT: u32 = 53;
const QUEUE: u64 = 7;
const SMALL_SHIFT: u32 = 56;
/// The upper part of a third word starts here.
const UPPER_SHIFT: u32 = 48;

/// In the third word of a poll: how long it took, in ticks, and its outcome plus 1.
const TICKS_SHIFT: u32 = 32;
const OUTCOME_SHIFT: u32 = 61;
/// A poll that takes this many ticks or more has a separate record of its end.
pub(super) const MAX_TICKS: u64 = 1 << (OUTCOME_SHIFT - TICKS_SHIFT);

/// The second and the third word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Words(pub(super) u64, pub(super) u64);

impl Words {
    pub(super) fn task(self) -> u64 {
        self.0 & PAYLOAD
    }
    pub(super) fn kind(self) -> u8 {
        (self.0 >> KIND_SHIFT & KIND) as u8
    }
    /// Where the task was queued at the end of the recorded step: the [`Queue`] plus 1, 0 for nowhere.
    pub(super) fn queue(self) -> u8 {
        (self.0 >> QUEUE_SHIFT & QUEUE) as u8
    }
    pub(super) fn small(self) -> u8 {
        (self.0 >> SMALL_SHIFT) as u8
    }
    /// For the start of a poll.
    pub(super) fn table(self) -> Option<Table> {
        debug_assert_eq!(self.kind(), Kind::PollBegin as u8);
        Table::at_offset(self.1 as u32 as i32)
    }
    /// For the start of a poll: how long it took in ticks and how it ended, if it has ended and the record says so.
    pub(super) fn poll(self) -> Option<(u64, Outcome)> {
        if self.kind() != Kind::PollBegin as u8 {
            return None;
        }
        let outcome = ((self.1 >> OUTCOME_SHIFT) as u8).checked_sub(1)?;
        let ticks = self.1 >> TICKS_SHIFT & (MAX_TICKS - 1);
        Some((ticks, Outcome::of(outcome)?))
    }
    /// The lower part of the third word: an address or a worker.
    pub(super) fn payload(self) -> u64 {
        self.1 & PAYLOAD
    }
    /// The upper part of the third word.
    pub(super) fn upper(self) -> u16 {
        (self.1 >> UPPER_SHIFT) as u16
    }
}

/// The end of a poll of the task at that address.
pub(super) fn end_of_poll(task: u64, outcome: Outcome) -> Words {
    words(Kind::PollEnd as u8, outcome as u8, task, 0)
}

/// That task was put into a queue of the thread's own, or into the injector.
pub(super) fn queueing(task: u64, queue: Queue) -> Words {
    words(Kind::Queued as u8, queue as u8, task, WorkerId::NONE.0)
}

#[inline(always)]
pub(super) fn words(kind: u8, small: u8, task: u64, word: u64) -> Words {
    let head = task | u64::from(kind) << KIND_SHIFT;
    Words(head | u64::from(small) << SMALL_SHIFT, word)
}

/// The bits that are added to the second word when the task is queued. They are 0 before.
#[inline(always)]
pub(super) fn queued_bits(queue: Queue) -> u64 {
    (queue as u64 + 1) << QUEUE_SHIFT
}

/// The bits that are added to the third word of a poll when it ends. They are 0 before.
#[inline(always)]
pub(super) fn ended_bits(ticks: u64, outcome: Outcome) -> u64 {
    debug_assert!(ticks < MAX_TICKS);
    ticks << TICKS_SHIFT | (outcome as u64 + 1) << OUTCOME_SHIFT
}

fn address(task: Option<TaskId>) -> u64 {
    task.map_or(0, |task| task.get() as u64 & PAYLOAD)
}

fn saturated(count: usize) -> u64 {
    count.min(usize::from(u16::MAX)) as u64
}

impl Fact {
    // Always inlined: the variant is known at each call, so the rest folds away.
    #[inline(always)]
    pub(super) fn words(self) -> Words {
        let event = |kind: Kind, small, task, word| words(kind as u8, small, address(task), word);
        match self {
            Self::Queued(task, queue, owner) => {
                event(Kind::Queued, queue as u8, Some(task), owner.0)
            }
            Self::Stole(victim, count) => event(
                Kind::Steal,
                0,
                None,
                victim.0 | saturated(count) << UPPER_SHIFT,
            ),
            Self::Parks(in_poller) => event(Kind::Park, in_poller.into(), None, 0),
            Self::Unparked => event(Kind::Unpark, 0, None, 0),
            Self::Unparks(worker) => words(UNPARKS, 0, 0, worker.0),
            Self::ThreadIs(worker) => words(THREAD_IS, 0, 0, worker.0),
            Self::Searches => event(Kind::Search, 0, None, 0),
            Self::IoPolled(events) => event(Kind::IoPoll, 0, None, events as u64),
            // The second worker is given in full, so the index of the first is enough: both belong to one runtime.
            Self::HandedOff(stuck, replacement) => {
                let index = stuck.0 & u64::from(u16::MAX);
                event(Kind::HandOff, 0, None, replacement.0 | index << UPPER_SHIFT)
            }
            Self::BlockingBegins(task, job) => event(Kind::BlockingBegin, 0, task, job),
            Self::BlockingEnds(task, job) => event(Kind::BlockingEnd, 0, task, job),
            Self::PollBegins(task, table) => {
                let word = u64::from(table.offset() as u32);
                event(Kind::PollBegin, 0, Some(task), word)
            }
            Self::PollEnds(task, outcome) => event(Kind::PollEnd, outcome as u8, Some(task), 0),
            Self::Ended(task) => event(Kind::TaskEnd, 2, Some(task), 0),
            Self::Spawned(task, parent, name) => {
                let word = address(parent) | u64::from(name) << UPPER_SHIFT;
                event(Kind::Spawn, 0, Some(task), word)
            }
            Self::Named(task, name) => words(
                NAMED,
                0,
                address(Some(task)),
                u64::from(name) << UPPER_SHIFT,
            ),
            Self::Switched(task, waited, count) => {
                let small = if waited { 3 } else { 2 };
                event(Kind::OsSwitch, small, Some(task), count)
            }
            Self::Woke(task, waker, cause) => {
                event(Kind::Wake, cause as u8, Some(task), address(waker))
            }
            Self::Joined(task) => event(Kind::Joined, 0, acting_task(), address(Some(task))),
            Self::Aborted(task, by) => event(Kind::Abort, 0, Some(task), address(by)),
            Self::LockWaits(primitive, at) => {
                event(Kind::LockWait, primitive as u8, acting_task(), at as u64)
            }
            Self::LockGot(primitive, at) => {
                event(Kind::LockGot, primitive as u8, acting_task(), at as u64)
            }
            Self::LockReleased(primitive, at) => {
                event(Kind::LockRelease, primitive as u8, acting_task(), at as u64)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::table::{Fact, WorkerId};
    use super::*;

    #[test]
    fn a_record_returns_its_fields() {
        let worker = WorkerId::new(7, 3);
        let stole = Fact::Stole(worker, 70_000).words();
        assert_eq!(stole.kind(), Kind::Steal as u8);
        assert_eq!(WorkerId(stole.payload()), worker);
        assert_eq!(stole.upper(), u16::MAX);
        let handed = Fact::HandedOff(WorkerId::new(7, 2), worker).words();
        assert_eq!(WorkerId(handed.payload()), worker);
        assert_eq!(u64::from(handed.upper()), WorkerId::new(7, 2).0 & 0xFFFF);
        assert_ne!(WorkerId::new(0, 0), WorkerId::NONE);
        assert!(NAMED > Kind::ALL.len() as u8 && u64::from(THREAD_IS) <= KIND);
    }

    #[test]
    fn a_poll_has_room_for_its_end_and_for_a_queue() {
        static NEAR: u8 = 0;
        let table = Table::at((&raw const NEAR).addr());
        let task = PAYLOAD & !15;
        let begun = Words(
            task | (Kind::PollBegin as u64) << KIND_SHIFT,
            u64::from(table.offset() as u32),
        );
        assert_eq!((begun.poll(), begun.queue()), (None, 0));
        let longest = MAX_TICKS - 1;
        for outcome in [Outcome::Pending, Outcome::Cancelled] {
            let ended = begun.1 | ended_bits(longest, outcome);
            let ended = Words(begun.0 | queued_bits(Queue::Inbox), ended);
            assert_eq!(ended.poll(), Some((longest, outcome)));
            assert_eq!(ended.queue(), Queue::Inbox as u8 + 1);
            assert_eq!((ended.task(), ended.small()), (task, 0));
            assert_eq!(ended.kind(), Kind::PollBegin as u8);
            if !cfg!(miri) {
                assert_eq!(ended.table(), Some(table));
            }
        }
    }
}
