//! A thousand tasks that wait for the same connection.

use std::time::Duration;

use crate::zoo::client::{Target, ask, at_start};
use crate::zoo::pathology::{Bound, Pathology};
use crate::zoo::server;

pub(super) const PATHOLOGY: Pathology = Pathology {
    name: "herd",
    measured: "CPU for a connection with 1,001 tasks in `accept`, relative to 1 task",
    about: "Many tasks wait for the same socket. One connection arrives, all of them wake, one gets it, and the \
            others go back to sleep: the thundering herd. The program accepts connections with one task in \
            `accept`, then with a thousand more, and compares the CPU time of the server.",
    issue: "https://github.com/libuv/libuv/issues/1111",
    bound: Bound::AtMost(5.0, "times the CPU"),
    size: 200,
    quick_size: 50,
    program: server::serve,
    drive: Some(drive),
    descriptors: None,
};

fn drive(target: &Target) -> Result<f64, String> {
    let timeout = Duration::from_secs(10);
    let connections = |count: u64| -> Result<f64, String> {
        let before = target.cpu_seconds();
        for _ in 0..count {
            let mut stream = target.connect(timeout).map_err(|error| error.to_string())?;
            ask(&mut stream, b'e').map_err(|error| error.to_string())?;
        }
        Ok(target.cpu_seconds() - before)
    };
    connections(target.size / 4)?;
    let alone = connections(target.size)?;
    let mut stream = target.connect(timeout).map_err(at_start)?;
    ask(&mut stream, b'a').map_err(at_start)?;
    // Let all of them go back to waiting after the first herd.
    std::thread::sleep(Duration::from_millis(500));
    connections(target.size / 4)?;
    let herd = connections(target.size)?;
    Ok(herd / alone.max(1e-9))
}
