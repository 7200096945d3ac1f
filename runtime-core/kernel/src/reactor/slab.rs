//! All registered sockets: finds the source of an event.

use std::sync::OnceLock;

use super::late::{Calls, Found};
use super::readiness::Direction;
use super::source::{Listed, Source};
use super::token::Token;
use crate::primitives::Mutex;
use crate::primitives::atomic::{AtomicUsize, Ordering};

const FIRST_PAGE: u32 = 64;
const PAGES: usize = 26;

struct Slots {
    free: Vec<u32>,
    /// Slots below this have been used at least once.
    used: u32,
    shut_down: bool,
}

/// All sources of a reactor. Slots are reused but never freed, so that an event finds its source without a lock.
pub(super) struct Sources {
    /// Page `n` holds `FIRST_PAGE << n` sources.
    pages: [OnceLock<Box<[Source]>>; PAGES],
    slots: Mutex<Slots>,
    live: AtomicUsize,
    pub(super) calls: Calls,
}

impl Sources {
    pub(super) fn new() -> Self {
        Self {
            pages: std::array::from_fn(|_| OnceLock::new()),
            slots: Mutex::new(Slots {
                free: Vec::new(),
                used: 0,
                shut_down: false,
            }),
            live: AtomicUsize::new(0),
            calls: Calls::default(),
        }
    }

    fn page_and_offset(index: u32) -> (usize, usize) {
        let page = (index / FIRST_PAGE + 1).ilog2();
        (
            page as usize,
            (index - FIRST_PAGE * ((1 << page) - 1)) as usize,
        )
    }

    fn at(&self, index: u32) -> Option<&Source> {
        let (page, offset) = Self::page_and_offset(index);
        self.pages.get(page)?.get()?.get(offset)
    }

    /// Takes a slot for a socket that starts with the readiness `bits`; `None` after
    /// [`shut_down`](Sources::shut_down).
    pub(super) fn claim(&self, bits: u8) -> Option<Token> {
        let mut slots = self.slots.lock();
        if slots.shut_down {
            return None;
        }
        let index = slots.free.pop().unwrap_or_else(|| {
            let index = slots.used;
            slots.used += 1;
            index
        });
        let (page, offset) = Self::page_and_offset(index);
        let page = self.pages[page].get_or_init(|| {
            (0..(FIRST_PAGE as usize) << page)
                .map(|_| Source::new())
                .collect()
        });
        let source = &page[offset];
        let generation = Token::next_generation(source.generation());
        source.start(generation, bits);
        self.live.fetch_add(1, Ordering::Relaxed);
        Some(Token { index, generation })
    }

    /// The source of a token whose slot is still owned.
    pub(super) fn get(&self, token: Token) -> &Source {
        self.at(token.index)
            .expect("a token's slot exists for as long as the reactor")
    }

    /// Handles an event that the kernel reported. Drops it and returns false if its socket was closed in the meantime.
    pub(super) fn dispatch(&self, token: Token, bits: u8) -> bool {
        let Some(source) = self.at(token.index) else {
            return false;
        };
        let Some(called) = source.set_ready(token.generation, bits) else {
            return false;
        };
        for (direction, called) in [Direction::Read, Direction::Write].into_iter().zip(called) {
            if let Some(called) = called {
                self.calls.note(token, direction, called);
            }
        }
        true
    }

    fn found(&self, token: Token, direction: Direction) -> Found {
        let source = self.at(token.index);
        let called =
            source.and_then(|source| source.called_before_others(token.generation, direction));
        called.map_or(Found::Nobody, Found::Called)
    }

    /// Wakes the futures that have waited too long behind one that was called.
    #[inline]
    pub(super) fn wake_behind_late(&self) {
        let wake_all = |token: Token, direction| {
            if let Some(source) = self.at(token.index) {
                source.wake_all_in(token.generation, direction);
            }
        };
        self.calls
            .look(|token, direction| self.found(token, direction), wake_all);
    }

    /// See [`Source::with_waiting`].
    pub(super) fn with_waiting(&self, token: Token, f: impl FnOnce(Listed<'_>)) {
        if let Some(source) = self.at(token.index) {
            source.with_waiting(token.generation, f);
        }
    }

    /// Gives a slot back and wakes all that still wait for its socket.
    pub(super) fn release(&self, token: Token) {
        let source = self.get(token);
        let next = Token::next_generation(token.generation);
        // From here on, events for the old generation are dropped.
        source.start(next, 0);
        source.wake_all();
        self.live.fetch_sub(1, Ordering::Relaxed);
        self.slots.lock().free.push(token.index);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.live.load(Ordering::Relaxed) == 0
    }

    /// From now on every operation fails. Wakes all waiters.
    pub(super) fn shut_down(&self) {
        let used = {
            let mut slots = self.slots.lock();
            slots.shut_down = true;
            slots.used
        };
        for source in (0..used).filter_map(|index| self.at(index)) {
            source.shut_down();
        }
    }
}

#[cfg(all(test, lab_loom))]
mod loom_tests {
    use std::sync::atomic::AtomicUsize as Count;

    use loom::sync::Arc;
    use loom::thread;

    use super::*;
    use crate::reactor::readiness::ready;
    use crate::reactor::source::loom_tests::{Counting, poll};

    /// An event for the slot's previous owner neither wakes nor marks the next one.
    #[test]
    fn a_late_event_wakes_no_new_owner() {
        loom::model(|| {
            let sources = Arc::new(Sources::new());
            let old = sources.claim(0).unwrap();
            let poller = {
                let sources = sources.clone();
                thread::spawn(move || sources.dispatch(old, ready::READABLE))
            };
            sources.release(old);
            let new = sources.claim(0).unwrap();
            assert_eq!(old.slot(), new.slot());
            let woken = std::sync::Arc::new(Counting(Count::new(0)));
            assert!(poll(sources.get(new), &woken).is_pending());
            poller.join().unwrap();
            assert!(poll(sources.get(new), &woken).is_pending());
        });
    }
}
