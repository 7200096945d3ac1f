//! What is known of one registered socket.

use std::num::NonZeroU64;
use std::task::{Context, Poll, Waker};

use super::waiters::{WaitKey, WaitList, Waiters};
use super::{Direction, ReadyEvent};
use crate::primitives::Mutex;
use crate::primitives::atomic::{AtomicU64, Ordering};

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

/// One socket's readiness and waiters. On cache lines of its own: neighbours belong to other workers. In this order, so that all that one
/// reader needs is on the first of them.
#[repr(C, align(128))]
pub(super) struct Source {
    word: AtomicU64,
    waiters: Mutex<Waiters>,
}

impl Source {
    pub(super) fn new() -> Self {
        Self {
            word: AtomicU64::new(0),
            waiters: Mutex::new(Waiters::default()),
        }
    }

    /// Which owner the slot has, or had last.
    pub(super) fn generation(&self) -> u32 {
        generation_of(self.word.load(Ordering::Relaxed))
    }

    /// Hands the slot to another owner, or to none.
    pub(super) fn start(&self, generation: u32, bits: u8) {
        // A swap and no store: a late event's exchange must come before it or fail after it, also in the model checker's eyes.
        // Release pairs with the Acquire loads of who is handed the token.
        self.word.swap(word(generation, 0, bits), Ordering::AcqRel);
    }

    /// Marks it as shut down, whoever owns it, and wakes who waits.
    pub(super) fn shut_down(&self) {
        self.word
            .fetch_or(u64::from(ready::SHUT_DOWN), Ordering::AcqRel);
        self.wake(ready::SHUT_DOWN);
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

    /// Wakes who waits for one of `bits`.
    pub(super) fn wake(&self, bits: u8) {
        let shut_down = bits & ready::SHUT_DOWN != 0;
        let (mut readers, mut writers) = (WaitList::default(), WaitList::default());
        {
            let mut waiters = self.waiters.lock();
            if (bits & ready::READ != 0 || shut_down) && !waiters.read.is_empty() {
                readers = waiters.read.take();
            }
            if (bits & ready::WRITE != 0 || shut_down) && !waiters.write.is_empty() {
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

    /// Ready if `direction` is; else leaves the waker. `waiting` is called under the lock after a waker was left, with who waits.
    pub(super) fn poll_ready(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        key: Option<&mut WaitKey>,
        waiting: impl FnOnce(&Waiters),
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
        waiting(&waiters);
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

    /// Calls `f` under the lock with who waits.
    pub(super) fn with_waiting(&self, generation: u32, f: impl FnOnce(&Waiters)) {
        let waiters = self.waiters.lock();
        if generation_of(self.word.load(Ordering::Acquire)) == generation {
            f(&waiters);
        }
    }
}

#[cfg(all(test, lab_loom))]
pub(super) mod loom_tests {
    use std::sync::atomic::AtomicUsize as Count;
    use std::task::Wake;

    use loom::sync::Arc;
    use loom::thread;

    use super::*;

    pub(in crate::reactor) struct Counting(pub(in crate::reactor) Count);
    impl Wake for Counting {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    pub(in crate::reactor) fn poll(
        source: &Source,
        woken: &std::sync::Arc<Counting>,
    ) -> Poll<ReadyEvent> {
        let waker = Waker::from(woken.clone());
        source.poll_ready(
            &mut Context::from_waker(&waker),
            Direction::Read,
            None,
            |_| {},
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
}
