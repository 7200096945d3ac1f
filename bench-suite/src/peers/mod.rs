//! Other people's runtimes, each used as its own authors would use it.
//!
//! Through the one trait: [`tokio`], [`smol`]. Through seams of their own, because they have no tasks that wait:
//! [`rayon`], [`pool`], [`std_blocking`], [`epoll_loop`]; the kernels and the checks are those of the workloads, only
//! the way to give work to threads is theirs.
//!
//! A peer is one file here, and one line below. The file has a function
//! `pub(crate) fn register(registry: &mut Registry)`, which adds the peer's rows; the build script reads the lines
//! that begin with `pub mod` and makes `IN_RUST` of them. `lab list` shows the peers in the same order.

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
