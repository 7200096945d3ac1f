//! What a program does first.

use super::child;
use super::event_loop::EventLoop;
use super::functions::{Functions, register, registered};

/// To be called first of all in `main`, by every program that makes a [`ProcessPool`](super::ProcessPool): says what
/// loop its processes have, and adds the functions that they may run. In a process that a pool has started it runs them
/// and never returns. `runtime_n1::process_pool::init` calls it with N:1's loop.
///
/// What stands before it in `main` happens in each of those processes too. It must add the same functions in all of
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
