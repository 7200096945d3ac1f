//! The futures of a queue.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use super::OrderedQueue;
use super::apart::Inside;
use super::errors::{TryGetError, TryPutError};
use super::items::{GET, Items, JOIN, PUT, try_push};
use super::store::Store;
use crate::budget;
use crate::saved_waker::PollWaker;
use crate::sync::wait_queue::{Status, WaitQueue, Waiter};

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
        let result = loop {
            let Some(value) = this.value.take() else {
                panic!("`Put` was polled after it completed")
            };
            let (result, locked) = match this.waiter.as_mut().as_pin_mut() {
                None => {
                    let mut locked = queue.queue.lock();
                    (try_push(&mut locked, value), locked)
                }
                Some(waiter) => {
                    let mut turn = waiter.turn(&mut own);
                    let result = match turn.status() {
                        Status::Granted => turn.locked().state().put_promised(value),
                        Status::Dismissed => Err(TryPutError::Closed(value)),
                        Status::New => try_push(turn.locked(), value),
                        Status::Waiting => {
                            *this.value = Some(value);
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
                    if !own.prepare_locked() {
                        drop(locked);
                        own.prepare();
                        continue;
                    }
                    if this.waiter.is_none() {
                        this.waiter.set(Some(Waiter::new(&queue.queue)));
                    }
                    let waiter = this.waiter.as_pin_mut().expect("set above");
                    waiter.turn_with(locked).wait(PUT, 1, &mut own);
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
                    let others_wait = locked.has_waiters(GET);
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
                        Status::Waiting => {
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
                    if !own.prepare_locked() {
                        drop((locked, apart));
                        own.prepare();
                        continue;
                    }
                    if this.waiter.is_none() {
                        this.waiter.set(Some(Waiter::new(&queue.queue)));
                    }
                    let waiter = this.waiter.as_pin_mut().expect("set above");
                    waiter.turn_with(locked).wait(GET, 1, &mut own);
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
