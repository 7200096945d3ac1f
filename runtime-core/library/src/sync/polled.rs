//! Futures that are polled by hand, for tests.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

pub(super) fn poll_once<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// A boxed future that was polled once and waits.
#[track_caller]
pub(super) fn waiting<F: Future>(future: F) -> Pin<Box<F>> {
    let mut future = Box::pin(future);
    assert!(poll_once(future.as_mut()).is_pending());
    future
}

/// The outcome of a future that must be ready.
#[track_caller]
pub(super) fn ready<F: Future + ?Sized>(mut future: Pin<Box<F>>) -> F::Output {
    match poll_once(future.as_mut()) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it waits"),
    }
}
