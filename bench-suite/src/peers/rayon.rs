//! rayon: fork-join for [`Recursion`](crate::workloads::Recursion), and other workloads that its users would run on it,
//! through its own interface: scopes for tasks that return, parallel iterators for data.
//!
//! Its jobs can't wait, and they live on their parent's stack. This makes it fast, and is why it has no row for
//! workloads whose tasks sleep or talk to each other.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;
use runtime_core::{ForkJoin, LaunchConfig, Scope, ScopeJob};

use crate::measure::Meter;
use crate::registry::{Registry, RuntimeInfo};
use crate::repetitions::Repetitions;
use crate::vocabulary::{Failure, Params};
use crate::workloads::{
    LaunchForkJoin, check, fib, hash, launch_config, matmul, nqueens, skynet, spawn,
};

/// Adds its own row: fork-join, and the other workloads that its users would run on it.
pub(crate) fn register(registry: &mut Registry) {
    let about = "rayon: fork-join by work stealing, without tasks that wait";
    let info = RuntimeInfo::new("rayon", about);
    registry.runtimes.push(info);
    registry.add_fork_join::<Rayon>(info.name);
    registry.add("fib-spawn", info.name, fib_spawn);
    registry.add("skynet-spawn", info.name, skynet_spawn);
    registry.add("matmul", info.name, matmul);
    registry.add("hash", info.name, hash);
    registry.add("nqueens", info.name, nqueens);
    registry.add("spawn", info.name, spawn);
    registry.add("spawn-batch", info.name, spawn_batch);
}

/// rayon's pool of the calling thread. It is its own launcher.
#[derive(Clone, Copy, Debug)]
pub struct Rayon;

impl ForkJoin for Rayon {
    fn join<A, B, RA, RB>(&self, a: A, b: B) -> (RA, RB)
    where
        A: FnOnce() -> RA + Send,
        B: FnOnce() -> RB + Send,
        RA: Send,
        RB: Send,
    {
        rayon::join(a, b)
    }

    fn scope<'env, F, R>(&'env self, body: F) -> R
    where
        F: FnOnce(&dyn Scope<'env>) -> R + Send,
        R: Send,
    {
        rayon::scope(|scope| body(&RayonScope(scope)))
    }
}

struct RayonScope<'a, 'env>(&'a rayon::Scope<'env>);

impl<'env> Scope<'env> for RayonScope<'_, 'env> {
    fn spawn_job(&self, job: ScopeJob<'env>) {
        self.0.spawn(move |scope| job.run(&RayonScope(scope)));
    }
}

impl LaunchForkJoin for Rayon {
    type Pool = Self;

    fn workers(config: &LaunchConfig) -> Option<usize> {
        Some(config.workers)
    }

    fn run<T, F>(config: &LaunchConfig, body: F) -> io::Result<T>
    where
        F: FnOnce(&Self) -> T + Send,
        T: Send,
    {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(config.workers)
            .build()
            .map_err(io::Error::other)?;
        Ok(pool.install(|| body(&Self)))
    }
}

/// Repeats `body` inside a pool. `body` returns the number of ops.
fn repeat(
    params: &Params,
    meter: &mut Meter,
    body: impl Fn() -> Result<u64, Failure> + Sync,
) -> Result<(), Failure> {
    let config = launch_config(params)?;
    meter.workers = Some(config.workers as u64);
    Rayon::run(&config, |_| {
        let mut repetitions = Repetitions::new(params.budget_ns);
        while repetitions.next(meter) {
            let ops = body()?;
            repetitions.done(meter, ops);
        }
        Ok(())
    })
    .map_err(|error| Failure::Refused(format!("rayon's pool did not start: {error}")))?
}

/// `spawn`: empty jobs in one scope. The jobs have no handles, so their results are added up.
///
/// # Errors
/// Those of [`Program::run`](crate::workloads::Program::run).
pub fn spawn(params: &Params, meter: &mut Meter) -> Result<(), Failure> {
    let tasks = params.value("size");
    repeat(params, meter, || {
        let ran = AtomicU64::new(0);
        rayon::scope(|scope| {
            for _ in 0..tasks {
                scope.spawn(|_| count(&ran));
            }
        });
        check("the number of jobs run", ran.into_inner(), tasks)?;
        Ok(tasks)
    })
}

/// `spawn-batch`: empty jobs, with a scope per hundred.
///
/// # Errors
/// Those of [`Program::run`](crate::workloads::Program::run).
pub fn spawn_batch(params: &Params, meter: &mut Meter) -> Result<(), Failure> {
    let tasks = params.value("size");
    repeat(params, meter, || {
        let ran = AtomicU64::new(0);
        let mut left = tasks;
        while left > 0 {
            let batch = left.min(spawn::BATCH);
            rayon::scope(|scope| {
                for _ in 0..batch {
                    scope.spawn(|_| count(&ran));
                }
            });
            left -= batch;
        }
        check("the number of jobs run", ran.into_inner(), tasks)?;
        Ok(tasks)
    })
}

fn count(ran: &AtomicU64) {
    // Relaxed is enough, because the end of the scope orders it.
    ran.fetch_add(1, Ordering::Relaxed);
}

/// `fib-spawn`: a job at every fork, in its own scope.
///
/// # Errors
/// Those of [`Program::run`](crate::workloads::Program::run).
pub fn fib_spawn(params: &Params, meter: &mut Meter) -> Result<(), Failure> {
    fn fib_scope(n: u64) -> u64 {
        if n < 2 {
            return n;
        }
        let (mut child, mut here) = (0, 0);
        rayon::scope(|scope| {
            scope.spawn(|_| child = fib_scope(n - 1));
            here = fib_scope(n - 2);
        });
        child + here
    }
    let n = params.value("size");
    repeat(params, meter, || {
        check("fib", fib_scope(n), fib::fib(n))?;
        Ok(fib::forks(n))
    })
}

/// `skynet-spawn`: ten jobs in a scope, at every inner node.
///
/// # Errors
/// Those of [`Program::run`](crate::workloads::Program::run).
pub fn skynet_spawn(params: &Params, meter: &mut Meter) -> Result<(), Failure> {
    fn node(first: u64, leaves: u64) -> u64 {
        if leaves == 1 {
            return first;
        }
        let below = leaves / skynet::CHILDREN;
        let mut sums = [0; skynet::CHILDREN as usize];
        rayon::scope(|scope| {
            for (child, sum) in sums.iter_mut().enumerate() {
                scope.spawn(move |_| *sum = node(first + child as u64 * below, below));
            }
        });
        sums.iter().sum()
    }
    let levels = params.value("size") as u32;
    let leaves = skynet::CHILDREN.pow(levels);
    repeat(params, meter, || {
        check(
            "the sum of the leaves",
            node(0, leaves),
            spawn::sum_below(leaves),
        )?;
        Ok(skynet::nodes(levels))
    })
}

/// `matmul`: a parallel iterator over rows.
///
/// # Errors
/// Those of [`Program::run`](crate::workloads::Program::run).
pub fn matmul(params: &Params, meter: &mut Meter) -> Result<(), Failure> {
    let input = matmul::Input::new(params.value("size") as usize, params.seed);
    repeat(params, meter, || {
        let mut product = vec![0.0; input.n * input.n];
        product
            .par_chunks_exact_mut(input.n)
            .enumerate()
            .for_each(|(row, result)| input.product_row(row, result));
        input.check(&product)?;
        Ok(1)
    })
}

/// `hash`: a parallel iterator over chunks.
///
/// # Errors
/// Those of [`Program::run`](crate::workloads::Program::run).
pub fn hash(params: &Params, meter: &mut Meter) -> Result<(), Failure> {
    let input = hash::Input::new(params.value("size") as usize, params.seed);
    repeat(params, meter, || {
        let digests: Vec<hash::Sum> = (0..input.chunks())
            .into_par_iter()
            .map(|chunk| input.chunk_digest(chunk))
            .collect();
        input.check(hash::Input::root_digest(digests))?;
        Ok(input.chunks() as u64)
    })
}

/// `nqueens`: a parallel iterator over the openings.
///
/// # Errors
/// Those of [`Program::run`](crate::workloads::Program::run).
pub fn nqueens(params: &Params, meter: &mut Meter) -> Result<(), Failure> {
    let queens = params.value("size") as u32;
    repeat(params, meter, || {
        let openings = nqueens::openings(queens);
        let found: u64 = openings
            .into_par_iter()
            .map(nqueens::Board::solutions)
            .sum();
        check("the number of solutions", found, nqueens::known(queens))?;
        Ok(1)
    })
}
