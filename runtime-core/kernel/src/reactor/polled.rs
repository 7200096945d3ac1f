//! What a poll finds, and how much at most.

/// The most events that one poll takes: see [`Reactor::EVENTS`](super::Reactor::EVENTS).
pub(super) const EVENTS: usize = 64;

/// What a poll has found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Polled {
    /// How many sockets were reported.
    pub sockets: usize,
    /// The kernel has given as many events as a poll takes at once: there may be more.
    pub is_full: bool,
}
