//! Whether green tasks stay on the worker that started them.
#![allow(unsafe_code)]

use runtime_core::{JoinHandle, green};

/// How a twin starts its tasks.
pub(super) trait Style: Send + Sync + 'static {
    /// The settings of a task.
    fn builder() -> green::Builder;

    /// Starts a task on the runtime that the calling thread runs for.
    fn spawn<T: Send + 'static>(function: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        Self::builder().spawn(function)
    }
}

/// The tasks stay.
pub(super) struct Staying;

impl Style for Staying {
    fn builder() -> green::Builder {
        green::Builder::new()
    }
}

/// The tasks may move.
pub(super) struct Moving;

impl Style for Moving {
    fn builder() -> green::Builder {
        // SAFETY: everything that the twins keep on their stacks across a wait is `Send`: numbers, handles, ends of
        // channels, sockets and their buffers. None of it is or contains the address of a thread-local. On Linux and
        // x86-64, a program reaches thread-locals relative to a register, so the compiler keeps no address of one.
        unsafe { green::Builder::new().may_move() }
    }
}
