//! Spawning into a scope, and the handle that the spawner gets.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::state::{Shared, failure};
use crate::combine::TaskError;
use crate::runtime::TaskHandle;
use crate::sync::oneshot;
use crate::task_local::inherit;
use runtime_kernel::contain::{contain, discard};
use runtime_kernel::spawn::{spawn_named_on, spawn_on};
use runtime_kernel::task::{AbortHandle, JoinError, JoinHandle, TaskId};

/// A handle for spawning tasks into a [`scope`](super::scope). Clones belong to the same scope: a child may have one
/// and spawn siblings.
pub struct TaskScope<E> {
    pub(super) shared: Arc<Shared<E>>,
}

impl<E: Send + 'static> TaskScope<E> {
    /// Starts a child. An error that it returns, or a panic, fails the scope: all children are cancelled. It inherits
    /// the caller's [task-locals](crate::task_local).
    ///
    /// Use the handle if you want the value. While the scope aborts, and after it has completed, nothing is started:
    /// the future is dropped and the handle reports [`JoinError::Cancelled`].
    ///
    /// Cost: that of a spawned task, and two allocations. asyncio's `TaskGroup.create_task`.
    pub fn spawn<F, T>(&self, future: F) -> ScopedHandle<T>
    where
        F: Future<Output = Result<T, E>> + Send + 'static,
        T: Send + 'static,
    {
        self.start(|shared| spawn_on(&*shared.ambient, inherit(future)))
    }

    /// Like [`spawn`](TaskScope::spawn), with a name that monitors, traces and shutdown reports show.
    pub fn spawn_named<F, T>(&self, name: impl Into<Box<str>>, future: F) -> ScopedHandle<T>
    where
        F: Future<Output = Result<T, E>> + Send + 'static,
        T: Send + 'static,
    {
        self.start(|shared| spawn_named_on(&*shared.ambient, name, inherit(future)))
    }

    fn start<T: Send + 'static>(
        &self,
        spawn: impl FnOnce(&Shared<E>) -> JoinHandle<Result<T, E>>,
    ) -> ScopedHandle<T> {
        let (sender, receiver) = oneshot::channel();
        let Some(place) = self.shared.reserve() else {
            // The future is dropped with `spawn`, outside the lock.
            return ScopedHandle {
                receiver,
                abort: None,
            };
        };
        let reserved = Reserved {
            shared: &self.shared,
            place,
        };
        // This may run code of others: the conversion of a name, a scheduler.
        let task = spawn(&self.shared);
        std::mem::forget(reserved);
        let abort = task.abort_handle();
        self.shared.started(place, abort.clone());
        let shared = Arc::clone(&self.shared);
        task.on_complete(move |outcome| {
            let error = match outcome {
                Ok(Ok(value)) => {
                    // If nobody wants the value, it is dropped here. A panic of its destructor must not keep the scope
                    // from learning of the end.
                    contain(|| drop(sender.send(value)));
                    None
                }
                Ok(Err(error)) => Some(TaskError::Failed(error)),
                Err(error) => failure(error),
            };
            shared.ended(place, error);
        });
        ScopedHandle {
            receiver,
            abort: Some(abort),
        }
    }

    /// True once something has failed: the children were cancelled, and nothing is started any more.
    pub fn is_aborting(&self) -> bool {
        self.shared.is_aborting()
    }

    /// The number of children that have not ended.
    pub fn children(&self) -> usize {
        self.shared.children()
    }
}

/// The place of a child that has not started. If its start panics, the scope does not wait for it.
struct Reserved<'a, E> {
    shared: &'a Shared<E>,
    place: usize,
}

impl<E> Drop for Reserved<'_, E> {
    fn drop(&mut self) {
        self.shared.ended(self.place, None);
    }
}

impl<E> Clone for TaskScope<E> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<E: Send + 'static> fmt::Debug for TaskScope<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskScope")
            .field("children", &self.children())
            .field("aborting", &self.is_aborting())
            .finish()
    }
}

/// A handle to a child's value. Dropping it changes nothing, because the child belongs to its scope.
///
/// A child that failed or was cancelled yields [`JoinError::Cancelled`] here. The scope reports the cause, once.
///
/// Cancel safe: a dropped `(&mut handle).await` loses nothing.
///
/// # Panics
/// If the child that it belongs to awaits it, which would never end.
#[derive(Debug)]
pub struct ScopedHandle<T> {
    receiver: oneshot::Receiver<T>,
    /// `None` if it was not started.
    abort: Option<AbortHandle>,
}

impl<T> Drop for ScopedHandle<T> {
    /// A value that has arrived is dropped here. As with a [`JoinHandle`], a panic of its destructor does not reach
    /// the code that drops the handle: whether the value has arrived by then is a matter of luck.
    fn drop(&mut self) {
        self.receiver.close();
        if let Ok(value) = self.receiver.try_recv() {
            discard(value);
        }
    }
}

impl<T> Future for ScopedHandle<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let received = Pin::new(&mut self.receiver).poll(cx);
        if received.is_pending() {
            let own = self.abort.as_ref().map(AbortHandle::id);
            assert!(
                own.is_none() || own != TaskId::current(),
                "a child of a scope awaits its own ScopedHandle, which would never end: give the handle to the body or to another child"
            );
        }
        received.map(|value| value.map_err(|oneshot::Broken| JoinError::Cancelled))
    }
}

impl<T: Send + 'static> TaskHandle<T> for ScopedHandle<T> {
    /// Cancels only this child, which is no failure of the scope.
    fn abort(&self) {
        if let Some(abort) = &self.abort {
            abort.abort();
        }
    }

    fn is_finished(&self) -> bool {
        self.receiver.is_finished()
    }
}
