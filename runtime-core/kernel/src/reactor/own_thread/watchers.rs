//! Which thread polls a socket that several threads wait for in turn: one at a time, so that a connection does not
//! wake them all.

use std::collections::BTreeMap;
use std::num::NonZeroU64;

/// A thread that sleeps for a socket: the key of a future that waits there in turn, and the thread's address. A future
/// keeps its key when another thread polls it, so a key alone may stand for two threads.
pub(super) type Sleeper = (NonZeroU64, usize);

/// The threads that sleep for one socket.
///
/// One of them is the *watcher*: it polls the socket. As soon as it wakes, for whatever reason, it asks the next one
/// to watch, before it runs any task. So its task never blocks the others' access to the socket.
#[derive(Debug)]
pub(super) struct Watchers<T> {
    watcher: Option<Sleeper>,
    /// The threads that sleep and do not watch.
    asleep: BTreeMap<Sleeper, T>,
}

impl<T> Default for Watchers<T> {
    fn default() -> Self {
        Self {
            watcher: None,
            asleep: BTreeMap::new(),
        }
    }
}

impl<T> Watchers<T> {
    /// The thread has announced that it sleeps, so that it can be asked. Returns true if it is the watcher.
    pub(super) fn sleeps(&mut self, sleeper: Sleeper, thread: impl FnOnce() -> T) -> bool {
        let watches = *self.watcher.get_or_insert(sleeper) == sleeper;
        if !watches {
            self.asleep.entry(sleeper).or_insert_with(thread);
        }
        watches
    }

    /// The thread has woken up. If it was the watcher, the next one takes over: the first by its key that `ask` finds
    /// asleep. A thread that is not asleep is about to call `wakes`, or to sleep again.
    pub(super) fn wakes(&mut self, sleeper: Sleeper, ask: impl Fn(&T) -> bool) {
        if self.watcher != Some(sleeper) {
            self.asleep.remove(&sleeper);
            return;
        }
        self.watcher = None;
        while let Some((next, thread)) = self.asleep.pop_first() {
            if ask(&thread) {
                self.watcher = Some(next);
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The thread `thread`, for which the future `key` waits.
    fn sleeper(key: u64, thread: usize) -> Sleeper {
        (NonZeroU64::new(key).unwrap(), thread)
    }

    fn sleeps(watchers: &mut Watchers<usize>, key: u64, thread: usize) -> bool {
        watchers.sleeps(sleeper(key, thread), || thread)
    }

    #[test]
    fn the_first_watches_and_the_next_by_its_key_follows() {
        let mut watchers = Watchers::default();
        assert!(sleeps(&mut watchers, 3, 3));
        assert!(!sleeps(&mut watchers, 2, 2));
        assert!(!sleeps(&mut watchers, 1, 1));
        // A thread that does not watch changes nothing when it wakes.
        watchers.wakes(sleeper(1, 1), |_| panic!("no owner must be asked"));
        assert!(!sleeps(&mut watchers, 1, 1));
        watchers.wakes(sleeper(3, 3), |_| true);
        // The thread that was asked sleeps again, and is the watcher.
        assert!(sleeps(&mut watchers, 1, 1));
        assert!(!sleeps(&mut watchers, 3, 3));
    }

    #[test]
    fn awake_threads_are_skipped() {
        let mut watchers = Watchers::default();
        for number in 1..=3 {
            sleeps(&mut watchers, number as u64, number);
        }
        watchers.wakes(sleeper(1, 1), |thread| *thread == 3);
        assert!(sleeps(&mut watchers, 3, 3));
        watchers.wakes(sleeper(3, 3), |_| false);
        // No other thread was asleep. The next one to sleep watches.
        assert!(sleeps(&mut watchers, 2, 2));
    }

    /// The future with key 5 went from thread 1 to thread 2, and both sleep for it.
    #[test]
    fn a_key_that_two_threads_have_stands_for_each_of_them() {
        let mut watchers = Watchers::default();
        assert!(sleeps(&mut watchers, 1, 9));
        assert!(!sleeps(&mut watchers, 5, 1));
        assert!(!sleeps(&mut watchers, 5, 2));
        watchers.wakes(sleeper(5, 2), |_| panic!("no owner must be asked"));
        watchers.wakes(sleeper(1, 9), |thread| *thread == 1);
        assert!(sleeps(&mut watchers, 5, 1));
        assert!(!sleeps(&mut watchers, 5, 2));
    }
}
