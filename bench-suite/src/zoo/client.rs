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
        tree::cpu_ns(self.id).unwrap_or(0) as f64 / 1e9
    }

    /// CPU time that it uses in `time`, as a percentage of what a thread gets that computes beside it. On a machine that
    /// is busy with other things, both get less.
    pub(crate) fn percent_of_a_spinner(&self, time: Duration) -> f64 {
        let before = self.cpu_seconds();
        let spinner = thread::spawn(move || {
            let (before, begun) = (thread_cpu_time(), Instant::now());
            while begun.elapsed() < time {
                std::hint::spin_loop();
            }
            thread_cpu_time() - before
        });
        let spun = spinner.join().unwrap_or_default();
        let used = self.cpu_seconds() - before;
        100.0 * used / spun.as_secs_f64().max(1e-3)
    }
}

fn thread_cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
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
    let mut ended = || {
        hogs.iter_mut()
            .any(|hog| matches!(hog.read(&mut [0]), Ok(_)))
    };
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
