//! A server without descriptors: does it spin while it waits for one?

use std::time::Duration;

use crate::zoo::client::Target;
use crate::zoo::pathology::{Bound, Pathology};
use crate::zoo::server;

use super::accept_emfile::{DESCRIPTORS, crowd};

pub(super) const PATHOLOGY: Pathology = Pathology {
    name: "emfile-spin",
    measured: "CPU between two sleeps of a server with no descriptor left and a connection waiting",
    about: "While `accept` fails because no descriptor is left, the listening socket stays readable. A \
            level-triggered loop retries at once, fails again, and keeps a core busy until a client leaves. The \
            program has the clients of accept-emfile. For half a second it measures how much CPU time the full \
            server uses before one of its threads sleeps again.",
    issue: "https://github.com/nodejs/node/issues/45242",
    bound: Bound::AtMost(5.0, "ms between sleeps"),
    size: 1,
    quick_size: 1,
    program: server::serve,
    drive: Some(drive),
    descriptors: Some(DESCRIPTORS),
};

fn drive(target: &Target) -> Result<f64, String> {
    let clients = crowd(target)?;
    let busy = target.milliseconds_between_sleeps(Duration::from_millis(500));
    drop(clients);
    Ok(busy)
}
