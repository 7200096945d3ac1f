//! A worker that polls the sockets and then gets stuck.

use crate::zoo::client::Target;
use crate::zoo::pathology::{Bound, Pathology};
use crate::zoo::server;

use super::endless_poll::beside;

pub(super) const PATHOLOGY: Pathology = Pathology {
    name: "blocked-poller",
    measured: "echoes beside one task that computes for 2 s without a pause",
    about: "A worker sleeps in the poller, wakes for one event, and polls the task that waited for it. If that \
            task computes, nobody checks the sockets until it ends, although the other workers are idle. The \
            program is a server with two connections: one asks for a computation, the other for echoes.",
    issue: "https://github.com/tokio-rs/tokio/issues/4730",
    bound: Bound::AtLeast(10.0, "echoes"),
    size: 10,
    quick_size: 10,
    program: server::serve,
    drive: Some(drive),
    descriptors: None,
};

fn drive(target: &Target) -> Result<f64, String> {
    beside(target, b'h', 1)
}
