//! A bare wait queue: waits until it is notified.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use super::wait_queue::{Resource, Serving, Status, WaitQueue, Waiter, WaiterList};
use runtime_kernel::budget;
use runtime_kernel::saved_waker::PollWaker;

const LANE: usize = 0;

/// Wakes those that wait *now*, first come, first served. Nothing is stored: a notification that finds no waiter is
/// lost. trio calls it a parking lot, and builds condition-like types on it. asyncio has no such thing:
/// [`notify`](Signal::notify) is like its `Condition`'s without a lock, and [`notify_all`](Signal::notify_all) is like
/// an `Event` that is set and cleared at once.
///
/// Cost: a short lock for each operation, without allocating; notifying is linear in the number of notified waiters.
///
/// If a waiter was notified by [`notify_one`](Signal::notify_one) or [`notify`](Signal::notify) and is dropped before
/// it noticed, it passes the notification on to the next.
///
/// ```
/// # use std::sync::Arc;
/// # use runtime_core::{park::block_on_current_thread, sync::Signal};
/// let signal = Arc::new(Signal::new());
/// let waiting = {
///     let signal = signal.clone();
///     std::thread::spawn(move || block_on_current_thread(signal.wait()))
/// };
/// while signal.waiters() == 0 {
///     std::thread::yield_now();
/// }
/// assert_eq!(signal.notify_all(), 1);
/// waiting.join().unwrap();
/// ```
#[derive(Debug)]
pub struct Signal {
    queue: WaitQueue<Notices>,
}

/// A waiter's need is its ticket, which says whether it waited before a given moment.
#[derive(Debug)]
struct Notices {
    next_ticket: usize,
    /// A `notify_all` releases waiters with lower tickets.
    released_below: usize,
    /// Notifications for the first waiters.
    passes: usize,
}

impl Resource for Notices {
    type Lanes = [WaiterList; 1];
    type Open = ();

    fn serve(serving: &mut Serving<'_, Self>) {
        while let Some(ticket) = serving.next_waiter(LANE) {
            let notices = serving.state();
            if ticket >= notices.released_below {
                if notices.passes == 0 {
                    return;
                }
                notices.passes -= 1;
            }
            serving.grant(LANE);
        }
        if !serving.has_waiters(LANE) {
            serving.state().passes = 0;
        }
    }

    fn give_back(&mut self, _: &(), _: usize, ticket: usize) {
        // After a `notify_all` there is no waiter left to pass it to.
        if ticket >= self.released_below {
            self.passes += 1;
        }
    }
}

impl Default for Signal {
    fn default() -> Self {
        Self::new()
    }
}

impl Signal {
    /// A signal without waiters.
    pub fn new() -> Self {
        Self {
            queue: WaitQueue::new(Notices {
                next_ticket: 0,
                released_below: 0,
                passes: 0,
            }),
        }
    }

    /// Waits for a notification that comes after the future was first polled.
    pub fn wait(&self) -> Wait<'_> {
        Wait {
            waiter: Waiter::new(&self.queue),
        }
    }

    /// Notifies the longest waiter; false if there is no waiter.
    pub fn notify_one(&self) -> bool {
        self.notify(1) == 1
    }

    /// Notifies the first `count` waiters; returns how many it notified.
    pub fn notify(&self, count: usize) -> usize {
        let mut locked = self.queue.lock();
        let count = count.min(locked.waiters(LANE));
        locked.state().passes += count;
        locked.serve();
        count
    }

    /// Notifies all present waiters; returns how many. Those that begin to wait meanwhile are not included.
    pub fn notify_all(&self) -> usize {
        let mut locked = self.queue.lock();
        let count = locked.waiters(LANE);
        let notices = locked.state();
        notices.released_below = notices.next_ticket;
        locked.serve();
        count
    }

    /// The number of present waiters.
    pub fn waiters(&self) -> usize {
        self.queue.lock().waiters(LANE)
    }
}

pin_project! {
    /// The future of [`Signal::wait`]. Cancel safe; see [`Signal`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct Wait<'a> {
        #[pin]
        waiter: Waiter<'a, Notices>,
    }
}

impl Future for Wait<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let spent = ready!(budget::poll_proceed(cx));
        let mut waiter = self.project().waiter;
        let mut own = PollWaker::new(cx.waker());
        loop {
            let mut turn = waiter.as_mut().turn(&mut own);
            match turn.status() {
                Status::Granted | Status::Dismissed => {
                    drop(turn);
                    spent.made_progress();
                    return Poll::Ready(());
                }
                Status::Called => unreachable!("nobody competes for a notification"),
                Status::Waiting => {
                    if turn.rewait(&mut own) {
                        return Poll::Pending;
                    }
                }
                Status::New => {
                    let notices = turn.locked().state();
                    let ticket = notices.next_ticket;
                    notices.next_ticket += 1;
                    turn.wait(LANE, ticket, own.take());
                    return Poll::Pending;
                }
            }
        }
    }
}
