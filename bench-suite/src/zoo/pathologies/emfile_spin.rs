//! A server without descriptors: what does it do while it waits for one?

use std::time::Duration;

use crate::zoo::client::Target;
use crate::zoo::pathology::{Bound, Pathology};
use crate::zoo::server;

use super::accept_emfile::{DESCRIPTORS, crowd};

pub(super) const PATHOLOGY: Pathology = Pathology {
    name: "emfile-spin",
    measured: "CPU of a server without a descriptor left and with a connection waiting, relative to a thread that spins",
    about: "While `accept` fails for want of a descriptor, the listening socket stays readable. A level-triggered loop \
            asks again at once, fails again, and burns a core until somebody leaves. The program has the clients of \
            accept-emfile and looks at the CPU time that the full server uses in half a second.",
    issue: "https://github.com/nodejs/node/issues/45242",
    bound: Bound::AtMost(25.0, "% of a spinning thread"),
    size: 1,
    quick_size: 1,
    program: server::serve,
    drive: Some(drive),
    descriptors: Some(DESCRIPTORS),
};

fn drive(target: &Target) -> Result<f64, String> {
    let clients = crowd(target)?;
    let share = target.percent_of_a_spinner(Duration::from_millis(500));
    drop(clients);
    Ok(share)
}
