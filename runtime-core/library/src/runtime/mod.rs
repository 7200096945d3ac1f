//! The one trait, and the two seams beside it.
//!
//! [`Runtime`] is what a concurrent program is written against: it runs unchanged under the three schedulers of this
//! project and under any other that implements the trait. [`Launch`] starts a runtime, runs a root task and stops it
//! again; it is all that a harness needs. [`ForkJoin`] is the seam for CPU-bound recursion, which needs no futures.
//!
//! Nothing here is `dyn`: a program generic over `Runtime` is compiled once per scheduler, so that what is compared is
//! the schedulers and not the indirection.

mod launch;
mod traits;

pub use launch::{Choice, Knob, Launch, LaunchConfig};
pub use runtime_kernel::capabilities::Capabilities;
pub use runtime_kernel::fork_join::{ForkJoin, Scope, ScopeJob};
pub use runtime_kernel::task::TaskHandle;
pub use traits::{ChannelReceiver, ChannelSender, Runtime, TcpListener};
