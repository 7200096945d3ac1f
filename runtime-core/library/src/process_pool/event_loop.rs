//! The loop of each process. The pool does not depend on it: it gets two functions of the loop.

use std::future::Future;
use std::io;
use std::pin::Pin;

use runtime_kernel::task::JoinHandle;

/// A future that stays on its thread.
pub type LocalFuture = Pin<Box<dyn Future<Output = ()>>>;

/// What runs in each process of a pool, and on the thread that supervises them: a loop with sockets, timers, child
/// processes, and tasks that need not be `Send`. `runtime_n1::process_pool` provides N:1's loop.
#[derive(Clone, Copy, Debug)]
pub struct EventLoop {
    /// Runs the future to its end on a new loop on the calling thread, and drops the tasks that are still running
    /// then.
    ///
    /// # Errors
    /// When the system refuses descriptors. The future has not run then.
    pub run: fn(LocalFuture) -> io::Result<()>,
    /// Starts a task on the loop that runs on the calling thread.
    ///
    /// # Panics
    /// If no loop runs on the calling thread.
    pub spawn: fn(LocalFuture) -> JoinHandle<()>,
}
