//! The trait that programs use, and the two interfaces next to it.
//!
//! [`Runtime`] is what a concurrent program is written against: it runs unchanged under the three schedulers of this
//! project and under any other that implements the trait. [`Launch`] starts a runtime, runs a root task and stops it
//! again; it is all that a harness needs. [`ForkJoin`] is the seam for CPU-bound recursion, which needs no futures.
//!
//! Nothing here is `dyn`: a program generic over `Runtime` is compiled once per scheduler, so that a comparison
//! measures the schedulers and not the indirection.

mod launch;
mod traits;

pub use launch::{Choice, Knob, Launch, LaunchConfig};
pub use runtime_kernel::capabilities::Capabilities;
pub use runtime_kernel::task::TaskHandle;
pub use runtime_kernel::{ForkJoin, Scope, ScopeJob};
pub use traits::{ChannelReceiver, ChannelSender, Runtime, TcpListener};
