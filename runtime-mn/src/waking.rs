//! How a worker waits, on its parker or in the reactor, and how others end that wait.

use runtime_core::park::{Parker, Unparker};
use runtime_core::primitives::atomic::{
    AtomicBool,
    Ordering::{Relaxed, SeqCst},
    fence,
};
use runtime_core::reactor::Reactor;

/// Wakes one worker, wherever it waits.
pub(crate) struct Waking {
    pub(crate) unparker: Unparker,
    /// The worker waits in the reactor, or is about to.
    polls: AtomicBool,
}

impl Waking {
    /// Creates it for the worker with that parker.
    pub(crate) fn of(parker: &Parker) -> Self {
        Self {
            unparker: parker.unparker(),
            polls: AtomicBool::new(false),
        }
    }

    /// Whether the worker waited in the reactor a moment ago.
    pub(crate) fn is_in_reactor(&self) -> bool {
        self.polls.load(Relaxed)
    }

    /// Ends the worker's wait. If it does not wait, ends its next wait.
    pub(crate) fn unpark(&self, reactor: Option<&Reactor>) {
        self.unparker.unpark();
        // The token is left before this is read; pairs with `wait_in_reactor`, which uses the opposite order.
        fence(SeqCst);
        if self.is_in_reactor()
            && let Some(reactor) = reactor
        {
            reactor.notify();
        }
    }

    /// Calls `poll`, which waits in the reactor, so that an unpark ends it. The caller is the worker, with its parker.
    pub(crate) fn wait_in_reactor(&self, parker: &Parker, poll: impl FnOnce()) {
        self.polls.store(true, Relaxed);
        // Announced before the check for a token; pairs with `unpark`, which uses the opposite order.
        fence(SeqCst);
        if !parker.take_token() {
            poll();
        }
        self.polls.store(false, Relaxed);
    }
}
