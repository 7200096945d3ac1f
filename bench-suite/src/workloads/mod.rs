//! The workloads: concurrent programs, each written once and run unchanged under every scheduler.
//!
//! A [`Program`] is generic over [`Runtime`] and uses only that trait. [`under`] creates the function that the registry
//! stores for a (program, runtime) pair. The compiler makes a copy of the program for each scheduler, without `dyn`. A
//! recursion without futures is a [`Recursion`] over [`ForkJoin`]. A program that measures locks and queues is
//! [`Synchronised`](primitives::Synchronised), and gets the ones that belong to the runtime.
//!
//! To add a workload, add a file here with a unit struct that implements [`Program`], and its name in the table of
//! `catalogue.rs`. It must check its own answer and report [`Failure::WrongAnswer`]: a fast wrong answer is a failed
//! run.

pub(crate) mod client;
pub mod crawl;
pub mod download;
pub mod echo;
mod fetch;
pub mod fib;
pub mod hash;
pub mod http;
pub mod idle;
pub mod lock;
pub mod matmul;
pub mod mixed;
pub mod mpmc;
pub mod mutex_contended;
pub mod nqueens;
pub mod pingpong;
pub mod primitives;
pub mod random;
pub(crate) mod refusals;
pub(crate) mod scratch;
pub mod semaphore;
pub(crate) mod server;
pub mod service;
pub mod skynet;
pub(crate) mod slow_clients;
pub mod spawn;
pub mod timers;
pub mod waiting;
pub mod yielding;

use std::future::Future;
use std::io;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::mpsc;
use std::thread;

use runtime_core::sync::oneshot;
use runtime_core::{ForkJoin, JoinError, Launch, LaunchConfig, Runtime, Sequential};
use runtime_mn::{Mn, MnForkJoin};
use runtime_threads::ThreadsForkJoin;

use crate::measure::Meter;
use crate::vocabulary::{Failure, Params, Workload};

/// A concurrent program over `Runtime`.
pub trait Program: Send + 'static {
    /// Its entry in `lab list`.
    const INFO: Workload;

    /// Runs the program as the root task of `rt`, measures into `meter`, and checks the answer.
    ///
    /// # Errors
    /// [`Failure::WrongAnswer`] if the check fails, or other failures.
    fn run<R: Runtime>(
        rt: R,
        params: &Params,
        meter: &mut Meter,
    ) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// A recursive computation over closures.
pub trait Recursion {
    /// Its entry in `lab list`.
    const INFO: Workload;

    /// Runs the computation on `pool`, measures into `meter`, and checks the answer.
    ///
    /// # Errors
    /// [`Failure::WrongAnswer`] if the check fails.
    fn run<F: ForkJoin>(pool: &F, params: &Params, meter: &mut Meter) -> Result<(), Failure>;
}

/// Starts a pool for fork-join, as [`Launch`] does for tasks.
pub trait LaunchForkJoin {
    /// The pool.
    type Pool: ForkJoin;

    /// The number of threads of the pool; `None` if each fork has its own.
    fn workers(config: &LaunchConfig) -> Option<usize>;

    /// Runs `body` on the pool, on one of its threads if it has any, and then ends the pool.
    ///
    /// # Errors
    /// If the system refuses threads.
    fn run<T, F>(config: &LaunchConfig, body: F) -> io::Result<T>
    where
        F: FnOnce(&Self::Pool) -> T + Send,
        T: Send;
}

impl LaunchForkJoin for Sequential {
    type Pool = Self;

    fn workers(_config: &LaunchConfig) -> Option<usize> {
        Some(1)
    }

    fn run<T, F>(_config: &LaunchConfig, body: F) -> io::Result<T>
    where
        F: FnOnce(&Self) -> T + Send,
        T: Send,
    {
        Ok(body(&Self))
    }
}

impl LaunchForkJoin for Mn {
    type Pool = MnForkJoin;

    fn workers(config: &LaunchConfig) -> Option<usize> {
        Some(config.workers)
    }

    fn run<T, F>(config: &LaunchConfig, body: F) -> io::Result<T>
    where
        F: FnOnce(&MnForkJoin) -> T + Send,
        T: Send,
    {
        // Launch it like any other run, so that policy and knobs apply here too. The root task lends the pool and
        // sleeps.
        let (lend, lent) = mpsc::sync_channel(1);
        let (ended, end) = oneshot::channel::<()>();
        thread::scope(|scope| {
            let launched = scope.spawn(move || {
                <Mn as Launch>::run(config, move |rt| async move {
                    let _ = lend.send(rt.fork_join());
                    let _ = end.await;
                })
            });
            let answer = lent.recv().map(|pool| {
                // The scope moves the body to a worker.
                let answer = pool.scope(|_| body(&pool));
                let _ = ended.send(());
                answer
            });
            match launched.join() {
                // Without a pool, the launch has failed and explains why.
                Ok(launched) => launched.and(answer.map_err(io::Error::other)),
                Err(panic) => resume_unwind(panic),
            }
        })
    }
}

impl LaunchForkJoin for ThreadsForkJoin {
    type Pool = Self;

    fn workers(_config: &LaunchConfig) -> Option<usize> {
        None
    }

    fn run<T, F>(_config: &LaunchConfig, body: F) -> io::Result<T>
    where
        F: FnOnce(&Self) -> T + Send,
        T: Send,
    {
        Ok(body(&Self::new()))
    }
}

/// Runs computation `C` on the pool that `L` launches. The registry stores this function for the pair.
///
/// # Errors
/// Those of the computation; [`Failure::Refused`] if the pool can't be started.
pub fn joined_by<L: LaunchForkJoin, C: Recursion>(
    params: &Params,
    meter: &mut Meter,
) -> Result<(), Failure> {
    let config = launch_config(params)?;
    meter.workers = L::workers(&config).map(|workers| workers as u64);
    L::run(&config, |pool| C::run(pool, params, meter))
        .map_err(|error| Failure::Refused(format!("the pool did not start: {error}")))?
}

/// Runs program `P` under the scheduler that `L` launches. The registry stores this function for the pair.
///
/// # Errors
/// Those of the program; [`Failure::Refused`] if the runtime can't be started.
pub fn under<L: Launch, P: Program>(params: &Params, meter: &mut Meter) -> Result<(), Failure> {
    let config = launch_config(params)?;
    let params = params.clone();
    let measured = std::mem::take(meter);
    let root = move |rt| -> RootFuture { Box::pin(root::<L::Runtime, P>(rt, params, measured)) };
    let (outcome, measured) = launch::<L>(&config, Box::new(root))
        .map_err(|error| Failure::Refused(format!("the runtime did not start: {error}")))?;
    *meter = measured;
    meter.launched = Some(config);
    outcome
}

type RootFuture = Pin<Box<dyn Future<Output = (Result<(), Failure>, Meter)> + Send>>;

/// Runs a root task behind `dyn`, so that the code to start and end a runtime is compiled once per runtime and not once
/// per pair. A poll of the root costs one indirect call; everything that the root does is monomorphised.
fn launch<L: Launch>(
    config: &LaunchConfig,
    root: Box<dyn FnOnce(L::Runtime) -> RootFuture + Send>,
) -> io::Result<(Result<(), Failure>, Meter)> {
    L::run(config, root)
}

/// The root task. It does not depend on the launcher, so it is compiled once per handle type.
async fn root<R: Runtime, P: Program>(
    rt: R,
    params: Params,
    mut meter: Meter,
) -> (Result<(), Failure>, Meter) {
    meter.workers = rt.capabilities().workers.map(|workers| workers as u64);
    let counted = rt.clone();
    meter.counts_of(move || counted.metrics());
    let outcome = P::run(rt, &params, &mut meter).await;
    (outcome, meter)
}

/// The runtime's configuration from the parameters.
///
/// # Errors
/// [`Failure::Refused`] if they name a reactor that does not exist.
pub fn launch_config(params: &Params) -> Result<LaunchConfig, Failure> {
    let mut config = LaunchConfig::default();
    if params.workers > 0 {
        config.workers = params.workers;
    }
    config.policy.clone_from(&params.policy);
    config.knobs.clone_from(&params.knobs);
    config.without.clone_from(&params.without);
    if let Some(name) = &params.reactor {
        config.reactor = name
            .parse()
            .map_err(|_| Failure::Refused(format!("there is no reactor called `{name}`")))?;
    }
    Ok(config)
}

/// Converts a task's failure to the run's failure.
pub(crate) fn lost(error: JoinError) -> Failure {
    match error {
        JoinError::SpawnFailed(error) => Failure::Refused(format!("a task did not start: {error}")),
        JoinError::Cancelled => Failure::Crashed("a task was cancelled".to_owned()),
        other => Failure::Crashed(format!("a task failed: {other}")),
    }
}

/// How many pieces to cut a computation into: a few per worker, so that uneven pieces even out. If each task has its
/// own thread, as many as for one worker per core.
pub(crate) fn pieces<R: Runtime>(rt: &R, params: &Params) -> usize {
    const PIECES_PER_WORKER: usize = 4;
    let asked = if params.workers > 0 {
        params.workers
    } else {
        num_cpus::get()
    };
    rt.capabilities().workers.unwrap_or(asked) * PIECES_PER_WORKER
}

/// `Ok` if the answer is correct.
pub(crate) fn check<T: PartialEq + std::fmt::Debug>(
    what: &str,
    answer: T,
    expected: T,
) -> Result<(), Failure> {
    if answer == expected {
        return Ok(());
    }
    Err(Failure::WrongAnswer(format!(
        "{what} is {answer:?} but should be {expected:?}"
    )))
}

/// The parameter `size` with this meaning and range.
const fn size(
    about: &'static str,
    default: u64,
    min: u64,
    max: u64,
) -> crate::vocabulary::Parameter {
    crate::vocabulary::Parameter {
        name: "size",
        about,
        default,
        min,
        max,
    }
}
