//! Simulated time: who lets it pass, and when. The protocol is in `runtime_core::time`.

use std::sync::Arc;
use std::sync::atomic::{
    Ordering::{Relaxed, SeqCst},
    fence,
};

use runtime_core::reactor::Reactor;
use runtime_core::time::Clock;

use crate::local::Local;
use crate::shared::Shared;
use crate::sockets::Help;

/// Has the worker with the poller's token look whether time may pass when nobody holds its clock any more.
pub(crate) fn ask_when_released(clock: &Clock, reactor: &Arc<Reactor>) {
    let reactor = Arc::downgrade(reactor);
    clock.when_released(move || {
        let reactor = reactor.upgrade();
        reactor.inspect(|reactor| reactor.notify()).is_some()
    });
}

impl Shared {
    /// Whether no worker has anything to do. The batch lane, and whoever else has, holds the clock.
    fn nobody_works(&self) -> bool {
        let reach = || self.reach().iter().enumerate();
        let working = reach()
            .filter(|(index, remote)| {
                *index < self.workers || remote.observed.stands_in.load(SeqCst)
            })
            .map(|(index, _)| index);
        self.idle.all_asleep(working)
            && !self.has_injected()
            && !reach().any(|(_, remote)| remote.has_work(true) || remote.has_waiting())
    }

    /// A spare that stood in waits again for its next time. It may have been the last one that worked.
    pub(crate) fn one_less_to_wait_for(&self) {
        if self.clock.is_simulated() {
            self.reactor.notify();
        }
    }
}

impl Local {
    /// As `wait`, which has announced that the worker sleeps: waits for a token or a socket, or lets time pass. Timers
    /// end no wait.
    pub(crate) fn wait_simulated(&self) {
        let Some(mut help) = self.shared.poller.try_lock() else {
            // Whoever has the token may be waiting for this worker alone.
            if self.shared.nobody_works() {
                self.shared.reactor.notify();
            }
            self.parker.park(None);
            return;
        };
        let polling = &self.remote().polling;
        polling.store(true, Relaxed);
        // As in `wait_in_reactor`.
        fence(SeqCst);
        if !self.parker.take_token() && !self.let_time_pass(&mut help) {
            self.drive(&mut help, None);
        }
        polling.store(false, Relaxed);
    }

    /// Jumps to the next deadline if nobody has anything to do. False: there is nothing for it but to wait, for a
    /// deadline to come or for the one to end who keeps time from passing. The caller has the poller's token: one
    /// worker at a time gets here.
    fn let_time_pass(&self, help: &mut Help) -> bool {
        let shared = &*self.shared;
        // A look at the reactor may have used up a notification: then the worker looks around before it waits.
        let mut looked = false;
        loop {
            // Before the workers: a job that has ended by now has queued what it woke.
            let Some(quiet) = shared.clock.quiet() else {
                return looked;
            };
            if !shared.nobody_works() {
                return looked;
            }
            let deadlines = shared
                .reach()
                .iter()
                .filter_map(|remote| remote.timers.earliest());
            let Some(deadline) = deadlines.min() else {
                return looked;
            };
            // All that is ready: what is left unreported is something to do, too.
            self.drive_all(help);
            looked = true;
            if !shared.nobody_works() || !shared.clock.advance(quiet, deadline) {
                return true;
            }
            let fired: usize = shared
                .reach()
                .iter()
                .map(|remote| self.fire(&remote.timers))
                .sum();
            if fired > 0 {
                return true;
            }
        }
    }
}
