//! The futures of a queue.
//!
//! `Put` and `Get` go the same ways. A *newcomer* looks once; if there is nothing for it and it is a task, it queues
//! under the same lock. Threads, and those whose waker is not a task's, are *hesitant*: they release the lock and look
//! again before they queue. One who stands *in line* is polled when it was served, or for no reason.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use pin_project_lite::pin_project;

use super::errors::{TryGetError, TryPutError};
use super::items::{GET, Items, JOIN, PUT, must_stand_behind, try_push};
use super::ordered::OrderedQueue;
use super::store::Store;
use crate::sync::traced::{Primitive, note_got, noting_wait};
use crate::sync::wait_queue::{Locked, Status, WaitQueue, Waiter, waits_as_thread};
use runtime_kernel::park::Backoff;
use runtime_kernel::saved_waker::{PollWaker, SavedWaker};
use runtime_kernel::{budget, context, park, task};

const IN_LINE: &str = "one who stands in line is a waiter, and has not completed";

/// True if the future has queued, and has not got what it queued for. Otherwise it is a newcomer.
#[inline]
fn is_in_line<S: Store>(waiter: &Option<Waiter<'_, Items<S>>>) -> bool {
    waiter.as_ref().is_some_and(Waiter::is_queued)
}

/// What a task queues with at its first look in vain, under the lock; `None` if it is hesitant.
#[inline]
fn queues_at_once(waker: &Waker) -> Option<SavedWaker> {
    (!waits_as_thread() && task::is_a_tasks(waker)).then(|| SavedWaker::of(waker))
}

/// A newcomer that does not queue at its first look in vain.
///
/// A thread looks a few times more, and overtakes others of its kind. A waker that is not a task's is cloned without
/// the lock, and things may have changed meanwhile.
struct Hesitant<'a> {
    is_thread: bool,
    backoff: Backoff,
    own: PollWaker<'a>,
}

impl<'a> Hesitant<'a> {
    fn new(waker: &'a Waker) -> Self {
        Self {
            is_thread: waits_as_thread(),
            backoff: Backoff::new(),
            own: PollWaker::new(waker),
        }
    }

    fn looks_again(&self) -> bool {
        self.is_thread && !self.backoff.is_over()
    }

    /// Without the lock, before it looks again. If this was a thread's last look, the next one is the one before it
    /// queues.
    fn pause(&mut self) {
        if !self.looks_again() {
            self.own.prepare();
        } else if !self.backoff.again() {
            self.backoff.end();
        }
    }

    /// What it queues with after one more look in vain, under the lock; `None` if it is to [pause](Hesitant::pause)
    /// and to look again.
    fn queues(&mut self) -> Option<SavedWaker> {
        (!self.looks_again() && self.own.prepare_locked()).then(|| self.own.take())
    }
}

/// Queues a newcomer, to be woken by `waker`, and releases the lock. Inlined, it writes a new waiter once; out of line,
/// `place` is looked at and written several times.
#[inline(always)]
fn stand_in_line<'a, S: Store>(
    mut place: Pin<&mut Option<Waiter<'a, Items<S>>>>,
    locked: Locked<'a, Items<S>>,
    lane: usize,
    is_thread: bool,
    waker: SavedWaker,
) {
    if place.is_none() {
        place.set(Some(Waiter::new(locked.queue())));
    }
    let waiter = place.as_pin_mut().expect("set above");
    let mut turn = waiter.turn_with(locked);
    turn.waits_as(is_thread);
    turn.wait(lane, 1, waker);
}

/// What waits.
impl<S: Store> OrderedQueue<S> {
    /// Waits for room and puts `value` in.
    ///
    /// Cancel safe as far as the queue is concerned: a dropped future has either put its value before or never will,
    /// and its place goes to the next in line. The value is dropped with the future.
    ///
    /// # Errors
    /// Gives the value back if the queue is closed, now or while waiting.
    #[inline]
    pub fn put(&self, value: S::Item) -> Put<'_, S> {
        Put::new(self, value)
    }

    /// Waits for the next item; `None` if the queue is closed and empty.
    ///
    /// Cancel safe: an item that a dropped future was about to get goes to the next in line.
    #[inline]
    pub fn get(&self) -> Get<'_, S> {
        Get::new(self)
    }

    /// [`put`](OrderedQueue::put) for a thread that runs no tasks: blocks it.
    ///
    /// # Errors
    /// Gives the value back if the queue is closed, now or while waiting.
    ///
    /// # Panics
    /// Inside of a task.
    pub fn blocking_put(&self, value: S::Item) -> Result<(), S::Item> {
        context::assert_may_block("Queue::blocking_put", "use `put(..).await` instead");
        park::block_on_current_thread(self.put(value))
    }

    /// [`get`](OrderedQueue::get) for a thread that runs no tasks: blocks it.
    ///
    /// # Panics
    /// Inside of a task.
    pub fn blocking_get(&self) -> Option<S::Item> {
        context::assert_may_block("Queue::blocking_get", "use `get().await` instead");
        park::block_on_current_thread(self.get())
    }

    /// Waits until all that was put in is done with, once: what is put in later does not hold up those who wait
    /// already when that is the case. Nothing having been put, it does not wait.
    ///
    /// Items that nobody takes are never done with: have consumers, or drain the queue.
    ///
    /// Cancel safe.
    pub fn join(&self) -> Join<'_, S> {
        Join::new(&self.queue)
    }

    /// [`join`](OrderedQueue::join) for a thread that runs no tasks: blocks it.
    ///
    /// # Panics
    /// Inside of a task.
    pub fn blocking_join(&self) {
        context::assert_may_block("Queue::blocking_join", "use `join().await` instead");
        park::block_on_current_thread(self.join());
    }
}

pin_project! {
    /// The future of [`put`](super::OrderedQueue::put).
    #[must_use = "futures do nothing unless polled"]
    pub struct Put<'a, S: Store> {
        queue: &'a OrderedQueue<S>,
        value: Option<S::Item>,
        // Made when it has to wait: who need not wait does not pay for it.
        #[pin]
        waiter: Option<Waiter<'a, Items<S>>>,
    }
}

impl<'a, S: Store> Put<'a, S> {
    #[inline]
    pub(super) fn new(queue: &'a OrderedQueue<S>, value: S::Item) -> Self {
        Self {
            queue,
            value: Some(value),
            waiter: None,
        }
    }

    #[inline(never)]
    fn poll_newcomer(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), S::Item>> {
        let this = self.as_mut().project();
        let Some(value) = this.value.take() else {
            panic!("`Put` was polled after it completed")
        };
        let mut locked = this.queue.queue.lock();
        let others_wait = locked.has_waiters(PUT);
        match try_push(&mut locked, value, others_wait) {
            Ok(()) => {
                this.queue.has_put(locked);
                return Poll::Ready(Ok(()));
            }
            Err(TryPutError::Closed(value)) => return Poll::Ready(Err(value)),
            Err(TryPutError::Full(value)) => *this.value = Some(value),
        }
        if let Some(waker) = queues_at_once(cx.waker()) {
            stand_in_line(this.waiter, locked, PUT, false, waker);
            return Poll::Pending;
        }
        drop(locked);
        self.poll_hesitant(cx)
    }

    #[inline(never)]
    fn poll_hesitant(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), S::Item>> {
        let this = self.project();
        let mut hesitant = Hesitant::new(cx.waker());
        loop {
            hesitant.pause();
            let value = this.value.take().expect("it was put back");
            let mut locked = this.queue.queue.lock();
            let others_wait = must_stand_behind(&locked, PUT, hesitant.is_thread);
            match try_push(&mut locked, value, others_wait) {
                Ok(()) => {
                    this.queue.has_put(locked);
                    return Poll::Ready(Ok(()));
                }
                Err(TryPutError::Closed(value)) => return Poll::Ready(Err(value)),
                Err(TryPutError::Full(value)) => *this.value = Some(value),
            }
            if let Some(waker) = hesitant.queues() {
                stand_in_line(this.waiter, locked, PUT, hesitant.is_thread, waker);
                return Poll::Pending;
            }
        }
    }

    #[inline(never)]
    fn poll_in_line(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), S::Item>> {
        let this = self.project();
        let mut waiter = this.waiter.as_pin_mut().expect(IN_LINE);
        let mut take = || this.value.take().expect(IN_LINE);
        let mut own = PollWaker::new(cx.waker());
        loop {
            let mut turn = waiter.as_mut().turn(&mut own);
            let result = match turn.status() {
                Status::Granted => turn.locked().state().put_promised(take()),
                Status::Dismissed => Err(TryPutError::Closed(take())),
                Status::Called if turn.locked().state().has_free_place() => {
                    turn.leave_line();
                    try_push(turn.locked(), take(), false)
                }
                Status::Called | Status::Waiting => {
                    turn.waits_as(waits_as_thread());
                    if turn.rewait(&mut own) {
                        return Poll::Pending;
                    }
                    continue;
                }
                Status::New => unreachable!("{IN_LINE}"),
            };
            let locked = turn.into_locked();
            return Poll::Ready(match result {
                Ok(()) => {
                    this.queue.has_put(locked);
                    Ok(())
                }
                Err(error) => Err(error.into_inner()),
            });
        }
    }
}

impl<S: Store> Future for Put<'_, S> {
    type Output = Result<(), S::Item>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let spent = ready!(budget::poll_proceed(cx));
        let queue = self.queue;
        let result = if is_in_line(&self.waiter) {
            let result = ready!(self.poll_in_line(cx));
            note_got(Primitive::Queue, queue);
            result
        } else {
            ready!(noting_wait(Primitive::Queue, queue, self.poll_newcomer(cx)))
        };
        spent.made_progress();
        Poll::Ready(result)
    }
}

pin_project! {
    /// The future of [`get`](super::OrderedQueue::get).
    #[must_use = "futures do nothing unless polled"]
    pub struct Get<'a, S: Store> {
        queue: &'a OrderedQueue<S>,
        // As in `Put`.
        #[pin]
        waiter: Option<Waiter<'a, Items<S>>>,
    }
}

impl<'a, S: Store> Get<'a, S> {
    #[inline]
    pub(super) fn new(queue: &'a OrderedQueue<S>) -> Self {
        Self {
            queue,
            waiter: None,
        }
    }

    #[inline(never)]
    fn poll_newcomer(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let this = self.as_mut().project();
        let Ok(apart) = this.queue.enter() else {
            return in_a_comparison(cx);
        };
        let mut locked = this.queue.queue.lock();
        let others_wait = locked.has_waiters(GET);
        match locked.state().claim_free(others_wait) {
            Ok(behind) => return Poll::Ready(Some(this.queue.fetch(locked, apart, behind))),
            Err(TryGetError::Closed) => return Poll::Ready(None),
            Err(TryGetError::Empty) => {}
        }
        if let Some(waker) = queues_at_once(cx.waker()) {
            stand_in_line(this.waiter, locked, GET, false, waker);
            return Poll::Pending;
        }
        drop((locked, apart));
        self.poll_hesitant(cx)
    }

    #[inline(never)]
    fn poll_hesitant(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let this = self.project();
        let mut hesitant = Hesitant::new(cx.waker());
        loop {
            hesitant.pause();
            let Ok(apart) = this.queue.enter() else {
                return in_a_comparison(cx);
            };
            let mut locked = this.queue.queue.lock();
            let others_wait = must_stand_behind(&locked, GET, hesitant.is_thread);
            match locked.state().claim_free(others_wait) {
                Ok(behind) => return Poll::Ready(Some(this.queue.fetch(locked, apart, behind))),
                Err(TryGetError::Closed) => return Poll::Ready(None),
                Err(TryGetError::Empty) => {}
            }
            if let Some(waker) = hesitant.queues() {
                stand_in_line(this.waiter, locked, GET, hesitant.is_thread, waker);
                return Poll::Pending;
            }
        }
    }

    #[inline(never)]
    fn poll_in_line(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let this = self.project();
        let mut waiter = this.waiter.as_pin_mut().expect(IN_LINE);
        let mut own = PollWaker::new(cx.waker());
        loop {
            let Ok(apart) = this.queue.enter() else {
                return in_a_comparison(cx);
            };
            let mut turn = waiter.as_mut().turn(&mut own);
            let claimed = match turn.status() {
                Status::Granted => {
                    let ticket = turn.given();
                    turn.locked().state().claim_granted(ticket)
                }
                Status::Dismissed => Err(TryGetError::Closed),
                Status::Called if turn.locked().state().has_free_item() => {
                    turn.leave_line();
                    turn.locked().state().claim_free(false)
                }
                Status::Called | Status::Waiting => {
                    turn.waits_as(waits_as_thread());
                    // A clone runs code of others: what is apart is left before.
                    drop(apart);
                    if turn.rewait(&mut own) {
                        return Poll::Pending;
                    }
                    continue;
                }
                Status::New => unreachable!("{IN_LINE}"),
            };
            let locked = turn.into_locked();
            return Poll::Ready(match claimed {
                Ok(behind) => Some(this.queue.fetch(locked, apart, behind)),
                Err(_) => None,
            });
        }
    }
}

/// A comparison of this very queue polls it: there is nothing to be had until that is over.
#[cold]
fn in_a_comparison<T>(cx: &mut Context<'_>) -> Poll<T> {
    cx.waker().wake_by_ref();
    Poll::Pending
}

impl<S: Store> Future for Get<'_, S> {
    type Output = Option<S::Item>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let spent = ready!(budget::poll_proceed(cx));
        let queue = self.queue;
        let result = if is_in_line(&self.waiter) {
            let result = ready!(self.poll_in_line(cx));
            note_got(Primitive::Queue, queue);
            result
        } else {
            ready!(noting_wait(Primitive::Queue, queue, self.poll_newcomer(cx)))
        };
        spent.made_progress();
        Poll::Ready(result)
    }
}

pin_project! {
    /// The future of [`join`](super::OrderedQueue::join).
    #[must_use = "futures do nothing unless polled"]
    pub struct Join<'a, S: Store> {
        #[pin]
        waiter: Waiter<'a, Items<S>>,
    }
}

impl<'a, S: Store> Join<'a, S> {
    pub(super) fn new(queue: &'a WaitQueue<Items<S>>) -> Self {
        Self {
            waiter: Waiter::new(queue),
        }
    }
}

impl<S: Store> Future for Join<'_, S> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let spent = ready!(budget::poll_proceed(cx));
        let mut waiter = self.project().waiter;
        let mut own = PollWaker::new(cx.waker());
        loop {
            let mut turn = waiter.as_mut().turn(&mut own);
            match turn.status() {
                Status::Granted | Status::Dismissed => break,
                Status::Called => unreachable!("nobody competes for the end"),
                Status::New if turn.locked().state().is_finished() => break,
                Status::New => {
                    let ticket = turn.locked().state().ticket();
                    turn.wait(JOIN, ticket, own.take());
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
