//! The library that programs use under any scheduler.
//!
//! [`runtime`] has the trait that you write a concurrent program against. Everything that implements the kernel's
//! [`Native`](runtime_kernel::Native) implements it, with the sockets of [`net`] and the channels of [`sync`]. The
//! other modules find their runtime through the thread's context, or need no runtime, like [`sync`].
//!
//! Programs use `runtime_core`, which has all of this under the same paths.

pub mod calls;
pub mod cancellation;
pub mod combine;
pub mod fs;
#[cfg(feature = "hyper")]
pub mod hyper_rt;
mod native;
pub mod net;
mod owned_job;
pub mod process;
#[cfg(feature = "process-pool")]
pub mod process_pool;
pub mod runtime;
pub mod signal;
pub mod sync;
pub mod task_local;
pub mod task_scope;

pub use runtime::{
    ChannelReceiver, ChannelSender, Choice, Knob, Launch, LaunchConfig, Runtime, TcpListener,
};
