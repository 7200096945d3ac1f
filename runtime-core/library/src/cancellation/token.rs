//! The handle to a tree of tokens.

use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use super::node::Node;
use crate::sync::Wait;
use runtime_kernel::budget;

/// Asks tasks to end, and leaves it to them how. Clones are the same token. A [child](CancellationToken::child_token)
/// is cancelled with its parent, but not the other way round.
///
/// An [abort](runtime_kernel::JoinHandle::abort) drops a task's future at the point where it waits, so its clean-up
/// can't await anything. A task that observes a token can, as asyncio's tasks do when they catch `CancelledError`. A
/// token needs no runtime, and any thread may cancel it.
///
/// - *Cancel safety*: a dropped waiter leaves, without any effect on others.
/// - *Fairness*: a cancel wakes all waiters, those of one token in the order in which they began to wait.
/// - *Cost*: a token is one allocation. Checking it is an atomic load, waiting allocates nothing, and a cancel is
///   linear in the number of descendant tokens and of waiters.
///
/// ```
/// use std::thread;
/// use runtime_core::{cancellation::CancellationToken, park::block_on_current_thread};
///
/// let token = CancellationToken::new();
/// let worker = {
///     let token = token.child_token();
///     thread::spawn(move || {
///         block_on_current_thread(async {
///             let work = std::future::pending::<()>();
///             if token.run_until_cancelled(work).await.is_none() {
///                 // the clean-up, which may await
///             }
///         })
///     })
/// };
/// token.cancel();
/// worker.join().unwrap();
/// ```
#[derive(Clone)]
pub struct CancellationToken {
    node: Arc<Node>,
}

impl CancellationToken {
    /// A token without a parent.
    pub fn new() -> Self {
        Self { node: Node::root() }
    }

    /// A token that is cancelled with this one, and can also be cancelled alone. The child of a cancelled token is
    /// already cancelled.
    ///
    /// Constant time. The child lives on when this token is dropped, and is still cancelled from further up.
    pub fn child_token(&self) -> Self {
        Self {
            node: self.node.child(),
        }
    }

    /// Cancels this token and all its descendants, and wakes all their waiters. This is permanent; cancelling again
    /// changes nothing.
    ///
    /// If another executor's waker panics, the panic is contained here and the others are still woken.
    pub fn cancel(&self) {
        self.node.cancel();
    }

    /// True once it was cancelled. Everything that happened before the `cancel` is then visible.
    pub fn is_cancelled(&self) -> bool {
        self.node.is_cancelled()
    }

    /// Completes when the token is cancelled; at once if it is. Any number may wait. Cancel safe; allocates nothing.
    pub fn cancelled(&self) -> Cancelled<'_> {
        Cancelled {
            node: &self.node,
            wait: self.node.signal.wait(),
        }
    }

    /// Like [`cancelled`](CancellationToken::cancelled), but contains a clone of the token, so that you can spawn it.
    pub fn cancelled_owned(&self) -> impl Future<Output = ()> + Send + 'static {
        let token = self.clone();
        async move { token.cancelled().await }
    }

    /// Awaits `future` until the token is cancelled: its output, or `None`, and then `future` is dropped. An output
    /// that is ready takes precedence over the cancel. If the token is already cancelled, the future is polled once.
    /// As cancel safe as `future`.
    pub async fn run_until_cancelled<F: Future>(&self, future: F) -> Option<F::Output> {
        let (mut future, mut cancelled) = (pin!(future), pin!(self.cancelled()));
        std::future::poll_fn(|cx| {
            let begun = ready!(budget::poll_begin(cx));
            let output = match future.as_mut().poll(cx) {
                Poll::Ready(output) => Some(output),
                // Regardless of the future's remaining budget: a future that uses it up in every poll is ended as
                // well.
                Poll::Pending if self.is_cancelled() => None,
                Poll::Pending => {
                    ready!(cancelled.as_mut().poll(cx));
                    None
                }
            };
            begun.completed();
            Poll::Ready(output)
        })
        .await
    }

    /// Cancels the token when the guard is dropped, for example when the code that started the tasks returns early,
    /// panics or is aborted.
    pub fn drop_guard(self) -> DropGuard {
        DropGuard { token: Some(self) }
    }

    #[cfg(test)]
    pub(super) fn node(&self) -> &Arc<Node> {
        &self.node
    }
}

impl Default for CancellationToken {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for CancellationToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancellationToken")
            .field("cancelled", &self.is_cancelled())
            .finish_non_exhaustive()
    }
}

pin_project! {
    /// The future of [`CancellationToken::cancelled`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct Cancelled<'a> {
        node: &'a Node,
        #[pin]
        wait: Wait<'a>,
    }
}

impl Future for Cancelled<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let begun = ready!(budget::poll_begin(cx));
        let this = self.project();
        // First enter the list, then check again: see the README.
        let noticed =
            this.node.is_cancelled() || this.wait.poll(cx).is_ready() || this.node.is_cancelled();
        if !noticed {
            return Poll::Pending;
        }
        begun.completed();
        Poll::Ready(())
    }
}

/// Cancels a token when it is dropped. See [`CancellationToken::drop_guard`].
#[derive(Debug)]
#[must_use = "dropped at once, it cancels at once"]
pub struct DropGuard {
    token: Option<CancellationToken>,
}

impl DropGuard {
    /// Returns the token without cancelling it.
    pub fn disarm(mut self) -> CancellationToken {
        self.token.take().expect("it is taken only here")
    }
}

impl Drop for DropGuard {
    fn drop(&mut self) {
        if let Some(token) = self.token.take() {
            token.cancel();
        }
    }
}
