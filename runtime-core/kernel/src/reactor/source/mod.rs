//! What is known of one registered socket: a word, and who waits. See the README for the protocol.
#![allow(unsafe_code)]

use std::convert::Infallible;
use std::num::NonZeroU64;
use std::task::{Context, Poll};
use std::time::Duration;

use super::readiness::{Direction, ReadyEvent, ready};
use super::waiters::{WaitKey, WaitList, Waiters};
use crate::primitives::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::primitives::{UnsafeCell, spin_loop, thread};
use crate::saved_waker::PollWaker;
use crate::trace::{Cause, caused_by};

/// Somebody has the lists of waiters, and alone may write the word. In the byte of the readiness bits, and none of
/// them.
const LOCKED: u64 = 1 << 7;
const TICK_SHIFT: u32 = 8;
const TICK_MASK: u64 = (1 << 24) - 1;
const GENERATION_SHIFT: u32 = 32;

/// Not a tick.
const NEVER: u32 = u32::MAX;

/// How often one looks for the lock to be free before giving up the processor: whoever has it may have lost his.
const LOCK_SPINS: u32 = 32;

/// How often one gives it up before sleeping: whoever has the lock may have a lower priority.
const LOCK_YIELDS: u32 = 64;
const LOCK_SLEEP: Duration = Duration::from_micros(50);

/// Unlocked.
fn word(generation: u32, tick: u32, bits: u8) -> u64 {
    u64::from(generation) << GENERATION_SHIFT | u64::from(tick) << TICK_SHIFT | u64::from(bits)
}
fn generation_of(word: u64) -> u32 {
    (word >> GENERATION_SHIFT) as u32
}
fn tick_of(word: u64) -> u32 {
    (word >> TICK_SHIFT & TICK_MASK) as u32
}
fn bits_of(word: u64) -> u8 {
    (word & !LOCKED) as u8
}

/// One socket's readiness and waiters. On cache lines of its own: neighbours belong to other workers. In this order,
/// so that all that one reader needs is on the first of them.
#[repr(C, align(128))]
pub(super) struct Source {
    word: AtomicU64,
    /// For each direction the last tick at which a transfer was short: the event of that tick is used up, and stays so
    /// as long as the word has the tick. Apart from the word, so that who finds that out writes it down with a plain
    /// store.
    used_up: [AtomicU32; 2],
    waiters: UnsafeCell<Waiters>,
}

// SAFETY: `waiters` is touched through `Locked` alone, of which there is one at a time, and wakers are `Send`.
unsafe impl Sync for Source {}

/// The lists of waiters, and the right to write the word.
struct Locked<'a> {
    source: &'a Source,
    /// What the word is in the end. At first, what it was.
    unlock_as: u64,
}

impl Locked<'_> {
    #[inline]
    fn waiters<R>(&mut self, f: impl FnOnce(&mut Waiters) -> R) -> R {
        self.source
            .waiters
            // SAFETY: nobody else has the lock, and `self` is borrowed as long as `f` runs.
            .with_mut(|waiters| f(unsafe { &mut *waiters }))
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        // A store is enough, as nobody writes a word that is locked. Release: the next to lock it sees our writes to
        // the lists, and who sees a bit sees what the event brought.
        self.source.word.store(self.unlock_as, Ordering::Release);
    }
}

impl Source {
    pub(super) fn new() -> Self {
        Self {
            word: AtomicU64::new(0),
            used_up: [AtomicU32::new(NEVER), AtomicU32::new(NEVER)],
            waiters: UnsafeCell::new(Waiters::default()),
        }
    }

    /// Which owner the slot has, or had last.
    pub(super) fn generation(&self) -> u32 {
        generation_of(self.word.load(Ordering::Relaxed))
    }

    /// Locks the word, unless `refuses` finds a reason not to in what it is.
    #[inline]
    fn lock_unless<R>(&self, refuses: impl Fn(u64) -> Option<R>) -> Result<Locked<'_>, R> {
        let mut attempt = 0;
        // Acquire, here and below: pairs with the Release in `Locked::drop`.
        let mut current = self.word.load(Ordering::Acquire);
        loop {
            if let Some(refusal) = refuses(current) {
                return Err(refusal);
            }
            if current & LOCKED != 0 {
                current = self.look_again(&mut attempt);
                continue;
            }
            match self.word.compare_exchange_weak(
                current,
                current | LOCKED,
                Ordering::Acquire,
                Ordering::Acquire,
            ) {
                Ok(_) => {
                    return Ok(Locked {
                        source: self,
                        unlock_as: current,
                    });
                }
                Err(now) => current = now,
            }
        }
    }

    /// The lock is not free: what the word is after a moment.
    #[cold]
    fn look_again(&self, attempt: &mut u32) -> u64 {
        *attempt += 1;
        if cfg!(any(lab_loom, lab_shuttle)) {
            thread::yield_now();
        } else if *attempt <= LOCK_SPINS {
            spin_loop();
        } else if *attempt <= LOCK_SPINS + LOCK_YIELDS {
            thread::yield_now();
        } else {
            std::thread::sleep(LOCK_SLEEP);
        }
        self.word.load(Ordering::Acquire)
    }

    fn lock(&self) -> Locked<'_> {
        let Ok(locked) = self.lock_unless(|_| None::<Infallible>);
        locked
    }

    /// Hands the slot to another owner, or to none.
    pub(super) fn start(&self, generation: u32, bits: u8) {
        let mut locked = self.lock();
        for used_up in &self.used_up {
            used_up.store(NEVER, Ordering::Relaxed);
        }
        locked.unlock_as = word(generation, 0, bits);
    }

    /// Marks it as shut down, whoever owns it, and wakes who waits.
    pub(super) fn shut_down(&self) {
        let mut locked = self.lock();
        locked.unlock_as |= u64::from(ready::SHUT_DOWN);
        Self::wake_and_unlock(locked, ready::SHUT_DOWN);
    }

    /// Notes that `bits` were reported for the owner `generation` and wakes who waited for one of them. False, and
    /// nothing done, if the slot has another owner by now.
    #[inline]
    pub(super) fn set_ready(&self, generation: u32, bits: u8) -> bool {
        let is_late = |current| (generation_of(current) != generation).then_some(());
        let Ok(mut locked) = self.lock_unless(is_late) else {
            return false;
        };
        locked.unlock_as = self.with_event(locked.unlock_as, bits);
        Self::wake_and_unlock(locked, bits);
        true
    }

    /// The word after an event. What is used up goes, and the new tick is none that is.
    fn with_event(&self, current: u64, bits: u8) -> u64 {
        let [read, write] = &self.used_up;
        // Relaxed: a note that is overlooked costs an attempt in vain. None about a tick to come is possible.
        let used_up = [read.load(Ordering::Relaxed), write.load(Ordering::Relaxed)];
        let mut tick = tick_of(current);
        let left = bits_of(current) & !used_up_bits(used_up, tick);
        while {
            tick = (tick + 1) & TICK_MASK as u32;
            used_up.contains(&tick)
        } {}
        word(generation_of(current), tick, left | bits)
    }

    /// Wakes who waits for one of `bits`.
    pub(super) fn wake(&self, bits: u8) {
        Self::wake_and_unlock(self.lock(), bits);
    }

    #[inline]
    fn wake_and_unlock(mut locked: Locked<'_>, bits: u8) {
        let shut_down = bits & ready::SHUT_DOWN != 0;
        let (readers, writers) = locked.waiters(|waiters| {
            let (mut readers, mut writers) = (WaitList::default(), WaitList::default());
            if (bits & ready::READ != 0 || shut_down) && !waiters.read.is_empty() {
                readers = waiters.read.take();
            }
            if (bits & ready::WRITE != 0 || shut_down) && !waiters.write.is_empty() {
                writers = waiters.write.take();
            }
            (readers, writers)
        });
        drop(locked);
        let _cause = caused_by(Cause::Socket);
        readers.wake_all();
        writers.wake_all();
    }

    fn event(&self, current: u64, direction: Direction) -> Option<ReadyEvent> {
        let tick = tick_of(current);
        let mut bits = bits_of(current);
        // Relaxed: who does not see another one's store makes an attempt in vain.
        if self.used_up[direction as usize].load(Ordering::Relaxed) == tick {
            bits &= !direction.transient();
        }
        (bits & (direction.mask() | ready::SHUT_DOWN) != 0).then_some(ReadyEvent {
            tick,
            bits,
            direction,
        })
    }

    /// Ready if `direction` is; else leaves the waker. `waiting` is called under the lock after a waker was left, with
    /// who waits.
    #[inline]
    pub(super) fn poll_ready(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        key: Option<&mut WaitKey>,
        waiting: impl FnOnce(&Waiters),
    ) -> Poll<ReadyEvent> {
        // Acquire: pairs with the Release in `Locked::drop`.
        if let Some(event) = self.event(self.word.load(Ordering::Acquire), direction) {
            return Poll::Ready(event);
        }
        // Before the lock, which others spin for: a clone runs code of others.
        let mut own = PollWaker::new(cx.waker());
        own.prepare();
        let mut locked = match self.lock_unless(|current| self.event(current, direction)) {
            Ok(locked) => locked,
            Err(event) => return Poll::Ready(event),
        };
        let displaced = locked.waiters(|waiters| {
            let displaced = match key {
                None => waiters.list(direction).add(&mut own),
                Some(key) => {
                    let key = *key.get_or_insert_with(|| waiters.new_key());
                    waiters.list(direction).add_keyed(key, &mut own)
                }
            };
            waiting(waiters);
            displaced
        });
        drop(locked);
        if let Some(displaced) = displaced {
            displaced.wake();
        }
        Poll::Pending
    }

    /// Clears `direction`, of which an attempt has just said "would block", unless an event came after `event`.
    pub(super) fn clear(&self, event: ReadyEvent) {
        let mask = event.direction.mask();
        let is_over = |current| {
            (tick_of(current) != event.tick || bits_of(current) & mask == 0).then_some(())
        };
        if let Ok(mut locked) = self.lock_unless(is_over) {
            locked.unlock_as &= !u64::from(mask);
        }
    }

    /// As [`clear`](Source::clear) after a transfer that was short: the end of the stream is remembered.
    #[inline]
    pub(super) fn use_up(&self, event: ReadyEvent) {
        // Relaxed: the next attempt is the same task's, which sees it, or another one's; see `event`.
        self.used_up[event.direction as usize].store(event.tick, Ordering::Relaxed);
    }

    /// Takes back a future's waker.
    pub(super) fn cancel(&self, direction: Direction, key: NonZeroU64) {
        let remove = |waiters: &mut Waiters| waiters.list(direction).remove(key);
        let waker = self.lock().waiters(remove);
        // Not under the lock: it may be the last reference to a task.
        drop(waker);
    }

    /// Calls `f` under the lock with who waits.
    pub(super) fn with_waiting(&self, generation: u32, f: impl FnOnce(&Waiters)) {
        let mut locked = self.lock();
        if generation_of(locked.unlock_as) == generation {
            locked.waiters(|waiters| f(waiters));
        }
    }
}

/// The bits that mean nothing at `tick`, as a short transfer of their direction has used up its event.
fn used_up_bits(used_up: [u32; 2], tick: u32) -> u8 {
    let [read, write] = used_up;
    let mut bits = 0;
    if read == tick {
        bits |= ready::READABLE;
    }
    if write == tick {
        bits |= ready::WRITABLE;
    }
    bits
}

#[cfg(all(test, lab_loom))]
pub(super) mod loom_tests;
#[cfg(all(test, not(lab_loom), not(lab_shuttle)))]
mod tests;
