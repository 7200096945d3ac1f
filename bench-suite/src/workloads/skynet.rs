//! `skynet-spawn` and `skynet-join`: a tree in which every task starts ten others (A. Temelin's skynet benchmark).
//!
//! There are `size` levels below the root. The leaves return their numbers, and the inner tasks add up the results of
//! their ten children. Unlike `fib`, the tree is wide: it shows how fast work spreads, and what many live tasks cost in
//! memory.
//!
//! **`skynet-spawn`**: ten tasks are spawned, then awaited in order. **`skynet-join`**: the model's fork-join halves
//! the ten children until one is left.
//!
//! One op is one task, including the root and the leaves: 1,111 with three levels, 1,111,111 with six. The check is the
//! sum.

use runtime_core::{ForkJoin, JoinError, Runtime};

use super::spawn::sum_below;
use super::{Program, Recursion, check, lost, size};
use crate::measure::Meter;
use crate::repetitions::Repetitions;
use crate::vocabulary::{Failure, Group, Mode, Params, Workload};

/// Children of a task.
pub const CHILDREN: u64 = 10;

/// A task for every node.
pub struct SkynetSpawn;

impl Program for SkynetSpawn {
    const INFO: Workload = Workload {
        name: "skynet-spawn",
        group: Group::Cpu,
        mode: Mode::Batch,
        about: "a tree of tasks, ten children each: how work spreads, and many live tasks",
        op: "one task of the tree",
        parameters: &[size("levels below the root; 10^size leaves", 3, 1, 8)],
        metric: "wall_ns_per_op",
    };

    async fn run<R: Runtime>(rt: R, params: &Params, meter: &mut Meter) -> Result<(), Failure> {
        let levels = params.value("size") as u32;
        let leaves = CHILDREN.pow(levels);
        let mut repetitions = Repetitions::new(params.budget_ns);
        while repetitions.next(meter) {
            let sum = sum_by_tasks(&rt, 0, leaves).await?;
            check("the sum of the leaves", sum, sum_below(leaves))?;
            repetitions.done(meter, nodes(levels));
        }
        Ok(())
    }
}

/// The sum of the leaves `first .. first + leaves`, with a task for every node above them. `leaves` is a power of ten.
pub(crate) async fn sum_by_tasks<R: Runtime>(
    rt: &R,
    first: u64,
    leaves: u64,
) -> Result<u64, Failure> {
    let root = spawn_node(rt, first, leaves);
    root.await.map_err(lost)?.map_err(|e| lost(*e))
}

/// The error is boxed so that a task's output stays two words long.
type Summed = Result<u64, Box<JoinError>>;

/// The tree over the leaves `first .. first + leaves`.
async fn node<R: Runtime>(rt: R, first: u64, leaves: u64) -> Summed {
    if leaves == 1 {
        return Ok(first);
    }
    let below = leaves / CHILDREN;
    // An array, not a `Vec`, because the workload compares the cost of tasks and not of `malloc`.
    let children: [_; CHILDREN as usize] =
        std::array::from_fn(|child| spawn_node(&rt, first + child as u64 * below, below));
    let mut sum = 0;
    for child in children {
        sum += child.await.map_err(Box::new)??;
    }
    Ok(sum)
}

/// A function with a named return type. It breaks the cycle in which `node` is `Send` if `node` is.
fn spawn_node<R: Runtime>(rt: &R, first: u64, leaves: u64) -> R::JoinHandle<Summed> {
    rt.spawn(node(rt.clone(), first, leaves))
}

/// A job for every node.
pub struct SkynetJoin;

impl Recursion for SkynetJoin {
    const INFO: Workload = Workload {
        name: "skynet-join",
        group: Group::Cpu,
        mode: Mode::Batch,
        about: "a tree of ten children each by the model's fork-join, without futures",
        op: "one job of the tree",
        parameters: &[size("levels below the root; 10^size leaves", 3, 1, 9)],
        metric: "wall_ns_per_op",
    };

    fn run<F: ForkJoin>(pool: &F, params: &Params, meter: &mut Meter) -> Result<(), Failure> {
        let levels = params.value("size") as u32;
        let leaves = CHILDREN.pow(levels);
        let mut repetitions = Repetitions::new(params.budget_ns);
        while repetitions.next(meter) {
            let sum = sum_of_leaves(pool, 0, leaves);
            check("the sum of the leaves", sum, sum_below(leaves))?;
            repetitions.done(meter, nodes(levels));
        }
        Ok(())
    }
}

fn sum_of_leaves<F: ForkJoin>(pool: &F, first: u64, leaves: u64) -> u64 {
    if leaves == 1 {
        return first;
    }
    let below = leaves / CHILDREN;
    // Halving the ten children with `join` keeps their results on the parent's stack. A scope would have to box each
    // job.
    sum_of_siblings(pool, first, below, CHILDREN)
}

/// The sum over `siblings` subtrees with `below` leaves each.
fn sum_of_siblings<F: ForkJoin>(pool: &F, first: u64, below: u64, siblings: u64) -> u64 {
    if siblings == 1 {
        return sum_of_leaves(pool, first, below);
    }
    let here = siblings / 2;
    let (left, right) = pool.join(
        || sum_of_siblings(pool, first, below, here),
        || sum_of_siblings(pool, first + here * below, below, siblings - here),
    );
    left + right
}

/// The number of nodes of the tree, including the root and the leaves.
pub fn nodes(levels: u32) -> u64 {
    (0..=levels).map(|level| CHILDREN.pow(level)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_levels_are_the_classic_tree() {
        assert_eq!(nodes(6), 1_111_111);
    }
}
