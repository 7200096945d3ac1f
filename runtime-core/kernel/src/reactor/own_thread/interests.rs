//! Which threads wait for which sockets: what a waiting thread and a socket know about each other.
//!
//! Each side owns a part of the other: a thread's interests keep their sockets alive, and a socket knows the threads
//! that may have an interest in it. Both are therefore defined here. `mod.rs` has what a thread does, and `source.rs`
//! what a task does with a socket.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use rustix::event::PollFlags;

use super::super::readiness::{Direction, ready};
use super::super::waiters::WaitList;
use super::state::ParkState;
use super::watchers::Watchers;
use crate::primitives::real_locks::Mutex;
use crate::trace::{Cause, caused_by};

/// What the owner, the threads that wake it, and the sockets that it awaits share.
pub(super) struct Shared {
    pub(super) state: ParkState,
    /// Created by the first park that polls.
    pub(super) eventfd: OnceLock<OwnedFd>,
    pub(super) interests: Mutex<Vec<Interest>>,
    /// The number of parks, since the last check of the descriptors, that a token ended before they checked any. Only
    /// the owner writes it.
    pub(super) skipped: AtomicU32,
}

/// A descriptor that is awaited on the threads of the tasks that use it.
pub(in crate::reactor) struct ThreadSource {
    pub(super) fd: OwnedFd,
    /// A hint, as bits of [`ready`]: an attempt may succeed. Losing one costs a `poll(2)`.
    pub(super) ready: AtomicU8,
    /// The directions, as bits of [`ready`], whose last waiter gave up: there is no bit in `ready`, and no interest
    /// that would set it. The next waiter asks the kernel first.
    pub(super) unwatched: AtomicU8,
    pub(super) last_key: AtomicU64,
    /// The parkers that may have an interest in it.
    pub(super) parkers: Mutex<Parkers>,
    /// The threads that sleep for it and wait to read in turn.
    pub(super) watchers: Mutex<Watchers<Arc<Shared>>>,
}

/// The parkers that may have an interest in a socket, by their addresses. A thousand threads may wait for one listener.
#[derive(Default)]
pub(super) struct Parkers {
    known: BTreeMap<usize, Weak<Shared>>,
    /// With so many, those that are gone are removed.
    prune_at: usize,
}

impl Parkers {
    pub(super) fn remember(&mut self, parker: &Arc<Shared>) {
        if self.known.contains_key(&parker.address()) {
            return;
        }
        if self.known.len() >= self.prune_at {
            // Threads come and go: a listener that outlives many of them must not keep them all.
            self.known.retain(|_, known| known.strong_count() > 0);
            self.prune_at = 2 * self.known.len() + 1;
        }
        // An address is used again only after its entry was removed, because the entry keeps the memory.
        self.known.insert(parker.address(), Arc::downgrade(parker));
    }

    pub(super) fn get(&self, address: usize) -> Option<Arc<Shared>> {
        self.known.get(&address)?.upgrade()
    }

    pub(super) fn alive(&self) -> Vec<Arc<Shared>> {
        self.known.values().filter_map(Weak::upgrade).collect()
    }
}

/// The waiters of one socket on one thread.
pub(super) struct Interest {
    pub(super) source: Arc<ThreadSource>,
    pub(super) read: WaitList,
    pub(super) write: WaitList,
    /// The smallest key of the futures that wait here to read in turn.
    pub(super) turn: Option<NonZeroU64>,
    /// Others wait here too, which must see every event.
    pub(super) sees_all: bool,
}

/// A socket that a thread is to poll.
pub(super) struct Awaited {
    pub(super) source: Arc<ThreadSource>,
    pub(super) flags: PollFlags,
    /// If set, the owner only waits to read in turn: it need not poll the socket while another thread does.
    pub(super) turn: Option<NonZeroU64>,
}

impl Awaited {
    pub(super) fn of(interest: &Interest) -> Self {
        let mut flags = PollFlags::empty();
        if !interest.read.is_empty() {
            flags |= PollFlags::IN | PollFlags::RDHUP;
        }
        if !interest.write.is_empty() {
            flags |= PollFlags::OUT;
        }
        Self {
            source: Arc::clone(&interest.source),
            flags,
            turn: interest.turn.filter(|_| !interest.sees_all),
        }
    }
}

impl Interest {
    pub(super) fn list(&mut self, direction: Direction) -> &mut WaitList {
        match direction {
            Direction::Read => &mut self.read,
            Direction::Write => &mut self.write,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.read.is_empty() && self.write.is_empty()
    }
}

pub(super) fn position(interests: &[Interest], source: &Arc<ThreadSource>) -> Option<usize> {
    interests
        .iter()
        .position(|interest| Arc::ptr_eq(&interest.source, source))
}

fn is_readable(revents: PollFlags) -> bool {
    revents.intersects(PollFlags::IN | PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR)
}

fn is_writable(revents: PollFlags) -> bool {
    revents.intersects(PollFlags::OUT | PollFlags::HUP | PollFlags::ERR)
}

impl Shared {
    /// Identifies it while anybody has a reference to it, weak ones included.
    pub(super) fn address(self: &Arc<Self>) -> usize {
        Arc::as_ptr(self).addr()
    }

    /// The owner does not park any more. Wakes all that wait here, so that they wait wherever they are polled next: a
    /// future that tasks share can outlive the task that polled it.
    pub(super) fn leave(&self) {
        let left = std::mem::take(&mut *self.interests.lock());
        // Outside the lock: wakers are user code.
        for Interest {
            source,
            read,
            write,
            ..
        } in left
        {
            for (direction, list) in [(Direction::Read, &read), (Direction::Write, &write)] {
                if !list.is_empty() {
                    source.leave_unwatched(direction);
                }
            }
            read.wake_all();
            write.wake_all();
        }
    }
}

/// A thread that has ended waits for nothing.
impl Drop for Shared {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Records what `poll(2)` reported for `source`, removes the interests that this fulfils, and wakes their waiters.
pub(super) fn report(
    interests: &Mutex<Vec<Interest>>,
    source: &Arc<ThreadSource>,
    revents: PollFlags,
) {
    // Closed without our knowledge: it will never report anything, and polling it further would spin.
    let invalid = revents.contains(PollFlags::NVAL);
    let (readable, writable) = (is_readable(revents), is_writable(revents));
    source.note(revents);

    let (mut readers, mut writers) = (WaitList::default(), WaitList::default());
    let mut removed = None;
    {
        let mut interests = interests.lock();
        // The interest is gone if the socket was closed in the meantime.
        if let Some(index) = position(&interests, source) {
            let interest = &mut interests[index];
            if readable {
                readers = interest.read.take();
            }
            if writable {
                writers = interest.write.take();
            }
            if invalid || interest.is_empty() {
                removed = Some(interests.swap_remove(index));
            }
        }
    }
    drop(removed);
    let _cause = caused_by(Cause::Socket);
    readers.wake_all();
    writers.wake_all();
}

impl ThreadSource {
    /// Adds what `poll(2)` reported to the known readiness.
    pub(super) fn note(&self, revents: PollFlags) -> u8 {
        let mut bits = 0;
        if is_readable(revents) {
            bits |= ready::READABLE;
        }
        if is_writable(revents) {
            bits |= ready::WRITABLE;
        }
        self.ready.fetch_or(bits, Ordering::Relaxed) | bits
    }

    pub(super) fn leave_unwatched(&self, direction: Direction) {
        self.unwatched
            .fetch_or(direction.transient(), Ordering::Relaxed);
    }
}
