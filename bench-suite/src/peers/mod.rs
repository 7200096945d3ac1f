//! Other people's runtimes, each used as its own authors would use it.
//!
//! Through the one trait: [`tokio`], [`smol`]. Through seams of their own, because they have no tasks that wait:
//! [`rayon`], [`pool`], [`std_blocking`], [`epoll_loop`]; the kernels and the checks are those of the workloads, only
//! the way to give work to threads is theirs.

pub mod epoll_loop;
pub(crate) mod external;
pub mod pool;
pub mod rayon;
pub mod smol;
pub mod std_blocking;
pub mod tokio;
