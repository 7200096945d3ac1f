//! What a semaphore and a mutex are made of: a number of permits in one word, and a line of those who wait for them.
//!
//! While nobody waits, taking and giving back are one compare-and-swap each on the word. The bit `WAITERS` says that somebody
//! does: it is set and cleared under the queue's lock alone, and while it is set only who holds that lock takes permits, for
//! the first in line. So nobody overtakes, and a permit that is given back is seen by whoever queues at the same time: he sets
//! the bit in the same step in which he sees that there are too few, so that the giver either comes before that step or finds
//! the bit and goes by way of the lock.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use super::semaphore::{Closed, TryAcquireError};
use super::wait_queue::{Line, Resource, Serving, Status, WaitQueue, Waiter};
use crate::budget;
use crate::primitives::atomic::{AtomicUsize, Ordering};
use crate::saved_waker::PollWaker;

/// The lane of all who wait.
pub(super) const LANE: usize = 0;

/// Somebody is in line.
const WAITERS: usize = 1;
/// No more permits are given out.
const CLOSED: usize = 2;
/// The permits that nobody has are counted above the two bits.
const SHIFT: u32 = 2;

/// The most permits that fit, with a bit to spare.
pub(super) const MAX: usize = usize::MAX >> (SHIFT + 1);

/// Permits, handed out first come, first served.
#[derive(Debug)]
pub(super) struct Permits {
    queue: WaitQueue<InLine>,
}

/// The state is in the word, which is touched without the lock too.
#[derive(Debug)]
pub(super) struct InLine;

impl Resource for InLine {
    type Lanes = [Line; 1];
    type Open = AtomicUsize;

    #[inline]
    fn serve(serving: &mut Serving<'_, Self>) {
        let word = serving.open();
        while let Some(need) = serving.next_waiter(LANE) {
            // Relaxed: the bits are changed under this lock alone, and permits while the bit `WAITERS` is set too.
            let now = word.load(Ordering::Relaxed);
            if now & CLOSED != 0 {
                serving.dismiss(LANE);
            } else if need <= now >> SHIFT {
                // Acquire: pairs with the Release by which the permits were given back. The waiter sees it by its status.
                word.fetch_sub(need << SHIFT, Ordering::Acquire);
                serving.grant(LANE);
            } else {
                return;
            }
        }
        if !serving.has_waiters(LANE) && word.load(Ordering::Relaxed) & WAITERS != 0 {
            word.fetch_and(!WAITERS, Ordering::Relaxed);
        }
    }

    fn give_back(&mut self, open: &AtomicUsize, _: usize, given: usize) {
        // Release: pairs with the Acquire of whoever takes them.
        open.fetch_add(given << SHIFT, Ordering::Release);
    }

    fn announce(open: &AtomicUsize) {
        open.fetch_or(WAITERS, Ordering::Relaxed);
    }
}

impl Permits {
    /// At most [`MAX`].
    pub(super) fn new(available: usize) -> Self {
        Self {
            queue: WaitQueue::with_open(InLine, AtomicUsize::new(available << SHIFT)),
        }
    }

    pub(super) fn queue(&self) -> &WaitQueue<InLine> {
        &self.queue
    }

    #[inline]
    fn word(&self) -> &AtomicUsize {
        self.queue.open()
    }

    /// Those that nobody has and that were not given to a waiter.
    pub(super) fn available(&self) -> usize {
        self.word().load(Ordering::Relaxed) >> SHIFT
    }

    pub(super) fn is_closed(&self) -> bool {
        self.word().load(Ordering::Relaxed) & CLOSED != 0
    }

    /// What a newcomer gets without waiting.
    #[inline]
    pub(super) fn try_take(&self, need: usize) -> Result<(), TryAcquireError> {
        self.take_or(need, |_| None)
    }

    /// Takes the permits, or makes the step that `otherwise` gives for the word as it is, or fails. One step in any case.
    #[inline]
    fn take_or(
        &self,
        need: usize,
        otherwise: impl Fn(usize) -> Option<usize>,
    ) -> Result<(), TryAcquireError> {
        let mut now = self.word().load(Ordering::Relaxed);
        loop {
            if now & CLOSED != 0 {
                return Err(TryAcquireError::Closed);
            }
            let (next, outcome) = if now & WAITERS == 0 && need <= now >> SHIFT {
                (now - (need << SHIFT), Ok(()))
            } else if let Some(next) = otherwise(now) {
                (next, Err(TryAcquireError::NoPermits))
            } else {
                return Err(TryAcquireError::NoPermits);
            };
            // Acquire: pairs with the Release by which the permits were given back.
            match self
                .word()
                .compare_exchange_weak(now, next, Ordering::Acquire, Ordering::Relaxed)
            {
                Ok(_) => return outcome,
                Err(changed) => now = changed,
            }
        }
    }

    /// Gives permits back, to those who wait first. The sum is never more than [`MAX`].
    #[inline]
    pub(super) fn give(&self, count: usize) {
        let mut now = self.word().load(Ordering::Relaxed);
        while now & WAITERS == 0 {
            // Release: pairs with the Acquire of whoever takes them.
            match self.word().compare_exchange_weak(
                now,
                now + (count << SHIFT),
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                Ok(_) => return,
                Err(changed) => now = changed,
            }
        }
        self.give_to_waiters(count);
    }

    fn give_to_waiters(&self, count: usize) {
        let locked = self.queue.lock();
        // Release: as in `give`. They may all have left meanwhile.
        self.word().fetch_add(count << SHIFT, Ordering::Release);
        locked.serve();
    }

    /// Sends all who wait away, and whoever comes later.
    pub(super) fn close(&self) {
        let locked = self.queue.lock();
        self.word().fetch_or(CLOSED, Ordering::Relaxed);
        locked.serve();
    }

    /// Waits for permits; they are the caller's to give back.
    #[inline]
    pub(super) fn take(&self, need: usize) -> Take<'_> {
        Take {
            permits: self,
            need,
            waiter: None,
        }
    }
}

pin_project! {
    /// The future of [`Permits::take`]. Dropped after it was given permits that it did not take, it passes them on.
    #[derive(Debug)]
    pub(super) struct Take<'a> {
        permits: &'a Permits,
        need: usize,
        // Made when it has to wait: who need not wait does not pay for it.
        #[pin]
        waiter: Option<Waiter<'a, InLine>>,
    }
}

impl Future for Take<'_> {
    type Output = Result<(), Closed>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Closed>> {
        let spent = ready!(budget::poll_proceed(cx));
        let taken = if self.waiter.is_none() {
            self.permits.try_take(self.need)
        } else {
            Err(TryAcquireError::NoPermits)
        };
        let outcome = match taken {
            Ok(()) => Ok(()),
            Err(TryAcquireError::Closed) => Err(Closed),
            Err(TryAcquireError::NoPermits) => ready!(self.wait(cx)),
        };
        spent.made_progress();
        Poll::Ready(outcome)
    }
}

impl Take<'_> {
    fn wait(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Closed>> {
        let mut this = self.project();
        let permits = *this.permits;
        if this.waiter.is_none() {
            this.waiter.set(Some(Waiter::new(&permits.queue)));
        }
        let mut waiter = this.waiter.as_pin_mut().expect("set above");
        match waiter.as_mut().glance() {
            Status::Granted => return Poll::Ready(Ok(())),
            Status::Dismissed => return Poll::Ready(Err(Closed)),
            Status::New | Status::Waiting => {}
        }
        let mut own = PollWaker::new(cx.waker());
        loop {
            let mut turn = waiter.as_mut().turn(&mut own);
            match turn.status() {
                Status::Granted => return Poll::Ready(Ok(())),
                Status::Dismissed => return Poll::Ready(Err(Closed)),
                Status::Waiting => {
                    if turn.rewait(&mut own) {
                        return Poll::Pending;
                    }
                }
                Status::New => {
                    // Under the lock, in which the bit means what it says. Taking and announcing oneself are one step.
                    match permits.take_or(*this.need, |now| Some(now | WAITERS)) {
                        Ok(()) => return Poll::Ready(Ok(())),
                        Err(TryAcquireError::Closed) => return Poll::Ready(Err(Closed)),
                        Err(TryAcquireError::NoPermits) => {}
                    }
                    turn.wait(LANE, *this.need, &mut own);
                    return Poll::Pending;
                }
            }
        }
    }
}
