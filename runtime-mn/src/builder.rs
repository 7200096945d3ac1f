//! The knobs of a runtime.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use runtime_core::blocking::{BlockingConfig, Executor};
use runtime_core::reactor::ReactorKind;
use runtime_core::time::Clock;

use crate::Runtime;
use crate::knobs::KnobChanges;
use crate::launch::POLICIES;
use crate::monitor::{self, StuckPoll};
use crate::policy::{
    GlobalQueue, GoLike, LifoSlot, NoSteal, Policy, RandomSteal, SocketHelp, Steal, TokioLike,
};

/// How a [`Runtime`] is made.
#[derive(Clone, Debug)]
pub struct Builder {
    pub(crate) workers: usize,
    pub(crate) thread_name: String,
    pub(crate) reactor: ReactorKind,
    pub(crate) knobs: KnobChanges,
    pub(crate) monitor: monitor::Settings,
    pub(crate) histograms: bool,
    pub(crate) blocking: BlockingConfig,
    pub(crate) default_executor: Option<Executor>,
    pub(crate) clock: Clock,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            workers: num_cpus::get(),
            thread_name: "mn-worker".into(),
            reactor: ReactorKind::default(),
            knobs: KnobChanges::default(),
            monitor: monitor::Settings::default(),
            histograms: false,
            blocking: BlockingConfig {
                thread_name: "mn-blocking".into(),
                ..BlockingConfig::default()
            },
            default_executor: None,
            clock: Clock::real(),
        }
    }
}

impl Builder {
    /// The defaults: as many workers as the machine has processors.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many threads run tasks.
    ///
    /// # Panics
    /// If it is 0, or more than 1024.
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Self {
        assert!(
            (1..=1024).contains(&workers),
            "a runtime has 1 to 1024 workers, not {workers}"
        );
        self.workers = workers;
        self
    }

    /// What the workers' threads are called, before a number. Default: `mn-worker`.
    #[must_use]
    pub fn thread_name(mut self, name: impl Into<String>) -> Self {
        self.thread_name = name.into();
        self
    }

    /// How readiness is asked of the kernel.
    #[must_use]
    pub fn reactor(mut self, kind: ReactorKind) -> Self {
        self.reactor = kind;
        self
    }

    /// How much a thief takes at once. Default: the policy's.
    #[must_use]
    pub fn steal(mut self, steal: Steal) -> Self {
        self.knobs.steal = Some(steal);
        self
    }

    /// The LIFO slot, where a task that another task woke is next to run. Default: the policy's.
    #[must_use]
    pub fn lifo_slot(mut self, slot: LifoSlot) -> Self {
        self.knobs.lifo_slot = Some(slot);
        self
    }

    /// How many more times a worker searches before it goes to sleep. Default: the policy's.
    #[must_use]
    pub fn spin(mut self, searches: u32) -> Self {
        self.knobs.spin = Some(searches);
        self
    }

    /// Every how many ticks a worker looks at the injector before its own queues. At least 1. Default: the policy's.
    #[must_use]
    pub fn injector_tick(mut self, ticks: u32) -> Self {
        self.knobs.injector_tick = Some(ticks);
        self
    }

    /// Every how many ticks a busy worker asks for sockets and timers; for sockets up to four times as many, while
    /// tasks that are due already fill that time. At least 1. Default: the policy's.
    #[must_use]
    pub fn poll_tick(mut self, ticks: u32) -> Self {
        self.knobs.poll_tick = Some(ticks);
        self
    }

    /// How long a worker whose work has lately been done sooner keeps new work to itself before it wakes another
    /// worker; zero: it wakes one at once. At most an hour. Default: the policy's.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.knobs.patience = Some(patience);
        self
    }

    /// Whether a second worker helps with what sockets have woken. Default: the policy's.
    #[must_use]
    pub fn socket_help(mut self, help: SocketHelp) -> Self {
        self.knobs.socket_help = Some(help);
        self
    }

    /// Whether a worker that is stuck in a poll is relieved by another one, and whether what waits behind a poll is
    /// found. Default: yes. See [`monitor`](crate::monitor). Without it wake-ups are never throttled, but a task in the
    /// LIFO slot waits for the end of the poll in which it was woken.
    #[must_use]
    pub fn monitor(mut self, enabled: bool) -> Self {
        self.monitor.enabled = enabled;
        self
    }

    /// How long a poll may last before its worker counts as stuck. At least 2 ms; default 10 ms.
    #[must_use]
    pub fn stuck_after(mut self, duration: Duration) -> Self {
        self.monitor.threshold = duration.max(Duration::from_millis(2));
        self
    }

    /// How many spare workers may stand in for stuck ones, or for those that block in place. Default: 8. With 0, a
    /// stuck worker's tasks wait until another worker takes them.
    #[must_use]
    pub fn max_spare_workers(mut self, workers: usize) -> Self {
        self.monitor.most_spares = workers.min(1024);
        self
    }

    /// How long the thread of a spare worker that is not needed any more waits before it ends. Default: 10 s.
    #[must_use]
    pub fn spare_keep_alive(mut self, duration: Duration) -> Self {
        self.monitor.spare_keep_alive = duration;
        self
    }

    /// How many threads run the tasks that were caught again and again, at a low priority. Default: as many as there
    /// are workers. With 0, such tasks stay among the others.
    #[must_use]
    pub fn batch_threads(mut self, threads: usize) -> Self {
        self.monitor.batch_threads = Some(threads);
        self
    }

    /// How nice the threads of the batch lane are, 0 to 19; default 6. At 6 they get about a quarter of what a worker
    /// gets while both want the same processor, at 0 as much, and the workers' latency suffers.
    #[must_use]
    pub fn batch_nice(mut self, nice: u8) -> Self {
        self.monitor.batch_nice = i32::from(nice.min(19));
        self
    }

    /// Whether the runtime reports a stuck poll on standard error, at most once in ten seconds. Default: yes.
    #[must_use]
    pub fn warn_of_stuck(mut self, warns: bool) -> Self {
        self.monitor.warns = warns;
        self
    }

    /// Called on the monitor's thread for each poll that is caught, while it still lasts. It should return soon.
    #[must_use]
    pub fn on_stuck(mut self, callback: impl Fn(&StuckPoll) + Send + Sync + 'static) -> Self {
        self.monitor.callback = Some(Arc::new(callback));
        self
    }

    /// Whether how long polls take and how long tasks wait for theirs is measured, for
    /// [`Metrics::poll_time`](runtime_core::Metrics::poll_time) and
    /// [`Metrics::schedule_latency`](runtime_core::Metrics::schedule_latency). Default: no, as it costs two clock
    /// readings for each poll.
    #[must_use]
    pub fn histograms(mut self, measured: bool) -> Self {
        self.histograms = measured;
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

    /// What timers go by. Default: the system's clock. With a [simulated](Clock::simulated) one, time jumps to the
    /// next deadline when every worker has nothing to do. The monitor and all measurements stay with the system's
    /// clock.
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// use runtime_core::time::{Clock, now, sleep};
    ///
    /// let runtime = runtime_mn::Runtime::builder().clock(Clock::simulated()).build()?;
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

    /// Starts the workers, under the default policy, [`GoLike`].
    ///
    /// # Errors
    /// When the system gives no threads or no descriptors.
    pub fn build(self) -> io::Result<Runtime> {
        self.build_with(GoLike)
    }

    /// Starts the workers under a policy of one's own choice.
    ///
    /// # Errors
    /// As [`build`](Builder::build).
    pub fn build_with<P: Policy>(self, policy: P) -> io::Result<Runtime> {
        Runtime::with(&self, policy)
    }

    /// Starts the workers under the policy of that name in [`Launch::POLICIES`](runtime_core::Launch::POLICIES).
    ///
    /// # Errors
    /// As [`build`](Builder::build); of kind [`InvalidInput`](io::ErrorKind::InvalidInput) if there is none of that
    /// name.
    pub fn build_by_name(self, policy: &str) -> io::Result<Runtime> {
        match policy {
            "go-like" => self.build_with(GoLike),
            "tokio-like" => self.build_with(TokioLike),
            "global-queue" => self.build_with(GlobalQueue),
            "no-steal" => self.build_with(NoSteal),
            "random-steal" => self.build_with(RandomSteal),
            _ => {
                let names: Vec<_> = POLICIES.iter().map(|policy| policy.name).collect();
                Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    format!("mn has no policy `{policy}`: it has {}", names.join(", ")),
                ))
            }
        }
    }
}
