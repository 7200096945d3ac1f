//! The settings of a runtime.

use std::io;
use std::time::Duration;

use runtime_core::blocking::{BlockingConfig, Executor};
use runtime_core::reactor::ReactorKind;
use runtime_core::time::Clock;

use crate::knobs::KnobChanges;
use crate::parts::list::{PARTS, Settings};
use crate::policy::{LifoSlot, Steal, Topology};
use crate::topology;

/// Builds a [`Runtime`](crate::Runtime).
#[derive(Clone, Debug)]
pub struct Builder {
    pub(crate) workers: usize,
    pub(crate) thread_name: String,
    pub(crate) reactor: ReactorKind,
    pub(crate) knobs: KnobChanges,
    pub(crate) parts: Settings,
    pub(crate) blocking: BlockingConfig,
    pub(crate) default_executor: Option<Executor>,
    pub(crate) clock: Clock,
    topology: Option<Topology>,
    pub(crate) pins_workers: bool,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            workers: num_cpus::get(),
            thread_name: "mn-worker".into(),
            reactor: ReactorKind::default(),
            knobs: KnobChanges::default(),
            parts: Settings::default(),
            blocking: BlockingConfig {
                thread_name: "mn-blocking".into(),
                ..BlockingConfig::default()
            },
            default_executor: None,
            clock: Clock::real(),
            topology: None,
            pins_workers: false,
        }
    }
}

impl Builder {
    /// Creates a builder with the default settings: as many workers as the machine has processors.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how many threads run tasks.
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

    /// Sets the name of the workers' threads, to which a number is added. Default: `mn-worker`.
    #[must_use]
    pub fn thread_name(mut self, name: impl Into<String>) -> Self {
        self.thread_name = name.into();
        self
    }

    /// Sets the backend that asks the kernel for readiness.
    #[must_use]
    pub fn reactor(mut self, kind: ReactorKind) -> Self {
        self.reactor = kind;
        self
    }

    /// Sets how many tasks a thief takes at once. Default: the policy's.
    #[must_use]
    pub fn steal(mut self, steal: Steal) -> Self {
        self.knobs.steal = Some(steal);
        self
    }

    /// Sets how the LIFO slot is used: a task that another task woke runs next. Default: the policy's.
    #[must_use]
    pub fn lifo_slot(mut self, slot: LifoSlot) -> Self {
        self.knobs.lifo_slot = Some(slot);
        self
    }

    /// Sets the number of ticks after which a worker checks the injector before its own queues. At least 1. Default:
    /// the policy's.
    #[must_use]
    pub fn injector_tick(mut self, ticks: u32) -> Self {
        self.knobs.injector_tick = Some(ticks);
        self
    }

    /// Sets the number of ticks after which a busy worker checks sockets and timers; for sockets up to four times as
    /// many, while ready tasks already fill that time. At least 1. Default: the policy's.
    #[must_use]
    pub fn poll_tick(mut self, ticks: u32) -> Self {
        self.knobs.poll_tick = Some(ticks);
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

    /// Sets the clock for timers. Default: the system's clock. With a [simulated](Clock::simulated) clock, time jumps
    /// to the next deadline when no worker has anything to do. The monitor and all measurements still use the system's
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

    /// Sets what the workers' processors share, for the policy: worker `n` has the `n`th processor. Default: the
    /// processors that the process may run on, as reported by the system. If the system does not report them, they
    /// count as one node.
    ///
    /// ```
    /// use runtime_mn::policy::{Cpu, Topology};
    ///
    /// // Two nodes of two processors each, whatever the machine has.
    /// let cpu = |number| Cpu { number, core: number, cache: number / 2, node: number / 2 };
    /// let builder = runtime_mn::Runtime::builder().workers(4);
    /// let runtime = builder.topology(Topology::new((0..4).map(cpu))).build_by_name("locality")?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn topology(mut self, topology: Topology) -> Self {
        self.topology = Some(topology);
        self
    }

    /// Sets whether each worker stays on its processor in the [topology](Builder::topology). Default: no. Replacement
    /// workers and blocking threads run anywhere. A thread that a task starts by `std::thread` begins on the worker's
    /// processor, and stays there.
    ///
    /// If it is set, [`build`](Builder::build) refuses a topology that names processors on which the process may not
    /// run.
    #[must_use]
    pub fn pin_workers(mut self, pins: bool) -> Self {
        self.pins_workers = pins;
        self
    }

    /// The chosen topology, or else the machine's.
    pub(crate) fn checked_topology(&self) -> io::Result<Option<Topology>> {
        if self.pins_workers {
            let topology = self.topology.as_ref();
            topology::check(topology.unwrap_or_else(|| topology::machine()))?;
        }
        Ok(self.topology.clone())
    }

    /// Creates a builder for the plain scheduler: without any of the [parts](crate::parts), so it neither adapts nor
    /// observes.
    ///
    /// ```
    /// let runtime = runtime_mn::Builder::plain().workers(2).build()?;
    /// assert_eq!(runtime.block_on(async { 6 * 7 }), 42);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn plain() -> Self {
        let mut builder = Self::default();
        for part in PARTS {
            builder.parts.leave_out(part.name);
        }
        builder
    }

    /// Leaves out one part, by its name in [`Launch::PARTS`](runtime_core::Launch::PARTS).
    ///
    /// # Errors
    /// If there is no part of that name: one line that lists the parts.
    pub fn without(mut self, part: &str) -> Result<Self, String> {
        if self.parts.leave_out(part) {
            return Ok(self);
        }
        let parts: Vec<_> = PARTS.iter().map(|part| part.name).collect();
        let there_are = match parts[..] {
            [] => "it was built without any".to_owned(),
            _ => format!("it has {}", parts.join(", ")),
        };
        Err(format!("mn has no part `{part}`: {there_are}"))
    }
}
