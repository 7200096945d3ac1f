#![doc = include_str!("README.md")]

mod ambient;
mod builder;
mod due;
mod fork_join;
mod handle;
mod launch;
mod os_thread;
#[cfg_attr(not(target_os = "linux"), path = "overflow_unnamed.rs")]
mod overflow;
mod phase;

mod runtime;
mod shared;
mod simulated;
mod task_thread;
mod thread_budget;
mod thread_list;
mod thread_state;

pub use builder::Builder;
pub use fork_join::ThreadsForkJoin;
pub use handle::Handle;
pub use launch::Threads;
pub use runtime::Runtime;
pub use runtime_kernel::{consume_budget, unconstrained};
