//! Everything that is not scheduling, under one name.
//!
//! Three schedulers (`runtime-n1`, `runtime-mn`, `runtime-threads`) build on this crate. A scheduler answers one
//! question: where does this woken task go, and who must be woken? This crate contains no code. It re-exports other
//! crates, so that a program finds everything in one place:
//!
//! - `runtime-kernel` is for the author of a scheduler: [`task`], [`context`], [`time`], [`reactor`], [`park`],
//!   [`blocking`], [`budget`], [`metrics`], [`native`].
//! - `runtime-library` is for the author of a program: [`runtime`], [`sync`], [`net`], [`fs`], [`process`],
//!   [`signal`], [`combine`], [`task_scope`], [`cancellation`], [`task_local`], [`calls`].
//! - `runtime-green` is for the author of a program, too: [`green`], tasks with their own stack.
//! - `runtime-conformance` is the contract as a suite of tests, for the author of a scheduler: `testing`.
//!
//! The library builds on the kernel, and the suite on both. The kernel depends on neither.
//!
//! # Features
//! - `green`, on by default: [`green`], tasks with their own stack.
//! - `hyper`: `hyper_rt`, hyper's runtime traits for every runtime.
//! - `testing`: the conformance suite.
//! - `process-pool`: child processes, each with a loop, for typed calls.
//!
//! # Example
//! The primitives need no runtime:
//! ```
//! use runtime_core::park::block_on_current_thread;
//! use runtime_core::sync::Semaphore;
//!
//! let semaphore = Semaphore::new(1);
//! let permit = block_on_current_thread(semaphore.acquire()).expect("it is open");
//! assert_eq!(semaphore.available_permits(), 0);
//! drop(permit);
//! ```

#[doc(inline)]
pub use runtime_kernel::spawn::spawn;
#[doc(inline)]
pub use runtime_kernel::{
    AbortHandle, Attributes, Capabilities, ForkJoin, JoinError, JoinHandle, Metrics, Native,
    PanicPayload, Scope, ScopeJob, Sequential, TaskHandle, consume_budget, sleep, sleep_until,
    spawn_blocking, spawn_named, spawn_named_on, spawn_on, spawn_with, spawn_with_on, timeout,
    unconstrained, yield_now,
};
#[doc(inline)]
pub use runtime_kernel::{
    asymmetric_fence, blocking, budget, contain, context, in_turn, metrics, native, park,
    primitives, promise, reactor, scope, task, task_list, thread_stack, time, trace, unwind,
};

/// Tasks with their own stack: see `runtime-green`.
#[cfg(feature = "green")]
#[doc(inline)]
pub use runtime_green as green;
#[cfg(feature = "hyper")]
#[doc(inline)]
pub use runtime_library::hyper_rt;
#[cfg(feature = "process-pool")]
#[doc(inline)]
pub use runtime_library::process_pool;
#[doc(inline)]
pub use runtime_library::{
    ChannelReceiver, ChannelSender, Choice, Knob, Launch, LaunchConfig, Runtime, TcpListener,
    calls, cancellation, combine, fs, net, process, runtime, signal, sync, task_local, task_scope,
};

/// The conformance suite: see `runtime-conformance`.
#[cfg(feature = "testing")]
#[doc(inline)]
pub use runtime_conformance as testing;
#[cfg(feature = "testing")]
#[doc(inline)]
pub use runtime_conformance::{conformance, fork_join_conformance, io_conformance};
