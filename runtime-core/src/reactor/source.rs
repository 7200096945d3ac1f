//! What is known of one registered socket, and the slab of all of them.

use std::num::NonZeroU64;
use std::sync::OnceLock;
use std::task::{Context, Poll, Waker};

use super::waiters::{WaitKey, WaitList, Waiters};
use super::{Direction, ReadyEvent};
use crate::primitives::Mutex;
use crate::primitives::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Readiness bits, the lowest byte of a source's word.
pub(super) mod ready {
    /// A read may succeed.
    pub(crate) const READABLE: u8 = 1;
    /// A write may succeed.
    pub(crate) const WRITABLE: u8 = 1 << 1;
    /// The peer has finished sending: reads never wait again. Not cleared by a short read.
    pub(crate) const READ_CLOSED: u8 = 1 << 2;
    /// The connection is gone: writes never wait again. Not cleared by a short write.
    pub(crate) const WRITE_CLOSED: u8 = 1 << 3;
    /// The reactor was closed: nothing will ever be reported again.
    pub(crate) const SHUT_DOWN: u8 = 1 << 4;
    /// Everything that lets a reader try.
    pub(crate) const READ: u8 = READABLE | READ_CLOSED;
    /// Everything that lets a writer try.
    pub(crate) const WRITE: u8 = WRITABLE | WRITE_CLOSED;
}

const TICK_SHIFT: u32 = 8;
const TICK_MASK: u64 = (1 << 24) - 1;
const GENERATION_SHIFT: u32 = 32;

fn word(generation: u32, tick: u64, bits: u8) -> u64 {
    u64::from(generation) << GENERATION_SHIFT | (tick & TICK_MASK) << TICK_SHIFT | u64::from(bits)
}
fn generation_of(word: u64) -> u32 {
    (word >> GENERATION_SHIFT) as u32
}
fn tick_of(word: u64) -> u64 {
    word >> TICK_SHIFT & TICK_MASK
}
fn bits_of(word: u64) -> u8 {
    word as u8
}

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

/// One socket's readiness and waiters. On cache lines of its own: neighbours belong to other workers.
#[repr(align(128))]
pub(super) struct Source {
    word: AtomicU64,
    waiters: Mutex<Waiters>,
}

impl Source {
    fn new() -> Self {
        Self {
            word: AtomicU64::new(0),
            waiters: Mutex::new(Waiters::default()),
        }
    }

    /// Notes that `bits` were reported for the owner `generation` and wakes who waited for one of them. False, and
    /// nothing done, if the slot has another owner by now.
    pub(super) fn set_ready(&self, generation: u32, bits: u8) -> bool {
        let mut current = self.word.load(Ordering::Relaxed);
        loop {
            if generation_of(current) != generation {
                return false;
            }
            let next = word(generation, tick_of(current) + 1, bits_of(current) | bits);
            // Release pairs with the Acquire loads in `poll_ready`: who sees the bit sees what the event brought.
            match self.word.compare_exchange_weak(
                current,
                next,
                Ordering::AcqRel,
                Ordering::Relaxed,
            ) {
                Ok(_) => break,
                Err(changed) => current = changed,
            }
        }
        self.wake(bits);
        true
    }

    fn wake(&self, bits: u8) {
        let shut_down = bits & ready::SHUT_DOWN != 0;
        let (mut readers, mut writers) = (WaitList::default(), WaitList::default());
        {
            let mut waiters = self.waiters.lock();
            if bits & ready::READ != 0 || shut_down {
                readers = waiters.read.take();
            }
            if bits & ready::WRITE != 0 || shut_down {
                writers = waiters.write.take();
            }
        }
        readers.wake_all();
        writers.wake_all();
    }

    fn event(current: u64, direction: Direction) -> Option<ReadyEvent> {
        let bits = bits_of(current);
        (bits & (direction.mask() | ready::SHUT_DOWN) != 0).then(|| ReadyEvent {
            tick: tick_of(current) as u32,
            bits,
            direction,
        })
    }

    /// Ready if `direction` is; else leaves the waker. `waiting` is called under the lock after a waker was left.
    pub(super) fn poll_ready(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        key: Option<&mut WaitKey>,
        waiting: impl FnOnce(bool, bool),
    ) -> Poll<ReadyEvent> {
        // Acquire pairs with the Release in `set_ready`.
        if let Some(event) = Self::event(self.word.load(Ordering::Acquire), direction) {
            return Poll::Ready(event);
        }
        let mut waiters = self.waiters.lock();
        // Again, under the lock: the poller writes the word before it takes the lock, so a bit that is not seen here
        // belongs to an event whose poller will find the waker.
        if let Some(event) = Self::event(self.word.load(Ordering::Acquire), direction) {
            return Poll::Ready(event);
        }
        let displaced = match key {
            None => waiters.list(direction).add(cx.waker()),
            Some(key) => {
                let key = *key.get_or_insert_with(|| waiters.new_key());
                waiters.list(direction).add_keyed(key, cx.waker())
            }
        };
        waiting(!waiters.read.is_empty(), !waiters.write.is_empty());
        drop(waiters);
        if let Some(displaced) = displaced {
            displaced.wake();
        }
        Poll::Pending
    }

    /// Clears the bits of `mask`, unless an event came after `event`.
    pub(super) fn clear(&self, event: ReadyEvent, mask: u8) {
        let mut current = self.word.load(Ordering::Relaxed);
        while tick_of(current) as u32 == event.tick && bits_of(current) & mask != 0 {
            let next = current & !u64::from(mask);
            match self.word.compare_exchange_weak(
                current,
                next,
                Ordering::AcqRel,
                Ordering::Relaxed,
            ) {
                Ok(_) => return,
                Err(changed) => current = changed,
            }
        }
    }

    /// Takes back a future's waker.
    pub(super) fn cancel(&self, direction: Direction, key: NonZeroU64) {
        let waker: Option<Waker> = self.waiters.lock().list(direction).remove(key);
        drop(waker);
    }

    /// Calls `f` under the lock with whether anyone waits to read and to write.
    pub(super) fn with_waiting(&self, generation: u32, f: impl FnOnce(bool, bool)) {
        let waiters = self.waiters.lock();
        if generation_of(self.word.load(Ordering::Acquire)) == generation {
            f(!waiters.read.is_empty(), !waiters.write.is_empty());
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
        let generation = Token::next_generation(generation_of(source.word.load(Ordering::Relaxed)));
        // Release pairs with the Acquire loads of who is handed the token.
        source
            .word
            .store(word(generation, 0, bits), Ordering::Release);
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
    pub(super) fn with_waiting(&self, token: Token, f: impl FnOnce(bool, bool)) {
        if let Some(source) = self.at(token.index) {
            source.with_waiting(token.generation, f);
        }
    }

    /// Gives a slot back and wakes whoever still waited for its socket.
    pub(super) fn release(&self, token: Token) {
        let source = self.get(token);
        let next = Token::next_generation(token.generation);
        // From here on, events for the old generation are dropped.
        source.word.store(word(next, 0, 0), Ordering::Release);
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
            source
                .word
                .fetch_or(u64::from(ready::SHUT_DOWN), Ordering::AcqRel);
            source.wake(ready::SHUT_DOWN);
        }
    }
}

#[cfg(all(test, lab_loom))]
mod loom_tests {
    use std::sync::atomic::AtomicUsize as Count;
    use std::task::Wake;

    use loom::sync::Arc;
    use loom::thread;

    use super::*;

    struct Counting(Count);
    impl Wake for Counting {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn poll(source: &Source, woken: &std::sync::Arc<Counting>) -> Poll<ReadyEvent> {
        let waker = Waker::from(woken.clone());
        source.poll_ready(
            &mut Context::from_waker(&waker),
            Direction::Read,
            None,
            |_, _| {},
        )
    }

    /// Two readers against one event: each either sees it or is woken.
    #[test]
    fn who_misses_the_event_is_woken_by_it() {
        loom::model(|| {
            let source = Arc::new(Source::new());
            let readers: Vec<_> = (0..2)
                .map(|_| {
                    let source = source.clone();
                    thread::spawn(move || {
                        let woken = std::sync::Arc::new(Counting(Count::new(0)));
                        (poll(&source, &woken).is_pending(), woken)
                    })
                })
                .collect();
            assert!(source.set_ready(0, ready::READABLE));
            for reader in readers {
                let (waits, woken) = reader.join().unwrap();
                assert_eq!(usize::from(waits), woken.0.load(Ordering::SeqCst));
            }
        });
    }

    /// A reader clears what it saw before its attempt, while the next event comes: that one is not erased.
    #[test]
    fn clearing_never_erases_a_newer_event() {
        loom::model(|| {
            let source = Arc::new(Source::new());
            let woken = std::sync::Arc::new(Counting(Count::new(0)));
            assert!(source.set_ready(0, ready::READABLE));
            let Poll::Ready(seen) = poll(&source, &woken) else {
                panic!("it is ready");
            };
            let poller = {
                let source = source.clone();
                thread::spawn(move || assert!(source.set_ready(0, ready::READABLE)))
            };
            source.clear(seen, ready::READ);
            let waits = poll(&source, &woken).is_pending();
            poller.join().unwrap();
            assert_eq!(usize::from(waits), woken.0.load(Ordering::SeqCst));
            assert!(poll(&source, &woken).is_ready());
        });
    }

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
