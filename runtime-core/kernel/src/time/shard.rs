//! A timer shard: one wheel, its lock, and the agreement with the thread that sleeps until its earliest deadline.
#![allow(unsafe_code)]

use std::fmt;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::task::Waker;
use std::time::{Duration, Instant};

use super::wheel::{Node, Wheel};
use crate::primitives::Mutex;
use crate::saved_waker::{PollWaker, SavedWaker};
use crate::trace::{Cause, caused_by};
use crate::wake_batch::WakeBatch;

/// A time that never comes.
pub(super) const NEVER: u64 = u64::MAX;

/// The zero of all times in nanoseconds. One for the process, so that a timer may move from shard to shard.
static EPOCH: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The first instant that a timer can tell from those before it.
pub(super) fn start_of_time() -> Instant {
    *EPOCH
}

/// `instant` in nanoseconds since the epoch: 0 if it is before, [`NEVER`] if it is more than five centuries after.
pub(super) fn nanoseconds(instant: Instant) -> u64 {
    let since = instant.saturating_duration_since(*EPOCH);
    u64::try_from(since.as_nanos()).unwrap_or(NEVER)
}

/// The reverse of [`nanoseconds`]; `None` is never.
pub(super) fn instant(nanoseconds: u64) -> Option<Instant> {
    if nanoseconds == NEVER {
        return None;
    }
    EPOCH.checked_add(Duration::from_nanos(nanoseconds))
}

/// Timers that one thread fires: one shard for each worker (M:N), loop (N:1) or task thread (1:1).
///
/// The owner calls, in this order and again and again: [`fire`](TimerShard::fire), then, if there is nothing else to
/// do, [`prepare_park`](TimerShard::prepare_park), parks until the deadline that it returned, and
/// [`finish_park`](TimerShard::finish_park). Any other thread may fire it too.
pub struct TimerShard {
    /// The earliest deadline, or something before it; [`NEVER`] when there is none. Written under the lock only.
    earliest: AtomicU64,
    /// What the owner sleeps until: an insertion before it must unpark the owner. 0 while the owner is awake.
    parked_until: AtomicU64,
    wheel: Mutex<Wheel>,
    unpark: Box<dyn Fn() + Send + Sync>,
}

impl TimerShard {
    /// An empty shard. `unpark` ends the owner's park, or the next one if it is not parked; it is called from any
    /// thread that inserts a timer, outside of all locks.
    pub fn new(unpark: Box<dyn Fn() + Send + Sync>) -> Arc<Self> {
        Arc::new(Self {
            earliest: AtomicU64::new(NEVER),
            parked_until: AtomicU64::new(0),
            wheel: Mutex::new(Wheel::new(0)),
            unpark,
        })
    }

    /// Owner, before it parks: the earliest deadline (`None`: no timer), remembered so that an earlier insertion from
    /// another thread calls `unpark`.
    pub fn prepare_park(&self) -> Option<Instant> {
        let earliest = {
            let wheel = self.wheel.lock();
            let earliest = wheel.earliest();
            self.earliest.store(earliest, Ordering::Relaxed);
            self.parked_until.store(earliest, Ordering::Relaxed);
            earliest
        };
        instant(earliest)
    }

    /// Owner, before it parks without a deadline, because somebody else fires in its place: every insertion from
    /// another thread calls `unpark`.
    pub fn prepare_untimed_park(&self) {
        // Under the lock: an insertion that does not see this is seen by whoever asks for the earliest deadline from
        // now on.
        let wheel = self.wheel.lock();
        self.parked_until.store(NEVER, Ordering::Relaxed);
        drop(wheel);
    }

    /// Any thread: the earliest deadline, exact up to the tick unless there are many close to it; never after it.
    /// `None`: no timer.
    pub fn earliest(&self) -> Option<Instant> {
        let wheel = self.wheel.lock();
        let earliest = wheel.earliest();
        // It can have become less exact, and `fire` at that time must not pass it by.
        self.earliest.store(earliest, Ordering::Relaxed);
        drop(wheel);
        instant(earliest)
    }

    /// Owner, after it parked: insertions need not unpark any more.
    pub fn finish_park(&self) {
        // An insertion that does not see this yet unparks once too often: harmless.
        self.parked_until.store(0, Ordering::Relaxed);
    }

    /// Any thread: a cheap look, without the lock, at the earliest deadline or something before it; `None`: no timer.
    pub fn next_deadline(&self) -> Option<Instant> {
        instant(self.earliest.load(Ordering::Relaxed))
    }

    /// Any thread: whether [`fire`](TimerShard::fire) would have something to do at `now`. Cheap, without the lock.
    pub fn is_due(&self, now: Instant) -> bool {
        let earliest = self.earliest.load(Ordering::Relaxed);
        earliest != NEVER && earliest <= nanoseconds(now)
    }

    /// Any thread: wakes what is due at `now`, outside of the lock; returns how many.
    pub fn fire(&self, now: Instant) -> usize {
        if !self.is_due(now) {
            return 0;
        }
        let now = nanoseconds(now);
        let mut fired = 0;
        let mut more = true;
        while more {
            let mut due = WakeBatch::new();
            let mut wheel = self.wheel.lock();
            more = wheel.take_due(now, &mut due);
            self.earliest.store(wheel.earliest(), Ordering::Relaxed);
            drop(wheel);
            fired += due.len();
            let _cause = caused_by(Cause::Timer);
            due.wake_all();
        }
        fired
    }

    /// Owner, when it will fire no more: hands the timers on by waking their tasks, which register with the shard of
    /// the thread that polls them next.
    ///
    /// Under 1:1 a timer can outlive the task that polled it first, inside of a future that tasks share.
    pub fn hand_on(&self) {
        let mut done = false;
        while !done {
            let mut wakers = WakeBatch::new();
            let mut wheel = self.wheel.lock();
            while !wakers.is_full() && !done {
                match wheel.pop_any() {
                    Some(waker) => wakers.push(waker),
                    None => done = true,
                }
            }
            self.earliest.store(wheel.earliest(), Ordering::Relaxed);
            drop(wheel);
            wakers.wake_all();
        }
    }

    /// Adds a timer that wakes `waker` when its deadline is reached.
    ///
    /// # Safety
    /// `node` is `IDLE`, pinned, and is not freed or moved before it leaves `LINKED` again.
    pub(super) unsafe fn insert(&self, node: NonNull<Node>, now: u64, waker: SavedWaker) {
        let mut wheel = self.wheel.lock();
        // SAFETY: the caller's promise.
        let fires_at = unsafe { wheel.insert(node, now, waker) };
        if fires_at < self.earliest.load(Ordering::Relaxed) {
            self.earliest.store(fires_at, Ordering::Relaxed);
        }
        // Relaxed: the lock orders it after a `prepare_park` that did not see this timer.
        let wakes_owner = fires_at < self.parked_until.load(Ordering::Relaxed);
        if wakes_owner {
            // Those that follow with later deadlines need not unpark again. Should `finish_park` have come between the
            // two lines, the owner is awake and only unparked more often than needed.
            self.parked_until.store(fires_at, Ordering::Relaxed);
        }
        drop(wheel);
        if wakes_owner {
            (self.unpark)();
        }
    }

    /// Takes a timer out if it is still in.
    ///
    /// # Safety
    /// `node` is alive, and if it is `LINKED`, it is in this shard.
    pub(super) unsafe fn remove(&self, node: NonNull<Node>) {
        let mut wheel = self.wheel.lock();
        // SAFETY: the caller's promise.
        let waker = unsafe { wheel.remove(node) };
        drop(wheel);
        drop(waker);
    }

    /// Whether a timer that is in this shard wakes the same task as `waker`.
    ///
    /// # Safety
    /// As for [`remove`](TimerShard::remove).
    pub(super) unsafe fn will_wake(&self, node: NonNull<Node>, waker: &Waker) -> bool {
        // SAFETY: the caller's promise.
        unsafe { self.wheel.lock().will_wake(node, waker) }
    }

    /// Makes a timer that is in this shard wake `waker`.
    ///
    /// # Safety
    /// As for [`remove`](TimerShard::remove).
    pub(super) unsafe fn replace_waker(&self, node: NonNull<Node>, waker: &Waker) {
        // Before the lock: a clone runs code of others.
        let mut own = PollWaker::new(waker);
        own.prepare();
        let mut wheel = self.wheel.lock();
        // SAFETY: the caller's promise.
        unsafe { wheel.replace_waker(node, &mut own) };
    }
}

impl fmt::Debug for TimerShard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimerShard")
            .field("next_deadline", &self.next_deadline())
            .finish_non_exhaustive()
    }
}
