#![doc = include_str!("README.md")]

use std::time::Duration;

use runtime_kernel::context::EnterGuard;
use runtime_kernel::time::Clock;
use runtime_library::Runtime;

pub mod alone;
pub mod ambient;
pub mod apart;
pub mod attributes;
pub mod blocking_entry;
pub mod blocking_forms;
pub mod cancel_waiters;
mod cases;
pub mod channel;
pub mod combine_calls;
pub mod combine_gather;
pub mod combine_handles;
pub mod combine_scope;
pub mod entered;
pub mod erased;
pub mod event;
pub mod executors;
pub mod fairness;
pub mod files;
pub mod forever;
pub mod fork_join;
mod hostile;
#[cfg(feature = "hyper")]
pub mod http;
pub mod io_cases;
pub mod join_wakers;
mod life;
pub mod lifecycle;
pub mod net;
pub mod outcome;
pub mod outlives;
pub mod owner;
pub mod poll_batches;
pub mod probe;
pub mod processes;
pub mod readiness;
pub mod ready;
pub mod servers;
pub mod shared_out;
pub mod shutdown;
pub mod shutdown_waits;
pub mod signals;
pub mod simulated_time;
pub mod sockets;
pub mod stress;
pub mod surface;
pub mod sync_locks;
pub mod sync_programs;
pub mod sync_queues;
mod sync_tasks;
pub mod sync_turns;
pub mod timers;
pub mod turns;
pub mod user_values;
pub mod user_wakers;
pub mod waiting;
pub mod wakers;
mod watchdog;

pub use cases::Case;
#[cfg(not(test))]
pub use cases::cases;

/// The former name of [`poll_batches`].
#[deprecated(note = "it is called `poll_batches`")]
pub mod rounds {
    pub use crate::poll_batches::*;
}

/// A scheduler under test: how to start it, drive it and stop it.
///
/// The value is the owner, and dropping it drops the owner. It need not be `Send`: each case keeps it on one thread.
pub trait Subject: Sized + 'static {
    /// The handle to the scheduler.
    type Runtime: Runtime;

    /// How long a case may take before it counts as hung. It is the only limit on all waits, so it is generous.
    const PATIENCE: Duration = Duration::from_secs(60);

    /// A new runtime as users get it; with two workers if it can have several.
    fn start() -> Self;

    /// A handle to it.
    fn handle(&self) -> Self::Runtime;

    /// Runs `root` as a task and returns its output when it ends. The other tasks stay, and continue in the next `run`
    /// at the latest. It is called on the thread that called [`start`](Subject::start), outside any task, any number
    /// of times.
    ///
    /// # Panics
    /// With the root's panic.
    fn run<F>(&self, root: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static;

    /// The handle's own blocking entry: awaits `future` on the calling thread, which may be any thread, while another
    /// thread may be in [`run`](Subject::run).
    ///
    /// # Panics
    /// Inside a task, and with the future's panic.
    fn block_on<F>(runtime: &Self::Runtime, future: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static;

    /// Stops the runtime according to clause 4 of the contract. Returns the names of the tasks and blocking jobs that
    /// are still running after `timeout`.
    fn shutdown(self, timeout: Duration) -> Vec<String>;
}

/// A [`Subject`] whose threads enter the core's ambient context, so that the free functions
/// ([`spawn`](runtime_kernel::spawn()) and the like) work in its tasks.
pub trait AmbientSubject: Subject {
    /// Makes the runtime the calling thread's own until the guard is dropped.
    fn enter(&self) -> EnterGuard;
}

/// An [`AmbientSubject`] that can run on a thread until it is told to stop: asyncio's `run_forever` and `stop`.
pub trait ForeverSubject: AmbientSubject {
    /// Runs the tasks, or lets them run, until [`stop`](ForeverSubject::stop). It is called on the thread that called
    /// [`start`](Subject::start), outside any task, any number of times.
    fn run_forever(&self);

    /// Ends one run: the one in progress, or else the next. Any thread or task may call it.
    fn stop(runtime: &Self::Runtime);
}

/// An [`AmbientSubject`] that can be started with another clock than the system's.
pub trait ClockSubject: AmbientSubject {
    /// Like [`start`](Subject::start), with timers that use `clock`.
    fn start_with(clock: Clock) -> Self;
}

/// Skips the case that the calling thread runs, because the scheduler lacks something that it need not have. Call it
/// in a [`Subject`]'s methods, on the case's own thread, which has the case's name. The case does not fail; `skipped`,
/// its name and the reason are printed on standard error.
pub fn skip(reason: &str) -> ! {
    watchdog::skip(reason)
}

/// Runs one case for `S`, within its time limit: the generated tests call this.
///
/// # Panics
/// With the case's panic, or with the case's name if the time is up.
pub fn run<S: Subject>(name: &str, case: fn()) {
    watchdog::run(name, S::PATIENCE, case);
}
