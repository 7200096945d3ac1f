//! The knobs of a runtime.

use std::io;
use std::time::Duration;

use runtime_core::blocking::BlockingConfig;
use runtime_core::reactor::ReactorKind;

use crate::Runtime;

/// How a [`Runtime`] is made.
#[derive(Clone, Debug)]
pub struct Builder {
    pub(crate) workers: usize,
    pub(crate) thread_name: String,
    pub(crate) reactor: ReactorKind,
    pub(crate) inline_joins: bool,
    pub(crate) lifo_slot: bool,
    pub(crate) injector_tick: u32,
    pub(crate) blocking: BlockingConfig,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            workers: num_cpus::get(),
            thread_name: "mn-worker".into(),
            reactor: ReactorKind::default(),
            inline_joins: true,
            lifo_slot: true,
            injector_tick: 61,
            blocking: BlockingConfig {
                thread_name: "mn-blocking".into(),
                ..BlockingConfig::default()
            },
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

    /// Whether awaiting the task that was spawned last runs it at once, inside the awaiting task's poll. Default: yes.
    #[must_use]
    pub fn inline_joins(mut self, inline: bool) -> Self {
        self.inline_joins = inline;
        self
    }

    /// Whether a woken task goes to the LIFO slot of the worker that woke it. Default: yes.
    #[must_use]
    pub fn lifo_slot(mut self, slot: bool) -> Self {
        self.lifo_slot = slot;
        self
    }

    /// Every how many ticks a worker looks at the injector, sockets and timers before its own queues. At least 1; default 61.
    #[must_use]
    pub fn injector_tick(mut self, ticks: u32) -> Self {
        self.injector_tick = ticks.max(1);
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

    /// Starts the workers.
    ///
    /// # Errors
    /// When the system gives no threads or no descriptors.
    pub fn build(self) -> io::Result<Runtime> {
        Runtime::with(self)
    }
}
