//! A blocking function as a future that completes in one poll.

use std::future::Future;
use std::pin::Pin;
use std::sync::Weak;
use std::task::{Context, Poll};

use super::job_context::JobContext;
use crate::budget;

/// Runs the function in its first poll. Its type name is the task's name.
pub(super) struct BlockingJob<F> {
    function: Option<F>,
    /// The runtime that the job runs for, if it is not the pool's own.
    context: Option<Weak<dyn JobContext>>,
}

impl<F> BlockingJob<F> {
    pub(super) fn new(function: F, context: Option<Weak<dyn JobContext>>) -> Self {
        Self {
            function: Some(function),
            context,
        }
    }
}

// The function is moved out and called, never pinned.
impl<F> Unpin for BlockingJob<F> {}

impl<F, T> Future for BlockingJob<F>
where
    F: FnOnce() -> T,
{
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<T> {
        let mut function = self.function.take();
        assert!(
            function.is_some(),
            "a blocking job was polled after it completed"
        );
        let mut value = None;
        let mut call = || {
            // The function may take as long as it likes, and may use whatever a thread may use: a budget is for polls.
            let _lifted = budget::lift();
            value = function.take().map(|function| function());
        };
        match self.context.take().and_then(|context| context.upgrade()) {
            Some(context) => context.run_job(&mut call),
            None => call(),
        }
        Poll::Ready(value.expect("a context runs the job"))
    }
}
