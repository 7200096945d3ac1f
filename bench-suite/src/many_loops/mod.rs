//! Many loops: N:1 scaled as asyncio's users scale it, by repetition. The runtimes `n1xP` and `n1xProc`.
//!
//! Loops share nothing: no task moves from one to another, and none spawns on another. So a program does not run on
//! many loops as it is; it is *split* first, and each loop is given its part. Servers need no splitting: every loop
//! listens to the same port, and the kernel spreads the connections (`SO_REUSEPORT`).
//!
//! * [`Loops`] are started and given parts: [`threads`] is one loop a thread, [`processes`] one a process.
//! * [`Split`] is a workload cut into parts: [`parts`] has those that can be cut, [`servers`] those that listen.
//!
//! What can't be cut has no row: `pingpong` is one pair, `fib-join` and `skynet-join` are about a fork-join that loops
//! do not have, `crawl`'s tasks share a semaphore and `download`'s a queue, `idle` measures the one process that it
//! runs in.

pub mod parts;
pub mod processes;
pub(crate) mod register;
pub mod servers;
pub mod threads;

use std::future::Future;

use runtime_core::LaunchConfig;
use runtime_n1::Handle;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::measure::Meter;
use crate::repetitions::Repetitions;
use crate::vocabulary::{Failure, Params};
use crate::workloads::launch_config;

/// Which part of a program a loop is to run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Share {
    /// Of which loop, from 0.
    pub index: usize,
    /// How many loops there are.
    pub count: usize,
    /// What the program is run with.
    pub params: Params,
}

impl Share {
    /// This loop's range of `0..length`; the ranges of all loops cover it once.
    ///
    /// ```
    /// use bench_suite::many_loops::Share;
    ///
    /// let share = |index| Share { index, count: 3, params: Default::default() };
    /// assert_eq!([0, 1, 2].map(|index| share(index).of(10)), [0..3, 3..6, 6..10]);
    /// ```
    pub fn of(&self, length: u64) -> std::ops::Range<u64> {
        let (index, count) = (self.index as u64, self.count as u64);
        length * index / count..length * (index + 1) / count
    }
}

/// Something that every loop does a part of.
pub trait Split: 'static {
    /// What is to be known for it beside the parameters.
    type Plan: Clone + Serialize + DeserializeOwned + Send + 'static;
    /// What a part results in.
    type Part: Serialize + DeserializeOwned + Send + 'static;

    /// A loop's part, as a task of it.
    fn part(
        rt: Handle,
        share: Share,
        plan: Self::Plan,
    ) -> impl Future<Output = Result<Self::Part, Failure>> + Send;
}

/// Loops that share nothing, while they run. Dropping them ends them.
pub trait Loops: Sized {
    /// Starts as many as there are to be workers.
    ///
    /// # Errors
    /// [`Failure::Refused`] when the system gives no threads, descriptors or processes.
    fn start(config: &LaunchConfig) -> Result<Self, Failure>;

    /// How many there are.
    fn count(&self) -> usize;

    /// The processes that they run in, if it is not this one.
    fn processes(&self) -> Vec<u32>;

    /// Runs a part on every loop, side by side; results in the loops' order. Not to be called inside of a task.
    ///
    /// # Errors
    /// The first part's failure.
    fn each<S: Split>(&self, params: &Params, plan: &S::Plan) -> Result<Vec<S::Part>, Failure>;
}

/// Starts loops and has the meter count what they use.
pub(crate) fn start<L: Loops>(params: &Params, meter: &mut Meter) -> Result<L, Failure> {
    let config = launch_config(params)?;
    if let Some(policy) = &config.policy {
        return Err(Failure::Refused(format!(
            "loops have no policy `{policy}`: leave the policy out"
        )));
    }
    let loops = L::start(&config)?;
    meter.workers = Some(loops.count() as u64);
    meter.reactor = Some(config.reactor.to_string());
    meter.processes = loops.processes();
    Ok(loops)
}

/// Runs a split computation again and again; `finish` checks the parts and says how many ops they were.
pub(crate) fn repeat<L: Loops, S: Split<Plan = ()>>(
    params: &Params,
    meter: &mut Meter,
    finish: impl Fn(Vec<S::Part>) -> Result<u64, Failure>,
) -> Result<(), Failure> {
    let loops = start::<L>(params, meter)?;
    let mut repetitions = Repetitions::new(params.budget_ns);
    while repetitions.next(meter) {
        let ops = finish(loops.each::<S>(params, &())?)?;
        repetitions.done(meter, ops);
    }
    Ok(())
}
