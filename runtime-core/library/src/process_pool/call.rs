//! A call, as its caller sees it.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use crate::sync::oneshot;
use serde::de::DeserializeOwned;

use super::error::{Answer, CallError};
use super::inbox::{Inbox, Order};

/// A call to a function in another process: a future of its result. You can await it under any runtime, and outside
/// all runtimes.
///
/// Dropping it before it has yielded cancels the call. A call that waits for a process is not made. A running async
/// call is aborted at its next suspension point. A blocking call runs to its end, keeps its process busy until then,
/// and its result is dropped.
#[must_use = "a dropped call is cancelled"]
pub struct Call<R> {
    answer: oneshot::Receiver<Answer>,
    /// The inbox that must learn of a cancellation; `None` once it has yielded.
    pending: Option<(u64, Arc<Inbox>)>,
    _result: PhantomData<fn() -> R>,
}

impl<R> Call<R> {
    pub(super) fn new(id: u64, inbox: Arc<Inbox>, answer: oneshot::Receiver<Answer>) -> Self {
        Self {
            answer,
            pending: Some((id, inbox)),
            _result: PhantomData,
        }
    }
}

impl<R: DeserializeOwned> Future for Call<R> {
    type Output = Result<R, CallError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = ready!(Pin::new(&mut self.answer).poll(cx));
        self.pending = None;
        Poll::Ready(match answer {
            Ok(Ok(bytes)) => {
                postcard::from_bytes(&bytes).map_err(|error| CallError::Codec(error.to_string()))
            }
            Ok(Err(error)) => Err(error),
            // The supervisor is gone, and has dropped the promise.
            Err(oneshot::Broken) => Err(CallError::Closed),
        })
    }
}

impl<R> Drop for Call<R> {
    fn drop(&mut self) {
        if let Some((id, inbox)) = self.pending.take() {
            inbox.send(Order::Cancel(id));
        }
    }
}

impl<R> fmt::Debug for Call<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("id", &self.pending.as_ref().map(|(id, _)| id))
            .finish_non_exhaustive()
    }
}
