//! Whether green tasks stay on the worker that began them.
#![allow(unsafe_code)]

use runtime_core::{JoinHandle, green};

/// How a twin's tasks are started.
pub(super) trait Style: Send + Sync + 'static {
    /// A task's settings.
    fn builder() -> green::Builder;

    /// Starts a task of the runtime that the calling thread runs for.
    fn spawn<T: Send + 'static>(function: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        Self::builder().spawn(function)
    }
}

/// They do.
pub(super) struct Staying;

impl Style for Staying {
    fn builder() -> green::Builder {
        green::Builder::new()
    }
}

/// They don't.
pub(super) struct Moving;

impl Style for Moving {
    fn builder() -> green::Builder {
        // SAFETY: what the twins have on their stacks across a wait may be sent: numbers, handles, ends of channels,
        // sockets and their buffers. None of it is or holds the address of a thread-local. In a program for Linux on
        // x86-64 thread-locals are reached relative to a register, so the compiler keeps no address of one.
        unsafe { green::Builder::new().may_move() }
    }
}
