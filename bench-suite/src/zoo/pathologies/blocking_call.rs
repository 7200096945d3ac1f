//! Blocking system calls inside tasks.

use crate::zoo::client::Target;
use crate::zoo::pathology::{Bound, Pathology};
use crate::zoo::server;

use super::endless_poll::beside;

pub(super) const PATHOLOGY: Pathology = Pathology {
    name: "blocking-call",
    measured: "echoes beside twice as many tasks as workers, each blocked in a system call for 2 s",
    about: "A task makes a blocking call: it reads a file on a network disk, looks up a name, or uses a driver \
            without an async interface. Its thread sleeps in the kernel and the CPU is idle, but the tasks behind \
            it wait. The program blocks twice as many tasks as there are workers, and counts the echoes of another \
            connection.",
    issue: "https://github.com/tokio-rs/tokio/issues/4730",
    bound: Bound::AtLeast(10.0, "echoes"),
    size: 10,
    quick_size: 10,
    program: server::serve,
    drive: Some(drive),
    descriptors: None,
};

fn drive(target: &Target) -> Result<f64, String> {
    beside(target, b'b', target.workers * 2)
}
