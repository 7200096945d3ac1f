//! Everything that is not scheduling.
//!
//! Three schedulers (`runtime-n1`, `runtime-mn`, `runtime-threads`) stand on this crate: it holds the trait that they
//! implement, the task cell, timers, the reactor, sockets, files, synchronisation and the conformance suite. A
//! scheduler only answers one question: where does this woken task go, and who must be told?

pub mod blocking;
mod blocking_wait;
pub mod budget;
pub mod calls;
pub mod cancellation;
pub mod combine;
pub mod contain;
pub mod context;
pub mod fs;
#[cfg(feature = "hyper")]
pub mod hyper_rt;
pub mod in_turn;
pub mod metrics;
pub mod native;
pub mod net;
pub mod park;
pub mod primitives;
pub mod process;
pub mod promise;
pub mod reactor;
pub mod runtime;
mod saved_waker;
mod sequential;
pub mod signal;
mod slots;
mod spawn;
pub mod sync;
pub mod task;
pub mod task_local;
pub mod task_scope;
#[cfg(feature = "testing")]
pub mod testing;
pub mod time;
pub mod unwind;

pub use budget::{consume_budget, unconstrained};
pub use metrics::Metrics;
pub use native::Native;
pub use runtime::{
    Capabilities, ChannelReceiver, ChannelSender, Choice, ForkJoin, Knob, Launch, LaunchConfig,
    Runtime, Scope, ScopeJob, TaskHandle, TcpListener,
};
pub use sequential::Sequential;
pub use spawn::{
    spawn, spawn_blocking, spawn_named, spawn_named_on, spawn_on, spawn_with, spawn_with_on,
};
pub use task::{AbortHandle, Attributes, JoinError, JoinHandle, PanicPayload, yield_now};
pub use time::{sleep, sleep_until, timeout};
