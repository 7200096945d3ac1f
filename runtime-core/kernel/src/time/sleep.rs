//! The future of one deadline.
#![allow(unsafe_code)]

use std::future::Future;
use std::pin::Pin;
use std::ptr::NonNull;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use super::clock;
use super::shard::{self, NEVER, TimerShard};
use super::wheel::{self, Node};
use crate::saved_waker::SavedWaker;
use crate::task_list::{self, Awaited};
use crate::{budget, context};

/// Completes at a deadline, never before; made by [`sleep`] and [`sleep_until`].
///
/// It is a node of the timer wheel itself, 40 bytes, and allocates nothing. Cost: a look at the clock, and if it has
/// to wait a short lock for entering the wheel and one for leaving it. It may be polled by several tasks in turn; the
/// one that polled it last is woken. Once complete it stays so.
///
/// Cancel safe: dropped, it is taken out of the wheel at once.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct Sleep {
    /// Where `node` was last inserted.
    shard: Option<Arc<TimerShard>>,
    node: Node,
}

// SAFETY: the node's links and waker are touched under the shard's lock only, or by the `Sleep` itself through `&mut`
// while it is in no wheel.
unsafe impl Send for Sleep {}
// SAFETY: as above; `&Sleep` gives access to the deadline and the state only.
unsafe impl Sync for Sleep {}

/// Waits for `duration`, and never less. Zero completes without waiting; one that exceeds the clock's range never
/// completes. asyncio's `sleep`; for its `sleep(0)`, which lets others run, see [`yield_now`](crate::yield_now).
///
/// Cancel safe, and no allocation: see [`Sleep`].
///
/// ```no_run
/// # async fn example() {
/// use std::time::Duration;
/// runtime_core::time::sleep(Duration::from_millis(20)).await;
/// # }
/// ```
///
/// # Panics
/// The future panics if it is first polled outside of a runtime.
pub fn sleep(duration: Duration) -> Sleep {
    Sleep::after(clock::now(), duration)
}

/// Waits until `deadline`. One that is past completes without waiting.
///
/// # Panics
/// The future panics if it is first polled outside of a runtime.
pub fn sleep_until(deadline: Instant) -> Sleep {
    Sleep::at(shard::nanoseconds(deadline))
}

impl Sleep {
    /// A sleep until `deadline_ns` since the epoch.
    pub(super) fn at(deadline_ns: u64) -> Self {
        Self {
            shard: None,
            node: Node::new(deadline_ns),
        }
    }

    /// A sleep of `duration` from `now` on.
    pub fn after(now: Instant, duration: Duration) -> Self {
        Self::at(match now.checked_add(duration) {
            Some(deadline) => shard::nanoseconds(deadline),
            None => NEVER,
        })
    }

    /// When it completes; `None` if that is beyond the clock's range.
    pub fn deadline(&self) -> Option<Instant> {
        shard::instant(self.node.deadline_ns())
    }

    /// True once the deadline was reached and noticed.
    pub fn is_elapsed(&self) -> bool {
        self.node.state() == wheel::FIRED
    }

    /// Sets another deadline, whether or not the last one was reached. The task is not woken: poll the sleep again.
    pub fn reset(self: Pin<&mut Self>, deadline: Instant) {
        self.reset_to(shard::nanoseconds(deadline));
    }

    pub(super) fn reset_to(self: Pin<&mut Self>, deadline_ns: u64) {
        // SAFETY: nothing is moved out of it.
        let this = unsafe { self.get_unchecked_mut() };
        this.unregister();
        this.node.rearm(deadline_ns);
    }

    /// Polls without spending budget: a time limit must be able to end a future that spends all of it.
    pub(super) fn poll_elapsed(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // SAFETY: nothing is moved out of it.
        let this = unsafe { self.get_unchecked_mut() };
        let polled = this.poll_node(cx);
        if polled.is_pending() {
            task_list::awaits(Awaited::Timer);
        }
        polled
    }

    /// The caller keeps it pinned.
    fn poll_node(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let this = self;
        loop {
            match this.node.state() {
                wheel::FIRED => return Poll::Ready(()),
                wheel::LINKED => {
                    if this.stays_registered(cx) {
                        return Poll::Pending;
                    }
                }
                _ => {
                    let deadline = this.node.deadline_ns();
                    if deadline == NEVER {
                        return Poll::Pending;
                    }
                    let now = shard::nanoseconds(clock::now());
                    if deadline <= now {
                        this.node.mark_elapsed();
                        return Poll::Ready(());
                    }
                    this.register(now, cx);
                    return Poll::Pending;
                }
            }
        }
    }

    fn register(&mut self, now: u64, cx: &mut Context<'_>) {
        let shard = self
            .shard
            .insert(context::with("sleep", |ambient| ambient.timer_shard()));
        // Before the lock: a clone runs code of others.
        let waker = SavedWaker::of(cx.waker());
        // SAFETY: the node is IDLE, as the caller saw, and inside of a pinned `Sleep`, whose `drop` takes it out first.
        unsafe { shard.insert(NonNull::from(&self.node), now, waker) };
    }

    /// Brings a registered timer up to date. True if it will wake this task; false if its state is to be looked at
    /// again.
    fn stays_registered(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(shard) = &self.shard else {
            unreachable!("a linked timer has a shard")
        };
        let node = NonNull::from(&self.node);
        // SAFETY: the node is ours, and `shard` is the one that it was inserted into.
        if unsafe { shard.will_wake(node, cx.waker()) } {
            return true;
        }
        // Another task polls it. Where tasks have a shard each (1:1) the timer follows it: the old one's owner may end.
        let moves = context::try_with(|ambient| !Arc::ptr_eq(&ambient.timer_shard(), shard));
        if moves == Some(true) {
            // SAFETY: as above.
            unsafe { shard.remove(node) };
        } else {
            // SAFETY: as above.
            unsafe { shard.replace_waker(node, cx.waker()) };
        }
        self.node.state() == wheel::LINKED
    }

    fn unregister(&mut self) {
        if self.node.state() == wheel::LINKED
            && let Some(shard) = &self.shard
        {
            // SAFETY: the node is ours, and `shard` is the one that it was inserted into.
            unsafe { shard.remove(NonNull::from(&self.node)) };
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let spent = ready!(budget::poll_proceed(cx));
        ready!(self.as_mut().poll_elapsed(cx));
        spent.made_progress();
        Poll::Ready(())
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        // Also waits for a thread that is just firing this timer: it holds the lock until it has let go of the node.
        self.unregister();
    }
}
