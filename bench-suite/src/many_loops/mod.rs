//! Many loops: N:1 scaled by running several loops, as asyncio's users do. These are the runtimes `n1xP` and `n1xProc`.
//!
//! Loops share nothing: no task moves from one loop to another, and no task spawns on another loop. A program therefore
//! can't run unchanged on many loops. It is *split* first, and each loop gets its part. Servers need no splitting:
//! every loop listens on the same port, and the kernel distributes the connections (`SO_REUSEPORT`).
//!
//! * [`Loops`] are started and given parts: [`threads`] is one loop a thread, [`processes`] one a process.
//! * [`Split`] is a workload cut into parts: [`parts`] has those that can be cut, [`servers`] those that listen.
//!
//! Workloads that can't be split have no row. `pingpong` is one pair. `fib-join` and `skynet-join` need a fork-join,
//! which loops don't have. `crawl`'s tasks share a semaphore, and `download`'s share a queue. `idle` measures the
//! process that it runs in.

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

/// The part of a program that one loop runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Share {
    /// The loop's number, from 0.
    pub index: usize,
    /// The number of loops.
    pub count: usize,
    /// The program's parameters.
    pub params: Params,
}

impl Share {
    /// This loop's range of `0..length`. The ranges of all loops cover it exactly once.
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

/// A program that is split over all loops.
pub trait Split: 'static {
    /// What it needs to know, besides the parameters.
    type Plan: Clone + Serialize + DeserializeOwned + Send + 'static;
    /// The result of one part.
    type Part: Serialize + DeserializeOwned + Send + 'static;

    /// A loop's part, as a task on that loop.
    fn part(
        rt: Handle,
        share: Share,
        plan: Self::Plan,
    ) -> impl Future<Output = Result<Self::Part, Failure>> + Send;
}

/// Running loops that share nothing. Dropping them ends them.
pub trait Loops: Sized {
    /// Starts one loop per requested worker.
    ///
    /// # Errors
    /// [`Failure::Refused`] if the system refuses threads, descriptors or processes.
    fn start(config: &LaunchConfig) -> Result<Self, Failure>;

    /// The number of loops.
    fn count(&self) -> usize;

    /// The processes that the loops run in, if not in this one.
    fn processes(&self) -> Vec<u32>;

    /// Runs a part on every loop in parallel, and returns the results in the loops' order. Do not call it inside a
    /// task.
    ///
    /// # Errors
    /// The first part's failure.
    fn each<S: Split>(&self, params: &Params, plan: &S::Plan) -> Result<Vec<S::Part>, Failure>;
}

/// Starts loops and makes the meter count what they use.
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

/// Repeats a split computation. `finish` checks the parts and returns the number of ops.
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
