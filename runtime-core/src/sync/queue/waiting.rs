//! The futures of a queue.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use super::errors::{TryGetError, TryPutError};
use super::items::{GET, Items, JOIN, PUT, try_pop, try_push};
use super::store::Store;
use crate::budget;
use crate::sync::wait_queue::{Status, WaitQueue, Waiter};

pin_project! {
    /// The future of [`put`](super::OrderedQueue::put).
    #[must_use = "futures do nothing unless polled"]
    pub struct Put<'a, S: Store> {
        queue: &'a WaitQueue<Items<S>>,
        value: Option<S::Item>,
        // Made when it has to wait: who need not wait does not pay for it.
        #[pin]
        waiter: Option<Waiter<'a, Items<S>>>,
    }
}

impl<'a, S: Store> Put<'a, S> {
    #[inline]
    pub(super) fn new(queue: &'a WaitQueue<Items<S>>, value: S::Item) -> Self {
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
        let Some(value) = this.value.take() else {
            panic!("`Put` was polled after it completed")
        };
        let (result, locked) = match this.waiter.as_mut().as_pin_mut() {
            None => {
                let mut locked = this.queue.lock();
                (try_push(&mut locked, value), locked)
            }
            Some(waiter) => {
                let mut turn = waiter.turn();
                let result = match turn.status() {
                    Status::Granted => turn.locked().state().put_promised(value),
                    Status::New | Status::Waiting => Err(TryPutError::Full(value)),
                    Status::Dismissed => Err(TryPutError::Closed(value)),
                };
                (result, turn.into_locked())
            }
        };
        let result = match result {
            Ok(()) => {
                locked.serve();
                Ok(())
            }
            Err(TryPutError::Closed(value)) => {
                drop(locked);
                Err(value)
            }
            Err(TryPutError::Full(value)) => {
                *this.value = Some(value);
                if this.waiter.is_none() {
                    this.waiter.set(Some(Waiter::new(this.queue)));
                }
                let waiter = this.waiter.as_pin_mut().expect("set above");
                waiter.turn_with(locked).wait(PUT, 1, cx.waker());
                return Poll::Pending;
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
        queue: &'a WaitQueue<Items<S>>,
        // As in `Put`.
        #[pin]
        waiter: Option<Waiter<'a, Items<S>>>,
    }
}

impl<'a, S: Store> Get<'a, S> {
    #[inline]
    pub(super) fn new(queue: &'a WaitQueue<Items<S>>) -> Self {
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
        let (result, locked) = match this.waiter.as_mut().as_pin_mut() {
            None => {
                let mut locked = this.queue.lock();
                (try_pop(&mut locked), locked)
            }
            Some(waiter) => {
                let mut turn = waiter.turn();
                let result = match turn.status() {
                    Status::Granted => turn.locked().state().get_promised(),
                    Status::New | Status::Waiting => Err(TryGetError::Empty),
                    Status::Dismissed => Err(TryGetError::Closed),
                };
                (result, turn.into_locked())
            }
        };
        let result = match result {
            Ok(value) => {
                locked.serve();
                Some(value)
            }
            Err(TryGetError::Closed) => {
                drop(locked);
                None
            }
            Err(TryGetError::Empty) => {
                if this.waiter.is_none() {
                    this.waiter.set(Some(Waiter::new(this.queue)));
                }
                let waiter = this.waiter.as_pin_mut().expect("set above");
                waiter.turn_with(locked).wait(GET, 1, cx.waker());
                return Poll::Pending;
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
        let mut turn = self.project().waiter.turn();
        match turn.status() {
            Status::Granted | Status::Dismissed => {}
            Status::New if turn.locked().state().is_finished() => {}
            Status::New => {
                let ticket = turn.locked().state().ticket();
                turn.wait(JOIN, ticket, cx.waker());
                return Poll::Pending;
            }
            Status::Waiting => {
                turn.wait(JOIN, 0, cx.waker());
                return Poll::Pending;
            }
        }
        drop(turn);
        spent.made_progress();
        Poll::Ready(())
    }
}
