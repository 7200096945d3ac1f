//! Where a function that blocks on files runs.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::blocking::BlockingPool;
use crate::budget::consume_budget;
use crate::context;
use crate::task::JoinHandle;

/// The pool for file operations of this thread's runtime; `None` if they run on the calling thread.
pub(super) fn pool(what: &str) -> Option<Arc<BlockingPool>> {
    context::with(what, |ambient| {
        (!ambient.files_inline()).then(|| Arc::clone(ambient.blocking_pool()))
    })
}

/// Runs `job` where the ambient runtime has files handled.
pub(super) async fn run<T, F>(what: &'static str, job: F) -> io::Result<T>
where
    F: FnOnce() -> io::Result<T> + Send + 'static,
    T: Send + 'static,
{
    consume_budget().await;
    match pool(what) {
        None => job(),
        Some(pool) => Job(pool.spawn(job)).await?,
    }
}

/// A job under way. It yields an error of its own if it was lost: it panicked, or the runtime shut down before it began.
#[derive(Debug)]
pub(super) struct Job<T>(pub(super) JoinHandle<T>);

impl<T> Future for Job<T> {
    type Output = io::Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map_err(io::Error::other)
    }
}
