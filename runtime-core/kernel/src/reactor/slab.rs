//! All registered sockets: where an event finds its source.

use std::sync::OnceLock;

use super::readiness::ready;
use super::source::Source;
use super::waiters::Waiters;
use crate::primitives::Mutex;
use crate::primitives::atomic::{AtomicUsize, Ordering};

/// Names a registered socket to the kernel: a slot of the slab, and which of its successive owners is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token {
    index: u32,
    generation: u32,
}

/// With 32-bit words the portable backend's key has fewer bits for each part.
const INDEX_BITS: u32 = usize::BITS / 2;

impl Token {
    pub(super) fn to_key(self) -> usize {
        let generation = self.generation as usize;
        generation << INDEX_BITS | self.index as usize
    }

    pub(super) fn from_key(key: usize) -> Self {
        Self {
            index: (key & ((1 << INDEX_BITS) - 1)) as u32,
            generation: (key >> INDEX_BITS) as u32,
        }
    }

    pub(super) fn slot(self) -> usize {
        self.index as usize
    }

    /// The generation after `generation`, in the bits that a key has for it. The highest is left out, so that no
    /// token is the key that a backend reserves.
    fn next_generation(generation: u32) -> u32 {
        let last = ((1_u64 << (usize::BITS - INDEX_BITS)) - 2) as u32;
        if generation >= last {
            0
        } else {
            generation + 1
        }
    }
}

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

    /// A fresh slot for a socket that starts with the readiness `bits`; `None` after [`shut_down`](Sources::shut_down).
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

    /// The source of a token that is owned.
    pub(super) fn get(&self, token: Token) -> &Source {
        self.at(token.index)
            .expect("a token's slot exists for as long as the reactor")
    }

    /// An event that the kernel reported; dropped if its socket is closed by now.
    pub(super) fn dispatch(&self, token: Token, bits: u8) -> bool {
        self.at(token.index)
            .is_some_and(|source| source.set_ready(token.generation, bits))
    }

    /// See [`Source::with_waiting`].
    pub(super) fn with_waiting(&self, token: Token, f: impl FnOnce(&Waiters)) {
        if let Some(source) = self.at(token.index) {
            source.with_waiting(token.generation, f);
        }
    }

    /// Gives a slot back and wakes whoever still waited for its socket.
    pub(super) fn release(&self, token: Token) {
        let source = self.get(token);
        let next = Token::next_generation(token.generation);
        // From here on, events for the old generation are dropped.
        source.start(next, 0);
        source.wake(ready::READ | ready::WRITE);
        self.live.fetch_sub(1, Ordering::Relaxed);
        self.slots.lock().free.push(token.index);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.live.load(Ordering::Relaxed) == 0
    }

    /// Fails every operation from now on, and wakes who waits.
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
    use crate::reactor::source::loom_tests::{Counting, poll};

    /// An event for the slot's last owner neither wakes nor marks the next one.
    #[test]
    fn a_late_event_touches_nobody() {
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
