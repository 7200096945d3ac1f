//! Waiting in simulated time. The protocol is in `runtime_core::time`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use runtime_kernel::reactor::Reactor;
use runtime_kernel::time::Clock;

use crate::local::Local;

/// Makes the loop check again when nothing holds its clock any more.
pub(crate) fn ask_when_released(clock: &Clock, reactor: &Arc<Reactor>) {
    let reactor = Arc::downgrade(reactor);
    clock.when_released(move || {
        let reactor = reactor.upgrade();
        reactor.inspect(|reactor| reactor.notify()).is_some()
    });
}

/// Call this when nothing is ready and the loop has announced that it sleeps. It lets time pass up to `deadline`, or
/// waits for the code that keeps time from passing. `wait` makes the loop wait in the kernel for up to the given time;
/// it returns true if there may be more to report.
pub(crate) fn wait(
    local: &Local,
    deadline: Option<Instant>,
    wait: impl Fn(Option<Duration>) -> bool,
) {
    let shared = &local.shared;
    // Before the last checks: a job that has ended by now has queued the tasks that it woke.
    let Some((quiet, deadline)) = shared.clock.quiet().zip(deadline) else {
        wait(None);
        return;
    };
    // Take everything that is ready, because events that are left unreported are work, too.
    while wait(Some(Duration::ZERO)) {}
    let is_idle = local.ready.borrow().is_empty() && shared.sleep.is_uninterrupted();
    if is_idle && shared.clock.advance(quiet, deadline) {
        shared.timers.fire(shared.clock.now());
    }
}
