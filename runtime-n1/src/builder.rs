//! The knobs of a loop.

use std::io;
use std::time::Duration;

use runtime_kernel::blocking::{BlockingConfig, Executor};
use runtime_kernel::reactor::ReactorKind;
use runtime_kernel::time::Clock;

use crate::Loop;
use crate::slow_polls::{Settings, SlowPoll};

/// How a [`Loop`] is made.
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
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// How readiness is asked of the kernel.
    #[must_use]
    pub fn reactor(mut self, kind: ReactorKind) -> Self {
        self.reactor = kind;
        self
    }

    /// How many tasks run between two looks at sockets and timers while tasks are ready; up to four times as many, if
    /// they were ready at the last look already. At least 1; default 61.
    #[must_use]
    pub fn io_interval(mut self, tasks: u32) -> Self {
        self.io_interval = tasks.max(1);
        self
    }

    /// Where functions that block run unless another executor is named: `spawn_blocking`, `run_in_executor(None, ..)`,
    /// files and host names. asyncio's `loop.set_default_executor`, from the start. Default: a pool of the runtime's
    /// own, which the next two bound.
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

    /// What timers go by. Default: the system's clock. With a [simulated](Clock::simulated) one, the loop jumps to the
    /// next deadline instead of waiting for it:
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

    /// Calls `hook` for each poll of a task that lasts longer than `limit`, which is at least 1 ms. Meanwhile nothing
    /// else runs on the loop: the poll computes, blocks its thread, or loops over futures that never wait and know no
    /// [budget](runtime_kernel::budget). asyncio's `slow_callback_duration` in debug mode, whose default is 100 ms.
    /// Default: off.
    ///
    /// The hook is called when the poll has returned, by the loop's thread; a panic in it ends there. Before that it
    /// is called once while the poll lasts, by a thread that exists for this purpose alone. So it names a poll that
    /// never returns, too. Under M:N the monitor does the same.
    ///
    /// Cost: none if it is off; else a lock and two looks at the clock for each poll. The time that the loop's thread
    /// waits for a processor counts.
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

    /// Makes the loop. It runs nothing until it is told to.
    ///
    /// # Errors
    /// When the system gives no descriptors for the reactor, or no thread for [`on_slow_poll`](Builder::on_slow_poll).
    pub fn build(self) -> io::Result<Loop> {
        Loop::with(self)
    }
}
