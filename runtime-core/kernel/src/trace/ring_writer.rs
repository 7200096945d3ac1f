//! A thread's access to its ring.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::clock;
use super::names::Seen;
use super::os_switches::Switches;
use super::recorded::ThreadKind;
use super::ring::Ring;
use super::table::{Fact, Outcome, Queue, Table};
use super::words::{MAX_TICKS, PAYLOAD, Words, ended_bits, queued_bits};
use crate::primitives::atomic::AtomicU64;
use crate::task::TaskId;

/// A thread's access to its ring.
pub(super) struct Writer {
    /// The recording that the ring belongs to.
    pub(super) number: u32,
    pub(super) ring: Arc<Ring>,
    /// The ring's index in the recording.
    pub(super) stream: usize,
    /// The thread's number in the recording.
    pub(super) thread: u32,
    uses_counter: bool,
    pub(super) seen: Seen,
    /// The time stamp of the last event.
    last: Cell<u64>,
    /// The record that has the last event, or [`NOT_KEPT`].
    told_by: Cell<u64>,
    /// The last poll that began.
    poll: Cell<Poll>,
    /// Under 1:1: the kernel's counts for the thread when that poll began.
    switches: Option<Cell<Switches>>,
}

/// A poll that has begun.
#[derive(Clone, Copy)]
struct Poll {
    /// The task's id; 0: none.
    task: usize,
    /// When it began.
    stamp: u64,
    /// Its record, or [`NOT_KEPT`].
    record: u64,
}

/// No record has this index.
const NOT_KEPT: u64 = u64::MAX;

/// The words of a record.
const HEAD: usize = 1;
const LAST: usize = 2;

impl Writer {
    pub(super) fn new(
        number: u32,
        ring: Arc<Ring>,
        stream: usize,
        thread: u32,
        kind: ThreadKind,
    ) -> Self {
        Self {
            number,
            ring,
            stream,
            thread,
            uses_counter: clock::uses_counter(),
            seen: Seen::new(),
            last: Cell::new(0),
            told_by: Cell::new(NOT_KEPT),
            poll: Cell::new(Poll {
                task: 0,
                stamp: 0,
                record: NOT_KEPT,
            }),
            switches: match kind {
                ThreadKind::Task => Switches::so_far().map(Cell::new),
                _ => None,
            },
        }
    }

    /// The present time. It is later than that of each previous event of this thread, whatever the clock's steps, so
    /// that a poll ends later than what happened in it.
    #[inline]
    fn now(&self) -> u64 {
        let now = clock::now(self.uses_counter).max(self.last.get() + 1);
        self.last.set(now);
        now
    }

    /// Writes a record with the present time.
    #[inline]
    pub(super) fn push(&self, words: Words) {
        self.push_at(self.now(), words);
    }

    #[inline]
    fn push_at(&self, stamp: u64, words: Words) {
        let record = self.ring.push([stamp, words.0, words.1]);
        self.told_by.set(record.unwrap_or(NOT_KEPT));
    }

    /// Writes a record with the same time as the thread's last event. It costs a third of one with its own time.
    #[cold]
    #[inline(never)]
    pub(super) fn push_at_last(&self, words: Words) {
        match self.last.get() {
            0 => self.push(words),
            last => self.push_at(last, words),
        }
    }

    /// Writes a record with the time just after the thread's last event.
    #[inline]
    pub(super) fn push_right_after(&self, words: Words) {
        match self.last.get() {
            0 => self.push(words),
            last => {
                self.last.set(last + 1);
                self.push_at(last + 1, words);
            }
        }
    }

    /// A word of a record, if the record was kept and is still there.
    #[inline]
    fn word(&self, record: u64, word: usize) -> Option<&AtomicU64> {
        match record {
            NOT_KEPT => None,
            record => self.ring.word(record, word),
        }
    }

    /// Adds to the record of the last event that its task is now in that queue. False if the record has no room for
    /// that.
    #[inline]
    pub(super) fn add_queue(&self, task: TaskId, queue: Queue) -> bool {
        let Some(head) = self.word(self.told_by.get(), HEAD) else {
            return false;
        };
        let words = Words(head.load(Relaxed), 0);
        let fits = words.task() == task.get() as u64 & PAYLOAD && words.queue() == 0;
        if fits {
            // Relaxed, and one word: a dump sees it with the queue or without.
            head.store(words.0 | queued_bits(queue), Relaxed);
        }
        fits
    }

    #[inline]
    pub(super) fn begin_poll(&self, task: TaskId, table: Table) {
        if let Some(switches) = &self.switches {
            switches.set(Switches::so_far().unwrap_or_default());
        }
        self.push(Fact::PollBegins(task, table).words());
        self.poll.set(Poll {
            task: task.get(),
            stamp: self.last.get(),
            record: self.told_by.get(),
        });
    }

    /// Records how often the kernel switched the thread in the poll that ends.
    #[cold]
    #[inline(never)]
    fn push_switches(&self, task: TaskId, before: Switches) {
        let switches = Switches::so_far().unwrap_or(before).since(before);
        for (waited, count) in [(true, switches.voluntary), (false, switches.involuntary)] {
            if count > 0 {
                self.push(Fact::Switched(task, waited, count).words());
            }
        }
    }

    /// Records how the poll ended and when: in the record of the poll if possible, otherwise in a separate one.
    /// Returns how many ticks it took, if its start is known.
    #[inline]
    pub(super) fn end_poll(&self, task: TaskId, outcome: Outcome) -> Option<u64> {
        if let Some(switches) = &self.switches {
            self.push_switches(task, switches.get());
        }
        let now = self.now();
        let poll = self.poll.get();
        let ticks = now - poll.stamp;
        if poll.task != task.get() {
            // It began before the recording, or before another poll on this thread.
            self.push_at_last(Fact::PollEnds(task, outcome).words());
            return None;
        }
        match self.word(poll.record, LAST) {
            Some(word) if ticks < MAX_TICKS => {
                // Relaxed, and one word: a dump sees a poll that has ended, or one that continues.
                word.store(word.load(Relaxed) | ended_bits(ticks, outcome), Relaxed);
                self.told_by.set(poll.record);
            }
            _ => self.push_at_last(Fact::PollEnds(task, outcome).words()),
        }
        Some(ticks)
    }
}
