//! A barrier: a number of tasks wait for each other.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use super::wait_queue::{Resource, Serving, Status, WaitQueue, Waiter, WaiterList};
use runtime_kernel::saved_waker::PollWaker;
use runtime_kernel::{budget, context, park};

const LANE: usize = 0;

/// Makes tasks wait until a number of them have arrived, and then lets all of those continue: asyncio's `Barrier`.
/// Then the next round begins.
///
/// - *Fairness*: if there are more tasks than parties, the first to arrive are the first to continue together.
/// - *Cancelling*: a future that is dropped while it waits no longer counts. One that is dropped after the last task
///   arrived still counts.
/// - *Cost*: a short lock, without allocating; the last to arrive wakes the others.
///
/// ```
/// use runtime_core::sync::Barrier;
///
/// let (barrier, leaders) = (Barrier::new(3), std::sync::atomic::AtomicUsize::new(0));
/// std::thread::scope(|scope| {
///     for _ in 0..3 {
///         scope.spawn(|| {
///             if barrier.blocking_wait().unwrap().is_leader() {
///                 leaders.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
///             }
///         });
///     }
/// });
/// assert_eq!(leaders.into_inner(), 1);
/// ```
#[derive(Debug)]
pub struct Barrier {
    queue: WaitQueue<Rounds>,
    parties: usize,
}

/// A waiter's need is its round; what it is given is its index.
#[derive(Debug)]
struct Rounds {
    /// The round that is filling up.
    round: usize,
    /// How many waiters of that round are in the list.
    arrived: usize,
    /// This many waiters at the front of the list belong to earlier rounds, and have yet to learn that these are over.
    leaving: usize,
    /// How those rounds ended. Only changed while `leaving` is 0.
    ended: Ended,
    /// The round and the index of the next waiter to be released.
    next: (usize, usize),
    broken: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    Complete,
    Broken,
}

impl Rounds {
    /// Ends the round of those in the list; the next one begins.
    fn end(&mut self, how: Ended) {
        debug_assert!(self.leaving == 0 || self.ended == how);
        self.ended = how;
        self.leaving += self.arrived;
        self.arrived = 0;
        self.round = self.round.wrapping_add(1);
    }
}

impl Resource for Rounds {
    type Lanes = [WaiterList; 1];
    type Open = ();

    fn serve(serving: &mut Serving<'_, Self>) {
        while serving.state().leaving > 0
            && let Some(round) = serving.next_waiter(LANE)
        {
            let rounds = serving.state();
            rounds.leaving -= 1;
            match rounds.ended {
                Ended::Broken => serving.dismiss(LANE),
                Ended::Complete => {
                    if rounds.next.0 != round {
                        rounds.next = (round, 0);
                    }
                    let index = rounds.next.1;
                    rounds.next.1 += 1;
                    serving.give(LANE, index);
                }
            }
        }
    }

    fn give_back(&mut self, (): &(), _: usize, _: usize) {}

    fn left(&mut self, _: usize, round: usize) {
        if round == self.round {
            self.arrived -= 1;
        } else {
            self.leaving -= 1;
        }
    }
}

/// The result of passing a [`Barrier`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    index: usize,
    leader: bool,
}

impl Arrival {
    /// The index among those that continued together, in the order of arrival; a different one for each, below
    /// [`parties`](Barrier::parties).
    pub fn index(&self) -> usize {
        self.index
    }

    /// True for exactly one of those that continued together: the last to arrive, which did not have to wait.
    pub fn is_leader(&self) -> bool {
        self.leader
    }
}

/// The barrier was broken, or reset during the wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrokenBarrier;

impl fmt::Display for BrokenBarrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the barrier is broken")
    }
}

impl Error for BrokenBarrier {}

impl Barrier {
    /// A barrier for that many tasks.
    ///
    /// # Panics
    /// If `parties` is zero.
    #[track_caller]
    pub fn new(parties: usize) -> Self {
        assert!(
            parties > 0,
            "a barrier for 0 parties would never open: with one party it lets everybody pass"
        );
        Self {
            queue: WaitQueue::new(Rounds {
                round: 0,
                arrived: 0,
                leaving: 0,
                ended: Ended::Complete,
                next: (usize::MAX, 0),
                broken: false,
            }),
            parties,
        }
    }

    /// Waits until all parties have arrived.
    ///
    /// Cancel safe: a dropped future does not count, unless the last task had already arrived.
    ///
    /// # Errors
    /// [`BrokenBarrier`] if the barrier is broken, now or while waiting, or reset while waiting.
    #[doc(alias = "BrokenBarrierError")]
    pub fn wait(&self) -> WaitAll<'_> {
        WaitAll {
            parties: self.parties,
            waiter: Waiter::new(&self.queue),
        }
    }

    /// [`wait`](Barrier::wait) for a thread that runs no tasks: blocks it.
    ///
    /// # Errors
    /// Like [`wait`](Barrier::wait).
    ///
    /// # Panics
    /// Inside a task.
    pub fn blocking_wait(&self) -> Result<Arrival, BrokenBarrier> {
        context::assert_may_block("Barrier::blocking_wait", "use `wait().await` instead");
        park::block_on_current_thread(self.wait())
    }

    /// Breaks the barrier: all waiters, and all tasks that arrive before the next [`reset`](Barrier::reset), get
    /// [`BrokenBarrier`]. For a task that fails and can't arrive.
    pub fn abort(&self) {
        self.break_round(true);
    }

    /// Resets the barrier: all waiters get [`BrokenBarrier`].
    pub fn reset(&self) {
        self.break_round(false);
    }

    fn break_round(&self, broken: bool) {
        loop {
            let mut locked = self.queue.lock();
            let rounds = locked.state();
            let settled = rounds.leaving == 0;
            if settled {
                rounds.end(Ended::Broken);
                rounds.broken = broken;
            }
            // Otherwise another thread is in the middle of ending an earlier round, which comes first.
            locked.serve();
            if settled {
                return;
            }
        }
    }

    /// True after [`abort`](Barrier::abort), until [`reset`](Barrier::reset).
    pub fn is_broken(&self) -> bool {
        self.queue.lock().state().broken
    }

    /// The number of tasks that it waits for.
    pub fn parties(&self) -> usize {
        self.parties
    }

    /// How many tasks have arrived and wait for the others: asyncio's `n_waiting`.
    #[doc(alias = "n_waiting")]
    pub fn waiting(&self) -> usize {
        self.queue.lock().state().arrived
    }
}

pin_project! {
    /// The future of [`Barrier::wait`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct WaitAll<'a> {
        parties: usize,
        #[pin]
        waiter: Waiter<'a, Rounds>,
    }
}

impl Future for WaitAll<'_> {
    type Output = Result<Arrival, BrokenBarrier>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let spent = ready!(budget::poll_proceed(cx));
        let this = self.project();
        let mut waiter = this.waiter;
        let mut own = PollWaker::new(cx.waker());
        let outcome = loop {
            let mut turn = waiter.as_mut().turn(&mut own);
            match turn.status() {
                Status::Granted => {
                    break Ok(Arrival {
                        index: turn.given(),
                        leader: false,
                    });
                }
                Status::Dismissed => break Err(BrokenBarrier),
                Status::Called => unreachable!("nobody competes at a barrier"),
                Status::Waiting => {
                    if turn.rewait(&mut own) {
                        return Poll::Pending;
                    }
                    continue;
                }
                Status::New => {}
            }
            let rounds = turn.locked().state();
            if rounds.broken {
                break Err(BrokenBarrier);
            }
            let last = rounds.arrived + 1 == *this.parties;
            if !last {
                rounds.arrived += 1;
                let round = rounds.round;
                turn.wait(LANE, round, own.take());
                return Poll::Pending;
            }
            if rounds.leaving > 0 && rounds.ended == Ended::Broken {
                // Another thread is in the middle of ending a broken round, which comes first.
                turn.serve();
                continue;
            }
            rounds.end(Ended::Complete);
            turn.serve();
            break Ok(Arrival {
                index: *this.parties - 1,
                leader: true,
            });
        };
        spent.made_progress();
        Poll::Ready(outcome)
    }
}
