//! A socket under 1:1, and the interests that threads have in it.

use std::io;
use std::num::NonZeroU64;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags};

use super::super::readiness::{Direction, ReadyEvent, ready};
use super::super::timespec::timespec;
use super::super::waiters::{WaitKey, WaitList};
use super::Shared;
use crate::saved_waker::PollWaker;
use crate::trace::{Cause, caused_by};

/// A descriptor that is waited for by the threads of the tasks that use it.
pub(in crate::reactor) struct ThreadSource {
    fd: OwnedFd,
    /// A hint, as bits of [`ready`]: an attempt may succeed. Losing one costs a `poll(2)`.
    ready: AtomicU8,
    /// The directions, as bits of [`ready`], in which nobody has waited to the end: there is no bit in `ready`, and
    /// no interest that would set it. The next one to wait asks the kernel first.
    unwatched: AtomicU8,
    last_key: AtomicU64,
    /// Those that may have an interest in it, for the destructor.
    parkers: Mutex<Vec<Weak<Shared>>>,
}

/// The waiters of one socket on one thread.
pub(super) struct Interest {
    source: Arc<ThreadSource>,
    read: WaitList,
    write: WaitList,
}

impl Interest {
    /// The socket and what `poll(2)` is to be asked about it.
    pub(super) fn to_poll(&self) -> (Arc<ThreadSource>, PollFlags) {
        let mut flags = PollFlags::empty();
        if !self.read.is_empty() {
            flags |= PollFlags::IN | PollFlags::RDHUP;
        }
        if !self.write.is_empty() {
            flags |= PollFlags::OUT;
        }
        (Arc::clone(&self.source), flags)
    }

    fn list(&mut self, direction: Direction) -> &mut WaitList {
        match direction {
            Direction::Read => &mut self.read,
            Direction::Write => &mut self.write,
        }
    }

    fn is_empty(&self) -> bool {
        self.read.is_empty() && self.write.is_empty()
    }
}

fn position(interests: &[Interest], source: &Arc<ThreadSource>) -> Option<usize> {
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
    /// The owner parks no more. Whoever waits here is woken, and waits where it is polled next: a future that tasks
    /// share can outlive the task that polled it.
    pub(super) fn leave(&self) {
        let left = std::mem::take(&mut *self.interests.lock());
        // Outside of the lock: wakers are user code.
        for Interest {
            source,
            read,
            write,
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

/// A thread that has ended waits for nothing any more.
impl Drop for Shared {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Notes what `poll(2)` said of `source`, removes the interests that this fulfils, and wakes their waiters.
pub(super) fn report(
    interests: &Mutex<Vec<Interest>>,
    source: &Arc<ThreadSource>,
    revents: PollFlags,
) {
    // Closed behind our back: nothing will ever be reported of it, and polling it on would spin.
    let invalid = revents.contains(PollFlags::NVAL);
    let (readable, writable) = (is_readable(revents), is_writable(revents));
    source.note(revents);

    let (mut readers, mut writers) = (WaitList::default(), WaitList::default());
    let mut removed = None;
    {
        let mut interests = interests.lock();
        // It is not there if the socket was closed meanwhile.
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
    pub(in crate::reactor) fn new(fd: OwnedFd, bits: u8) -> Arc<Self> {
        Arc::new(Self {
            fd,
            ready: AtomicU8::new(bits),
            unwatched: AtomicU8::new((ready::READABLE | ready::WRITABLE) & !bits),
            last_key: AtomicU64::new(0),
            parkers: Mutex::new(Vec::new()),
        })
    }

    pub(in crate::reactor) fn poll_ready(
        self: &Arc<Self>,
        cx: &mut Context<'_>,
        direction: Direction,
        key: Option<&mut WaitKey>,
    ) -> Poll<io::Result<ReadyEvent>> {
        let mut bits = self.ready.load(Ordering::Relaxed);
        if bits & direction.mask() == 0 && self.is_unwatched(direction) {
            bits = self.ask();
        }
        if bits & direction.mask() != 0 {
            return Poll::Ready(Ok(ReadyEvent {
                tick: 0,
                bits,
                direction,
            }));
        }
        let (parker, is_own) = Shared::for_current_thread()?;
        self.remember(&parker);
        // Before the lock: a clone runs code of others.
        let mut own = PollWaker::new(cx.waker());
        own.prepare();
        let displaced = {
            let mut interests = parker.interests.lock();
            let index = position(&interests, self).unwrap_or_else(|| {
                interests.push(Interest {
                    source: Arc::clone(self),
                    read: WaitList::default(),
                    write: WaitList::default(),
                });
                interests.len() - 1
            });
            let waiters = interests[index].list(direction);
            match key {
                None => waiters.add(&mut own),
                Some(key) => {
                    let key = *key.get_or_insert_with(|| self.new_key());
                    waiters.add_keyed(key, &mut own)
                }
            }
        };
        if !is_own {
            // It is to poll this descriptor too.
            parker.unpark();
        }
        if let Some(displaced) = displaced {
            displaced.wake();
        }
        Poll::Pending
    }

    /// Adds what `poll(2)` says to what is known of its readiness.
    fn note(&self, revents: PollFlags) -> u8 {
        let mut bits = 0;
        if is_readable(revents) {
            bits |= ready::READABLE;
        }
        if is_writable(revents) {
            bits |= ready::WRITABLE;
        }
        self.ready.fetch_or(bits, Ordering::Relaxed) | bits
    }

    /// Whether somebody has ceased to wait in `direction` since the last time that this was asked. Whoever asks goes
    /// on to wait, and leaves it unwatched again if that comes to nothing.
    fn is_unwatched(&self, direction: Direction) -> bool {
        let mask = direction.transient();
        // Relaxed, as all here: whoever has handed the socket over to another thread has done so with more than this.
        self.unwatched.load(Ordering::Relaxed) & mask != 0
            && self.unwatched.fetch_and(!mask, Ordering::Relaxed) & mask != 0
    }

    fn leave_unwatched(&self, direction: Direction) {
        self.unwatched
            .fetch_or(direction.transient(), Ordering::Relaxed);
    }

    /// What the kernel says of its readiness at this moment, in both directions.
    fn ask(&self) -> u8 {
        let flags = PollFlags::IN | PollFlags::RDHUP | PollFlags::OUT;
        let mut fds = [PollFd::from_borrowed_fd(self.fd.as_fd(), flags)];
        let at_once = timespec(Duration::ZERO);
        match rustix::event::poll(&mut fds, Some(&at_once)) {
            Ok(_) => self.note(fds[0].revents()),
            // Out of kernel memory, or a signal came: an attempt will tell.
            Err(_) => ready::READABLE | ready::WRITABLE,
        }
    }

    fn new_key(&self) -> NonZeroU64 {
        let last = self.last_key.fetch_add(1, Ordering::Relaxed);
        NonZeroU64::new(last.wrapping_add(1)).unwrap_or(NonZeroU64::MIN)
    }

    fn remember(&self, parker: &Arc<Shared>) {
        let mut parkers = self.parkers.lock();
        let known = parkers
            .iter()
            .any(|known| std::ptr::eq(known.as_ptr(), Arc::as_ptr(parker)));
        if !known {
            // Threads come and go: a listener that outlives many must not keep them all.
            parkers.retain(|known| known.strong_count() > 0);
            parkers.push(Arc::downgrade(parker));
        }
    }

    pub(in crate::reactor) fn clear(&self, mask: u8) {
        self.ready.fetch_and(!mask, Ordering::Relaxed);
    }

    /// Takes back a future's waker, and with it the interest if nobody else waits on that thread.
    pub(in crate::reactor) fn cancel(self: &Arc<Self>, direction: Direction, key: NonZeroU64) {
        for parker in self.known_parkers() {
            let (mut waker, mut removed) = (None, None);
            {
                let mut interests = parker.interests.lock();
                if let Some(index) = position(&interests, self) {
                    let waiters = interests[index].list(direction);
                    waker = waiters.remove(key);
                    if waker.is_some() && waiters.is_empty() {
                        // From now on nobody reports what happens to it.
                        self.leave_unwatched(direction);
                    }
                    if interests[index].is_empty() {
                        removed = Some(interests.swap_remove(index));
                    }
                }
            }
            drop((waker, removed));
        }
    }

    /// Ends all waiting for this descriptor, which is closed when nobody polls it any more: that is when this returns,
    /// or as soon as the threads that are polling it have been woken.
    pub(in crate::reactor) fn close(self: &Arc<Self>) {
        for parker in self.known_parkers() {
            let removed = {
                let mut interests = parker.interests.lock();
                position(&interests, self).map(|index| interests.swap_remove(index))
            };
            if let Some(Interest { read, write, .. }) = removed {
                read.wake_all();
                write.wake_all();
            }
            if !parker.is_current() {
                parker.unpark();
            }
        }
    }

    fn known_parkers(&self) -> Vec<Arc<Shared>> {
        self.parkers
            .lock()
            .iter()
            .filter_map(Weak::upgrade)
            .collect()
    }
}

impl AsFd for ThreadSource {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
