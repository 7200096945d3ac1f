//! One place of a pool: starts a process, communicates with it, notices its end, starts the next one.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::rc::Rc;
use std::time::Duration;

use crate::net::{OwnedReadHalf, OwnedWriteHalf, UnixStream};
use crate::process::{Child, Command};
use futures_lite::future;
use futures_lite::io::BufReader;
use runtime_kernel::time::{sleep, timeout};

use super::calls::{MAX_FAILED_STARTS, Pool};
use super::child::MARK;
use super::error::CallError;
use super::functions::registered;
use super::functions::spawn_local;
use super::wire::{Frame, Kind};

/// How long a process may take from its start until it is ready; only a process that does not call `init` reaches
/// this.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a process may take to exit by itself after its socket was closed.
const EXIT_TIMEOUT: Duration = Duration::from_secs(1);
/// The same for a process that runs calls: they end with it in either case. It is not zero, so that a process that is
/// already dying is not reported as killed by us.
const BUSY_EXIT_TIMEOUT: Duration = Duration::from_millis(10);
/// The pauses between failed starts; each is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const MAX_PAUSE: Duration = Duration::from_secs(5);

/// Keeps the place occupied until the pool ends.
pub(super) async fn occupy(pool: Rc<Pool>, place: usize) {
    while !pool.ending.is_closed() {
        let failed = match Process::start() {
            Ok(mut process) => {
                // The pool's end interrupts any wait.
                let ending = async {
                    let _ = pool.ending.acquire().await;
                    Ok(())
                };
                let served = future::or(process.serve(&pool, place), ending).await;
                let id = process.id;
                let busy = pool.gone(place);
                let status = process.end(busy).await;
                if pool.ending.is_closed() {
                    pool.fail_calls(place, &CallError::Closed);
                    return;
                }
                let died = CallError::ProcessDied {
                    process: id,
                    status,
                };
                pool.fail_calls(place, &died);
                served.err().map(|why| match status {
                    Some(status) => format!("{why} ({status})"),
                    None => why,
                })
            }
            Err(error) => Some(error.to_string()),
        };
        // A process that was ready is also replaced only after a short pause: its start may be what kills it.
        let failures = failed.map_or(0, |why| pool.start_failed(place, &why));
        let doublings = failures.saturating_sub(MAX_FAILED_STARTS).min(16);
        let pause = (FIRST_PAUSE * (1 << doublings)).min(MAX_PAUSE);
        let ending = async {
            let _ = pool.ending.acquire().await;
        };
        future::or(sleep(pause), ending).await;
    }
}

/// A child and the socket to it.
struct Process {
    id: u32,
    child: Child,
    read: BufReader<OwnedReadHalf<UnixStream>>,
    /// Taken by the task that writes.
    write: Option<OwnedWriteHalf<UnixStream>>,
}

impl Process {
    /// Starts this program once more. Call it on the thread that lives as long as the pool: the kernel kills the
    /// process when that thread ends.
    fn start() -> io::Result<Self> {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        let mut command = Command::new(own_program()?);
        command
            .arg(MARK)
            .arg(std::process::id().to_string())
            .stdin(OwnedFd::from(theirs))
            .kill_on_drop(true);
        if let Some(name) = std::env::args_os().next() {
            command.as_std_mut().arg0(name);
        }
        let child = command.spawn()?;
        // The command holds the child's end of the socket: until it is dropped, the socket would not end with the
        // child.
        drop(command);
        let (read, write) = UnixStream::from_std(ours)?.into_split();
        Ok(Self {
            id: child.id().ok_or(io::ErrorKind::NotFound)?,
            child,
            read: BufReader::new(read),
            write: Some(write),
        })
    }

    /// Sends it calls and reads its answers until its socket ends.
    ///
    /// # Errors
    /// The reason, if it was never ready.
    async fn serve(&mut self, pool: &Rc<Pool>, place: usize) -> Result<(), String> {
        match timeout(START_TIMEOUT, Frame::read(&mut self.read)).await {
            Ok(Ok(Some(frame))) if frame.kind == Kind::Ready => {
                let ours = registered().fingerprint().to_le_bytes();
                if frame.body != ours {
                    return Err("a process has other functions than its parent: `process_pool::init` must add the same ones whatever the arguments and the environment".to_owned());
                }
            }
            Ok(_) => return Err(
                "a process ended before it was ready; does `main` call `process_pool::init` first?"
                    .to_owned(),
            ),
            Err(_) => {
                return Err(format!(
                    "a process was not ready after {} s; does `main` call `process_pool::init` first?",
                    START_TIMEOUT.as_secs()
                ));
            }
        }
        let outbox = pool.ready(place, self.id);
        let mut write = self.write.take().expect("taken once");
        let writing = spawn_local(async move {
            while let Some(frame) = outbox.get().await {
                // The process is gone, as its reader will notice.
                if frame.write(&mut write).await.is_err() {
                    break;
                }
            }
        });
        let writing = AbortOnDrop(writing);
        // Invalid data ends the process, like its own end.
        while let Ok(Some(frame)) = Frame::read(&mut self.read).await {
            pool.answered(place, frame);
        }
        drop(writing);
        Ok(())
    }

    /// Closes the socket. Gives the process a moment to exit by itself if it is not busy, otherwise kills it. Returns
    /// how it ended.
    async fn end(mut self, busy: bool) -> Option<ExitStatus> {
        drop((self.read, self.write));
        let farewell = if busy {
            BUSY_EXIT_TIMEOUT
        } else {
            EXIT_TIMEOUT
        };
        if let Ok(status) = timeout(farewell, self.child.wait()).await {
            return status.ok();
        }
        self.child.kill().await.ok()
    }
}

/// Ends the task that owns the writing half.
struct AbortOnDrop(runtime_kernel::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Even if a new build replaces the file meanwhile, the link in `/proc` stays valid.
fn own_program() -> io::Result<PathBuf> {
    let link = Path::new("/proc/self/exe");
    if link.exists() {
        Ok(link.to_owned())
    } else {
        std::env::current_exe()
    }
}
