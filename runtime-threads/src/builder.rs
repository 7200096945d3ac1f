//! The knobs of a runtime.

use std::io;
use std::time::Duration;

use runtime_kernel::blocking::{BlockingConfig, Executor};
use runtime_kernel::time::Clock;

use crate::Runtime;

/// Stack of a task's thread unless the builder says otherwise: as much as the standard library gives its threads.
pub(crate) const DEFAULT_STACK_BYTES: usize = 2 * 1024 * 1024;
/// Less than this overflows in a panic's message.
pub(crate) const MIN_STACK_BYTES: usize = 32 * 1024;
/// More than this is a mistake: a hundredth of it is refused by most systems.
const MAX_STACK_BYTES: usize = 1 << 40;

/// How a [`Runtime`] is made.
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
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Stack of each task's thread in bytes, without the guard page; rounded up to pages. 32 KiB to 1 TiB; default 2
    /// MiB, as the standard library's threads have.
    ///
    /// Only what is touched uses memory; the rest is address space, and 4 KiB of page table a thread. Give less where
    /// address space is limited (`ulimit -v`, 32 bits). Deep recursion needs more: an overflow hits the guard page
    /// and ends the process. On Linux its last words name the task, and this.
    #[must_use]
    pub fn stack_bytes(mut self, bytes: usize) -> Self {
        self.stack_bytes = bytes;
        self
    }

    /// What the threads of tasks are called, followed by a number; Linux shows the first 15 bytes. Default: `task`.
    #[must_use]
    pub fn thread_name(mut self, prefix: impl Into<String>) -> Self {
        self.thread_name = prefix.into();
        self
    }

    /// The most tasks that may live at the same time; the handles of further ones report
    /// [`SpawnFailed`](runtime_kernel::JoinError::SpawnFailed). Default: as many as the system gives.
    #[must_use]
    pub fn max_threads(mut self, threads: usize) -> Self {
        self.max_threads = Some(threads);
        self
    }

    /// Where functions that block run unless another executor is named: `spawn_blocking`, `run_in_executor(None, ..)`
    /// and host names; files are read and written on the task's own thread. asyncio's `loop.set_default_executor`,
    /// from the start. Default: a pool of the runtime's own, which the next two bound.
    ///
    /// The executor ends with the runtime, and so with the first of several that are built with clones of it.
    #[must_use]
    pub fn default_executor(mut self, executor: Executor) -> Self {
        self.default_executor = Some(executor);
        self
    }

    /// The most threads that `spawn_blocking` may use. At least 1; default 512.
    #[must_use]
    pub fn max_blocking_threads(mut self, threads: usize) -> Self {
        self.blocking.max_threads = threads.max(1);
        self
    }

    /// How long an idle blocking thread is kept. Default: 10 s.
    #[must_use]
    pub fn blocking_keep_alive(mut self, duration: Duration) -> Self {
        self.blocking.keep_alive = duration;
        self
    }

    /// What timers go by. Default: the system's clock. With a [simulated](Clock::simulated) one, time jumps to the
    /// next deadline when every task's thread waits:
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

    /// Makes the runtime. No thread is started yet.
    ///
    /// # Errors
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for a stack outside of its bounds or a name with a zero byte.
    pub fn build(self) -> io::Result<Runtime> {
        check_stack_bytes(self.stack_bytes)?;
        if self.thread_name.contains('\0') {
            return Err(invalid("a thread's name has no zero bytes"));
        }
        Ok(Runtime::with(self))
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
