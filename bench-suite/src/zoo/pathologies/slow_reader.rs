//! A client that asks for much and reads nothing.

use std::io::{BufRead as _, BufReader, Write as _};
use std::thread;
use std::time::Duration;

use crate::zoo::client::{Target, at_start};
use crate::zoo::pathology::{Bound, Pathology};
use crate::zoo::server;

pub(super) const PATHOLOGY: Pathology = Pathology {
    name: "slow-reader",
    measured: "bytes that a server accepts for a client that reads nothing, of 256 MiB",
    about: "A client asks for a large answer and does not read it. A server whose writes wait for the socket holds \
            only what fits into the kernel's buffers. A server whose writes always succeed holds the whole answer \
            in its own memory, for each such client. The program asks for 256 MiB, reads nothing for a second, and \
            asks on another connection how many bytes the writes have accepted.",
    issue: "https://github.com/python/cpython/issues/116279",
    bound: Bound::AtMost(32.0, "MiB"),
    size: 256,
    quick_size: 256,
    program: server::serve,
    drive: Some(drive),
    descriptors: None,
};

fn drive(target: &Target) -> Result<f64, String> {
    let timeout = Duration::from_secs(10);
    let mut slow = target.connect(timeout).map_err(at_start)?;
    slow.write_all(b"s").map_err(at_start)?;
    thread::sleep(Duration::from_secs(1));
    let mut other = target.connect(timeout).map_err(at_start)?;
    other.write_all(b"c").map_err(|error| error.to_string())?;
    let mut line = String::new();
    let read = BufReader::new(&other).read_line(&mut line);
    read.map_err(|error| format!("no other client is served meanwhile ({error})"))?;
    let taken: f64 = line
        .trim()
        .parse()
        .map_err(|_| format!("it said {line:?}"))?;
    if taken == 0.0 {
        return Err("it wrote nothing at all".to_owned());
    }
    Ok(taken / 1024.0)
}
