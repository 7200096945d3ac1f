//! What to start, and how.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::process::{ExitStatus, Output, Stdio};

use super::child::Child;
use super::sigchld::keep_ended_children;
use runtime_kernel::budget::consume_budget;
use runtime_kernel::context;

/// A process to be started: the standard library's builder, with children that are awaited. asyncio's
/// `create_subprocess_exec`.
///
/// ```no_run
/// use runtime_core::process::Command;
///
/// # async fn example() -> std::io::Result<()> {
/// let output = Command::new("date").arg("+%Y").output().await?;
/// assert!(output.status.success());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Command {
    inner: std::process::Command,
    kill_on_drop: bool,
    /// Set by the caller, so that `output` leaves it alone.
    chosen: Chosen,
}

#[derive(Clone, Copy, Debug, Default)]
struct Chosen {
    stdin: bool,
    stdout: bool,
    stderr: bool,
}

impl Command {
    /// A command without arguments, in the environment and folder of this process, on its standard streams. A name
    /// without a slash is looked for in `PATH`.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        std::process::Command::new(program).into()
    }

    /// Adds an argument; no shell sees it.
    pub fn arg(&mut self, argument: impl AsRef<OsStr>) -> &mut Self {
        self.inner.arg(argument);
        self
    }

    /// Adds arguments.
    pub fn args(&mut self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> &mut Self {
        self.inner.args(arguments);
        self
    }

    /// Sets a variable of the environment.
    pub fn env(&mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> &mut Self {
        self.inner.env(name, value);
        self
    }

    /// Takes a variable out of the environment.
    pub fn env_remove(&mut self, name: impl AsRef<OsStr>) -> &mut Self {
        self.inner.env_remove(name);
        self
    }

    /// Begins with an empty environment.
    pub fn env_clear(&mut self) -> &mut Self {
        self.inner.env_clear();
        self
    }

    /// The folder that it starts in.
    pub fn current_dir(&mut self, folder: impl AsRef<Path>) -> &mut Self {
        self.inner.current_dir(folder);
        self
    }

    /// Its standard input; [`Stdio::piped`] makes [`Child::stdin`].
    pub fn stdin(&mut self, stdin: impl Into<Stdio>) -> &mut Self {
        self.chosen.stdin = true;
        self.inner.stdin(stdin);
        self
    }

    /// Its standard output; [`Stdio::piped`] makes [`Child::stdout`].
    pub fn stdout(&mut self, stdout: impl Into<Stdio>) -> &mut Self {
        self.chosen.stdout = true;
        self.inner.stdout(stdout);
        self
    }

    /// Its standard error; [`Stdio::piped`] makes [`Child::stderr`].
    pub fn stderr(&mut self, stderr: impl Into<Stdio>) -> &mut Self {
        self.chosen.stderr = true;
        self.inner.stderr(stderr);
        self
    }

    /// Whether a [`Child`] that is dropped before its end has been awaited is killed. Default: no, it goes on by
    /// itself.
    pub fn kill_on_drop(&mut self, kill: bool) -> &mut Self {
        self.kill_on_drop = kill;
        self
    }

    /// The standard library's builder, for all else that can be set.
    pub fn as_std_mut(&mut self) -> &mut std::process::Command {
        &mut self.inner
    }

    /// Starts it. This takes the calling thread as long as the system needs, usually less than a millisecond. If the
    /// program ignores `SIGCHLD`, it does so no more: see [`keep_ended_children`].
    ///
    /// # Errors
    /// Those of starting, such as [`NotFound`](io::ErrorKind::NotFound), and of registering its descriptors: then it
    /// was started and has been killed.
    ///
    /// # Panics
    /// Outside of a runtime.
    pub fn spawn(&mut self) -> io::Result<Child> {
        let driver = context::with("Command::spawn", |ambient| ambient.io_driver());
        keep_ended_children()?;
        Child::new(self.inner.spawn()?, &driver, self.kill_on_drop)
    }

    /// Starts it and awaits its end. A pipe that was asked for is closed at once: see [`spawn`](Command::spawn) to use
    /// it.
    ///
    /// Dropped before that, it leaves the process running, or kills it, as [`kill_on_drop`](Command::kill_on_drop)
    /// says.
    ///
    /// # Errors
    /// As those of [`spawn`](Command::spawn) and [`Child::wait`].
    ///
    /// # Panics
    /// Outside of a runtime.
    pub async fn status(&mut self) -> io::Result<ExitStatus> {
        // It may not start at all.
        consume_budget().await;
        let mut child = self.spawn()?;
        drop((child.stdin.take(), child.stdout.take(), child.stderr.take()));
        child.wait().await
    }

    /// Starts it, awaits its end, and collects what it wrote on the way. Unless chosen otherwise, its output and error
    /// are piped and its input is empty.
    ///
    /// Dropped before that, it leaves the process running, or kills it, as [`kill_on_drop`](Command::kill_on_drop)
    /// says.
    ///
    /// # Errors
    /// As those of [`spawn`](Command::spawn) and [`Child::wait_with_output`].
    ///
    /// # Panics
    /// Outside of a runtime.
    pub async fn output(&mut self) -> io::Result<Output> {
        consume_budget().await;
        if !self.chosen.stdin {
            self.inner.stdin(Stdio::null());
        }
        if !self.chosen.stdout {
            self.inner.stdout(Stdio::piped());
        }
        if !self.chosen.stderr {
            self.inner.stderr(Stdio::piped());
        }
        self.spawn()?.wait_with_output().await
    }
}

/// As if none of its standard streams had been chosen.
impl From<std::process::Command> for Command {
    fn from(inner: std::process::Command) -> Self {
        Self {
            inner,
            kill_on_drop: false,
            chosen: Chosen::default(),
        }
    }
}
