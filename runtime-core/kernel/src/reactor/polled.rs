//! The result of a poll, and the maximum number of events in it.

/// The maximum number of events that one poll takes: see [`Reactor::EVENTS`](super::Reactor::EVENTS).
pub(super) const EVENTS: usize = 64;

/// The result of a poll.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Polled {
    /// The number of sockets that were reported.
    pub sockets: usize,
    /// The kernel returned the maximum number of events: there may be more.
    pub is_full: bool,
}
