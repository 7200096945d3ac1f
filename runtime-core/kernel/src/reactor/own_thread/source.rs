//! A socket under 1:1: what the task that uses it does.

use std::io;
use std::mem;
use std::num::NonZeroU64;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use crate::primitives::real_locks::Mutex;
use rustix::event::{PollFd, PollFlags};

use super::super::readiness::{Direction, ReadyEvent, ready};
use super::super::timespec::timespec;
use super::super::waiters::{WaitAs, WaitKey, WaitList};
use super::interests::{Interest, Shared, ThreadSource, position};
use crate::saved_waker::PollWaker;

impl ThreadSource {
    pub(in crate::reactor) fn new(fd: OwnedFd, bits: u8) -> Arc<Self> {
        Arc::new(Self {
            fd,
            ready: AtomicU8::new(bits),
            unwatched: AtomicU8::new((ready::READABLE | ready::WRITABLE) & !bits),
            last_key: AtomicU64::new(0),
            parkers: Mutex::default(),
            watchers: Mutex::default(),
        })
    }

    pub(in crate::reactor) fn poll_ready(
        self: &Arc<Self>,
        cx: &mut Context<'_>,
        direction: Direction,
        place: WaitAs<'_>,
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
        // Before the locks: a clone runs user code.
        let mut own = PollWaker::new(cx.waker());
        own.prepare();
        let (parker, is_own) = Shared::for_current_thread()?;
        let (mut place, in_turn) = match place {
            WaitAs::Caller => (None, false),
            WaitAs::Together(key) => (Some(key), false),
            WaitAs::InTurn(key) => (Some(key), true),
        };
        let key = place
            .as_mut()
            .map(|key| *key.number.get_or_insert_with(|| self.new_key()));
        self.remember(&parker);
        let displaced = {
            let mut interests = parker.interests.lock();
            let index = position(&interests, self).unwrap_or_else(|| {
                interests.push(Interest {
                    source: Arc::clone(self),
                    read: WaitList::default(),
                    write: WaitList::default(),
                    turn: None,
                    sees_all: false,
                });
                interests.len() - 1
            });
            let interest = &mut interests[index];
            match key.filter(|_| in_turn && direction == Direction::Read) {
                Some(key) => interest.turn = Some(interest.turn.map_or(key, |turn| turn.min(key))),
                None => interest.sees_all = true,
            }
            let waiters = interests[index].list(direction);
            match key {
                None => waiters.add(&mut own),
                Some(key) => waiters.add_keyed(key, &mut own),
            }
        };
        if let Some(WaitKey {
            number: Some(key),
            thread,
        }) = place
        {
            let before = mem::replace(thread, parker.address());
            // 0: it waits for the first time.
            if before != 0 && before != *thread {
                // Its task polls it on another thread than before. From now on it waits only here.
                self.cancel(direction, *key, before);
            }
        }
        // The thread's own parker may be asleep, too: `asleep` runs wakers after the announcement and before the sleep.
        if !is_own || parker.state.has_begun() {
            // That thread must poll this descriptor too.
            parker.unpark();
        }
        if let Some(displaced) = displaced {
            displaced.wake();
        }
        Poll::Pending
    }

    /// Whether a last waiter has given up in `direction` since the previous call. The caller then waits itself, and
    /// marks the direction as unwatched again if it gives up.
    fn is_unwatched(&self, direction: Direction) -> bool {
        let mask = direction.transient();
        // Relaxed, like all accesses here: handing the socket over to another thread takes stronger synchronisation
        // anyway.
        self.unwatched.load(Ordering::Relaxed) & mask != 0
            && self.unwatched.fetch_and(!mask, Ordering::Relaxed) & mask != 0
    }

    /// Asks the kernel for the present readiness in both directions.
    fn ask(&self) -> u8 {
        let flags = PollFlags::IN | PollFlags::RDHUP | PollFlags::OUT;
        let mut fds = [PollFd::from_borrowed_fd(self.fd.as_fd(), flags)];
        let at_once = timespec(Duration::ZERO);
        match rustix::event::poll(&mut fds, Some(&at_once)) {
            Ok(_) => self.note(fds[0].revents()),
            // Out of kernel memory, or a signal arrived: an attempt will show.
            Err(_) => ready::READABLE | ready::WRITABLE,
        }
    }

    fn new_key(&self) -> NonZeroU64 {
        let last = self.last_key.fetch_add(1, Ordering::Relaxed);
        NonZeroU64::new(last.wrapping_add(1)).unwrap_or(NonZeroU64::MIN)
    }

    fn remember(&self, parker: &Arc<Shared>) {
        self.parkers.lock().remember(parker);
    }

    pub(in crate::reactor) fn clear(&self, mask: u8) {
        self.ready.fetch_and(!mask, Ordering::Relaxed);
    }

    /// Removes a future's waker on the [thread](WaitKey::thread) where it waits, and with it the interest if nobody
    /// else waits there. If that thread has ended, it has removed both.
    pub(in crate::reactor) fn cancel(
        self: &Arc<Self>,
        direction: Direction,
        key: NonZeroU64,
        thread: usize,
    ) {
        let Some(parker) = self.parkers.lock().get(thread) else {
            return;
        };
        let (mut waker, mut removed) = (None, None);
        {
            let mut interests = parker.interests.lock();
            if let Some(index) = position(&interests, self) {
                let waiters = interests[index].list(direction);
                waker = waiters.remove(key);
                if waker.is_some() && waiters.is_empty() {
                    // From now on nobody reports its events.
                    self.leave_unwatched(direction);
                }
                if interests[index].is_empty() {
                    removed = Some(interests.swap_remove(index));
                }
            }
        }
        drop((waker, removed));
    }

    /// Ends all waits for this descriptor. It is closed when nobody polls it any more: when this returns, or as soon
    /// as the threads that are polling it were woken.
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
        self.parkers.lock().alive()
    }
}

impl AsFd for ThreadSource {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
