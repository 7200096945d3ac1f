//! Wake throttling: when a worker wakes another one for what waits in its own queues.
//!
//! A wake-up is a system call here and some 50 us until the other one does anything; a hundred short tasks are done by
//! then. So a worker learns whether it pays:
//!
//! - A worker wakes a sleeper with the first task that it queues, unless it is *throttled*. If its queues run empty
//!   sooner than its *patience* after that, the help was needless, and it becomes throttled.
//! - A throttled worker notes since when work waits. It wakes a sleeper when that has lasted for its patience, or when
//!   much has gathered, and is not throttled any more; if its queues run empty before, nobody was disturbed.
//! - What sockets and timers wake is always treated like this, unless it is much at once.
//! - Who serves the sockets without help (see `sockets`) wakes nobody for what they woke, unless its polls last longer
//!   than its patience, on the average, two times in a row that it reads the clock.
//!
//! A worker reads the clock when work begins to wait, and then every few tasks. It can't read it in the middle of a
//! long poll. So it is throttled only as long as the monitor *watches closely*: the monitor looks at all workers every
//! fraction of a millisecond, and wakes a sleeper for whatever waits behind a poll (see the README of `monitor`). It
//! stops when no work has waited for a while. From then on every worker wakes sleepers at once again, until one becomes
//! throttled anew. Without a monitor, no worker is ever throttled.

use std::cell::Cell;
use std::time::{Duration, Instant};

use crate::local::Local;

/// When sockets or timers wake more tasks than this at once, another worker is woken at once.
const MANY_WOKEN: usize = 16;
/// When this much was queued since work began to wait, another worker is woken.
const MUCH: u32 = 256;
/// Every how many ticks a worker with waiting work reads the clock; a power of two. Woken tasks count for more: it does
/// for each.
pub(crate) const CLOCK_TICK: u32 = 8;
/// The keeper of the sockets reads it every so many polls at least, and as its polls go on to be short, twice, four
/// times as many.
const KEPT_POLLS: u32 = 4;
const KEPT_POLLS_MAX: u32 = 16;

/// What a worker has learned.
#[derive(Debug)]
pub(crate) struct WakeThrottling {
    /// Zero: it is never throttled.
    patience: Duration,
    is_throttled: Cell<bool>,
    /// Since when there is work for which nobody was woken.
    waits_since: Cell<Option<Instant>>,
    /// What was queued since then.
    waiting: Cell<u32>,
    /// When this worker, which keeps the sockets to itself, asked the reactor or read the clock last, and its tick
    /// then.
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

impl WakeThrottling {
    pub(crate) fn new(patience: Duration) -> Self {
        Self {
            patience,
            is_throttled: Cell::new(false),
            waits_since: Cell::new(None),
            waiting: Cell::new(0),
            keeps_since: Cell::new(None),
            until_kept: Cell::new(KEPT_POLLS),
            kept_polls: Cell::new(KEPT_POLLS),
            kept_long: Cell::new(false),
            woke_at: Cell::new(None),
        }
    }

    /// Work begins to wait.
    #[cold]
    fn begin(&self) {
        self.waits_since.set(Some(Instant::now()));
        self.waiting.set(0);
    }

    fn is_over(&self, since: Instant) -> bool {
        since.elapsed() > self.patience
    }
}

impl Local {
    /// A task was put into a queue of this worker's, where another one could take it.
    #[inline]
    pub(crate) fn tell_of_own(&self) {
        let throttling = &self.throttling;
        if !(throttling.is_throttled.get() && self.shared.monitor.watches_closely()) {
            self.wake_helper();
            return;
        }
        if throttling.waits_since.get().is_none() {
            throttling.begin();
        }
        let waiting = throttling.waiting.get() + 1;
        throttling.waiting.set(waiting);
        if waiting > MUCH {
            self.end_throttling();
        }
    }

    #[inline]
    fn wake_helper(&self) {
        if self.shared.tell() && !self.throttling.patience.is_zero() {
            self.throttling.woke_at.set(Some(Instant::now()));
        }
    }

    /// Work has waited here for long, or it is much.
    #[cold]
    fn end_throttling(&self) {
        self.throttling.waits_since.set(None);
        self.throttling.is_throttled.set(false);
        self.wake_helper();
    }

    /// Sockets or timers have woken some tasks. One is this worker's to run. Many are worth waking another worker for.
    /// A few are, if they take long.
    pub(crate) fn tell_of_woken(&self) {
        let throttling = &self.throttling;
        let woken = self.woken.len();
        if self.shared.steals && woken > 1 && throttling.keeps_since.get().is_none() {
            if woken > MANY_WOKEN || throttling.patience.is_zero() {
                throttling.waits_since.set(None);
                self.shared.tell();
            } else if throttling.waits_since.get().is_none() {
                throttling.begin();
            }
        }
        if !self.shared.injector.is_empty() {
            self.shared.notify_one();
        }
    }

    /// This worker has asked the reactor just now, and is the keeper of the sockets; `None`: it is not.
    pub(crate) fn set_keeping(&self, now: Option<Instant>) {
        let throttling = &self.throttling;
        if throttling.keeps_since.get().is_none() {
            throttling.kept_long.set(false);
            throttling.until_kept.set(KEPT_POLLS);
        }
        throttling
            .keeps_since
            .set(now.map(|now| (now, self.tick.get())));
    }

    /// Between two polls of the keeper: whether they last so long that another worker should help after all. Once is no
    /// reason: the kernel may have given this thread's processor to another one.
    #[cold]
    fn tell_of_kept(&self, since: Instant, tick: u32) {
        let (throttling, keeper) = (&self.throttling, &self.shared.keeper);
        if !keeper.is(self.index) {
            // Somebody has removed it.
            throttling.keeps_since.set(None);
            return;
        }
        let (now, now_tick) = (Instant::now(), self.tick.get());
        let lasted = now.duration_since(since);
        let patience = throttling.patience * now_tick.wrapping_sub(tick).max(1);
        let is_long = lasted > patience;
        if throttling.kept_long.replace(is_long) && is_long && keeper.release(self.index) {
            throttling.keeps_since.set(None);
            self.end_throttling();
            return;
        }
        throttling.keeps_since.set(Some((now, now_tick)));
        let polls = if lasted > patience / 4 {
            KEPT_POLLS
        } else {
            (throttling.kept_polls.get() * 2).min(KEPT_POLLS_MAX)
        };
        throttling.kept_polls.set(polls);
        throttling.until_kept.set(polls);
    }

    /// Between two polls: whether work has waited for so long that another worker should help.
    #[inline]
    pub(crate) fn tell_of_waiting(&self) {
        let throttling = &self.throttling;
        if let Some((since, tick)) = throttling.keeps_since.get() {
            let left = throttling.until_kept.get() - 1;
            throttling.until_kept.set(left.max(1));
            if left == 0 {
                self.tell_of_kept(since, tick);
            }
        }
        let Some(since) = throttling.waits_since.get() else {
            return;
        };
        // What the keeper's sockets have woken does not count: it was told of above.
        let woken = throttling.keeps_since.get().is_none() && !self.woken.is_empty();
        if !woken && self.spawned.is_empty() {
            throttling.waits_since.set(None);
        } else if (woken || self.tick.get().is_multiple_of(CLOCK_TICK)) && throttling.is_over(since)
        {
            self.end_throttling();
        }
    }

    /// A task was taken to be run. With the last one nothing waits here any more: a lone task that yields again and
    /// again needs no help.
    #[inline]
    pub(crate) fn took_one(&self) {
        let throttling = &self.throttling;
        let is_learning =
            throttling.woke_at.get().is_some() || throttling.waits_since.get().is_some();
        if is_learning && self.woken.is_empty() && self.spawned.is_empty() {
            throttling.waits_since.set(None);
            self.ran_out();
        }
    }

    /// This worker's queues have run empty.
    #[inline]
    pub(crate) fn ran_out(&self) {
        if let Some(woke_at) = self.throttling.woke_at.take()
            && !self.throttling.is_over(woke_at)
        {
            self.throttling.is_throttled.set(true);
            self.shared.monitor.watch_closely();
        }
    }
}
