//! The settings of a runtime.

use std::io;
use std::time::Duration;

use runtime_kernel::blocking::{BlockingConfig, Executor};
use runtime_kernel::time::Clock;

/// The default stack size of a task's thread: that of the standard library's threads.
pub(crate) const DEFAULT_STACK_BYTES: usize = 2 * 1024 * 1024;
/// A smaller stack overflows while a panic's message is printed.
pub(crate) const MIN_STACK_BYTES: usize = 32 * 1024;
/// A larger value is a mistake: most systems refuse even a hundredth of it.
const MAX_STACK_BYTES: usize = 1 << 40;

/// Builds a [`Runtime`](crate::Runtime).
///
/// ```
/// let runtime = runtime_threads::Runtime::builder()
///     .stack_bytes(256 * 1024)
///     .thread_name("crawler")
///     .max_threads(1000)
///     .build()?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Builder {
    pub(crate) stack_bytes: usize,
    pub(crate) thread_name: String,
    pub(crate) max_threads: Option<usize>,
    pub(crate) blocking: BlockingConfig,
    pub(crate) default_executor: Option<Executor>,
    pub(crate) clock: Clock,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            stack_bytes: DEFAULT_STACK_BYTES,
            thread_name: "task".to_owned(),
            max_threads: None,
            blocking: BlockingConfig {
                thread_name: "threads-blocking".into(),
                ..BlockingConfig::default()
            },
            default_executor: None,
            clock: Clock::real(),
        }
    }
}

impl Builder {
    /// Creates a builder with the default settings.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the stack size of each task's thread in bytes, without the guard page. It is rounded up to pages. 32 KiB
    /// to 1 TiB; default 2 MiB, like threads of the standard library.
    ///
    /// Only touched pages use memory; the rest is address space, and 4 KiB of page table per thread. Use less if
    /// address space is limited (`ulimit -v`, 32 bits). Deep recursion needs more: an overflow hits the guard page and
    /// ends the process. On Linux a last message names the task and this setting.
    #[must_use]
    pub fn stack_bytes(mut self, bytes: usize) -> Self {
        self.stack_bytes = bytes;
        self
    }

    /// Sets the name of the tasks' threads, to which a number is added; Linux shows the first 15 bytes. Default:
    /// `task`.
    #[must_use]
    pub fn thread_name(mut self, prefix: impl Into<String>) -> Self {
        self.thread_name = prefix.into();
        self
    }

    /// Sets the maximum number of tasks that live at the same time. The handles of further tasks report
    /// [`SpawnFailed`](runtime_kernel::JoinError::SpawnFailed). Default: as many as the system allows.
    #[must_use]
    pub fn max_threads(mut self, threads: usize) -> Self {
        self.max_threads = Some(threads);
        self
    }

    /// Sets the executor for functions that block, unless a call names another one: `spawn_blocking`,
    /// `run_in_executor(None, ..)` and host names; files are read and written on the task's own thread. This is
    /// asyncio's `loop.set_default_executor`, but from the start. Default: the runtime's own pool, whose bounds the
    /// next two methods set.
    ///
    /// The executor ends with the runtime. If you build several runtimes with clones of it, it ends with the first of
    /// them.
    #[must_use]
    pub fn default_executor(mut self, executor: Executor) -> Self {
        self.default_executor = Some(executor);
        self
    }

    /// Sets the maximum number of threads for `spawn_blocking`. At least 1; default 512.
    #[must_use]
    pub fn max_blocking_threads(mut self, threads: usize) -> Self {
        self.blocking.max_threads = threads.max(1);
        self
    }

    /// Sets how long an idle blocking thread is kept. Default: 10 s.
    #[must_use]
    pub fn blocking_keep_alive(mut self, duration: Duration) -> Self {
        self.blocking.keep_alive = duration;
        self
    }

    /// Sets the clock for timers. Default: the system's clock. With a [simulated](Clock::simulated) one, time jumps to
    /// the next deadline when every task's thread waits:
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// use runtime_core::time::{Clock, now, sleep};
    ///
    /// let runtime = runtime_threads::Runtime::builder().clock(Clock::simulated()).build()?;
    /// let begun = Instant::now();
    /// runtime.block_on(async {
    ///     let before = now();
    ///     sleep(Duration::from_secs(3600)).await;
    ///     assert!(now() - before >= Duration::from_secs(3600));
    /// });
    /// assert!(begun.elapsed() < Duration::from_secs(60)); // a millisecond, rather
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Checks the settings for [`build`](Builder::build).
    ///
    /// # Errors
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for a stack outside its bounds or a name with a zero byte.
    pub(crate) fn check(&self) -> io::Result<()> {
        check_stack_bytes(self.stack_bytes)?;
        if self.thread_name.contains('\0') {
            return Err(invalid("a thread's name has no zero bytes"));
        }
        Ok(())
    }
}

pub(crate) fn check_stack_bytes(bytes: usize) -> io::Result<()> {
    if (MIN_STACK_BYTES..=MAX_STACK_BYTES).contains(&bytes) {
        return Ok(());
    }
    Err(invalid(&format!(
        "a stack of {bytes} bytes: give {MIN_STACK_BYTES} to {MAX_STACK_BYTES}"
    )))
}

fn invalid(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message)
}
