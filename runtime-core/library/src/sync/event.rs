//! A flag that tasks wait for.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use super::traced::{Primitive, note_got, noting_wait};
use super::wait_queue::{Resource, Serving, Status, WaitQueue, Waiter, WaiterList};
use runtime_kernel::primitives::atomic::{AtomicBool, Ordering};
use runtime_kernel::saved_waker::PollWaker;
use runtime_kernel::{budget, context, park};

const LANE: usize = 0;

/// A flag: asyncio's `Event`. Waiters continue when it is set. While it is set, waiting completes at once.
///
/// - *Set and cleared*: setting it releases all waiters of that moment, even if it is cleared before they run.
/// - *Fairness*: waiters are woken in the order in which they began to wait.
/// - *Cancelling*: a dropped waiter leaves, without any effect on others.
/// - *Cost*: waiting for a set event is one atomic load; otherwise it is a short lock, without allocating. Setting is
///   linear in the number of waiters.
///
/// ```
/// use runtime_core::sync::Event;
///
/// let (ready, seen) = (Event::new(), Event::new());
/// std::thread::scope(|scope| {
///     scope.spawn(|| {
///         ready.blocking_wait();
///         seen.set();
///     });
///     ready.set();
///     seen.blocking_wait();
/// });
/// assert!(ready.is_set());
/// ready.clear();
/// assert!(!ready.is_set());
/// ```
#[derive(Debug)]
pub struct Event {
    queue: WaitQueue<Released>,
}

/// A waiter's need is its ticket, which says whether it waited before a given moment. The open part says whether the
/// event is set.
#[derive(Debug)]
struct Released {
    next_ticket: usize,
    /// Waiters with lower tickets are released.
    below: usize,
}

impl Resource for Released {
    type Lanes = [WaiterList; 1];
    type Open = AtomicBool;

    fn serve(serving: &mut Serving<'_, Self>) {
        while let Some(ticket) = serving.next_waiter(LANE)
            && ticket < serving.state().below
        {
            serving.grant(LANE);
        }
    }

    fn give_back(&mut self, _: &AtomicBool, _: usize, _: usize) {}
}

impl Default for Event {
    fn default() -> Self {
        Self::new()
    }
}

impl Event {
    /// An event that is not set.
    pub fn new() -> Self {
        Self {
            queue: WaitQueue::with_open(
                Released {
                    next_ticket: 0,
                    below: 0,
                },
                AtomicBool::new(false),
            ),
        }
    }

    /// Sets it: releases all waiters, and later waits complete at once.
    pub fn set(&self) {
        let mut locked = self.queue.lock();
        // Release: pairs with the Acquire in `is_set`.
        self.queue.open().store(true, Ordering::Release);
        let released = locked.state();
        released.below = released.next_ticket;
        locked.serve();
    }

    /// Clears it: from now on, tasks wait again.
    pub fn clear(&self) {
        // Under the lock, so that it does not happen in the middle of a `set`.
        let _locked = self.queue.lock();
        self.queue.open().store(false, Ordering::Relaxed);
    }

    /// True if it is set. Everything that happened before it was set is then visible.
    #[inline]
    pub fn is_set(&self) -> bool {
        // Acquire: pairs with the Release in `set`.
        self.queue.open().load(Ordering::Acquire)
    }

    /// Waits until it is set, from the first poll on.
    ///
    /// Cancel safe.
    pub fn wait(&self) -> WaitSet<'_> {
        WaitSet {
            event: self,
            waiter: None,
        }
    }

    /// [`wait`](Event::wait) for a thread that runs no tasks: blocks it.
    ///
    /// # Panics
    /// Inside a task.
    pub fn blocking_wait(&self) {
        context::assert_may_block("Event::blocking_wait", "use `wait().await` instead");
        park::block_on_current_thread(self.wait());
    }
}

pin_project! {
    /// The future of [`Event::wait`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct WaitSet<'a> {
        event: &'a Event,
        // Created when it has to wait.
        #[pin]
        waiter: Option<Waiter<'a, Released>>,
    }
}

impl Future for WaitSet<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let event = self.event;
        let waited = self.waiter.is_some();
        let polled = self.as_mut().poll_set(cx);
        if polled.is_ready() && waited {
            note_got(Primitive::Event, event);
        }
        noting_wait(Primitive::Event, event, polled)
    }
}

impl WaitSet<'_> {
    fn poll_set(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let spent = ready!(budget::poll_proceed(cx));
        let mut this = self.project();
        let event = *this.event;
        if this.waiter.is_none() {
            if event.is_set() {
                spent.made_progress();
                return Poll::Ready(());
            }
            this.waiter.set(Some(Waiter::new(&event.queue)));
        }
        let mut waiter = this.waiter.as_pin_mut().expect("set above");
        let mut own = PollWaker::new(cx.waker());
        let mut released = waiter.as_mut().try_status() == Status::Granted;
        while !released {
            let mut turn = waiter.as_mut().turn(&mut own);
            match turn.status() {
                Status::Granted | Status::Dismissed => released = true,
                Status::Called => unreachable!("nobody competes for an event"),
                // Under the lock, so the event can't be set between this check and the moment when the waiter is in
                // the list.
                Status::New if event.is_set() => released = true,
                Status::New => {
                    let state = turn.locked().state();
                    let ticket = state.next_ticket;
                    state.next_ticket += 1;
                    turn.wait(LANE, ticket, own.take());
                    return Poll::Pending;
                }
                Status::Waiting => {
                    if turn.rewait(&mut own) {
                        return Poll::Pending;
                    }
                }
            }
        }
        spent.made_progress();
        Poll::Ready(())
    }
}
