//! What a scheduler stands on.
//!
//! A scheduler answers one question: where does this woken task go, and who must be told? This crate has all that such
//! an answer needs, and nothing that only programs use:
//! - [`task`] is the task cell: future, state, output and waker in one block of memory; [`task_list`] says which tasks
//!   live and what they wait for;
//! - [`context`] is what a thread knows of the runtime that it runs for, and [`spawn`](mod@spawn) finds the runtime by
//!   it;
//! - [`reactor`], [`time`] and [`park`] are the three things that an idle thread waits for;
//! - [`blocking`] is the pool for functions that block, and [`budget`] bounds what a task does in one poll;
//! - [`trace`] records what the schedulers do;
//! - [`native`] is what a scheduler says of itself: the library makes a whole `Runtime` of it;
//! - [`fork_join`] is the seam for CPU-bound recursion.
//!
//! Under these are parts that the library's primitives stand on, too: [`saved_waker`] and [`wake_batch`] wake without
//! running code of others under a lock, [`contain`] and [`unwind`] say where a panic ends, [`primitives`] can be
//! exchanged for a model checker's.
//!
//! Programs name `runtime_core`, which has all of this under the same paths. The author of a scheduler names this
//! crate; `docs` has a whole scheduler of a few hundred lines.

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
pub mod sequential;
pub mod slots;
pub mod spawn;
pub mod task;
pub mod task_list;
pub mod time;
pub mod trace;
pub mod unwind;
pub mod wake_batch;

pub use budget::{consume_budget, unconstrained};
pub use capabilities::Capabilities;
pub use fork_join::{ForkJoin, Scope, ScopeJob};
pub use metrics::Metrics;
pub use native::Native;
pub use sequential::Sequential;
pub use spawn::{
    spawn, spawn_blocking, spawn_named, spawn_named_on, spawn_on, spawn_with, spawn_with_on,
};
pub use task::{
    AbortHandle, Attributes, JoinError, JoinHandle, PanicPayload, TaskHandle, yield_now,
};
pub use time::{sleep, sleep_until, timeout};
