//! The settings of a loop.

use std::time::Duration;

use runtime_kernel::blocking::{BlockingConfig, Executor};
use runtime_kernel::reactor::ReactorKind;
use runtime_kernel::time::Clock;

use crate::slow_polls::{Settings, SlowPoll};

/// Builds a [`Loop`](crate::Loop).
#[derive(Clone, Debug)]
pub struct Builder {
    pub(crate) reactor: ReactorKind,
    pub(crate) io_interval: u32,
    pub(crate) blocking: BlockingConfig,
    pub(crate) default_executor: Option<Executor>,
    pub(crate) clock: Clock,
    pub(crate) slow_polls: Option<Settings>,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            reactor: ReactorKind::default(),
            io_interval: 61,
            blocking: BlockingConfig {
                thread_name: "n1-blocking".into(),
                ..BlockingConfig::default()
            },
            default_executor: None,
            clock: Clock::real(),
            slow_polls: None,
        }
    }
}

impl Builder {
    /// Creates a builder with the default settings.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the backend that asks the kernel for readiness.
    #[must_use]
    pub fn reactor(mut self, kind: ReactorKind) -> Self {
        self.reactor = kind;
        self
    }

    /// Sets how many tasks run between two checks of sockets and timers while tasks are ready. If more tasks were
    /// ready at the last check, up to four times as many run. At least 1; default 61.
    #[must_use]
    pub fn io_interval(mut self, tasks: u32) -> Self {
        self.io_interval = tasks.max(1);
        self
    }

    /// Sets the executor for functions that block: `spawn_blocking`, `run_in_executor(None, ..)`, files and host
    /// names. This is asyncio's `loop.set_default_executor`, but from the start. Default: the runtime's own pool,
    /// whose bounds the next two methods set.
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

    /// Sets the clock for timers. Default: the system's clock. With a [simulated](Clock::simulated) clock, the loop
    /// jumps to the next deadline instead of waiting for it:
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// use runtime_core::time::{Clock, now, sleep};
    ///
    /// let event_loop = runtime_n1::Loop::builder().clock(Clock::simulated()).build()?;
    /// let begun = Instant::now();
    /// event_loop.block_on(async {
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

    /// Calls `hook` for each poll of a task that lasts longer than `limit`, which is at least 1 ms. Nothing else runs
    /// on the loop during a long poll: it computes, blocks its thread, or loops over futures that never wait and have
    /// no [budget](runtime_kernel::budget). This is asyncio's `slow_callback_duration` in debug mode, whose default is
    /// 100 ms. Default: off.
    ///
    /// The loop's thread calls the hook when the poll has returned; a panic in the hook is caught. While the poll
    /// lasts, a dedicated thread calls the hook once. So the hook also reports a poll that never returns. Under M:N
    /// the monitor does the same.
    ///
    /// Cost: none if it is off; otherwise a lock and two clock readings per poll. The measured time includes the time
    /// that the loop's thread waits for a processor.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let event_loop = runtime_n1::Loop::builder()
    ///     .on_slow_poll(Duration::from_millis(100), |poll| eprintln!("warning: {poll}"))
    ///     .build()?;
    /// # drop(event_loop);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn on_slow_poll(
        mut self,
        limit: Duration,
        hook: impl Fn(&SlowPoll) + Send + Sync + 'static,
    ) -> Self {
        self.slow_polls = Some(Settings::new(limit, hook));
        self
    }
}
