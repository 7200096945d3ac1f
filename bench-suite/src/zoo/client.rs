//! The lab's side of the pathologies with a server: blocking clients that behave the same for every runtime.
//!
//! A server of the zoo reads one byte at a time and answers:
//!
//! | byte | answer | then |
//! |---|---|---|
//! | `e` | `e` | |
//! | `h` | `h` | computes for 2 s in the task, without a pause, and sends `d` |
//! | `b` | `b` | blocks the thread in the task for 2 s, with a system call, and sends `d` |
//! | `y` | `y` | starts one more task, which is always ready again after it has run |
//! | `s` | | writes 64 KiB after 64 KiB to this connection, 256 MiB in all, in the style of the runtime |
//! | `c` | the KiB that the writes of all `s` have accepted, in decimal digits, and a newline | |
//! | `a` | `a` | starts a thousand more tasks that accept connections from the same socket |

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::peers::external::tree;

/// A running server or program, and how to observe it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    pub(crate) port: u16,
    /// The process. Its descendants count too.
    pub(crate) id: u32,
    pub(crate) workers: usize,
    pub(crate) size: u64,
}

impl Target {
    /// A connection whose reads wait for at most `timeout`.
    pub(crate) fn connect(&self, timeout: Duration) -> io::Result<TcpStream> {
        let address = SocketAddr::from(([127, 0, 0, 1], self.port));
        let stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(timeout))?;
        stream.set_write_timeout(Some(timeout))?;
        Ok(stream)
    }

    /// The CPU time that the program has used, in seconds.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        tree::cpu_ns_and_sleeps(self.id).unwrap_or_default().0 as f64 / 1e9
    }

    /// Milliseconds of CPU time per time that one of its threads goes to sleep, measured over `time`. The figure does
    /// not depend on other load on the machine.
    pub(crate) fn milliseconds_between_sleeps(&self, time: Duration) -> f64 {
        let now = || tree::cpu_ns_and_sleeps(self.id).unwrap_or_default();
        let before = now();
        thread::sleep(time);
        let after = now();
        let sleeps = after.1.saturating_sub(before.1).max(1);
        after.0.saturating_sub(before.0) as f64 / 1e6 / sleeps as f64
    }
}

/// Sends `byte` and expects the same byte back.
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

/// The message for an error before the pathology begins.
pub(crate) fn at_start(error: io::Error) -> String {
    format!("the server did not respond at the start ({error})")
}

/// The number of echoes on `beside` before a byte arrives on one of `hogs`, up to `enough`.
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
        // Check this first, because later answers don't count.
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
            // No answer yet.
            Err(_) => {}
        }
    }
    Ok(echoes as f64)
}
