//! The future of one deadline.
#![allow(unsafe_code)]

use std::future::Future;
use std::pin::Pin;
use std::ptr::NonNull;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use super::helper::helper_shard;
use super::now::now;
use super::shard::{self, NEVER, TimerShard};
use super::wheel::{self, Node};
use crate::saved_waker::SavedWaker;
use crate::task_list::{self, Awaited};
use crate::{budget, context};

/// Completes at a deadline, never before; created by [`sleep`] and [`sleep_until`].
///
/// It contains its own node of the timer wheel, 40 bytes, and allocates nothing. Cost: a clock reading, and if it has
/// to wait, a short lock to enter the wheel and one to leave it. Several tasks may poll it in turn; the one that
/// polled it last is woken. Once complete, it stays complete.
///
/// Cancel safe: when you drop it, it leaves the wheel at once.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct Sleep {
    /// The shard into which `node` was last inserted.
    shard: Option<Arc<TimerShard>>,
    node: Node,
}

// SAFETY: the node's links and waker are touched only under the shard's lock, or by the `Sleep` itself through `&mut`
// while it is in no wheel.
unsafe impl Send for Sleep {}
// SAFETY: as above; `&Sleep` gives access only to the deadline and the state.
unsafe impl Sync for Sleep {}

/// Waits for `duration`, and never less. Zero completes without waiting; a duration beyond the clock's range never
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
/// The future panics if it is first polled outside a runtime.
pub fn sleep(duration: Duration) -> Sleep {
    Sleep::after(now(), duration)
}

/// Waits until `deadline`. A deadline in the past completes without waiting.
///
/// # Panics
/// The future panics if it is first polled outside a runtime.
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

    /// Sets a new deadline, whether or not the last one was reached. This does not wake the task: poll the sleep
    /// again.
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

    /// The caller must keep it pinned.
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
                    let now = shard::nanoseconds(now());
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
        // Before the lock: a clone runs user code.
        let waker = SavedWaker::of(cx.waker());
        let node = NonNull::from(&self.node);
        // SAFETY: the node is IDLE, as the caller checked, and inside a pinned `Sleep`, whose `drop` first removes it.
        if let Err(waker) = unsafe { shard.insert(node, now, waker) } {
            self.register_with_helper(now, waker);
        }
    }

    /// Registers with the helper thread, because the runtime has ended.
    #[cold]
    fn register_with_helper(&mut self, now: u64, waker: SavedWaker) {
        // The model checkers run only their own threads.
        if cfg!(any(lab_loom, lab_shuttle)) {
            return;
        }
        let shard = self.shard.insert(helper_shard());
        let node = NonNull::from(&self.node);
        // SAFETY: as in `register`; it is in no wheel, because it was refused.
        let inserted = unsafe { shard.insert(node, now, waker) };
        assert!(inserted.is_ok(), "the helper thread never ends");
    }

    /// Updates a registered timer. True if it will wake this task; false if the caller must check its state again.
    fn stays_registered(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(shard) = &self.shard else {
            unreachable!("a linked timer has a shard")
        };
        let node = NonNull::from(&self.node);
        // SAFETY: the node is ours, and `shard` is the one that it was inserted into.
        if unsafe { shard.will_wake(node, cx.waker()) } {
            return true;
        }
        // Another task polls it. Where each task has its own shard (1:1), the timer follows the task, because the
        // owner of the old shard may end.
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
        // This also waits for a thread that is just firing this timer: it holds the lock until its last access to the
        // node.
        self.unregister();
    }
}
