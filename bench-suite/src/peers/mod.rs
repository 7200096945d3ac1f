//! Other projects' runtimes, each used as its authors would use it.
//!
//! [`tokio`] and [`smol`] use the common trait. [`rayon`], [`pool`], [`std_blocking`] and [`epoll_loop`] have no tasks
//! that wait, so they have their own code. The computations and the checks are those of the workloads; only the way of
//! handing work to threads differs.
//!
//! To add a peer, add a file here and a line below. The file contains a function `pub(crate) fn register(registry: &mut
//! Registry)`, which adds the peer's rows. The build script reads the lines that begin with `pub mod` and generates
//! `IN_RUST` from them. `lab list` shows the peers in this order.

pub mod epoll_loop;
pub(crate) mod external;
pub mod pool;
pub mod rayon;
pub mod smol;
pub mod std_blocking;
pub mod tokio;

use crate::registry::Registry;

/// Adds the rows of a peer.
type Register = fn(&mut Registry);

// `IN_RUST: &[Register]`, every peer of this folder.
include!(concat!(env!("OUT_DIR"), "/peers_in_rust.rs"));
