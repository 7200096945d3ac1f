//! Sockets and timers. There is no poller thread: a worker with nothing to do waits in the reactor, one at a time, and
//! busy workers ask it in passing.

use std::time::{Duration, Instant};

use runtime_core::park::Unparker;
use runtime_core::primitives::atomic::{
    AtomicBool,
    Ordering::{Relaxed, SeqCst},
    fence,
};
use runtime_core::primitives::{MutexGuard, spin_loop};
use runtime_core::reactor::Reactor;
use runtime_core::time::TimerShard;

use super::{Local, Remote, Shared};
use crate::seam::Hooks;
use crate::seam::facts::{Duty, Event, SharedEvent};

/// How often a worker that goes to sleep asks again for the poller's token while its holder does not wait: some
/// microseconds.
const TOKEN_SPINS: u32 = if cfg!(lab_shuttle) { 1 } else { 64 };
/// How many times in a row a busy worker may leave out the sockets when it is time to ask for them.
const LEFT_OUT_MAX: usize = 3;

impl<H: Hooks> Local<H> {
    // ---- Between two tasks

    /// Asks for sockets, if what they woke the last time is done, and fires timers.
    pub(crate) fn drive_in_passing(&self) {
        match self.polls_left_out.get() {
            0 => drop(self.poll_now()),
            left => self.polls_left_out.set(left - 1),
        }
        self.fire_due();
    }

    /// There is nothing to run: asks again if the reactor had more to report. True if it has asked.
    #[inline]
    pub(crate) fn drive_for_more(&self) -> bool {
        self.has_more_io.replace(false)
            && !H::io_is_anothers(&self.shared, self.index())
            && self.poll_now()
            && {
                // It may go on like this for long.
                self.fire_due();
                true
            }
    }

    /// Asks the reactor without waiting, if nobody else does. True if it has asked.
    fn poll_now(&self) -> bool {
        let token = self
            .shared
            .reactor
            .has_sources()
            .then(|| self.shared.poller.try_lock());
        let Some(token) = token.flatten() else {
            return false;
        };
        self.poll_reactor(&token, Some(Duration::ZERO));
        true
    }

    // ---- The reactor

    /// Asks the reactor, for at most `timeout`. Returns what time it was then.
    pub(crate) fn poll_reactor(
        &self,
        _token: &MutexGuard<'_, ()>,
        timeout: Option<Duration>,
    ) -> Instant {
        self.in_driver.set(true);
        let polled = self.shared.reactor.poll(timeout);
        self.in_driver.set(false);
        let polled = polled.expect("the reactor's own descriptors stay valid");
        let now = Instant::now();
        self.has_more_io.set(polled.is_full);
        H::observe(self, Event::ReactorPolled(polled, now));
        self.begin_batch();
        self.wake_for_driven();
        now
    }

    /// The next time to ask is when all that is woken by now has had its turn. It would have to wait for that anyway,
    /// while its sockets went out of the cache. But not for long, as others may take from the queue.
    fn begin_batch(&self) {
        let poll_tick = self.shared.knobs.poll_tick;
        let ticks = self.queues.fifo.len() / poll_tick as usize;
        self.polls_left_out.set(ticks.min(LEFT_OUT_MAX) as u32);
        self.until_poll.set(poll_tick);
    }

    // ---- Timers

    pub(crate) fn fire_due(&self) {
        let timers = &self.remote().timers;
        if timers.next_deadline().is_some() {
            self.fire(timers);
        }
    }

    /// Fires a worker's timers that are due. What they wake comes into this worker's queues.
    pub(crate) fn fire(&self, timers: &TimerShard) -> usize {
        self.in_driver.set(true);
        let fired = timers.fire(self.shared.clock.now());
        self.in_driver.set(false);
        if fired > 0 {
            self.wake_for_driven();
        }
        fired
    }

    // ---- Waiting

    /// Waits for a token, a socket or a timer, at most until `deadline`. The caller has announced that it sleeps.
    pub(crate) fn wait(&self, deadline: Option<Instant>) {
        let asleep_since = Instant::now();
        H::observe(self, Event::Sleeps(asleep_since));
        let mut awake_since = None;
        if H::has_own_time(&self.shared) {
            H::wait(self);
        } else if let Some(token) = self.poller_token() {
            let timeout = deadline.map(|at| at.saturating_duration_since(asleep_since));
            self.wait_in_reactor(|| awake_since = Some(self.poll_reactor(&token, timeout)));
        } else {
            self.parker.park(deadline);
        }
        H::observe(self, Event::Wakes(awake_since.unwrap_or_else(Instant::now)));
    }

    /// Calls `poll`, which waits in the reactor, so that an unpark ends it. The caller has the poller's token.
    pub(crate) fn wait_in_reactor(&self, poll: impl FnOnce()) {
        let polling = &self.remote().polling;
        polling.store(true, Relaxed);
        // Announced before the token is looked for; pairs with `unpark`, which does it the other way round.
        fence(SeqCst);
        if !self.parker.take_token() {
            poll();
        }
        polling.store(false, Relaxed);
    }

    /// The poller's token, if it is this worker's turn to wait in the reactor. A holder that does not wait has it for a
    /// moment only. To leave the sockets to such a one would be to leave them until it has nothing else to do.
    fn poller_token(&self) -> Option<MutexGuard<'_, ()>> {
        let shared = &*self.shared;
        let is_waited_for = || shared.active().iter().any(|it| it.polling.load(Relaxed));
        for spins in 0..=TOKEN_SPINS {
            if H::io_is_anothers(shared, self.index()) {
                return None;
            }
            let token = shared.poller.try_lock().or_else(|| {
                let again = H::gives_up_io(shared, self.index());
                again.then(|| shared.poller.try_lock()).flatten()
            });
            if token.is_some() || spins == TOKEN_SPINS || is_waited_for() {
                return token;
            }
            spin_loop();
        }
        None
    }
}

impl<H: Hooks> Shared<H> {
    /// Wakes a worker wherever it waits.
    pub(crate) fn unpark(&self, worker: usize) {
        H::observe_shared(self, SharedEvent::Unparks(worker));
        let remote = &self.remotes[worker];
        unpark(&remote.unparker, &remote.polling, Some(&self.reactor));
    }

    /// A worker for what belongs to none, such as the timers of other threads.
    pub(crate) fn any_worker(&self) -> &Remote<H> {
        let here = (0..self.workers).find(|worker| H::duty(self, *worker) != Duty::Away);
        &self.remotes[here.unwrap_or(0)]
    }
}

/// Ends a worker's wait, on its parker or in the reactor.
pub(crate) fn unpark(unparker: &Unparker, polling: &AtomicBool, reactor: Option<&Reactor>) {
    unparker.unpark();
    // The token is left before this is read; pairs with `Local::wait_in_reactor`, which does it the other way round.
    fence(SeqCst);
    if polling.load(Relaxed)
        && let Some(reactor) = reactor
    {
        reactor.notify();
    }
}
