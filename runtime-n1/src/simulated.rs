//! Waiting in simulated time. The protocol is in `runtime_core::time`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use runtime_kernel::reactor::Reactor;
use runtime_kernel::time::Clock;

use crate::Loop;

/// Has the loop look again when nobody holds its clock any more.
pub(crate) fn ask_when_released(clock: &Clock, reactor: &Arc<Reactor>) {
    let reactor = Arc::downgrade(reactor);
    clock.when_released(move || {
        let reactor = reactor.upgrade();
        reactor.inspect(|reactor| reactor.notify()).is_some()
    });
}

impl Loop {
    /// Nothing is ready, and the loop has announced that it sleeps: lets time pass up to `deadline`, or waits for
    /// whoever keeps it from passing.
    pub(crate) fn wait_simulated(&self, deadline: Option<Instant>) {
        let shared = &self.local.shared;
        // Before the last looks: a job that has ended by now has queued what it woke.
        let Some((quiet, deadline)) = shared.clock.quiet().zip(deadline) else {
            return self.wait_up_to(None);
        };
        // All that is ready: what is left unreported is something to do, too.
        while self.look(Some(Duration::ZERO)) {}
        let is_idle = self.local.ready.borrow().is_empty() && shared.sleep.is_uninterrupted();
        if is_idle && shared.clock.advance(quiet, deadline) {
            shared.timers.fire(shared.clock.now());
        }
    }
}
