//! The futures of a queue.
//!
//! `Put` and `Get` follow the same paths. A *newcomer* looks once; if there is nothing for it and it is a task, it
//! queues under the same lock. Threads, and futures whose waker is not a task's, are *hesitant*: they release the lock
//! and look again before they queue. A future that is *in line* (in the wait queue) is polled because it was served,
//! or for no reason.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use pin_project_lite::pin_project;

use super::errors::{TryGetError, TryPutError};
use super::items::{GET, Items, JOIN, PUT, must_stand_behind, try_push};
use super::ordered::{OrderedQueue, comparing};
use super::store::Store;
use crate::sync::traced::{Primitive, note_got, note_waits, noting_wait};
use crate::sync::wait_queue::{Locked, Status, WaitQueue, Waiter, waits_as_thread};
use runtime_kernel::park::Backoff;
use runtime_kernel::saved_waker::{PollWaker, SavedWaker};
use runtime_kernel::{budget, context, park, task};

const IS_QUEUED: &str = "a queued future has a waiter and has not completed";

/// True if the future has queued, and has not got what it queued for. Otherwise it is a newcomer.
#[inline]
fn is_queued<S: Store>(waiter: &Option<Waiter<'_, Items<S>>>) -> bool {
    waiter.as_ref().is_some_and(Waiter::is_queued)
}

/// The waker with which a task queues at its first unsuccessful look, under the lock; `None` if it is hesitant.
#[inline]
fn queues_at_once(waker: &Waker) -> Option<SavedWaker> {
    (!waits_as_thread() && task::is_a_tasks(waker)).then(|| SavedWaker::of(waker))
}

/// A newcomer that does not queue at its first unsuccessful look.
///
/// A thread looks a few more times, and may overtake other threads. A waker that is not a task's is cloned outside the
/// lock, and the state may have changed meanwhile.
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

    /// Outside the lock, before it looks again. After a thread's last pause, the next look is the one before it
    /// queues.
    fn pause(&mut self) {
        if !self.looks_again() {
            self.own.prepare();
        } else if !self.backoff.again() {
            self.backoff.end();
        }
    }

    /// The waker with which it queues after one more unsuccessful look, under the lock; `None` if it must
    /// [pause](Hesitant::pause) and look again.
    fn queues(&mut self) -> Option<SavedWaker> {
        (!self.looks_again() && self.own.prepare_locked()).then(|| self.own.take())
    }
}

/// Queues a newcomer that `waker` will wake, and releases the lock. Inlined, this writes a new waiter once; out of
/// line, `place` would be read and written several times.
#[inline(always)]
fn enqueue<'a, S: Store>(
    queue: &OrderedQueue<S>,
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
    note_waits(Primitive::Queue, queue);
}

/// The operations that wait.
impl<S: Store> OrderedQueue<S> {
    /// Waits for room and puts `value` in.
    ///
    /// Cancel safe for the queue: a dropped future has either already put its value or never will, and its place goes
    /// to the next waiter. The value is dropped with the future.
    ///
    /// # Errors
    /// Returns the value if the queue is closed, now or while waiting.
    #[inline]
    pub fn put(&self, value: S::Item) -> Put<'_, S> {
        Put::new(self, value)
    }

    /// Waits for the next item; `None` if the queue is closed and empty.
    ///
    /// Cancel safe: an item that a dropped future was about to get goes to the next waiter.
    #[inline]
    pub fn get(&self) -> Get<'_, S> {
        Get::new(self)
    }

    /// [`put`](OrderedQueue::put) for a thread that runs no tasks: blocks it.
    ///
    /// # Errors
    /// Returns the value if the queue is closed, now or while waiting.
    ///
    /// # Panics
    /// Inside a task.
    pub fn blocking_put(&self, value: S::Item) -> Result<(), S::Item> {
        context::assert_may_block("Queue::blocking_put", "use `put(..).await` instead");
        park::block_on_current_thread(self.put(value))
    }

    /// [`get`](OrderedQueue::get) for a thread that runs no tasks: blocks it.
    ///
    /// # Panics
    /// Inside a task.
    pub fn blocking_get(&self) -> Option<S::Item> {
        context::assert_may_block("Queue::blocking_get", "use `get().await` instead");
        park::block_on_current_thread(self.get())
    }

    /// Waits until all items that were put are done. Once that is the case, existing waiters are released, even if
    /// more items are put before they run. If no item was put, it does not wait.
    ///
    /// Items that are never taken are never done: run consumers, or drain the queue.
    ///
    /// Cancel safe.
    pub fn join(&self) -> Join<'_, S> {
        Join::new(&self.queue)
    }

    /// [`join`](OrderedQueue::join) for a thread that runs no tasks: blocks it.
    ///
    /// # Panics
    /// Inside a task.
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
        // Created when it has to wait: a future that need not wait does not pay for it.
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
            enqueue(this.queue, this.waiter, locked, PUT, false, waker);
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
                enqueue(
                    this.queue,
                    this.waiter,
                    locked,
                    PUT,
                    hesitant.is_thread,
                    waker,
                );
                return Poll::Pending;
            }
        }
    }

    #[inline(never)]
    fn poll_queued(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), S::Item>> {
        let this = self.project();
        let mut waiter = this.waiter.as_pin_mut().expect(IS_QUEUED);
        let mut take = || this.value.take().expect(IS_QUEUED);
        let mut own = PollWaker::new(cx.waker());
        loop {
            let mut turn = waiter.as_mut().turn(&mut own);
            let result = match turn.status() {
                Status::Granted => turn.locked().state().put_promised(take()),
                Status::Dismissed => Err(TryPutError::Closed(take())),
                Status::Called if turn.locked().state().has_free_place() => {
                    turn.dequeue();
                    try_push(turn.locked(), take(), false)
                }
                Status::Called | Status::Waiting => {
                    turn.waits_as(waits_as_thread());
                    if turn.rewait(&mut own) {
                        return Poll::Pending;
                    }
                    continue;
                }
                Status::New => unreachable!("{IS_QUEUED}"),
            };
            let locked = turn.into_locked();
            let result = match result {
                Ok(()) => {
                    this.queue.has_put(locked);
                    Ok(())
                }
                Err(error) => {
                    drop(locked);
                    Err(error.into_inner())
                }
            };
            note_got(Primitive::Queue, *this.queue);
            return Poll::Ready(result);
        }
    }
}

impl<S: Store> Future for Put<'_, S> {
    type Output = Result<(), S::Item>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let spent = ready!(budget::poll_proceed(cx));
        let result = if is_queued(&self.waiter) {
            ready!(self.poll_queued(cx))
        } else {
            ready!(self.poll_newcomer(cx))
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
            return noting_wait(Primitive::Queue, *this.queue, in_a_comparison(cx));
        };
        let mut locked = this.queue.queue.lock();
        let others_wait = locked.has_waiters(GET);
        match locked.state().claim_free(others_wait) {
            Ok(behind) => return Poll::Ready(Some(this.queue.fetch(locked, apart, behind))),
            Err(TryGetError::Closed) => return Poll::Ready(None),
            Err(TryGetError::Empty) => {}
        }
        if let Some(waker) = queues_at_once(cx.waker()) {
            enqueue(this.queue, this.waiter, locked, GET, false, waker);
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
                return noting_wait(Primitive::Queue, *this.queue, in_a_comparison(cx));
            };
            let mut locked = this.queue.queue.lock();
            let others_wait = must_stand_behind(&locked, GET, hesitant.is_thread);
            match locked.state().claim_free(others_wait) {
                Ok(behind) => return Poll::Ready(Some(this.queue.fetch(locked, apart, behind))),
                Err(TryGetError::Closed) => return Poll::Ready(None),
                Err(TryGetError::Empty) => {}
            }
            if let Some(waker) = hesitant.queues() {
                enqueue(
                    this.queue,
                    this.waiter,
                    locked,
                    GET,
                    hesitant.is_thread,
                    waker,
                );
                return Poll::Pending;
            }
        }
    }

    #[inline(never)]
    fn poll_queued(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let this = self.project();
        let mut waiter = this.waiter.as_pin_mut().expect(IS_QUEUED);
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
                    turn.dequeue();
                    turn.locked().state().claim_free(false)
                }
                Status::Called | Status::Waiting => {
                    turn.waits_as(waits_as_thread());
                    // A clone runs user code, so leave `apart` first.
                    drop(apart);
                    if turn.rewait(&mut own) {
                        return Poll::Pending;
                    }
                    continue;
                }
                Status::New => unreachable!("{IS_QUEUED}"),
            };
            let locked = turn.into_locked();
            let item = match claimed {
                Ok(behind) => Some(this.queue.fetch(locked, apart, behind)),
                Err(_) => {
                    drop(locked);
                    None
                }
            };
            note_got(Primitive::Queue, *this.queue);
            return Poll::Ready(item);
        }
    }
}

/// A comparison of this very queue polls it: nothing is available until the comparison is over.
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
        let result = ready!(comparing::<S, _>(|| if is_queued(&self.waiter) {
            self.poll_queued(cx)
        } else {
            self.poll_newcomer(cx)
        }));
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
