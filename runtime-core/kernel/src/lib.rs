//! What a scheduler builds on.
//!
//! A scheduler answers one question: where does this woken task go, and who must be woken? This crate contains
//! everything that a scheduler needs, and nothing that only programs use:
//! - [`task`] is the task cell: future, state, output and waker in one block of memory; [`task_list`] lists the live
//!   tasks and what each of them waits for;
//! - [`context`] is what a thread knows about its runtime, and [`spawn`](mod@spawn) finds the runtime through it;
//! - [`reactor`], [`time`] and [`park`] are the three things that an idle thread waits for;
//! - [`blocking`] is the pool for functions that block, and [`budget`] limits what a task does in one poll;
//! - [`trace`] records what the schedulers do;
//! - [`native`] is what a scheduler's handle implements: the library turns it into a complete `Runtime`;
//! - [`fork_join`] and [`scope`] are the seam for CPU-bound recursion.
//!
//! The library's primitives use some more modules of this crate. [`saved_waker`] and [`wake_batch`] wake tasks without
//! running user code under a lock. [`contain`] and [`unwind`] say where a panic ends. A model checker can take the
//! place of [`primitives`].
//!
//! Programs use `runtime_core`, which has all of this under the same paths. The author of a scheduler uses this
//! crate; `docs` has a complete scheduler of a few hundred lines.

pub mod asymmetric_fence;
pub mod blocking;
pub mod blocking_wait;
pub mod budget;
pub mod capabilities;
pub mod contain;
pub mod context;
pub mod fork_join;
pub mod in_turn;
pub mod metrics;
pub mod native;
pub mod park;
pub mod primitives;
pub mod promise;
pub mod reactor;
pub mod saved_waker;
pub mod scope;
pub mod sequential;
pub mod slots;
pub mod spawn;
pub mod task;
pub mod task_list;
pub mod thread_stack;
pub mod time;
pub mod trace;
pub mod unwind;
pub mod wake_batch;

pub use budget::{consume_budget, unconstrained};
pub use capabilities::Capabilities;
pub use fork_join::ForkJoin;
pub use metrics::Metrics;
pub use native::Native;
pub use scope::{Scope, ScopeJob};
pub use sequential::Sequential;
pub use spawn::{
    spawn, spawn_blocking, spawn_named, spawn_named_on, spawn_on, spawn_with, spawn_with_on,
};
pub use task::{
    AbortHandle, Attributes, JoinError, JoinHandle, PanicPayload, TaskHandle, yield_now,
};
pub use time::{sleep, sleep_until, timeout};
