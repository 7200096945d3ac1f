//! What users hold of a tree of tokens.

use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use super::node::Node;
use crate::sync::Wait;
use runtime_kernel::budget;

/// Tells tasks that they are to end, and lets them do it in their own way. Clones are the same token; a
/// [child](CancellationToken::child_token) is cancelled with its parent, but not the other way round.
///
/// An [abort](runtime_kernel::JoinHandle::abort) drops a task's future where it stands, so that its clean-up cannot
/// await anything. A task that looks at a token can: asyncio's tasks do that when they catch `CancelledError`. It needs
/// no runtime; any thread may cancel.
///
/// - *Cancel safety*: who waits for a token and is dropped leaves; nobody else is concerned.
/// - *Fairness*: all who wait are woken at the cancel, those of one token in the order of their coming.
/// - *Cost*: a token is one allocation. Looking is an atomic load, waiting allocates nothing, and a cancel is linear
///   in the tokens that descend from it and in those who wait.
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
    /// A token that belongs to no other.
    pub fn new() -> Self {
        Self { node: Node::root() }
    }

    /// A token that is cancelled with this one, and can be cancelled without it. Of a cancelled token it is cancelled
    /// already.
    ///
    /// Constant time. The child lives on when this token is dropped, and is still cancelled from further up.
    pub fn child_token(&self) -> Self {
        Self {
            node: self.node.child(),
        }
    }

    /// Cancels this token and all that descend from it, and wakes all who wait for one of them. Once and for all:
    /// doing it again changes nothing.
    ///
    /// A waker of some other executor that panics keeps nobody from being woken: its panic ends here.
    pub fn cancel(&self) {
        self.node.cancel();
    }

    /// True once it was cancelled. What was done before the `cancel` is visible then.
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

    /// As [`cancelled`](CancellationToken::cancelled), with a clone of the token inside, for a task that is spawned.
    pub fn cancelled_owned(&self) -> impl Future<Output = ()> + Send + 'static {
        let token = self.clone();
        async move { token.cancelled().await }
    }

    /// Awaits `future` until the token is cancelled: its output, or `None`, and then `future` is dropped. An output
    /// that is ready beats the cancel; if the token is cancelled already, the future is polled once. As cancel safe as
    /// `future`.
    pub async fn run_until_cancelled<F: Future>(&self, future: F) -> Option<F::Output> {
        let (mut future, mut cancelled) = (pin!(future), pin!(self.cancelled()));
        std::future::poll_fn(|cx| {
            let begun = ready!(budget::poll_begin(cx));
            let output = match future.as_mut().poll(cx) {
                Poll::Ready(output) => Some(output),
                // Whatever the future has left of the budget: one that uses it up poll after poll is ended all the
                // same.
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

    /// Cancels the token when the guard is dropped: for example when whoever started the tasks returns early, panics
    /// or is aborted.
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
        // In line first, and only then looked at again: see the README.
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
    /// Gives the token back without cancelling it.
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
