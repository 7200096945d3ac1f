//! Everything that is not scheduling, under one name.
//!
//! Three schedulers (`runtime-n1`, `runtime-mn`, `runtime-threads`) stand on what is here. A scheduler only answers one
//! question: where does this woken task go, and who must be told? This crate has no code of its own. It is the name
//! for three others, so that a program finds everything in one place:
//!
//! | crate | for | what |
//! |---|---|---|
//! | `runtime-kernel` | the author of a scheduler | [`task`], [`context`], [`time`], [`reactor`], [`park`], [`blocking`], [`budget`], [`metrics`] |
//! | `runtime-library` | the author of a program | [`runtime`], [`sync`], [`net`], [`fs`], [`process`], [`signal`], [`combine`], [`task_scope`], [`cancellation`], [`task_local`], [`calls`] |
//! | `runtime-conformance` | the author of a scheduler | `testing`, with the feature `testing`: the contract as a suite of tests |
//!
//! The library stands on the kernel, the suite on both, and the kernel on neither.
//!
//! # Features
//! - `hyper`: [`hyper_rt`](https://docs.rs/hyper/latest/hyper/rt/index.html), hyper's traits for every runtime;
//! - `testing`: the conformance suite;
//! - `process-pool`: child processes with a loop each, for typed calls.

#[doc(inline)]
pub use runtime_kernel::spawn::spawn;
#[doc(inline)]
pub use runtime_kernel::{
    AbortHandle, Capabilities, ForkJoin, JoinError, JoinHandle, Metrics, Native, PanicPayload,
    Scope, ScopeJob, Sequential, TaskHandle, consume_budget, sleep, sleep_until, spawn_blocking,
    spawn_named, spawn_named_on, spawn_on, timeout, unconstrained, yield_now,
};
#[doc(inline)]
pub use runtime_kernel::{
    blocking, budget, contain, context, in_turn, metrics, native, park, primitives, promise,
    reactor, task, time, unwind,
};

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
