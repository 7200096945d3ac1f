//! The state word: seven flags, the scheduler's number, and a reference count. See the module's README
//! for the protocol.
#![allow(unsafe_code)]

use super::scheduler_numbers::NUMBER_BITS;
use crate::primitives::atomic::{
    AtomicU64,
    Ordering::{AcqRel, Acquire, Relaxed},
};

/// The task is in a queue, or the thread that set this bit is about to put it there. With [`RUNNING`]: the task was
/// woken while it ran, and its poller queues it.
pub(super) const SCHEDULED: u64 = 1;

/// A thread polls or drops the future, and only that thread may touch the stage. Or the task has yielded and is in a
/// queue; then the thread that takes it out is that thread.
pub(super) const RUNNING: u64 = 1 << 1;

/// The future is gone and the outcome is settled. Never cleared.
pub(super) const COMPLETE: u64 = 1 << 2;

/// The thread that runs the task next drops its future instead of polling it. Has no meaning once [`COMPLETE`] is set.
pub(super) const ABORTED: u64 = 1 << 3;

/// The `JoinHandle` exists. If it is not set at completion, the completing thread drops the output.
pub(super) const JOIN_INTEREST: u64 = 1 << 4;

/// The join waker's slot is filled and belongs to the completing thread.
pub(super) const JOIN_WAKER: u64 = 1 << 5;

/// The scheduler's own mark on the task. The cell ignores it.
const MARKED: u64 = 1 << 6;

/// The number of the task's scheduler starts here. It never changes: additions and subtractions stay below it or above
/// it.
const NUMBER_SHIFT: u32 = 7;

/// One reference; the count occupies all bits from here up.
pub(super) const REFERENCE: u64 = 1 << (NUMBER_SHIFT + NUMBER_BITS);

/// The number of references that a poller takes in advance, in the step in which it begins. Clones and drops on its
/// own thread during the poll are counted among these prepaid references, and settled when the poll ends. This saves a
/// locked instruction for each of them.
pub(super) const PREPAID: i32 = 1 << 20;

/// With more references than this, the process ends: forgotten clones of a waker must not make the count wrap to zero
/// while others live. A poll adds at most its [`PREPAID`] without a check, and the start of the next poll checks
/// again, far from the end of the range.
const MAX_REFERENCES: u64 = u64::MAX / 2;

/// What a poller adds when it begins.
const POLLER: u64 = RUNNING + (PREPAID as u64) * REFERENCE;

/// The rest of a poller's prepaid references, of which `taken` are in use (or, if negative, that many more came back
/// than were taken).
const fn rest(taken: i32) -> u64 {
    (PREPAID as i64 - taken as i64) as u64 * REFERENCE
}

/// A new task, which its spawner must queue. One reference is the runtime's, one the handle's.
const fn new(scheduler: u32) -> u64 {
    SCHEDULED | JOIN_INTEREST | (2 * REFERENCE) | ((scheduler as u64) << NUMBER_SHIFT)
}

/// Ends the process if so many references were forgotten that their count could wrap, as `Arc` does. A panic would
/// unwind through the code that forgets them, which could then continue.
#[inline]
fn assert_countable(word: u64) {
    if word > MAX_REFERENCES {
        std::process::abort();
    }
}

pub(super) struct State(AtomicU64);

/// The word before a change, or when it was read.
#[derive(Clone, Copy)]
pub(super) struct Snapshot(pub(super) u64);

impl Snapshot {
    pub(super) fn has(self, bits: u64) -> bool {
        self.0 & bits != 0
    }

    /// The number of the task's scheduler.
    pub(super) fn scheduler(self) -> u32 {
        (self.0 >> NUMBER_SHIFT) as u32 & ((1 << NUMBER_BITS) - 1)
    }
}

/// What a poller finds when it stops running a task that is not complete.
pub(super) enum AfterPoll {
    Idle,
    /// It was woken during the poll: the poller must queue it.
    Scheduled,
    /// It was aborted during the poll (which also schedules it): the poller must end it.
    Aborted,
}

/// What a waker that gives up its reference must do.
pub(super) enum Woke {
    Nothing,
    /// Queue the task, with this scheduler.
    Queue(u32),
    /// Free the block, which belongs to this scheduler.
    LastGone(u32),
}

impl State {
    #[cfg(lab_loom)]
    fn new(scheduler: u32) -> Self {
        Self(AtomicU64::new(new(scheduler)))
    }

    /// Acquire: a thread that sees COMPLETE sees the output (pairs with the release in `complete`).
    pub(super) fn load(&self) -> Snapshot {
        Snapshot(self.0.load(Acquire))
    }

    /// The number of the task's scheduler. Relaxed: it never changes.
    pub(super) fn scheduler(&self) -> u32 {
        Snapshot(self.0.load(Relaxed)).scheduler()
    }

    /// A wake. `Some`: the caller must queue the task, with this scheduler.
    ///
    /// Release: the poll that this asks for sees what the waker did before. Pairs with `start_running`, or with
    /// `stop_running` if the task is running.
    pub(super) fn wake(&self) -> Option<u32> {
        // Wakes coalesce. A wake that finds the task scheduled need not change the word, but it must still publish, so
        // it is a read-modify-write in any case.
        let before = self.0.fetch_or(SCHEDULED, AcqRel);
        let queue = before & (SCHEDULED | RUNNING | COMPLETE) == 0;
        queue.then(|| Snapshot(before).scheduler())
    }

    /// Like `wake`, for a task that nobody else is expected to wake meanwhile: the step that wakes it also begins its
    /// next poll, as if it had yielded. A further wake before that poll means one more poll after it.
    pub(super) fn wake_to_run(&self) -> Option<u32> {
        let current = self.0.load(Relaxed);
        let is_idle = current & (SCHEDULED | RUNNING | COMPLETE) == 0;
        // AcqRel: as in `wake` and in `start_running`.
        let claim = || {
            let next = current + POLLER;
            self.0.compare_exchange(current, next, AcqRel, Relaxed)
        };
        if is_idle && claim().is_ok() {
            return Some(Snapshot(current).scheduler());
        }
        self.wake()
    }

    /// A wake that also gives up a reference, in one step.
    ///
    /// AcqRel: as in `wake` and in `release`.
    pub(super) fn wake_and_release(&self) -> Woke {
        let mut current = self.0.load(Relaxed);
        loop {
            let next = (current | SCHEDULED) - REFERENCE;
            match self.0.compare_exchange_weak(current, next, AcqRel, Relaxed) {
                Ok(_) => break,
                Err(now) => current = now,
            }
        }
        let before = Snapshot(current);
        if before.0 / REFERENCE == 1 {
            // Only if the task has ended: until then the runtime has a reference.
            Woke::LastGone(before.scheduler())
        } else if before.has(SCHEDULED | RUNNING | COMPLETE) {
            Woke::Nothing
        } else {
            Woke::Queue(before.scheduler())
        }
    }

    /// An abort. `Some`: the caller must queue the task, with this scheduler.
    pub(super) fn abort(&self) -> Option<u32> {
        let mut current = self.0.load(Relaxed);
        loop {
            if current & (COMPLETE | ABORTED) != 0 {
                return None;
            }
            // AcqRel: as in `wake`.
            match self.0.compare_exchange_weak(
                current,
                current | ABORTED | SCHEDULED,
                AcqRel,
                Relaxed,
            ) {
                Ok(_) => {
                    let queue = current & (SCHEDULED | RUNNING) == 0;
                    return queue.then(|| Snapshot(current).scheduler());
                }
                Err(now) => current = now,
            }
        }
    }

    /// From SCHEDULED to RUNNING, by the thread that took the task out of its queue. Returns the previous word. A task
    /// that has yielded is already RUNNING.
    ///
    /// Acquire: sees what wakers and the previous poller wrote.
    pub(super) fn start_running(&self) -> Snapshot {
        let current = self.0.load(Acquire);
        // References that earlier polls have settled were added without a check.
        assert_countable(current);
        if current & RUNNING == 0 {
            let before = self.0.fetch_add(POLLER - SCHEDULED, AcqRel);
            debug_assert!(before & SCHEDULED != 0 && before & (RUNNING | COMPLETE) == 0);
            return Snapshot(before);
        }
        Snapshot(current)
    }

    /// The poll returned `Pending`.
    ///
    /// Release: the next poller sees this one's writes to the future. Acquire: if a wake came during the poll, this
    /// thread sees its writes.
    pub(super) fn stop_running(&self, taken: i32) -> AfterPoll {
        let before = self.0.fetch_sub(RUNNING + rest(taken), AcqRel);
        debug_assert!(before & RUNNING != 0);
        if before & ABORTED != 0 {
            AfterPoll::Aborted
        } else if before & SCHEDULED != 0 {
            AfterPoll::Scheduled
        } else {
            AfterPoll::Idle
        }
    }

    /// The poll returned `Pending` and the task asked to be queued again. It stays RUNNING, with a poller's prepaid
    /// references, for the thread that takes it out of the queue. An abort in between sets its bit, which that thread
    /// sees. A wake also sets its bit, and means one more poll after the next.
    #[inline]
    pub(super) fn stay_running(&self, taken: i32) {
        if taken != 0 {
            // Relaxed: as in `retain`. The queue passes on what was written.
            self.0
                .fetch_add((taken as i64 as u64).wrapping_mul(REFERENCE), Relaxed);
        }
    }

    /// Ends the task and gives up the runtime's reference in one step, if the completing thread need not do anything
    /// else: the handle exists and nobody waits. False: nothing was changed.
    pub(super) fn complete_and_release(&self, taken: i32) -> bool {
        let current = self.0.load(Relaxed);
        if current & (JOIN_INTEREST | JOIN_WAKER) != JOIN_INTEREST {
            return false;
        }
        // Release: publishes the output to the handle. On failure, `complete` does the work.
        self.0
            .compare_exchange(
                current,
                (current & !(RUNNING | SCHEDULED)) + COMPLETE - REFERENCE - rest(taken),
                AcqRel,
                Relaxed,
            )
            .is_ok()
    }

    /// Ends the task. Returns the previous word: it says who must drop the output, and whether there is a waiter.
    ///
    /// Release: publishes the output to the handle. Acquire: sees the join waker.
    pub(super) fn complete(&self, taken: i32) -> Snapshot {
        let before = self.0.fetch_sub(RUNNING + rest(taken) - COMPLETE, AcqRel);
        debug_assert!(before & RUNNING != 0 && before & COMPLETE == 0);
        Snapshot(before)
    }

    /// Hands the filled slot of the join waker to the completing thread. False: the task has completed, and the slot
    /// still belongs to the handle.
    pub(super) fn set_join_waker(&self) -> bool {
        let mut current = self.0.load(Acquire);
        loop {
            if current & COMPLETE != 0 {
                return false;
            }
            // Release: the completing thread sees the waker. Acquire: as in `load`.
            match self
                .0
                .compare_exchange_weak(current, current | JOIN_WAKER, AcqRel, Acquire)
            {
                Ok(_) => return true,
                Err(now) => current = now,
            }
        }
    }

    /// Takes the slot of the join waker back. False: the task has completed, and the slot belongs to the completing
    /// thread.
    pub(super) fn unset_join_waker(&self) -> bool {
        let mut current = self.0.load(Acquire);
        loop {
            if current & COMPLETE != 0 {
                return false;
            }
            match self
                .0
                .compare_exchange_weak(current, current & !JOIN_WAKER, AcqRel, Acquire)
            {
                Ok(_) => return true,
                Err(now) => current = now,
            }
        }
    }

    /// The handle is dropped. Returns the previous word: if COMPLETE, the caller must drop the output; otherwise the
    /// join waker's slot belongs to the caller.
    pub(super) fn drop_join_interest(&self) -> Snapshot {
        let mut current = self.0.load(Acquire);
        loop {
            // After completion the slot and its bit belong to the completing thread.
            let gone = if current & COMPLETE != 0 {
                JOIN_INTEREST
            } else {
                JOIN_INTEREST | JOIN_WAKER
            };
            // AcqRel: the completing thread must see that nobody wants the output, and we must see the output.
            match self
                .0
                .compare_exchange_weak(current, current & !gone, AcqRel, Acquire)
            {
                Ok(_) => return Snapshot(current),
                Err(now) => current = now,
            }
        }
    }

    /// Sets the count of references, for a test of its end.
    #[cfg(all(test, not(lab_loom)))]
    pub(super) fn preset_references(&self, references: u64) {
        let below = self.0.load(Relaxed) % REFERENCE;
        self.0.store(below + references * REFERENCE, Relaxed);
    }

    /// The count of references, including a poller's prepaid references.
    #[cfg(all(test, not(lab_loom)))]
    pub(super) fn references(&self) -> u64 {
        self.0.load(Relaxed) / REFERENCE
    }

    pub(super) fn set_marked(&self, marked: bool) {
        // Relaxed: a hint.
        if marked {
            self.0.fetch_or(MARKED, Relaxed);
        } else {
            self.0.fetch_and(!MARKED, Relaxed);
        }
    }

    pub(super) fn is_marked(&self) -> bool {
        self.0.load(Relaxed) & MARKED != 0
    }

    pub(super) fn retain(&self) {
        // Relaxed: the caller already has a reference.
        assert_countable(self.0.fetch_add(REFERENCE, Relaxed));
    }

    /// A reference for a walker over memory in which tasks start and end; only if the task is alive and not complete.
    pub(super) fn retain_if_live(&self) -> bool {
        let mut current = self.0.load(Relaxed);
        loop {
            if current / REFERENCE == 0 || current & COMPLETE != 0 {
                return false;
            }
            // Acquire: pairs with the release store of `revive`.
            match self
                .0
                .compare_exchange_weak(current, current + REFERENCE, Acquire, Relaxed)
            {
                Ok(_) => return true,
                Err(now) => current = now,
            }
        }
    }

    /// Like `release`, for a caller that is likely to have the last reference: then nobody else can change the count,
    /// and nothing needs to be written.
    pub(super) fn release_last(&self) -> Option<u32> {
        // Acquire: everybody's accesses happen before the block is given back. Pairs with their `release`.
        let current = self.load();
        if current.0 / REFERENCE == 1 {
            return Some(current.scheduler());
        }
        self.release()
    }

    /// `Some`: it was the last one. The block, which belongs to this scheduler, now belongs to the caller.
    pub(super) fn release(&self) -> Option<u32> {
        // Release: our accesses happen before the block is given back. Acquire: so do everybody else's.
        let before = self.0.fetch_sub(REFERENCE, AcqRel);
        debug_assert!(before / REFERENCE > 0);
        (before / REFERENCE == 1).then(|| Snapshot(before).scheduler())
    }

    /// Makes a block's state word live, after all other fields were written.
    ///
    /// # Safety
    /// `state` points to memory for a state word that nobody else writes to.
    #[cfg(not(lab_loom))]
    pub(super) unsafe fn revive(state: *mut Self, scheduler: u32) {
        // SAFETY: by this function's contract; `State` is one AtomicU64. Release: pairs with `retain_if_live`, whose
        // walker may already be reading the word.
        unsafe { AtomicU64::from_ptr(state.cast()) }
            .store(new(scheduler), crate::primitives::atomic::Ordering::Release);
    }

    /// Makes a block's state word dead, before the block goes to a free list, so that walkers skip it.
    ///
    /// # Safety
    /// `state` points to a state word that nobody refers to any more.
    #[cfg(not(lab_loom))]
    pub(super) unsafe fn kill(state: *mut Self) {
        // SAFETY: by this function's contract.
        unsafe { &*state }.0.store(0, Relaxed);
    }

    /// As above; loom requires that its atomics are constructed.
    ///
    /// # Safety
    /// As above.
    #[cfg(lab_loom)]
    pub(super) unsafe fn revive(state: *mut Self, scheduler: u32) {
        // SAFETY: by this function's contract.
        unsafe { state.write(Self::new(scheduler)) };
    }

    /// As above; loom requires that its atomics are dropped.
    ///
    /// # Safety
    /// As above, and the word is initialised.
    #[cfg(lab_loom)]
    pub(super) unsafe fn kill(state: *mut Self) {
        // SAFETY: by this function's contract.
        unsafe { std::ptr::drop_in_place(state) };
    }
}
