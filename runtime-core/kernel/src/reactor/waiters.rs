//! Who waits for one direction of one socket.

use std::num::NonZeroU64;

use super::readiness::Direction;
use crate::saved_waker::{PollWaker, SavedWaker};

/// How many wakers of `poll_*` callers are kept for one direction.
///
/// Such a caller has no destructor that could take its waker back. One that is polled with ever new wakers (in a
/// `select` over a set of futures, say) would pile them up; beyond this many, the oldest is woken and dropped. Who
/// still waits polls again and is back in the list; so nothing is lost, and the list is bounded.
const UNKEYED_MAX: usize = 32;

/// The place of a waiting future in a list: it takes its waker back when it is dropped.
pub(crate) type WaitKey = Option<NonZeroU64>;

#[derive(Debug)]
pub(crate) struct Waiter {
    key: WaitKey,
    waker: SavedWaker,
}

/// The wakers of one direction. One is the rule, and needs no allocation; nor does anybody look beyond it then, as the
/// next cache line may be far away.
#[derive(Debug, Default)]
pub(crate) enum WaitList {
    #[default]
    Empty,
    One(Waiter),
    /// At least one.
    Many(Vec<Waiter>),
}

impl WaitList {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, Self::Empty)
    }

    fn all_mut(&mut self) -> &mut [Waiter] {
        match self {
            Self::Empty => &mut [],
            Self::One(waiter) => std::slice::from_mut(waiter),
            Self::Many(waiters) => waiters,
        }
    }

    fn push(&mut self, waiter: Waiter) {
        *self = match self.take() {
            Self::Empty => Self::One(waiter),
            Self::One(first) => Self::Many(vec![first, waiter]),
            Self::Many(mut waiters) => {
                waiters.push(waiter);
                Self::Many(waiters)
            }
        };
    }

    /// Adds the waker of a `poll_*` caller, unless the same task waits already. The waker returned is displaced: it is
    /// to be woken after the lock is released.
    ///
    /// # Panics
    /// If `own` was not [prepared](PollWaker::prepare).
    #[must_use]
    #[inline]
    pub(crate) fn add(&mut self, own: &mut PollWaker<'_>) -> Option<SavedWaker> {
        if self.is_empty() {
            *self = Self::One(Waiter {
                key: None,
                waker: own.take(),
            });
            return None;
        }
        self.add_to_others(own)
    }

    /// The rest of [`add`](WaitList::add), for a list that is not empty.
    fn add_to_others(&mut self, own: &mut PollWaker<'_>) -> Option<SavedWaker> {
        let mut unkeyed = 0;
        for waiter in self.all_mut() {
            if waiter.key.is_none() {
                if own.is_kept_in(&waiter.waker) {
                    return None;
                }
                unkeyed += 1;
            }
        }
        let displaced = if unkeyed < UNKEYED_MAX {
            None
        } else {
            self.remove_where(|waiter| waiter.key.is_none())
        };
        self.push(Waiter {
            key: None,
            waker: own.take(),
        });
        displaced
    }

    /// Adds or refreshes the waker of the future `key`. The waker returned is replaced; like a displaced one it is to
    /// be woken after the lock is released (never dropped under it: that may run a task's destructor).
    ///
    /// # Panics
    /// If `own` was not [prepared](PollWaker::prepare).
    #[must_use]
    pub(crate) fn add_keyed(
        &mut self,
        key: NonZeroU64,
        own: &mut PollWaker<'_>,
    ) -> Option<SavedWaker> {
        for waiter in self.all_mut() {
            if waiter.key == Some(key) {
                if own.is_kept_in(&waiter.waker) {
                    return None;
                }
                return Some(std::mem::replace(&mut waiter.waker, own.take()));
            }
        }
        self.push(Waiter {
            key: Some(key),
            waker: own.take(),
        });
        None
    }

    /// Takes back the waker of the future `key`; to be dropped after the lock is released.
    #[must_use]
    pub(crate) fn remove(&mut self, key: NonZeroU64) -> Option<SavedWaker> {
        self.remove_where(|waiter| waiter.key == Some(key))
    }

    fn remove_where(&mut self, matches: impl Fn(&Waiter) -> bool) -> Option<SavedWaker> {
        let position = self.all_mut().iter().position(matches)?;
        match self {
            Self::Many(waiters) if waiters.len() > 1 => Some(waiters.remove(position).waker),
            last => match last.take() {
                Self::Empty => None,
                Self::One(waiter) => Some(waiter.waker),
                Self::Many(mut waiters) => waiters.pop().map(|waiter| waiter.waker),
            },
        }
    }

    /// Empties the list; the caller wakes what it held after releasing the lock.
    #[must_use]
    pub(crate) fn take(&mut self) -> Self {
        std::mem::take(self)
    }

    /// Wakes everyone, in the order in which they came. A panic of a waker of some other executor ends here: the
    /// others, and the rest of the events, are reported only once.
    #[inline]
    pub(crate) fn wake_all(self) {
        match self {
            Self::Empty => {}
            Self::One(waiter) => waiter.waker.wake(),
            Self::Many(waiters) => waiters.into_iter().for_each(|waiter| waiter.waker.wake()),
        }
    }
}

/// The lists of both directions, and the keys for their futures. The order matters: see
/// [`Source`](super::source::Source).
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct Waiters {
    pub(crate) read: WaitList,
    pub(crate) write: WaitList,
    last_key: u64,
}

impl Waiters {
    pub(crate) fn list(&mut self, direction: Direction) -> &mut WaitList {
        match direction {
            Direction::Read => &mut self.read,
            Direction::Write => &mut self.write,
        }
    }

    pub(crate) fn new_key(&mut self) -> NonZeroU64 {
        self.last_key += 1;
        NonZeroU64::new(self.last_key).unwrap_or(NonZeroU64::MIN)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Wake, Waker};

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);
    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    fn own(waker: &Waker) -> PollWaker<'_> {
        let mut own = PollWaker::new(waker);
        own.prepare();
        own
    }
    fn counter() -> (Arc<Count>, Waker) {
        let count = Arc::new(Count::default());
        (count.clone(), count.into())
    }

    #[test]
    fn everyone_who_waits_is_woken() {
        let mut waiters = Waiters::default();
        let counters: Vec<_> = (0..5).map(|_| counter()).collect();
        for (index, (_, waker)) in counters.iter().enumerate() {
            if index % 2 == 0 {
                assert!(waiters.read.add(&mut own(waker)).is_none());
            } else {
                let key = waiters.new_key();
                assert!(waiters.read.add_keyed(key, &mut own(waker)).is_none());
            }
        }
        waiters.read.take().wake_all();
        for (count, _) in &counters {
            assert_eq!(count.0.load(Ordering::Relaxed), 1);
        }
        assert!(waiters.read.is_empty());
    }

    #[test]
    fn a_cancelled_waiter_leaves_the_others() {
        let mut waiters = Waiters::default();
        let ((cancelled, cancelled_waker), (kept, kept_waker)) = (counter(), counter());
        let key = waiters.new_key();
        let other = waiters.new_key();
        let _ = waiters.read.add_keyed(key, &mut own(&cancelled_waker));
        let _ = waiters.read.add_keyed(other, &mut own(&kept_waker));
        drop(waiters.read.remove(key));
        waiters.read.take().wake_all();
        assert_eq!(cancelled.0.load(Ordering::Relaxed), 0);
        assert_eq!(kept.0.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn ever_new_wakers_do_not_pile_up_and_none_is_dropped_unwoken() {
        let mut waiters = Waiters::default();
        let counters: Vec<_> = (0..100).map(|_| counter()).collect();
        for (_, waker) in &counters {
            if let Some(displaced) = waiters.write.add(&mut own(waker)) {
                displaced.wake();
            }
        }
        assert!(waiters.write.all_mut().len() <= UNKEYED_MAX);
        waiters.write.take().wake_all();
        for (count, _) in &counters {
            assert_eq!(count.0.load(Ordering::Relaxed), 1);
        }
    }

    #[test]
    fn a_waker_that_panics_keeps_nobody_from_being_woken() {
        struct Panics;
        impl Wake for Panics {
            fn wake(self: Arc<Self>) {
                panic!("a waker's own panic, which is part of this test");
            }
        }
        let mut waiters = Waiters::default();
        let (count, waker) = counter();
        let _ = waiters.read.add(&mut own(&Arc::new(Panics).into()));
        let _ = waiters.read.add(&mut own(&waker));
        waiters.read.take().wake_all();
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn the_same_task_is_listed_once() {
        let mut waiters = Waiters::default();
        let (count, waker) = counter();
        for _ in 0..10 {
            assert!(waiters.read.add(&mut own(&waker)).is_none());
        }
        waiters.read.take().wake_all();
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
    }
}
