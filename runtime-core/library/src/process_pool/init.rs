//! What a program calls first.

use super::child;
use super::event_loop::EventLoop;
use super::functions::{Functions, register, registered};

/// Every program that creates a [`ProcessPool`](super::ProcessPool) calls this first of all in `main`. It sets the
/// loop of the pool's processes, and adds the functions that they may run. In a process that a pool has started, it
/// runs these functions and never returns. `runtime_n1::process_pool::init` calls it with N:1's loop.
///
/// Code before this call in `main` also runs in each of those processes. The same functions must be added in all of
/// them.
///
/// # Panics
/// If it is called twice.
pub fn init_on(event_loop: EventLoop, add: impl FnOnce(&mut Functions)) {
    let mut functions = Functions::default();
    add(&mut functions);
    register(functions, event_loop);
    if let Some(parent) = child::parent_if_child() {
        child::serve(registered(), parent);
    }
}
