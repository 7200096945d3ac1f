//! What one thread watches while it parks: which of the sockets that it waits for in turn it polls.

use std::num::NonZeroU64;
use std::sync::Arc;

use super::interests::{Awaited, Shared};
use super::watchers::Sleeper;

/// Only this many descriptors of a thread, the first ones, are watched in turn with other threads.
pub(super) const TURNS: usize = u64::BITS as usize;

/// What a thread watches while it parks. When this is dropped, the thread is awake, and other sleeping threads take
/// over: at the end of the park, and also if the park unwinds.
pub(super) struct Watching<'a> {
    thread: &'a Arc<Shared>,
    pub(super) sources: &'a [Awaited],
}

impl<'a> Watching<'a> {
    pub(super) fn new(thread: &'a Arc<Shared>, sources: &'a [Awaited]) -> Self {
        Self { thread, sources }
    }

    /// Whether the thread must poll this socket, one of the first [`TURNS`]. It must have announced that it sleeps.
    pub(super) fn watches(&self, awaited: &Awaited) -> bool {
        awaited.turn.is_none_or(|key| {
            let mut watchers = awaited.source.watchers.lock();
            watchers.sleeps(self.sleeper(key), || Arc::clone(self.thread))
        })
    }

    fn sleeper(&self, key: NonZeroU64) -> Sleeper {
        (key, Arc::as_ptr(self.thread).addr())
    }
}

impl Drop for Watching<'_> {
    fn drop(&mut self) {
        for awaited in &self.sources[..self.sources.len().min(TURNS)] {
            if let Some(key) = awaited.turn {
                let mut watchers = awaited.source.watchers.lock();
                // No thread's last reference is dropped under this lock: a listed thread takes this lock to end its
                // park.
                watchers.wakes(self.sleeper(key), |next| next.ask_to_watch());
            }
        }
    }
}
