#![doc = include_str!("../README.md")]

mod begun;
mod exit_stack;
mod link;
mod overflow;
mod spawn;
mod stack;
mod task;
mod thread;
mod time;
mod unwinding;
mod wait;

pub mod net;
pub mod sync;

pub use spawn::{Builder, bind, spawn, spawn_on};
pub use stack::{
    DEFAULT_STACK_BYTES, Guards, MAX_STACK_BYTES, MIN_STACK_BYTES, StackDepths, StackStats,
    set_guards, stack_depths, stack_stats,
};
pub use time::{sleep, timeout, yield_now};
pub use wait::{WaitExt, is_green, wait};
