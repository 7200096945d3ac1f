//! What to start, and how.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::process::{ExitStatus, Output, Stdio};

use super::child::Child;
use super::sigchld::keep_ended_children;
use runtime_kernel::budget::consume_budget;
use runtime_kernel::context;

/// Builds a child process that you can await, like the standard library's builder. asyncio's
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
    /// The streams that the caller has set, which `output` leaves unchanged.
    chosen: Chosen,
}

#[derive(Clone, Copy, Debug, Default)]
struct Chosen {
    stdin: bool,
    stdout: bool,
    stderr: bool,
}

impl Command {
    /// A command without arguments, with this process's environment, folder and standard streams. A name without a
    /// slash is searched for in `PATH`.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        std::process::Command::new(program).into()
    }

    /// Adds an argument, which no shell interprets.
    pub fn arg(&mut self, argument: impl AsRef<OsStr>) -> &mut Self {
        self.inner.arg(argument);
        self
    }

    /// Adds arguments.
    pub fn args(&mut self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> &mut Self {
        self.inner.args(arguments);
        self
    }

    /// Sets an environment variable.
    pub fn env(&mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> &mut Self {
        self.inner.env(name, value);
        self
    }

    /// Removes an environment variable.
    pub fn env_remove(&mut self, name: impl AsRef<OsStr>) -> &mut Self {
        self.inner.env_remove(name);
        self
    }

    /// Clears the environment.
    pub fn env_clear(&mut self) -> &mut Self {
        self.inner.env_clear();
        self
    }

    /// Sets the folder that it starts in.
    pub fn current_dir(&mut self, folder: impl AsRef<Path>) -> &mut Self {
        self.inner.current_dir(folder);
        self
    }

    /// Its standard input; [`Stdio::piped`] creates [`Child::stdin`].
    pub fn stdin(&mut self, stdin: impl Into<Stdio>) -> &mut Self {
        self.chosen.stdin = true;
        self.inner.stdin(stdin);
        self
    }

    /// Its standard output; [`Stdio::piped`] creates [`Child::stdout`].
    pub fn stdout(&mut self, stdout: impl Into<Stdio>) -> &mut Self {
        self.chosen.stdout = true;
        self.inner.stdout(stdout);
        self
    }

    /// Its standard error; [`Stdio::piped`] creates [`Child::stderr`].
    pub fn stderr(&mut self, stderr: impl Into<Stdio>) -> &mut Self {
        self.chosen.stderr = true;
        self.inner.stderr(stderr);
        self
    }

    /// Whether to kill the process if its [`Child`] is dropped before its end was awaited. Default: no, the process
    /// continues.
    pub fn kill_on_drop(&mut self, kill: bool) -> &mut Self {
        self.kill_on_drop = kill;
        self
    }

    /// The standard library's builder, for everything else that you can set.
    pub fn as_std_mut(&mut self) -> &mut std::process::Command {
        &mut self.inner
    }

    /// Starts it. This blocks the calling thread for as long as the system needs, usually less than a millisecond. If
    /// the program ignores `SIGCHLD`, the default action is restored: see [`keep_ended_children`].
    ///
    /// Errors of starting, such as [`NotFound`](io::ErrorKind::NotFound). If registering its descriptors fails, it was
    /// started and has been killed.
    ///
    /// # Panics
    /// Outside a runtime.
    pub fn spawn(&mut self) -> io::Result<Child> {
        let driver = context::with("Command::spawn", |ambient| ambient.io_driver());
        keep_ended_children()?;
        Child::new(self.inner.spawn()?, &driver, self.kill_on_drop)
    }

    /// Starts it and awaits its end. Piped streams are closed at once: use [`spawn`](Command::spawn) if you need them.
    ///
    /// If it is dropped before that, the process continues or is killed, as [`kill_on_drop`](Command::kill_on_drop)
    /// says.
    ///
    /// # Errors
    /// The same as those of [`spawn`](Command::spawn) and [`Child::wait`].
    ///
    /// # Panics
    /// Outside a runtime.
    pub async fn status(&mut self) -> io::Result<ExitStatus> {
        // It may not start at all.
        consume_budget().await;
        let mut child = self.spawn()?;
        drop((child.stdin.take(), child.stdout.take(), child.stderr.take()));
        child.wait().await
    }

    /// Starts it, awaits its end, and collects its output. By default, its output and error are piped and its input is
    /// empty.
    ///
    /// If it is dropped before that, the process continues or is killed, as [`kill_on_drop`](Command::kill_on_drop)
    /// says.
    ///
    /// # Errors
    /// The same as those of [`spawn`](Command::spawn) and [`Child::wait_with_output`].
    ///
    /// # Panics
    /// Outside a runtime.
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

/// As if none of its standard streams had been set.
impl From<std::process::Command> for Command {
    fn from(inner: std::process::Command) -> Self {
        Self {
            inner,
            kill_on_drop: false,
            chosen: Chosen::default(),
        }
    }
}
