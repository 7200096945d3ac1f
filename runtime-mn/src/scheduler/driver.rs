//! Sockets and timers. There is no poller thread: idle workers wait in the reactor, one at a time, and busy workers
//! poll it in between.

use std::time::{Duration, Instant};

use runtime_core::primitives::{MutexGuard, now};
use runtime_core::reactor::Polled;
use runtime_core::time::TimerShard;

use super::Local;
use crate::seam::Hooks;
use crate::seam::facts::Event;

impl<H: Hooks> Local<H> {
    /// Polls the reactor without waiting, unless another worker does. Returns true if it has polled.
    pub(crate) fn poll_now(&self) -> bool {
        let shared = &*self.shared;
        let has_sources = shared.reactor.has_sources();
        let token = has_sources.then(|| shared.poller.try_lock()).flatten();
        let polled = token.map(|token| self.poll_reactor(&token, Some(Duration::ZERO)));
        polled.is_some()
    }

    /// Polls the reactor, for at most `timeout`. Returns what it reported, and the time of the report.
    pub(crate) fn poll_reactor(
        &self,
        _token: &MutexGuard<'_, ()>,
        timeout: Option<Duration>,
    ) -> (Polled, Instant) {
        let polled = self.driving(|| self.shared.reactor.poll(timeout));
        let polled = polled.expect("the reactor's own descriptors stay valid");
        let now = now();
        H::observe(self, Event::ReactorPolled(polled, now));
        self.until_poll.set(self.shared.rules.knobs.poll_tick);
        self.wake_for_driven();
        (polled, now)
    }

    /// Fires a worker's timers that are due. The tasks that they wake go into this worker's queues.
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

    /// Calls code that wakes tasks on behalf of the driver.
    fn driving<R>(&self, driver: impl FnOnce() -> R) -> R {
        self.in_driver.set(true);
        let result = driver();
        self.in_driver.set(false);
        result
    }

    /// Waits for a token, a socket or a timer, at most until `deadline`: in the reactor if no other worker does, or
    /// else on the parker. The caller has announced that it sleeps. Returns the time at which a wait in the reactor
    /// ended.
    pub(crate) fn wait_for_token(&self, deadline: Option<Instant>) -> Option<Instant> {
        let Some(token) = H::poller_token(self) else {
            self.parker.park(deadline);
            return None;
        };
        let mut awake_since = None;
        self.remote.waking.wait_in_reactor(&self.parker, || {
            let timeout = deadline.map(|at| at.saturating_duration_since(now()));
            awake_since = Some(self.poll_reactor(&token, timeout).1);
        });
        awake_since
    }
}
