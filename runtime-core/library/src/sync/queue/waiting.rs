//! The futures of a queue.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use super::apart::Inside;
use super::errors::{TryGetError, TryPutError};
use super::items::{GET, Items, JOIN, PUT, must_stand_behind, try_push};
use super::ordered::OrderedQueue;
use super::store::Store;
use crate::sync::wait_queue::{Status, WaitQueue, Waiter, waits_as_thread};
use runtime_kernel::park::Backoff;
use runtime_kernel::saved_waker::PollWaker;
use runtime_kernel::{budget, context, park};

/// How a newcomer goes about it: as a task, which queues if there is nothing for it, or as a thread, which looks a few
/// times more before it does, and overtakes others of its kind.
struct Approach {
    is_thread: bool,
    backoff: Option<Backoff>,
}

impl Approach {
    /// As a task, for who need not wait does not have to be asked.
    fn new() -> Self {
        Self {
            is_thread: false,
            backoff: None,
        }
    }

    /// There was nothing for it. True if it is to look again, [after a pause](Approach::pause).
    fn looks_again(&mut self) -> bool {
        if self.backoff.is_none() {
            self.is_thread = waits_as_thread();
        }
        let backoff = self.backoff.get_or_insert_with(Backoff::new);
        self.is_thread && !backoff.is_over()
    }

    /// Without the lock. If this was the last look, the next one is the one before it queues.
    fn pause(&mut self) {
        if let Some(backoff) = &mut self.backoff
            && !backoff.again()
        {
            backoff.end();
        }
    }
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
}

impl<S: Store> Future for Put<'_, S> {
    type Output = Result<(), S::Item>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let spent = ready!(budget::poll_proceed(cx));
        let mut this = self.project();
        let queue = *this.queue;
        let mut own = PollWaker::new(cx.waker());
        let mut approach = Approach::new();
        let result = loop {
            let Some(value) = this.value.take() else {
                panic!("`Put` was polled after it completed")
            };
            let (result, locked) = match this.waiter.as_mut().as_pin_mut() {
                None => {
                    let mut locked = queue.queue.lock();
                    let others_wait = must_stand_behind(&locked, PUT, approach.is_thread);
                    (try_push(&mut locked, value, others_wait), locked)
                }
                Some(waiter) => {
                    let mut turn = waiter.turn(&mut own);
                    let result = match turn.status() {
                        Status::Granted => turn.locked().state().put_promised(value),
                        Status::Dismissed => Err(TryPutError::Closed(value)),
                        Status::New => {
                            let others_wait = turn.locked().has_waiters(PUT);
                            try_push(turn.locked(), value, others_wait)
                        }
                        Status::Called if turn.locked().state().has_free_place() => {
                            turn.leave_line();
                            try_push(turn.locked(), value, false)
                        }
                        Status::Called | Status::Waiting => {
                            *this.value = Some(value);
                            turn.waits_as(waits_as_thread());
                            if turn.rewait(&mut own) {
                                return Poll::Pending;
                            }
                            continue;
                        }
                    };
                    (result, turn.into_locked())
                }
            };
            match result {
                Ok(()) => {
                    locked.serve();
                    queue.order();
                    break Ok(());
                }
                Err(TryPutError::Closed(value)) => {
                    drop(locked);
                    break Err(value);
                }
                Err(TryPutError::Full(value)) => {
                    *this.value = Some(value);
                    if this.waiter.is_none() && approach.looks_again() {
                        drop(locked);
                        approach.pause();
                        continue;
                    }
                    if !own.prepare_locked() {
                        drop(locked);
                        own.prepare();
                        continue;
                    }
                    if this.waiter.is_none() {
                        this.waiter.set(Some(Waiter::new(&queue.queue)));
                    }
                    let waiter = this.waiter.as_pin_mut().expect("set above");
                    let mut turn = waiter.turn_with(locked);
                    turn.waits_as(approach.is_thread);
                    turn.wait(PUT, 1, &mut own);
                    return Poll::Pending;
                }
            }
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
}

impl<S: Store> Future for Get<'_, S> {
    type Output = Option<S::Item>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let spent = ready!(budget::poll_proceed(cx));
        let mut this = self.project();
        let queue = *this.queue;
        let mut own = PollWaker::new(cx.waker());
        let mut approach = Approach::new();
        let result = loop {
            let apart = match queue.enter() {
                Ok(apart) => apart,
                // Polled by a comparison of this very queue: there is nothing to be had until it is over.
                Err(Inside) => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
            };
            let (claimed, locked) = match this.waiter.as_mut().as_pin_mut() {
                None => {
                    let mut locked = queue.queue.lock();
                    let others_wait = must_stand_behind(&locked, GET, approach.is_thread);
                    (locked.state().claim_free(others_wait), locked)
                }
                Some(waiter) => {
                    let mut turn = waiter.turn(&mut own);
                    let claimed = match turn.status() {
                        Status::Granted => {
                            let ticket = turn.given();
                            turn.locked().state().claim_granted(ticket)
                        }
                        Status::Dismissed => Err(TryGetError::Closed),
                        Status::New => {
                            let others_wait = turn.locked().has_waiters(GET);
                            turn.locked().state().claim_free(others_wait)
                        }
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
                    };
                    (claimed, turn.into_locked())
                }
            };
            match claimed {
                Ok(behind) => break Some(queue.fetch(locked, apart, behind)),
                Err(TryGetError::Closed) => {
                    drop(locked);
                    break None;
                }
                Err(TryGetError::Empty) => {
                    if this.waiter.is_none() && approach.looks_again() {
                        drop((locked, apart));
                        approach.pause();
                        continue;
                    }
                    if !own.prepare_locked() {
                        drop((locked, apart));
                        own.prepare();
                        continue;
                    }
                    if this.waiter.is_none() {
                        this.waiter.set(Some(Waiter::new(&queue.queue)));
                    }
                    let waiter = this.waiter.as_pin_mut().expect("set above");
                    let mut turn = waiter.turn_with(locked);
                    turn.waits_as(approach.is_thread);
                    turn.wait(GET, 1, &mut own);
                    return Poll::Pending;
                }
            }
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
                    turn.wait(JOIN, ticket, &mut own);
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
