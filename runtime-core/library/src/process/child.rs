//! A child process, while it runs and afterwards.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::process::{ExitStatus, Output};
use std::task::{Context, Poll};

use futures_io::AsyncRead;
use rustix::process::{Pid, Signal, kill_process};

use super::exit::Exit;
use super::pipes::{ChildStderr, ChildStdin, ChildStdout};
use super::reaper;
use super::sigchld::explained;
use crate::signal::SignalKind;
use runtime_kernel::budget::consume_budget;
use runtime_kernel::context::IoDriver;

/// A started process. Dropping it leaves the process running, unless [`kill_on_drop`](super::Command::kill_on_drop)
/// was set; in both cases it is waited for in the background, so that it does not stay a zombie. asyncio's `Process`.
///
/// Cost: a descriptor for the process and one for each pipe; waiting costs no thread.
///
/// To end the process's input, drop `stdin`; to read its output, take `stdout`.
pub struct Child {
    /// The writing end of its input, if it was piped.
    pub stdin: Option<ChildStdin>,
    /// The reading end of its output, if it was piped.
    pub stdout: Option<ChildStdout>,
    /// The reading end of its error output, if it was piped.
    pub stderr: Option<ChildStderr>,
    running: Running,
}

/// The process itself. When it is dropped, it leaves no zombie.
struct Running {
    /// `None` only after it was handed to the reaper.
    child: Option<std::process::Child>,
    /// `None` once its end is known: there is nothing left to wait for.
    exit: Option<Exit>,
    id: u32,
    kill_on_drop: bool,
}

impl Child {
    pub(super) fn new(
        mut child: std::process::Child,
        driver: &IoDriver,
        kill_on_drop: bool,
    ) -> io::Result<Self> {
        let (stdin, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        // First of all, so that any failure from here on kills it and waits for it.
        let mut running = Running {
            id: child.id(),
            child: Some(child),
            exit: None,
            kill_on_drop: true,
        };
        running.exit = Some(Exit::of(running.id, driver)?);
        let stdin = stdin.map(|pipe| ChildStdin::new(pipe.into(), driver));
        let stdout = stdout.map(|pipe| ChildStdout::new(pipe.into(), driver));
        let stderr = stderr.map(|pipe| ChildStderr::new(pipe.into(), driver));
        let mut started = Self {
            stdin: stdin.transpose()?,
            stdout: stdout.transpose()?,
            stderr: stderr.transpose()?,
            running,
        };
        started.running.kill_on_drop = kill_on_drop;
        Ok(started)
    }

    /// Its number in the system; `None` once its end was awaited, because the number may then belong to another
    /// process.
    pub fn id(&self) -> Option<u32> {
        self.running.exit.as_ref().map(|_| self.running.id)
    }

    /// Awaits its end. If its input is piped and was not taken, it is closed first, because the process might wait
    /// for it. A process that writes more than a pipe holds ends only if something reads the pipe: see
    /// [`wait_with_output`](Child::wait_with_output).
    ///
    /// Cancel safe. A second call returns the same status.
    ///
    /// # Errors
    /// If other code in this program has waited for it, or the runtime has shut down.
    pub async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.stdin = None;
        let running = &mut self.running;
        let child = running.child.as_mut().expect("taken by `drop` only");
        let status = match &mut running.exit {
            Some(exit) => exit.wait(child).await.map_err(explained)?,
            // The standard library remembers the status.
            None => {
                consume_budget().await;
                child.wait()?
            }
        };
        running.exit = None;
        Ok(status)
    }

    /// How it ended, or `None` while it runs.
    ///
    /// # Errors
    /// If other code in this program has waited for it.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        let child = self.running.child.as_mut().expect("taken by `drop` only");
        let status = child.try_wait().map_err(explained)?;
        if status.is_some() {
            self.running.exit = None;
        }
        Ok(status)
    }

    /// Awaits its end, and collects its output and error if they are piped and were not taken. asyncio's
    /// `communicate`, without the input. To send input, let another task write to `stdin` meanwhile; otherwise both
    /// sides wait for ever once the pipes are full.
    ///
    /// # Errors
    /// Those of reading, and of [`wait`](Child::wait).
    pub async fn wait_with_output(mut self) -> io::Result<Output> {
        self.stdin = None;
        let (stdout, stderr) = (self.stdout.take(), self.stderr.take());
        // Concurrently: it may fill one of the pipes while the other one is being read.
        let (stdout, stderr) = both(read_all(stdout), read_all(stderr)).await;
        Ok(Output {
            stdout: stdout?,
            stderr: stderr?,
            status: self.wait().await?,
        })
    }

    /// Sends it a signal. If it has ended but was not awaited yet, nothing happens.
    ///
    /// # Errors
    /// [`NotFound`](io::ErrorKind::NotFound) once its end has been awaited (asyncio's `ProcessLookupError`);
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for a signal without a name; those of `kill`.
    pub fn send_signal(&mut self, kind: SignalKind) -> io::Result<()> {
        // As long as it was not waited for, the number belongs to it.
        let id = self.id().ok_or(io::ErrorKind::NotFound)?;
        let pid = i32::try_from(id).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or(io::ErrorKind::NotFound)?;
        let signal = Signal::from_named_raw(kind.as_raw()).ok_or(io::ErrorKind::InvalidInput)?;
        Ok(kill_process(pid, signal)?)
    }

    /// Asks it to end, with `SIGTERM`.
    ///
    /// # Errors
    /// The same as those of [`send_signal`](Child::send_signal).
    pub fn terminate(&mut self) -> io::Result<()> {
        self.send_signal(SignalKind::TERMINATE)
    }

    /// Kills it with `SIGKILL`, without waiting for its end.
    ///
    /// # Errors
    /// The same as those of [`send_signal`](Child::send_signal).
    pub fn start_kill(&mut self) -> io::Result<()> {
        self.send_signal(SignalKind::KILL)
    }

    /// Kills it with `SIGKILL`, and awaits its end.
    ///
    /// # Errors
    /// Those of `kill` and of [`wait`](Child::wait).
    pub async fn kill(&mut self) -> io::Result<ExitStatus> {
        if self.id().is_some() {
            self.start_kill()?;
        }
        self.wait().await
    }
}

impl fmt::Debug for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Child")
            .field("id", &self.running.id)
            .field("awaited", &self.running.exit.is_none())
            .finish_non_exhaustive()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let Some(mut child) = self.child.take() else {
            return;
        };
        if self.kill_on_drop {
            // The standard library sends nothing to a process that was already waited for.
            let _ = child.kill();
        }
        reaper::adopt(child);
    }
}

/// Reads to the end; without a pipe, returns nothing.
async fn read_all(pipe: Option<impl AsyncRead + Unpin>) -> io::Result<Vec<u8>> {
    /// As much as a pipe holds by default.
    const CHUNK: usize = 64 << 10;
    let mut all = Vec::new();
    let Some(mut pipe) = pipe else {
        return Ok(all);
    };
    loop {
        let filled = all.len();
        all.resize(filled + CHUNK, 0);
        let read = poll_fn(|cx| Pin::new(&mut pipe).poll_read(cx, &mut all[filled..])).await?;
        all.truncate(filled + read);
        if read == 0 {
            return Ok(all);
        }
    }
}

/// Awaits both concurrently.
async fn both<A: Future, B: Future>(a: A, b: B) -> (A::Output, B::Output) {
    let (mut a, mut b) = (pin!(a), pin!(b));
    let (mut from_a, mut from_b) = (None, None);
    fn step<F: Future>(future: Pin<&mut F>, output: &mut Option<F::Output>, cx: &mut Context<'_>) {
        if output.is_none()
            && let Poll::Ready(ready) = future.poll(cx)
        {
            *output = Some(ready);
        }
    }
    poll_fn(|cx| {
        step(a.as_mut(), &mut from_a, cx);
        step(b.as_mut(), &mut from_b, cx);
        match (from_a.take(), from_b.take()) {
            (Some(a), Some(b)) => Poll::Ready((a, b)),
            (a, b) => {
                (from_a, from_b) = (a, b);
                Poll::Pending
            }
        }
    })
    .await
}
