//! The core of a semaphore and a mutex: a number of permits in one word, and a queue of waiters for them.
//!
//! While nobody waits, taking and giving back are one compare-and-swap each on the word. The bit `WAITERS` says that
//! somebody waits. It is set and cleared only under the queue's lock. While it is set, only the holder of that lock
//! takes permits, for the first waiter. So nobody overtakes, and a waiter that queues sees a permit that is given back
//! at the same time: it sets the bit in the same step in which it sees that there are too few permits. The thread that
//! gives back therefore either comes before that step, or finds the bit and goes through the lock.
//!
//! The bit `OPEN` is an exception to that, for threads. The first waiter was called; until it has looked, other
//! threads may take permits, and one permit may be given back, on the fast path. This bit, too, is set and cleared
//! only under the lock: the thread that gives back sets it, together with the call, and the called waiter clears it
//! before it looks. So either that look sees a permit that is given back, or the thread that gives it back goes
//! through the lock and calls again.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use super::closed::{Closed, TryAcquireError};
use super::wait_queue::{
    Resource, Serving, Status, WaitQueue, Waiter, WaiterList, waits_as_thread,
};
use runtime_kernel::budget;
use runtime_kernel::park::Backoff;
use runtime_kernel::primitives::atomic::{AtomicUsize, Ordering};
use runtime_kernel::saved_waker::PollWaker;

/// The lane of all waiters.
pub(super) const LANE: usize = 0;

/// There are waiters.
const WAITERS: usize = 1;
/// No more permits are handed out.
const CLOSED: usize = 2;
/// The first waiter was called: threads may overtake it. Only set together with `WAITERS`.
const OPEN: usize = 4;
/// The available permits are counted above the three bits.
const SHIFT: u32 = 3;

/// The maximum number of permits.
pub(super) const MAX: usize = usize::MAX >> SHIFT;

/// Permits, handed out first come, first served.
#[derive(Debug)]
pub(super) struct Permits {
    queue: WaitQueue<InLine>,
}

/// The state is in the word, which is also accessed without the lock.
#[derive(Debug)]
pub(super) struct InLine;

impl Resource for InLine {
    type Lanes = [WaiterList; 1];
    type Open = AtomicUsize;

    #[inline]
    fn serve(serving: &mut Serving<'_, Self>) {
        let word = serving.open();
        close_gate(word);
        while let Some(need) = serving.next_waiter(LANE) {
            // Relaxed: the bits change only under this lock. So do the permits, while `WAITERS` is set and `OPEN` is
            // not.
            let now = word.load(Ordering::Relaxed);
            let available = now >> SHIFT;
            if now & CLOSED != 0 {
                serving.dismiss(LANE);
            } else if need <= available {
                // With more than it needs, nobody has to compete: its share is handed over, and the rest is for the
                // waiters behind it.
                if need == available && serving.call(LANE) {
                    word.fetch_or(OPEN, Ordering::Relaxed);
                    return;
                }
                // Acquire: pairs with the Release with which the permits were given back. The waiter sees it through
                // its status.
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
        // Release: pairs with the Acquire of the thread that takes them.
        open.fetch_add(given << SHIFT, Ordering::Release);
    }

    fn announce(open: &AtomicUsize) {
        open.fetch_or(WAITERS, Ordering::Relaxed);
    }
}

/// From here on, as long as there are waiters, permits are taken and given back only under the lock. Call this under
/// the lock.
#[inline]
fn close_gate(word: &AtomicUsize) {
    if word.load(Ordering::Relaxed) & OPEN != 0 {
        word.fetch_and(!OPEN, Ordering::Relaxed);
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

    /// The permits that nobody has and that were not granted to a waiter.
    pub(super) fn available(&self) -> usize {
        self.word().load(Ordering::Relaxed) >> SHIFT
    }

    pub(super) fn is_closed(&self) -> bool {
        self.word().load(Ordering::Relaxed) & CLOSED != 0
    }

    /// For a newcomer: takes permits without waiting.
    #[inline]
    pub(super) fn try_take(&self, need: usize) -> Result<(), TryAcquireError> {
        self.take_or(need, 0, |_| None)
    }

    /// For a thread, which may overtake another one: tries a few times.
    fn retry_take(&self, need: usize) -> Result<(), TryAcquireError> {
        let mut backoff = Backoff::new();
        while backoff.again() {
            match self.take_or(need, OPEN, |_| None) {
                Err(TryAcquireError::NoPermits) => {}
                outcome => return outcome,
            }
        }
        Err(TryAcquireError::NoPermits)
    }

    /// A called waiter waits a moment if other threads were faster. Permits that it sees may be gone when it takes the
    /// lock.
    fn look_out(&self, need: usize) {
        let mut backoff = Backoff::new();
        while self.available() < need && backoff.again() {}
    }

    /// A called waiter takes the permits for which it was called, if they are still there. If not, nobody overtakes it
    /// from here on until it is called again. Call this under the lock.
    fn take_called(&self, need: usize) -> bool {
        close_gate(self.word());
        let there = need <= self.available();
        if there {
            // Acquire: as in `take_or`.
            self.word().fetch_sub(need << SHIFT, Ordering::Acquire);
        }
        there
    }

    /// Takes the permits, or makes the change that `otherwise` returns for the present word, or fails. Each is a
    /// single step. With `OPEN` as `gate`, it overtakes where it may.
    #[inline]
    fn take_or(
        &self,
        need: usize,
        gate: usize,
        otherwise: impl Fn(usize) -> Option<usize>,
    ) -> Result<(), TryAcquireError> {
        let mut now = self.word().load(Ordering::Relaxed);
        loop {
            if now & CLOSED != 0 {
                return Err(TryAcquireError::Closed);
            }
            let may_take = now & WAITERS == 0 || now & gate != 0;
            let (next, outcome) = if may_take && need <= now >> SHIFT {
                (now - (need << SHIFT), Ok(()))
            } else if let Some(next) = otherwise(now) {
                (next, Err(TryAcquireError::NoPermits))
            } else {
                return Err(TryAcquireError::NoPermits);
            };
            // Acquire: pairs with the Release with which the permits were given back.
            match self
                .word()
                .compare_exchange_weak(now, next, Ordering::Acquire, Ordering::Relaxed)
            {
                Ok(_) => return outcome,
                Err(changed) => now = changed,
            }
        }
    }

    /// Gives permits back; waiters come first. The sum is never more than [`MAX`].
    #[inline]
    pub(super) fn give(&self, count: usize) {
        let mut now = self.word().load(Ordering::Relaxed);
        // A second permit could serve another waiter.
        while now & WAITERS == 0 || (now & OPEN != 0 && now >> SHIFT == 0 && count == 1) {
            // Release: pairs with the Acquire of the thread that takes them.
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
        // Release: as in `give`. All waiters may have left meanwhile.
        self.word().fetch_add(count << SHIFT, Ordering::Release);
        locked.serve();
    }

    /// Turns away all waiters, and everyone that comes later.
    pub(super) fn close(&self) {
        let locked = self.queue.lock();
        self.word().fetch_or(CLOSED, Ordering::Relaxed);
        locked.serve();
    }

    /// Waits for permits, which the caller must give back.
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
    /// The future of [`Permits::take`]. If it is dropped after it was granted permits that it did not take, it passes
    /// them on.
    #[derive(Debug)]
    pub(super) struct Take<'a> {
        permits: &'a Permits,
        need: usize,
        // Created when it has to wait: a future that need not wait does not pay for it.
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
    /// Out of line, so that a future that need not wait has a short path.
    #[inline(never)]
    fn wait(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Closed>> {
        let mut this = self.project();
        let (permits, need) = (*this.permits, *this.need);
        let is_thread = waits_as_thread();
        if this.waiter.is_none() {
            if is_thread {
                match permits.retry_take(need) {
                    Ok(()) => return Poll::Ready(Ok(())),
                    Err(TryAcquireError::Closed) => return Poll::Ready(Err(Closed)),
                    Err(TryAcquireError::NoPermits) => {}
                }
            }
            this.waiter.set(Some(Waiter::new(&permits.queue)));
        }
        let mut waiter = this.waiter.as_pin_mut().expect("set above");
        match waiter.as_mut().try_status() {
            Status::Granted => return Poll::Ready(Ok(())),
            Status::Dismissed => return Poll::Ready(Err(Closed)),
            Status::Called if is_thread => permits.look_out(need),
            Status::New | Status::Waiting | Status::Called => {}
        }
        let mut own = PollWaker::new(cx.waker());
        loop {
            let mut turn = waiter.as_mut().turn(&mut own);
            match turn.status() {
                Status::Granted => return Poll::Ready(Ok(())),
                Status::Dismissed => return Poll::Ready(Err(Closed)),
                Status::Called if permits.take_called(need) => {
                    turn.dequeue();
                    turn.serve();
                    return Poll::Ready(Ok(()));
                }
                Status::Called | Status::Waiting => {
                    turn.waits_as(is_thread);
                    if turn.rewait(&mut own) {
                        return Poll::Pending;
                    }
                }
                Status::New => {
                    // Under the lock, which makes the bits exact. Taking and announcing the waiter are one step.
                    let gate = if is_thread { OPEN } else { 0 };
                    match permits.take_or(need, gate, |now| Some(now | WAITERS)) {
                        Ok(()) => return Poll::Ready(Ok(())),
                        Err(TryAcquireError::Closed) => return Poll::Ready(Err(Closed)),
                        Err(TryAcquireError::NoPermits) => {}
                    }
                    turn.waits_as(is_thread);
                    turn.wait(LANE, need, own.take());
                    return Poll::Pending;
                }
            }
        }
    }
}
