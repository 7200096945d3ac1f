//! Tasks with erased types.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use runtime_kernel::task::{JoinError, TaskHandle};

use super::boxed::{AnyBox, known};

pin_project! {
    /// A future whose output is boxed. It is dropped when its task drops it, not when it completes.
    pub(super) struct Boxed<F> {
        #[pin]
        future: F,
    }
}

impl<F> Boxed<F> {
    pub(super) fn new(future: F) -> Self {
        Self { future }
    }
}

impl<F: Future<Output: Send + 'static>> Future for Boxed<F> {
    type Output = AnyBox;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<AnyBox> {
        Poll::Ready(Box::new(ready!(self.project().future.poll(cx))))
    }
}

/// A task's handle as an object.
pub(super) type DynHandle = Box<dyn TaskHandle<AnyBox>>;

/// The handle of a task that yields a `T`.
pub struct AnyHandle<T> {
    handle: DynHandle,
    _output: PhantomData<fn() -> T>,
}

impl<T> AnyHandle<T> {
    pub(super) fn new(handle: DynHandle) -> Self {
        Self {
            handle,
            _output: PhantomData,
        }
    }
}

impl<T: 'static> Future for AnyHandle<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut *self.handle).poll(cx).map_ok(known)
    }
}

impl<T: Send + 'static> TaskHandle<T> for AnyHandle<T> {
    fn abort(&self) {
        self.handle.abort();
    }
    fn is_finished(&self) -> bool {
        self.handle.is_finished()
    }
}
