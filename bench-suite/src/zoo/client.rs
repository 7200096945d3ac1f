//! The lab's side of the pathologies that are servers: blocking clients that ask the same of every runtime.
//!
//! A server of the zoo reads one byte at a time and answers:
//!
//! | byte | answer | then |
//! |---|---|---|
//! | `e` | `e` | |
//! | `h` | `h` | computes for 2 s in the task, without a pause, and sends `d` |
//! | `b` | `b` | blocks the thread for 2 s in the task, by a system call, and sends `d` |
//! | `y` | `y` | one more task begins that is ready again each time that it has run |
//! | `s` | | writes 64 KiB after 64 KiB to this connection, 256 MiB in all, as its runtime wants it to be done |
//! | `c` | the KiB that the writes of all `s` have taken, in decimal digits, and a newline | |
//! | `a` | `a` | a thousand more tasks accept connections from the same socket |

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::peers::external::tree;

/// A server or a program that runs, and how to look at it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    pub(crate) port: u16,
    /// The process; what it started counts, too.
    pub(crate) id: u32,
    pub(crate) workers: usize,
    pub(crate) size: u64,
}

impl Target {
    /// A connection, whose reads wait for at most `patience`.
    pub(crate) fn connect(&self, patience: Duration) -> io::Result<TcpStream> {
        let address = SocketAddr::from(([127, 0, 0, 1], self.port));
        let stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(patience))?;
        Ok(stream)
    }

    /// CPU time that the program has used.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        tree::cpu_ns_and_sleeps(self.id).unwrap_or_default().0 as f64 / 1e9
    }

    /// CPU time in milliseconds between two times that one of its threads goes to sleep, over `time`: a figure that
    /// does not depend on how busy the machine is with other things.
    pub(crate) fn milliseconds_between_sleeps(&self, time: Duration) -> f64 {
        let now = || tree::cpu_ns_and_sleeps(self.id).unwrap_or_default();
        let before = now();
        thread::sleep(time);
        let after = now();
        let sleeps = after.1.saturating_sub(before.1).max(1);
        after.0.saturating_sub(before.0) as f64 / 1e6 / sleeps as f64
    }
}

/// Sends `byte` and reads the same byte back.
pub(crate) fn ask(stream: &mut TcpStream, byte: u8) -> io::Result<()> {
    stream.write_all(&[byte])?;
    let mut answer = [0];
    stream.read_exact(&mut answer)?;
    if answer[0] == byte {
        Ok(())
    } else {
        Err(io::Error::other(format!("answered {answer:?}")))
    }
}

/// What goes wrong before the pathology begins.
pub(crate) fn at_start(error: io::Error) -> String {
    format!("no service before it began ({error})")
}

/// How often an echo comes back on `beside` until a byte comes on one of `hogs`: at most `enough`.
pub(crate) fn echoes_before_an_end(
    beside: &mut TcpStream,
    hogs: &mut [TcpStream],
    enough: u64,
    limit: Duration,
) -> Result<f64, String> {
    beside
        .set_read_timeout(Some(Duration::from_millis(20)))
        .map_err(at_start)?;
    for hog in hogs.iter_mut() {
        hog.set_nonblocking(true).map_err(at_start)?;
    }
    let deadline = Instant::now() + limit;
    let (mut echoes, mut asked, mut answer) = (0, false, [0]);
    let mut ended = || hogs.iter_mut().any(|hog| hog.read(&mut [0]).is_ok());
    while echoes < enough && Instant::now() < deadline {
        // Looked at first: what is answered after that is no answer beside it.
        if ended() {
            break;
        }
        if !asked {
            beside.write_all(b"e").map_err(|error| error.to_string())?;
            asked = true;
        }
        match beside.read(&mut answer) {
            Ok(1) => {
                echoes += 1;
                asked = false;
            }
            Ok(_) => return Err("closed the connection beside".to_owned()),
            // Not yet.
            Err(_) => {}
        }
    }
    Ok(echoes as f64)
}
