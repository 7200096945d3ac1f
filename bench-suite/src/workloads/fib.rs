//! `fib-spawn` and `fib-join`: Fibonacci numbers the slow way, with a fork at every step and no cut-off.
//!
//! There is no work except the forks. The workload measures the cost of a fork, and the order in which a scheduler runs
//! forks. Newest first keeps the live part of the tree as small as its depth. Oldest first builds the whole tree before
//! it joins any of it.
//!
//! **`fib-spawn`**: `fib(n)` spawns a task for `fib(n - 1)`, computes `fib(n - 2)` itself, and then awaits the task.
//! The recursion is boxed, because an async function can't contain itself. **`fib-join`**: both calls go to the model's
//! fork-join.
//!
//! One op is one fork, which is one call with `n >= 2`. The check is the number itself.

use runtime_core::{ForkJoin, JoinError, Runtime};

use super::{Program, Recursion, check, lost, size};
use crate::measure::Meter;
use crate::repetitions::Repetitions;
use crate::vocabulary::{Failure, Group, Mode, Params, Workload};

/// A task at every fork.
pub struct FibSpawn;

impl Program for FibSpawn {
    const INFO: Workload = Workload {
        name: "fib-spawn",
        group: Group::Cpu,
        mode: Mode::Batch,
        about: "recursion with a task spawned and awaited at every fork: cost and order of forks",
        op: "one fork: a call with n >= 2",
        parameters: &[size("n of fib(n)", 16, 2, 40)],
        metric: "wall_ns_per_op",
    };

    async fn run<R: Runtime>(rt: R, params: &Params, meter: &mut Meter) -> Result<(), Failure> {
        let n = params.value("size");
        let mut repetitions = Repetitions::new(params.budget_ns);
        while repetitions.next(meter) {
            let answer = fib_by_tasks(&rt, n).await?;
            check("fib", answer, fib(n))?;
            repetitions.done(meter, forks(n));
        }
        Ok(())
    }
}

/// fib(n), with a task at every fork.
pub(crate) async fn fib_by_tasks<R: Runtime>(rt: &R, n: u64) -> Result<u64, Failure> {
    spawn_fib(rt, n).await.map_err(lost)?.map_err(|e| lost(*e))
}

/// The error is boxed so that a task's output stays two words long.
type Forked = Result<u64, Box<JoinError>>;

async fn fib_tasks<R: Runtime>(rt: R, n: u64) -> Forked {
    if n < 2 {
        return Ok(n);
    }
    let child = spawn_fib(&rt, n - 1);
    let here = Box::pin(fib_tasks(rt, n - 2)).await?;
    Ok(here + child.await.map_err(Box::new)??)
}

/// A function with a named return type. It breaks the cycle in which `fib_tasks` is `Send` if `fib_tasks` is.
fn spawn_fib<R: Runtime>(rt: &R, n: u64) -> R::JoinHandle<Forked> {
    rt.spawn(fib_tasks(rt.clone(), n))
}

/// Two closures at every fork.
pub struct FibJoin;

impl Recursion for FibJoin {
    const INFO: Workload = Workload {
        name: "fib-join",
        group: Group::Cpu,
        mode: Mode::Batch,
        about: "recursion with the model's fork-join at every fork, without futures",
        op: "one fork: a call with n >= 2",
        parameters: &[size("n of fib(n)", 16, 2, 50)],
        metric: "wall_ns_per_op",
    };

    fn run<F: ForkJoin>(pool: &F, params: &Params, meter: &mut Meter) -> Result<(), Failure> {
        let n = params.value("size");
        let mut repetitions = Repetitions::new(params.budget_ns);
        while repetitions.next(meter) {
            let answer = fib_join(pool, std::hint::black_box(n));
            check("fib", answer, fib(n))?;
            repetitions.done(meter, forks(n));
        }
        Ok(())
    }
}

fn fib_join<F: ForkJoin>(pool: &F, n: u64) -> u64 {
    if n < 2 {
        return n;
    }
    let (left, right) = pool.join(|| fib_join(pool, n - 1), || fib_join(pool, n - 2));
    left + right
}

/// fib(n), computed fast.
pub fn fib(n: u64) -> u64 {
    let (mut this, mut next) = (0, 1);
    for _ in 0..n {
        (this, next) = (next, this + next);
    }
    this
}

/// The number of calls with `n >= 2` in the recursion: one fewer than its fib(n + 1) leaves.
pub fn forks(n: u64) -> u64 {
    fib(n + 1) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fast_way_gives_the_known_numbers() {
        assert_eq!([0, 1, 2, 10, 50].map(fib), [0, 1, 1, 55, 12_586_269_025]);
    }

    #[test]
    fn forks_are_the_calls_that_fork() {
        fn count(n: u64) -> u64 {
            if n < 2 {
                0
            } else {
                1 + count(n - 1) + count(n - 2)
            }
        }
        for n in 2..20 {
            assert_eq!(forks(n), count(n));
        }
    }
}
