//! Counts how often each future was dropped.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering::Relaxed};

const ALIVE: u8 = 1;
const DROPPED: u8 = 2;

/// The most futures per life that are tracked.
const CAPACITY: usize = 1 << 20;

/// One byte per future.
///
/// A token refers to its byte by number, for as long as the process lives. If unsound code drops a token twice, the
/// second drop finds the byte, and no freed memory.
pub(crate) struct Ledger {
    states: Box<[AtomicU8]>,
    next: AtomicUsize,
    twice: AtomicUsize,
}

impl Ledger {
    fn new() -> Self {
        Self {
            states: (0..CAPACITY).map(|_| AtomicU8::new(0)).collect(),
            next: AtomicUsize::new(0),
            twice: AtomicUsize::new(0),
        }
    }

    /// The process's only ledger, because there is one life at a time.
    pub(super) fn of_process() -> &'static Self {
        static LEDGER: LazyLock<Ledger> = LazyLock::new(Ledger::new);
        &LEDGER
    }

    /// A token for a future that is about to be spawned.
    pub(super) fn token(&'static self) -> Token {
        let number = self.next.fetch_add(1, Relaxed);
        if let Some(state) = self.states.get(number) {
            state.store(ALIVE, Relaxed);
        }
        Token {
            ledger: self,
            number,
        }
    }

    /// Whether no more futures can be tracked.
    pub(super) fn is_full(&self) -> bool {
        self.next.load(Relaxed) >= CAPACITY
    }

    /// Whether the future with this number was dropped.
    pub(super) fn is_dropped(&self, number: usize) -> bool {
        // Relaxed is enough, because the handle has reported the end, which orders this after the drop.
        let state = self.states.get(number);
        state.is_none_or(|state| state.load(Relaxed) == DROPPED)
    }

    /// The number of futures that have not been dropped.
    pub(super) fn alive(&self) -> usize {
        let used = self.next.load(Relaxed).min(CAPACITY);
        let states = self.states[..used].iter();
        states.filter(|state| state.load(Relaxed) == ALIVE).count()
    }

    /// The number of drops beyond the first.
    pub(super) fn twice(&self) -> usize {
        self.twice.load(Relaxed)
    }

    /// Forgets the last life. Call it when nothing of that life is left.
    pub(super) fn clear(&self) {
        let used = self.next.swap(0, Relaxed).min(CAPACITY);
        for state in &self.states[..used] {
            state.store(0, Relaxed);
        }
        self.twice.store(0, Relaxed);
    }
}

/// Is part of a future, and is dropped with it.
pub(super) struct Token {
    ledger: &'static Ledger,
    number: usize,
}

impl Token {
    /// The argument for [`Ledger::is_dropped`].
    pub(super) fn number(&self) -> usize {
        self.number
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        if let Some(state) = self.ledger.states.get(self.number)
            && state.swap(DROPPED, Relaxed) != ALIVE
        {
            self.ledger.twice.fetch_add(1, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ledger_distinguishes_never_once_and_twice() {
        let ledger: &Ledger = Box::leak(Box::new(Ledger::new()));
        let (first, second) = (ledger.token(), ledger.token());
        let number = first.number();
        assert!(!ledger.is_dropped(number));
        assert_eq!(ledger.alive(), 2);
        drop(first);
        assert!(ledger.is_dropped(number));
        assert_eq!((ledger.alive(), ledger.twice()), (1, 0));
        // This is what unsound code would do.
        drop(Token { ledger, number });
        assert_eq!(ledger.twice(), 1);
        drop(second);
        ledger.clear();
        assert_eq!((ledger.alive(), ledger.twice()), (0, 0));
    }

    #[test]
    fn a_full_ledger_says_so_and_counts_no_further() {
        let ledger: &Ledger = Box::leak(Box::new(Ledger::new()));
        ledger.next.store(CAPACITY, Relaxed);
        assert!(ledger.is_full());
        drop(ledger.token());
        assert_eq!((ledger.alive(), ledger.twice()), (0, 0));
    }
}
