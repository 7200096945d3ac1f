//! The queues of one worker in a replay.

use std::collections::VecDeque;

/// How a strand became due. This decides where it waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Its task was spawned.
    Spawned,
    /// Another task woke its task.
    Woken,
    /// Its task yielded, or something outside woke it.
    Behind,
}

/// M:N's default queues: the slot, the LIFO queue and the FIFO queue.
#[derive(Debug, Default)]
pub(super) struct Queues {
    slot: Option<usize>,
    lifo: VecDeque<usize>,
    fifo: VecDeque<usize>,
    takes_fifo: bool,
}

impl Queues {
    /// Whether others could take what was put in: they leave the slot alone.
    pub(super) fn put(&mut self, strand: usize, due: Due) -> bool {
        match due {
            Due::Spawned => self.lifo.push_back(strand),
            Due::Behind => self.fifo.push_back(strand),
            Due::Woken => match self.slot.replace(strand) {
                Some(displaced) => self.fifo.push_back(displaced),
                None => return false,
            },
        }
        true
    }

    /// What its worker runs next: the slot, and then the newest spawned and the oldest other task in turn.
    pub(super) fn take(&mut self) -> Option<usize> {
        if let Some(strand) = self.slot.take() {
            return Some(strand);
        }
        self.takes_fifo = !self.takes_fifo;
        if self.takes_fifo {
            self.lifo.pop_back().or_else(|| self.fifo.pop_front())
        } else {
            self.fifo.pop_front().or_else(|| self.lifo.pop_back())
        }
    }

    /// How many strands others could take.
    pub(super) fn stealable(&self) -> usize {
        self.lifo.len() + self.fifo.len()
    }

    /// Moves half of one queue to `thief`, the oldest first.
    pub(super) fn move_half_to(&mut self, thief: &mut Self, most: usize) {
        let (from, to) = if self.fifo.is_empty() {
            (&mut self.lifo, &mut thief.lifo)
        } else {
            (&mut self.fifo, &mut thief.fifo)
        };
        let count = from.len().div_ceil(2).min(most);
        to.extend(from.drain(..count));
    }

    /// The oldest one, which a thief runs first.
    pub(super) fn take_oldest(&mut self) -> Option<usize> {
        self.fifo.pop_front().or_else(|| self.lifo.pop_front())
    }
}
