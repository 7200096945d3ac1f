//! When a worker wakes another one for what lies in its own queue.
//!
//! A wake-up is a system call here and some 50 us until the other one does anything; a hundred short tasks are done by then. So a
//! worker learns whether help pays:
//!
//! - An *eager* worker wakes a sleeper with the first task that it queues. If its queues run empty sooner than its *patience* after
//!   that, the help was needless, and it turns patient.
//! - A *patient* worker queues the task and remembers since when work lies there. It wakes a sleeper when that has lasted for its
//!   patience, or when much has gathered, and turns eager again; if its queues run empty before, nobody was disturbed.
//! - For what sockets and timers wake it is always patient, unless that is much at once.
//! - Who serves the sockets without help (see `sockets`) tells nobody of what they woke, unless its polls last longer than its patience, on the
//!   average, two times in a row that it reads the clock.
//! - While stealing does not pay (see `hauls`), nobody is woken for spawned tasks, unless what is done here takes so long apiece that it would.
//!
//! Nothing is lost: what lies there is the worker's own to run. It can be late, behind a poll that turns out to be long, after which the
//! worker is eager again; no longer than the monitor looks away. Without a monitor every worker is eager.
//!
//! The clock is read when work begins to lie, and then every few tasks.

use std::cell::Cell;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use crate::local::Local;

/// When sockets or timers wake more tasks than this at once, another worker is woken at once.
const MANY_WOKEN: usize = 16;
/// When this much was queued since work began to lie, another worker is woken.
const MUCH: u32 = 256;
/// Every how many ticks a patient worker reads the clock; a power of two. Woken tasks count for more: it does for each.
const CLOCK_TICK: u32 = 8;
/// The keeper of the sockets reads it every so many polls at least, and as its polls go on to be short, twice, four times as many.
const KEPT_POLLS: u32 = 4;
const KEPT_POLLS_MAX: u32 = 16;

/// What a worker has learned.
#[derive(Debug)]
pub(crate) struct Telling {
    /// Zero: it is always eager.
    patience: Duration,
    is_patient: Cell<bool>,
    /// Since when there is work of which nobody was told.
    lies_since: Cell<Option<Instant>>,
    /// What was queued since then.
    lies: Cell<u32>,
    /// This worker's polls before that.
    polls: Cell<u64>,
    /// When this worker, which keeps the sockets to itself, asked the reactor or read the clock last, and its tick then.
    keeps_since: Cell<Option<(Instant, u32)>>,
    /// Polls until it reads the clock again.
    until_kept: Cell<u32>,
    /// Polls from one time that it reads the clock to the next.
    kept_polls: Cell<u32>,
    /// The last time, its polls had lasted long.
    kept_long: Cell<bool>,
    /// When somebody was woken, until it is known whether that paid.
    woke_at: Cell<Option<Instant>>,
}

impl Telling {
    pub(crate) fn new(patience: Duration) -> Self {
        Self {
            patience,
            is_patient: Cell::new(false),
            lies_since: Cell::new(None),
            lies: Cell::new(0),
            polls: Cell::new(0),
            keeps_since: Cell::new(None),
            until_kept: Cell::new(KEPT_POLLS),
            kept_polls: Cell::new(KEPT_POLLS),
            kept_long: Cell::new(false),
            woke_at: Cell::new(None),
        }
    }

    /// Work begins to lie.
    #[cold]
    fn begin(&self, polls: u64) {
        self.lies_since.set(Some(Instant::now()));
        self.lies.set(0);
        self.polls.set(polls);
    }

    fn is_over(&self, since: Instant) -> bool {
        since.elapsed() > self.patience
    }
}

impl Local {
    /// A task was put into a queue of this worker's, where another one could take it.
    #[inline]
    pub(crate) fn tell_of_own(&self) {
        let telling = &self.telling;
        if !telling.is_patient.get() && !self.shared.hauls.may_rest() {
            self.wake_helper();
            return;
        }
        if telling.lies_since.get().is_none() {
            telling.begin(self.polls());
        }
        let lies = telling.lies.get() + 1;
        telling.lies.set(lies);
        if lies > MUCH {
            self.much_lies();
        }
    }

    #[inline]
    fn wake_helper(&self) {
        if self.shared.tell() && !self.telling.patience.is_zero() {
            self.telling.woke_at.set(Some(Instant::now()));
        }
    }

    /// Spawned tasks lie here for long, or they are many: tells a sleeper, unless stealing does not pay.
    #[cold]
    fn much_lies(&self) {
        let (telling, hauls) = (&self.telling, &self.shared.hauls);
        if let Some(since) = telling.lies_since.get()
            && hauls.rests(|| self.shared.now_ns())
        {
            let polls = self.polls() - telling.polls.get();
            let pieces = polls + u64::from(telling.lies.get());
            if !hauls.is_worth_a_steal(pieces, since.elapsed().as_nanos() as u64) {
                telling.begin(self.polls());
                return;
            }
        }
        hauls.end_rest();
        self.lose_patience();
    }

    fn polls(&self) -> u64 {
        self.remote().counters.polls.load(Relaxed)
    }

    #[cold]
    fn lose_patience(&self) {
        self.telling.lies_since.set(None);
        self.telling.is_patient.set(false);
        self.wake_helper();
    }

    /// Sockets or timers have woken some tasks. One is this worker's to run. Many are worth waking another worker for. A few are, if
    /// they take long.
    pub(crate) fn tell_of_woken(&self) {
        let telling = &self.telling;
        let woken = self.woken.len();
        if self.shared.steals && woken > 1 && telling.keeps_since.get().is_none() {
            if woken > MANY_WOKEN || telling.patience.is_zero() {
                telling.lies_since.set(None);
                self.shared.tell();
            } else if telling.lies_since.get().is_none() {
                telling.begin(self.polls());
            }
        }
        if !self.shared.injector.is_empty() {
            self.shared.notify_one();
        }
    }

    /// This worker has asked the reactor just now, and is the keeper of the sockets; `None`: it is not.
    pub(crate) fn set_keeping(&self, now: Option<Instant>) {
        let telling = &self.telling;
        if telling.keeps_since.get().is_none() {
            telling.kept_long.set(false);
            telling.until_kept.set(KEPT_POLLS);
        }
        telling
            .keeps_since
            .set(now.map(|now| (now, self.tick.get())));
    }

    /// Between two polls of the keeper: whether they last so long that another worker should help after all. Once is no reason: the kernel may
    /// have given this thread's processor to another one.
    #[cold]
    fn tell_of_kept(&self, since: Instant, tick: u32) {
        let (telling, keeper) = (&self.telling, &self.shared.keeper);
        if !keeper.is(self.index) {
            // Somebody has removed it.
            telling.keeps_since.set(None);
            return;
        }
        let (now, now_tick) = (Instant::now(), self.tick.get());
        let lasted = now.duration_since(since);
        let patience = telling.patience * now_tick.wrapping_sub(tick).max(1);
        let is_long = lasted > patience;
        if telling.kept_long.replace(is_long) && is_long && keeper.release(self.index) {
            telling.keeps_since.set(None);
            self.lose_patience();
            return;
        }
        telling.keeps_since.set(Some((now, now_tick)));
        let polls = if lasted > patience / 4 {
            KEPT_POLLS
        } else {
            (telling.kept_polls.get() * 2).min(KEPT_POLLS_MAX)
        };
        telling.kept_polls.set(polls);
        telling.until_kept.set(polls);
    }

    /// Between two polls: whether work has lain for so long that another worker should help.
    #[inline]
    pub(crate) fn tell_of_lying(&self) {
        let telling = &self.telling;
        if let Some((since, tick)) = telling.keeps_since.get() {
            let left = telling.until_kept.get() - 1;
            telling.until_kept.set(left.max(1));
            if left == 0 {
                self.tell_of_kept(since, tick);
            }
        }
        let Some(since) = telling.lies_since.get() else {
            return;
        };
        // What the keeper's sockets have woken does not lie: it was told of above.
        let woken = telling.keeps_since.get().is_none() && !self.woken.is_empty();
        if !woken && self.spawned.is_empty() {
            telling.lies_since.set(None);
        } else if woken && telling.is_over(since) {
            self.lose_patience();
        } else if self.tick.get().is_multiple_of(CLOCK_TICK) && telling.is_over(since) {
            self.much_lies();
        }
    }

    /// A task was taken to be run. With the last one nothing lies here any more: a lone task that yields again and again needs no help.
    #[inline]
    pub(crate) fn took_one(&self) {
        let telling = &self.telling;
        let is_learning = telling.woke_at.get().is_some() || telling.lies_since.get().is_some();
        if is_learning && self.woken.is_empty() && self.spawned.is_empty() {
            telling.lies_since.set(None);
            self.ran_out();
        }
    }

    /// This worker's queues have run empty.
    #[inline]
    pub(crate) fn ran_out(&self) {
        if let Some(woke_at) = self.telling.woke_at.take()
            && !self.telling.is_over(woke_at)
        {
            self.telling.is_patient.set(true);
        }
    }
}
