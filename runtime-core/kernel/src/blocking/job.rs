//! A blocking function as a future of one poll.

use std::future::Future;
use std::pin::Pin;
use std::sync::Weak;
use std::task::{Context, Poll};

use super::running::RunsFor;
use crate::context::{self, Ambient, Role};

/// Runs the function in its first poll. As a type it gives the task its name.
pub(super) struct BlockingJob<F> {
    function: Option<F>,
    /// The runtime that it runs for, where that is not the pool's own.
    ambient: Option<Weak<dyn Ambient>>,
}

impl<F> BlockingJob<F> {
    pub(super) fn new(function: F, ambient: Option<Weak<dyn Ambient>>) -> Self {
        Self {
            function: Some(function),
            ambient,
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
        let Some(function) = self.function.take() else {
            panic!("a blocking job was polled after it completed")
        };
        let _entered = self
            .ambient
            .take()
            .and_then(|ambient| ambient.upgrade())
            .map(|ambient| {
                (
                    RunsFor::begin(&ambient),
                    context::enter(ambient, Role::NonWorker),
                )
            });
        // It may take as long as it likes, and uses what a thread may use: a budget is for polls.
        let _lifted = crate::budget::lift();
        Poll::Ready(function())
    }
}
