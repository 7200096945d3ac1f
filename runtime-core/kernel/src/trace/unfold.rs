//! Unfolds one thread's records into a sequence of events.
//!
//! A record may contain more than its own event: the queue that the task was put into, and the end of the poll that
//! began. An end belongs after what happened in the poll. No two time stamps of a thread are equal, except for events
//! that happen in one step by definition, so the place of an end is known.

use super::slots::WORDS;
use super::table::{Kind, Queue};
use super::words::{Words, end_of_poll, queueing};

/// A record, or a part of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) stamp: u64,
    pub(super) words: Words,
    pub(super) thread: u32,
}

/// Converts the records of one ring, in the order in which they were written, to steps.
#[derive(Default)]
pub(super) struct Unfolding {
    thread: u32,
    /// Ends of polls that are still to come, the innermost last: when, how, and the queue afterwards.
    ends: Vec<(u64, Words, Option<Queue>)>,
}

impl Unfolding {
    pub(super) fn record(
        &mut self,
        [stamp, head, last]: [u64; WORDS],
        thread: u32,
        steps: &mut Vec<Step>,
    ) {
        if thread != self.thread {
            self.finish(steps);
            self.thread = thread;
        }
        while let Some(end) = self.ends.pop_if(|(end, ..)| *end <= stamp) {
            self.end(end, steps);
        }
        let words = Words(head, last);
        let step = |words| Step {
            stamp,
            words,
            thread,
        };
        steps.push(step(words));
        let queue = words.queue().checked_sub(1).and_then(Queue::of);
        let is_poll = words.kind() == Kind::PollBegin as u8;
        match words.poll() {
            Some((ticks, outcome)) => {
                let end = end_of_poll(words.task(), outcome);
                self.ends.push((stamp + ticks, end, queue));
            }
            // The poll was still running when this word was read, but it ended, and its task was queued, before the
            // other word was read.
            None if is_poll => {}
            None => steps.extend(queue.map(|queue| step(queueing(words.task(), queue)))),
        }
    }

    /// Call this when the ring has no more records.
    pub(super) fn finish(&mut self, steps: &mut Vec<Step>) {
        while let Some(end) = self.ends.pop() {
            self.end(end, steps);
        }
    }

    fn end(&self, (stamp, words, queue): (u64, Words, Option<Queue>), steps: &mut Vec<Step>) {
        let thread = self.thread;
        let step = |words| Step {
            stamp,
            words,
            thread,
        };
        steps.push(step(words));
        steps.extend(queue.map(|queue| step(queueing(words.task(), queue))));
    }
}

#[cfg(test)]
mod tests {
    use super::super::table::{Cause, Fact, Outcome, WorkerId};
    use super::super::words::{ended_bits, queued_bits, words};
    use super::*;

    fn unfold(records: &[[u64; WORDS]]) -> Vec<(u64, u8, u64, u8)> {
        let (mut unfolding, mut steps) = (Unfolding::default(), Vec::new());
        for record in records {
            unfolding.record(*record, 0, &mut steps);
        }
        unfolding.finish(&mut steps);
        let parts = |step: &Step| {
            (
                step.stamp,
                step.words.kind(),
                step.words.task(),
                step.words.small(),
            )
        };
        steps.iter().map(parts).collect()
    }

    fn poll(stamp: u64, task: u64, ticks: u64, outcome: Outcome, queue: u64) -> [u64; WORDS] {
        let begun = words(BEGIN, 0, task, ended_bits(ticks, outcome));
        [stamp, begun.0 | queue, begun.1]
    }

    const BEGIN: u8 = Kind::PollBegin as u8;
    const END: u8 = Kind::PollEnd as u8;
    const QUEUED: u8 = Kind::Queued as u8;

    #[test]
    fn a_polls_end_is_between_its_own_events_and_later_ones() {
        let search = Fact::Searches.words();
        let search = |stamp| [stamp, search.0, search.1];
        let found = unfold(&[
            poll(10, 16, 9, Outcome::Ready, 0),
            search(18),
            poll(20, 32, 1, Outcome::Yielded, queued_bits(Queue::Fifo)),
            search(21),
        ]);
        let searched = |stamp| (stamp, Kind::Search as u8, 0, 0);
        let expected = [
            (10, BEGIN, 16, 0),
            searched(18),
            (19, END, 16, Outcome::Ready as u8),
            (20, BEGIN, 32, 0),
            (21, END, 32, Outcome::Yielded as u8),
            (21, QUEUED, 32, Queue::Fifo as u8),
            searched(21),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn polls_in_polls_end_from_the_inside() {
        let found = unfold(&[
            poll(10, 16, 100, Outcome::Pending, 0),
            poll(20, 32, 50, Outcome::Pending, 0),
        ]);
        let order: Vec<_> = found.iter().map(|step| (step.1, step.2)).collect();
        assert_eq!(order, [(BEGIN, 16), (BEGIN, 32), (END, 32), (END, 16)]);
    }

    #[test]
    fn a_poll_that_goes_on_has_no_end_and_no_queue_yet() {
        let mut going = poll(10, 16, 0, Outcome::Pending, queued_bits(Queue::Fifo));
        going[2] = 0;
        assert_eq!(unfold(&[going]), [(10, BEGIN, 16, 0)]);
    }

    #[test]
    fn an_immediate_queueing_has_the_same_time() {
        let wake = words(Kind::Wake as u8, Cause::Timer as u8, 64, 0);
        let found = unfold(&[[5, wake.0 | queued_bits(Queue::Slot), wake.1]]);
        let wake = (5, Kind::Wake as u8, 64, Cause::Timer as u8);
        assert_eq!(found, [wake, (5, QUEUED, 64, Queue::Slot as u8)]);
        // Its owner is the thread that records it.
        assert_eq!(queueing(64, Queue::Slot).payload(), WorkerId::NONE.0);
    }
}
