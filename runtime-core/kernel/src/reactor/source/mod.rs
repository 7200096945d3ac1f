//! The state of one registered socket: a word, and the waiters. See the README for the protocol.
#![allow(unsafe_code)]

use std::convert::Infallible;
use std::num::NonZeroU64;
use std::task::{Context, Poll};
use std::time::Duration;

use super::readiness::{Direction, ReadyEvent, ready};
use super::waiters::{WaitAs, WaitList, Waiters};
use crate::primitives::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use crate::primitives::{UnsafeCell, spin_loop, thread};
use crate::saved_waker::PollWaker;
use crate::trace::{Cause, caused_by};

/// A thread holds the lists of waiters, and only that thread may write the word. The bit lies in the byte of the
/// readiness bits, but is none of them.
const LOCKED: u64 = 1 << 7;
const TICK_SHIFT: u32 = 8;
const TICK_MASK: u64 = (1 << 24) - 1;
const GENERATION_SHIFT: u32 = 32;

/// A value that is never a tick.
const NEVER: u32 = u32::MAX;

/// How often a thread checks the lock before it yields the processor: the lock's holder may have been preempted.
const LOCK_SPINS: u32 = 32;

/// How often it yields before it sleeps: the lock's holder may have a lower priority.
const LOCK_YIELDS: u32 = 64;
const LOCK_SLEEP: Duration = Duration::from_micros(50);

/// Builds an unlocked word.
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

/// One socket's readiness and waiters. It has its own cache lines, because its neighbours belong to other workers. The
/// order of the fields puts all that a single reader needs on the first line.
#[repr(C, align(128))]
pub(super) struct Source {
    word: AtomicU64,
    /// For each direction, the last tick at which a transfer was short. The event of that tick is used up, and stays
    /// so as long as the word has that tick. Kept outside the word, so that the thread that finds out records it with
    /// a plain store.
    used_up: [AtomicU32; 2],
    waiters: UnsafeCell<Waiters>,
    /// For each direction, whether futures take turns there: a hint for newcomers.
    has_turns: [AtomicBool; 2],
}

// SAFETY: `waiters` is accessed only through `Locked`, of which there is one at a time, and wakers are `Send`.
unsafe impl Sync for Source {}

/// The waiters, as seen by the thread that holds the lock.
pub(super) struct Listed<'a> {
    source: &'a Source,
    word: u64,
    waiters: &'a Waiters,
}

impl Listed<'_> {
    /// Whether any waiter awaits an event of `direction`. False if the direction is ready: then the waiters were
    /// called, or a called future will call them.
    pub(super) fn awaits(&self, direction: Direction) -> bool {
        let list = match direction {
            Direction::Read => &self.waiters.read,
            Direction::Write => &self.waiters.write,
        };
        !list.is_empty() && self.source.event(self.word, direction).is_none()
    }
}

/// The lists of waiters, and the right to write the word.
struct Locked<'a> {
    source: &'a Source,
    /// What unlocking writes to the word; initially its old value.
    unlock_as: u64,
}

impl Locked<'_> {
    #[inline]
    fn waiters<R>(&mut self, f: impl FnOnce(&mut Waiters) -> R) -> R {
        self.source
            .waiters
            // SAFETY: nobody else has the lock, and `self` is borrowed while `f` runs.
            .with_mut(|waiters| f(unsafe { &mut *waiters }))
    }

    /// Calls `f` with the waiters.
    #[inline]
    fn show(&mut self, f: impl FnOnce(Listed<'_>)) {
        let (source, word) = (self.source, self.unlock_as);
        self.waiters(|waiters| {
            f(Listed {
                source,
                word,
                waiters,
            });
        });
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        // A store is enough, because nobody else writes a locked word. Release: the next thread that locks it sees our
        // writes to the lists, and a thread that sees a bit sees what the event brought.
        self.source.word.store(self.unlock_as, Ordering::Release);
    }
}

impl Source {
    pub(super) fn new() -> Self {
        Self {
            word: AtomicU64::new(0),
            used_up: [AtomicU32::new(NEVER), AtomicU32::new(NEVER)],
            waiters: UnsafeCell::new(Waiters::default()),
            has_turns: [AtomicBool::new(false), AtomicBool::new(false)],
        }
    }

    /// The generation of the slot's present owner, or of its last one.
    pub(super) fn generation(&self) -> u32 {
        generation_of(self.word.load(Ordering::Relaxed))
    }

    /// Locks the word, unless `refuses` finds a reason not to in its value.
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

    /// The lock is taken: waits a moment and returns the word's new value.
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

    /// Assigns the slot to another owner, or to none.
    pub(super) fn start(&self, generation: u32, bits: u8) {
        let mut locked = self.lock();
        for used_up in &self.used_up {
            used_up.store(NEVER, Ordering::Relaxed);
        }
        locked.unlock_as = word(generation, 0, bits);
    }

    /// Marks it as shut down, whichever owner it has, and wakes all waiters.
    pub(super) fn shut_down(&self) {
        let mut locked = self.lock();
        locked.unlock_as |= u64::from(ready::SHUT_DOWN);
        Self::wake_all_and_unlock(locked);
    }

    /// Records that `bits` were reported for the owner `generation`, and wakes those that wait for one of them: of the
    /// futures that take turns only one, but all if the direction is closed. Returns, for each direction, the called
    /// future if others wait behind it. Does nothing and returns `None` if the slot has another owner by now.
    #[inline]
    pub(super) fn set_ready(&self, generation: u32, bits: u8) -> Option<[Option<NonZeroU64>; 2]> {
        let is_late = |current| (generation_of(current) != generation).then_some(());
        let Ok(mut locked) = self.lock_unless(is_late) else {
            return None;
        };
        locked.unlock_as = self.with_event(locked.unlock_as, bits);
        Some(Self::wake_and_unlock(locked, bits))
    }

    /// The word after an event. Clears the bits that were used up, and picks a new tick that is not noted as used up.
    fn with_event(&self, current: u64, bits: u8) -> u64 {
        let [read, write] = &self.used_up;
        // Relaxed: overlooking a note costs one failed attempt. No note can refer to a tick that is yet to come.
        let used_up = [read.load(Ordering::Relaxed), write.load(Ordering::Relaxed)];
        let mut tick = tick_of(current);
        let left = bits_of(current) & !used_up_bits(used_up, tick);
        while {
            tick = (tick + 1) & TICK_MASK as u32;
            used_up.contains(&tick)
        } {}
        word(generation_of(current), tick, left | bits)
    }

    /// Wakes all waiters.
    pub(super) fn wake_all(&self) {
        Self::wake_all_and_unlock(self.lock());
    }

    fn wake_all_and_unlock(mut locked: Locked<'_>) {
        let source = locked.source;
        let (readers, writers) =
            locked.waiters(|waiters| (waiters.read.take(), waiters.write.take()));
        for has_turns in &source.has_turns {
            has_turns.store(false, Ordering::Relaxed);
        }
        drop(locked);
        Self::wake_lists(readers, writers);
    }

    /// Wakes those that an event of `bits` concerns. Returns, for each direction, the called future if others wait
    /// behind it.
    #[inline]
    fn wake_and_unlock(mut locked: Locked<'_>, bits: u8) -> [Option<NonZeroU64>; 2] {
        let mut called = [None, None];
        let (readers, writers) = locked.waiters(|waiters| {
            let (mut readers, mut writers) = (WaitList::default(), WaitList::default());
            if bits & ready::READ != 0 && !waiters.read.is_empty() {
                readers = Self::concerned(&mut waiters.read, bits & ready::READ_CLOSED != 0);
                called[Direction::Read as usize] = waiters.read.called_before_others();
            }
            if bits & ready::WRITE != 0 && !waiters.write.is_empty() {
                writers = Self::concerned(&mut waiters.write, bits & ready::WRITE_CLOSED != 0);
                called[Direction::Write as usize] = waiters.write.called_before_others();
            }
            (readers, writers)
        });
        drop(locked);
        Self::wake_lists(readers, writers);
        called
    }

    /// The waiters that an event wakes. A closed direction wakes all.
    #[inline]
    fn concerned(list: &mut WaitList, is_closed: bool) -> WaitList {
        if is_closed {
            list.take()
        } else {
            list.take_for_event()
        }
    }

    #[inline]
    fn wake_lists(readers: WaitList, writers: WaitList) {
        let _cause = caused_by(Cause::Socket);
        readers.wake_all();
        writers.wake_all();
    }

    fn event(&self, current: u64, direction: Direction) -> Option<ReadyEvent> {
        let tick = tick_of(current);
        let mut bits = bits_of(current);
        // Relaxed: a thread that misses another thread's store makes one failed attempt.
        if self.used_up[direction as usize].load(Ordering::Relaxed) == tick {
            bits &= !direction.transient();
        }
        (bits & (direction.mask() | ready::SHUT_DOWN) != 0).then_some(ReadyEvent {
            tick,
            bits,
            direction,
        })
    }

    /// Ready if `direction` is; otherwise leaves the waker as `place` says. After that, `waiting` is called under the
    /// lock with the waiters.
    #[inline]
    pub(super) fn poll_ready(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        place: WaitAs<'_>,
        waiting: impl FnOnce(Listed<'_>),
    ) -> Poll<ReadyEvent> {
        // Acquire: pairs with the Release in `Locked::drop`.
        if let Some(event) = self.event(self.word.load(Ordering::Acquire), direction) {
            return Poll::Ready(event);
        }
        // Before the lock, which others spin for: a clone runs user code.
        let mut own = PollWaker::new(cx.waker());
        own.prepare();
        let mut locked = match self.lock_unless(|current| self.event(current, direction)) {
            Ok(locked) => locked,
            Err(event) => return Poll::Ready(event),
        };
        let displaced = locked.waiters(|waiters| match place {
            WaitAs::Caller => waiters.list(direction).add(&mut own),
            WaitAs::Together(key) => {
                let key = *key.number.get_or_insert_with(|| waiters.new_key());
                waiters.list(direction).add_keyed(key, &mut own)
            }
            WaitAs::InTurn(key) => {
                let key = *key.number.get_or_insert_with(|| waiters.new_key());
                self.has_turns[direction as usize].store(true, Ordering::Relaxed);
                waiters.list(direction).add_in_turn(key, &mut own)
            }
        });
        locked.show(waiting);
        drop(locked);
        if let Some(displaced) = displaced {
            displaced.wake();
        }
        Poll::Pending
    }

    /// Whether `direction` is ready and futures take turns there: one of them was called, and a newcomer should let it
    /// go first.
    pub(super) fn is_others_turn(&self, direction: Direction) -> bool {
        // Relaxed: a hint. A future that misses another's turn overtakes it, but takes nothing else from it.
        self.has_turns[direction as usize].load(Ordering::Relaxed)
            && self
                .event(self.word.load(Ordering::Acquire), direction)
                .is_some()
    }

    /// The future that was called first and was not polled since, if `direction` is ready and others wait behind it.
    pub(super) fn called_before_others(
        &self,
        generation: u32,
        direction: Direction,
    ) -> Option<NonZeroU64> {
        let mut locked = self.lock();
        let current = locked.unlock_as;
        if generation_of(current) != generation || self.event(current, direction).is_none() {
            return None;
        }
        locked.waiters(|waiters| waiters.list(direction).called_before_others())
    }

    /// Wakes all that wait in `direction`, unless the slot has another owner by now.
    pub(super) fn wake_all_in(&self, generation: u32, direction: Direction) {
        let mut locked = self.lock();
        if generation_of(locked.unlock_as) != generation {
            return;
        }
        let woken = locked.waiters(|waiters| waiters.list(direction).take());
        self.has_turns[direction as usize].store(false, Ordering::Relaxed);
        drop(locked);
        Self::wake_lists(woken, WaitList::default());
    }

    /// Clears `direction`, because an attempt just returned "would block", unless an event came after `event`. If it
    /// was cleared, `waiting` is called under the lock with the waiters.
    pub(super) fn clear(&self, event: ReadyEvent, waiting: impl FnOnce(Listed<'_>)) {
        let mask = event.direction.mask();
        let is_over = |current| {
            (tick_of(current) != event.tick || bits_of(current) & mask == 0).then_some(())
        };
        if let Ok(mut locked) = self.lock_unless(is_over) {
            locked.unlock_as &= !u64::from(mask);
            locked.show(waiting);
        }
    }

    /// Like [`clear`](Source::clear), after a short transfer: the end of the stream stays recorded.
    #[inline]
    pub(super) fn use_up(&self, event: ReadyEvent) {
        // Relaxed: the next attempt is the same task's, which sees the store, or another's; see `event`.
        self.used_up[event.direction as usize].store(event.tick, Ordering::Relaxed);
    }

    /// Removes a future's waker.
    pub(super) fn cancel(&self, direction: Direction, key: NonZeroU64) {
        let remove = |waiters: &mut Waiters| waiters.list(direction).remove(key);
        let waker = self.lock().waiters(remove);
        // Not under the lock: it may be the last reference to a task.
        drop(waker);
    }

    /// Removes a future that takes turns with others: it has completed, or was dropped. If it had been called and
    /// `direction` is still ready, the next one is called.
    pub(super) fn leave(&self, direction: Direction, key: NonZeroU64) {
        let mut locked = self.lock();
        let current = locked.unlock_as;
        let (left, next) = locked.waiters(|waiters| {
            let list = waiters.list(direction);
            let left = list.leave(key);
            let was_called = left.as_ref().is_some_and(|left| left.was_called);
            let next = if was_called && self.event(current, direction).is_some() {
                list.call()
            } else {
                None
            };
            self.has_turns[direction as usize].store(list.has_turns(), Ordering::Relaxed);
            (left, next)
        });
        drop(locked);
        // Not under the lock: it may be the last reference to a task.
        drop(left.map(|left| left.waker));
        if let Some(next) = next {
            next.wake();
        }
    }

    /// Calls `f` under the lock with the waiters.
    pub(super) fn with_waiting(&self, generation: u32, f: impl FnOnce(Listed<'_>)) {
        let mut locked = self.lock();
        if generation_of(locked.unlock_as) == generation {
            locked.show(f);
        }
    }
}

/// The bits that are void at `tick`, because a short transfer of their direction has used up its event.
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
#[cfg(all(test, lab_loom))]
mod loom_turns;
#[cfg(all(test, not(lab_loom), not(lab_shuttle)))]
mod tests;
