//! A timer shard: one wheel, its lock, and the protocol with the thread that sleeps until its earliest deadline.
#![allow(unsafe_code)]

use std::fmt;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
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

/// The zero of all times in nanoseconds. There is one for the process, so that a timer can move from shard to shard.
static EPOCH: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The first instant that a timer can distinguish from those before it.
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
/// The owner repeats these calls in this order: [`fire`](TimerShard::fire), then, if there is nothing else to do,
/// [`prepare_park`](TimerShard::prepare_park), parks until the deadline that it returned, and
/// [`finish_park`](TimerShard::finish_park). Any other thread may also call `fire`.
pub struct TimerShard {
    /// A lower bound of the earliest deadline; [`NEVER`] when there is no timer. Written only under the lock.
    earliest: AtomicU64,
    /// The time until which the owner sleeps: an insertion before it must unpark the owner. 0 while the owner is
    /// awake.
    parked_until: AtomicU64,
    /// No thread fires the timers any more, and the shard accepts no new ones. Changes only under the lock.
    closed: AtomicBool,
    wheel: Mutex<Wheel>,
    unpark: Box<dyn Fn() + Send + Sync>,
}

impl TimerShard {
    /// An empty shard. `unpark` ends the owner's park, or the next one if it is not parked. Any thread that inserts a
    /// timer calls it, outside all locks.
    pub fn new(unpark: Box<dyn Fn() + Send + Sync>) -> Arc<Self> {
        Arc::new(Self {
            earliest: AtomicU64::new(NEVER),
            parked_until: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            wheel: Mutex::new(Wheel::new(0)),
            unpark,
        })
    }

    /// Owner, before it parks: returns the earliest deadline (`None`: no timer) and stores it, so that an earlier
    /// insertion from another thread calls `unpark`.
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

    /// Owner, before it parks without a deadline because another thread fires in its place: every insertion from
    /// another thread then calls `unpark`.
    pub fn prepare_untimed_park(&self) {
        // Under the lock: if an insertion does not see this, then a thread that asks for the earliest deadline from
        // now on sees the insertion.
        let wheel = self.wheel.lock();
        self.parked_until.store(NEVER, Ordering::Relaxed);
        drop(wheel);
    }

    /// Any thread: the earliest deadline, exact up to the tick unless there are many close to it, and never too late.
    /// `None`: no timer.
    pub fn earliest(&self) -> Option<Instant> {
        let wheel = self.wheel.lock();
        let earliest = wheel.earliest();
        // It can have become less exact, and `fire` at that time must not miss it.
        self.earliest.store(earliest, Ordering::Relaxed);
        drop(wheel);
        instant(earliest)
    }

    /// Owner, after it parked: insertions need not unpark it any more.
    pub fn finish_park(&self) {
        // An insertion that does not see this yet makes one unnecessary unpark, which is harmless.
        self.parked_until.store(0, Ordering::Relaxed);
    }

    /// Any thread: a lower bound of the earliest deadline, without the lock; `None`: no timer.
    pub fn next_deadline(&self) -> Option<Instant> {
        instant(self.earliest.load(Ordering::Relaxed))
    }

    /// Any thread: whether [`fire`](TimerShard::fire) would have something to do at `now`. Cheap, without the lock.
    pub fn is_due(&self, now: Instant) -> bool {
        let earliest = self.earliest.load(Ordering::Relaxed);
        earliest != NEVER && earliest <= nanoseconds(now)
    }

    /// Any thread: fires the timers that are due at `now`. Wakes their tasks outside the lock; returns their number.
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

    /// Call this in the owner when it will not fire timers any more. It [hands the timers on](TimerShard::hand_on),
    /// and from then on the shard accepts no new ones. A [helper thread](super::helper_shard) serves later timers.
    ///
    /// A timer can outlive its runtime: a thread that has entered the runtime, or a task of another runtime, may wait
    /// for it. Under 1:1 it can outlive the task that polled it first, inside a future that tasks share.
    pub fn close(&self) {
        let wheel = self.wheel.lock();
        // Relaxed: the lock orders it.
        self.closed.store(true, Ordering::Relaxed);
        drop(wheel);
        self.hand_on();
    }

    /// Call this in the owner when it will not fire timers for a while. It hands the timers on by waking their tasks,
    /// which register with the shard of the thread that polls them next.
    pub fn hand_on(&self) {
        // All at once: a waker that polls its timer in `wake` may register it here again, without end.
        let mut wheel = self.wheel.lock();
        let wakers: Vec<SavedWaker> = std::iter::from_fn(|| wheel.pop_any()).collect();
        self.earliest.store(wheel.earliest(), Ordering::Relaxed);
        drop(wheel);
        let mut batch = WakeBatch::new();
        for waker in wakers {
            if batch.is_full() {
                batch.wake_all();
            }
            batch.push(waker);
        }
        batch.wake_all();
    }

    /// Adds a timer that wakes `waker` when its deadline is reached.
    ///
    /// # Errors
    /// Returns the waker if the shard is [closed](TimerShard::close).
    ///
    /// # Safety
    /// `node` is `IDLE`, pinned, and is not freed or moved before it leaves `LINKED` again.
    pub(super) unsafe fn insert(
        &self,
        node: NonNull<Node>,
        now: u64,
        waker: SavedWaker,
    ) -> Result<(), SavedWaker> {
        let mut wheel = self.wheel.lock();
        if self.closed.load(Ordering::Relaxed) {
            return Err(waker);
        }
        // SAFETY: the caller's promise.
        let fires_at = unsafe { wheel.insert(node, now, waker) };
        if fires_at < self.earliest.load(Ordering::Relaxed) {
            self.earliest.store(fires_at, Ordering::Relaxed);
        }
        // Relaxed: the lock orders this load after a `prepare_park` that did not see this timer.
        let wakes_owner = fires_at < self.parked_until.load(Ordering::Relaxed);
        if wakes_owner {
            // Later insertions with later deadlines need not unpark again. If `finish_park` came between the two
            // lines, the owner is awake, and this only causes unnecessary unparks.
            self.parked_until.store(fires_at, Ordering::Relaxed);
        }
        drop(wheel);
        if wakes_owner {
            (self.unpark)();
        }
        Ok(())
    }

    /// Removes a timer if it is still in the wheel.
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

    /// Whether a timer in this shard wakes the same task as `waker`.
    ///
    /// # Safety
    /// Same as for [`remove`](TimerShard::remove).
    pub(super) unsafe fn will_wake(&self, node: NonNull<Node>, waker: &Waker) -> bool {
        // SAFETY: the caller's promise.
        unsafe { self.wheel.lock().will_wake(node, waker) }
    }

    /// Makes a timer in this shard wake `waker`.
    ///
    /// # Safety
    /// Same as for [`remove`](TimerShard::remove).
    pub(super) unsafe fn replace_waker(&self, node: NonNull<Node>, waker: &Waker) {
        // Before the lock: a clone runs user code.
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
