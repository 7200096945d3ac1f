//! The loop of each process, which the pool does not know: it is given two functions of it.

use std::future::Future;
use std::io;
use std::pin::Pin;

use runtime_kernel::task::JoinHandle;

/// A future that stays on its thread.
pub type LocalFuture = Pin<Box<dyn Future<Output = ()>>>;

/// What runs in each process of a pool, and on the thread that supervises them: a loop that has sockets, timers and
/// child processes, and tasks that need not be `Send`. `runtime_n1::process_pool` has the one of N:1.
#[derive(Clone, Copy, Debug)]
pub struct EventLoop {
    /// Runs the future to its end on a new loop on the calling thread, and drops the tasks that still run then.
    ///
    /// # Errors
    /// When the system refuses descriptors; the future has not run then.
    pub run: fn(LocalFuture) -> io::Result<()>,
    /// Starts a task on the loop that runs on the calling thread.
    ///
    /// # Panics
    /// Outside of it.
    pub spawn: fn(LocalFuture) -> JoinHandle<()>,
}
