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

use super::{Local, Shared};
use crate::seam::Hooks;
use crate::seam::facts::{Event, SharedEvent};

/// How often a worker that goes to sleep asks again for the poller's token while its holder does not wait: some
/// microseconds.
const TOKEN_SPINS: u32 = if cfg!(lab_shuttle) { 1 } else { 64 };

impl<H: Hooks> Local<H> {
    // ---- Between two tasks

    /// Asks for sockets, and fires timers.
    pub(crate) fn drive_in_passing(&self) {
        if !H::leaves_out_io(self) {
            self.poll_now();
        }
        self.fire_due(&self.remote.timers);
    }

    /// There is nothing to run: asks again if the reactor had more to report. True if it has asked.
    #[inline]
    pub(crate) fn drive_for_more(&self) -> bool {
        let has_asked = self.has_more_io.replace(false)
            && !H::io_is_anothers(&self.shared, self.index())
            && self.poll_now();
        if has_asked {
            // It may go on like this for long.
            self.fire_due(&self.remote.timers);
        }
        has_asked
    }

    /// Asks the reactor without waiting, if nobody else does. True if it has asked.
    fn poll_now(&self) -> bool {
        let shared = &*self.shared;
        let has_sources = shared.reactor.has_sources();
        let token = has_sources.then(|| shared.poller.try_lock()).flatten();
        let polled = token.map(|token| self.poll_reactor(&token, Some(Duration::ZERO)));
        polled.is_some()
    }

    // ---- The reactor and the timers

    /// Asks the reactor, for at most `timeout`. Returns what time it was then.
    pub(crate) fn poll_reactor(
        &self,
        _token: &MutexGuard<'_, ()>,
        timeout: Option<Duration>,
    ) -> Instant {
        let polled = self.driving(|| self.shared.reactor.poll(timeout));
        let polled = polled.expect("the reactor's own descriptors stay valid");
        let now = Instant::now();
        self.has_more_io.set(polled.is_full);
        H::observe(self, Event::ReactorPolled(polled, now));
        self.until_poll.set(self.shared.rules.knobs.poll_tick);
        self.wake_for_driven();
        now
    }

    /// Fires a worker's timers that are due. What they wake comes into this worker's queues.
    pub(crate) fn fire_due(&self, timers: &TimerShard) -> usize {
        if timers.next_deadline().is_none() {
            return 0;
        }
        let fired = self.driving(|| timers.fire(self.shared.clock.now()));
        if fired > 0 {
            self.wake_for_driven();
        }
        fired
    }

    /// Calls what wakes tasks on behalf of the driver.
    fn driving<R>(&self, driver: impl FnOnce() -> R) -> R {
        self.in_driver.set(true);
        let result = driver();
        self.in_driver.set(false);
        result
    }

    // ---- Waiting

    /// Waits for a token, a socket or a timer, at most until `deadline`. The caller has announced that it sleeps.
    pub(crate) fn wait(&self, deadline: Option<Instant>) {
        H::observe(self, Event::Sleeps(Instant::now()));
        let awake_since = H::wait(self, deadline);
        H::observe(self, Event::Wakes(awake_since.unwrap_or_else(Instant::now)));
    }

    /// Waits in the reactor or on the parker. Returns when a wait in the reactor ended.
    pub(crate) fn wait_for_token(&self, deadline: Option<Instant>) -> Option<Instant> {
        let Some(token) = self.poller_token() else {
            self.parker.park(deadline);
            return None;
        };
        let mut awake_since = None;
        self.wait_in_reactor(|| {
            let timeout = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            awake_since = Some(self.poll_reactor(&token, timeout));
        });
        awake_since
    }

    /// Calls `poll`, which waits in the reactor, so that an unpark ends it. The caller has the poller's token.
    pub(crate) fn wait_in_reactor(&self, poll: impl FnOnce()) {
        let polling = &self.remote.polling;
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
