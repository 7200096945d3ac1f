//! Computations and pure scheduling workloads, split by hand as asyncio's users do.
//!
//! Within its part, a loop does what the workload does: one task per piece. Each loop creates the data that it needs (a
//! matrix, a buffer) itself, once, because loops share nothing.

use std::any::Any;
use std::cell::RefCell;
use std::sync::Arc;

use hdrhistogram::serialization::{Deserializer, Serializer as _, V2Serializer};
use runtime_core::JoinHandle;
use runtime_n1::Handle;

use super::{Loops, Share, Split, repeat, start};
use crate::measure::{Latency, Meter};
use crate::vocabulary::{Failure, Params};
use crate::workloads::{check, fib, hash, lost, matmul, nqueens, skynet, spawn, timers, yielding};

/// The number of pieces into which a loop cuts its part.
const PIECES: usize = 4;

/// Awaits tasks in order.
async fn join<T>(tasks: Vec<JoinHandle<T>>) -> Result<Vec<T>, Failure> {
    let mut results = Vec::with_capacity(tasks.len());
    for task in tasks {
        results.push(task.await.map_err(lost)?);
    }
    Ok(results)
}

/// A loop's own input, with its size and seed.
type Kept = (u64, u64, Arc<dyn Any + Send + Sync>);

thread_local! {
    static INPUT: RefCell<Option<Kept>> = const { RefCell::new(None) };
}

/// This loop's own input. The warm-up repetition creates it.
fn input<T: Send + Sync + 'static>(params: &Params, make: fn(usize, u64) -> T) -> Arc<T> {
    let (size, seed) = (params.value("size"), params.seed);
    let kept = INPUT.with_borrow(|kept| match kept {
        Some((of_size, of_seed, input)) if (*of_size, *of_seed) == (size, seed) => {
            Arc::clone(input).downcast().ok()
        }
        _ => None,
    });
    kept.unwrap_or_else(|| {
        let made = Arc::new(make(size as usize, seed));
        INPUT.set(Some((size, seed, made.clone())));
        made
    })
}

/// An empty part, which is done once the loop runs.
pub struct Ready;

impl Split for Ready {
    type Plan = ();
    type Part = ();

    async fn part(_: Handle, _: Share, (): ()) -> Result<(), Failure> {
        Ok(())
    }
}

/// `hash`: a range of the chunks, with a task per chunk.
pub struct Hash;

impl Split for Hash {
    type Plan = ();
    type Part = Vec<hash::Sum>;

    async fn part(rt: Handle, share: Share, (): ()) -> Result<Vec<hash::Sum>, Failure> {
        let input = input(&share.params, hash::Input::new);
        let tasks = share.of(input.chunks() as u64).map(|chunk| {
            let input = Arc::clone(&input);
            rt.spawn(async move { input.chunk_digest(chunk as usize) })
        });
        join(tasks.collect()).await
    }
}

/// `hash`, split over loops.
///
/// # Errors
/// Those of [`Program::run`](crate::workloads::Program::run). This applies to all functions here.
pub fn hash<L: Loops>(params: &Params, meter: &mut Meter) -> Result<(), Failure> {
    let chunks = params.value("size");
    let expected = hash::Input::new(chunks as usize, params.seed).expected();
    repeat::<L, Hash>(params, meter, |parts| {
        let digest = hash::Input::root_digest(parts.into_iter().flatten());
        check("the digest", digest, expected)?;
        Ok(chunks)
    })
}

/// `matmul`: a range of the rows, in a few pieces with a task each.
pub struct MatMul;

impl Split for MatMul {
    type Plan = ();
    type Part = Vec<f64>;

    async fn part(rt: Handle, share: Share, (): ()) -> Result<Vec<f64>, Failure> {
        let input = input(&share.params, matmul::Input::new);
        let rows = share.of(input.n as u64);
        let first = rows.start as usize;
        let pieces = matmul::cut((rows.end - rows.start) as usize, PIECES).map(|piece| {
            let input = Arc::clone(&input);
            let rows = first + piece.start..first + piece.end;
            rt.spawn(async move { input.product_rows(rows) })
        });
        Ok(join(pieces.collect()).await?.concat())
    }
}

/// `matmul`, split over loops. The rows return to the caller, through a pipe if the loops are processes.
///
/// # Errors
/// See [`hash()`].
pub fn matmul<L: Loops>(params: &Params, meter: &mut Meter) -> Result<(), Failure> {
    let input = matmul::Input::new(params.value("size") as usize, params.seed);
    repeat::<L, MatMul>(params, meter, |parts| {
        input.check(&parts.concat())?;
        Ok(1)
    })
}

/// `nqueens`: every nth opening, with a task per opening.
pub struct NQueens;

impl Split for NQueens {
    type Plan = ();
    type Part = u64;

    async fn part(rt: Handle, share: Share, (): ()) -> Result<u64, Failure> {
        let openings = nqueens::openings(share.params.value("size") as u32);
        let own = openings.into_iter().skip(share.index).step_by(share.count);
        let tasks = own.map(|board| rt.spawn(async move { board.solutions() }));
        Ok(join(tasks.collect()).await?.into_iter().sum())
    }
}

/// `nqueens`, split over loops.
///
/// # Errors
/// See [`hash()`].
pub fn nqueens<L: Loops>(params: &Params, meter: &mut Meter) -> Result<(), Failure> {
    let known = nqueens::known(params.value("size") as u32);
    repeat::<L, NQueens>(params, meter, |parts| {
        check("the number of solutions", parts.into_iter().sum(), known)?;
        Ok(1)
    })
}

/// `fib-spawn`: some subtrees of the recursion.
pub struct FibSpawn;

/// The numbers whose Fibonacci numbers add up to fib(n), largest first. If n is large enough, there are a few of them
/// for each of `loops`.
fn subtrees(n: u64, loops: usize) -> Vec<u64> {
    /// Smaller subtrees are not worth a loop.
    const SMALL: u64 = 10;
    let mut trees = vec![n];
    while trees.len() < loops * PIECES && trees[0] >= SMALL {
        let largest = trees.remove(0);
        trees.extend([largest - 1, largest - 2]);
        trees.sort_unstable_by(|a, b| b.cmp(a));
    }
    trees
}

impl Split for FibSpawn {
    type Plan = ();
    type Part = u64;

    async fn part(rt: Handle, share: Share, (): ()) -> Result<u64, Failure> {
        let trees = subtrees(share.params.value("size"), share.count);
        let mut sum = 0;
        for n in trees.into_iter().skip(share.index).step_by(share.count) {
            sum += fib::fib_by_tasks(&rt, n).await?;
        }
        Ok(sum)
    }
}

/// `fib-spawn`, split over loops. The few forks at the top are made by hand and don't count as ops.
///
/// # Errors
/// See [`hash()`].
pub fn fib_spawn<L: Loops>(params: &Params, meter: &mut Meter) -> Result<(), Failure> {
    let n = params.value("size");
    repeat::<L, FibSpawn>(params, meter, |parts| {
        let loops = parts.len();
        check("fib", parts.into_iter().sum(), fib::fib(n))?;
        Ok(subtrees(n, loops).into_iter().map(fib::forks).sum())
    })
}

/// `skynet-spawn`: some of the root's children.
pub struct SkynetSpawn;

impl Split for SkynetSpawn {
    type Plan = ();
    type Part = u64;

    async fn part(rt: Handle, share: Share, (): ()) -> Result<u64, Failure> {
        let below = skynet::CHILDREN.pow(share.params.value("size") as u32 - 1);
        let mut sum = 0;
        for child in share.of(skynet::CHILDREN) {
            sum += skynet::sum_by_tasks(&rt, child * below, below).await?;
        }
        Ok(sum)
    }
}

/// `skynet-spawn`, split over loops. The root is not a task and doesn't count as an op.
///
/// # Errors
/// See [`hash()`].
pub fn skynet_spawn<L: Loops>(params: &Params, meter: &mut Meter) -> Result<(), Failure> {
    let levels = params.value("size") as u32;
    let expected = spawn::sum_below(skynet::CHILDREN.pow(levels));
    repeat::<L, SkynetSpawn>(params, meter, |parts| {
        check("the sum of the leaves", parts.into_iter().sum(), expected)?;
        Ok(skynet::nodes(levels) - 1)
    })
}

/// `spawn`: a range of the tasks, all alive at once.
pub struct Spawn;

impl Split for Spawn {
    type Plan = ();
    type Part = u64;

    async fn part(rt: Handle, share: Share, (): ()) -> Result<u64, Failure> {
        let numbers = share.of(share.params.value("size"));
        spawn::spawn_and_join(&rt, numbers).await
    }
}

/// `spawn-batch`: a range of the tasks, in batches of a hundred.
pub struct SpawnBatch;

impl Split for SpawnBatch {
    type Plan = ();
    type Part = u64;

    async fn part(rt: Handle, share: Share, (): ()) -> Result<u64, Failure> {
        let numbers = share.of(share.params.value("size"));
        let (mut sum, mut begun) = (0, numbers.start);
        while begun < numbers.end {
            let end = numbers.end.min(begun + spawn::BATCH);
            sum += spawn::spawn_and_join(&rt, begun..end).await?;
            begun = end;
        }
        Ok(sum)
    }
}

/// `spawn` and `spawn-batch`, split over loops.
///
/// # Errors
/// See [`hash()`].
pub fn spawn<L: Loops, S: Split<Plan = (), Part = u64>>(
    params: &Params,
    meter: &mut Meter,
) -> Result<(), Failure> {
    let tasks = params.value("size");
    repeat::<L, S>(params, meter, |parts| {
        let sum = parts.into_iter().sum();
        check(
            "the sum of the tasks' numbers",
            sum,
            spawn::sum_below(tasks),
        )?;
        Ok(tasks)
    })
}

/// `yield`: some of the tasks.
pub struct Yield;

impl Split for Yield {
    type Plan = ();
    type Part = u64;

    async fn part(rt: Handle, share: Share, (): ()) -> Result<u64, Failure> {
        let tasks = share.of(share.params.value("size"));
        let yields = share.params.value("yields");
        yielding::yield_together(&rt, tasks.end - tasks.start, yields).await
    }
}

/// `yield`, split over loops.
///
/// # Errors
/// See [`hash()`].
pub fn yielding<L: Loops>(params: &Params, meter: &mut Meter) -> Result<(), Failure> {
    let yields = params.value("size") * params.value("yields");
    repeat::<L, Yield>(params, meter, |parts| {
        check("the number of yields", parts.into_iter().sum(), yields)?;
        Ok(yields)
    })
}

/// `timers`: some of the sleeps. A part returns the histogram of their lateness as bytes.
pub struct Timers;

impl Split for Timers {
    type Plan = ();
    type Part = Vec<u8>;

    async fn part(rt: Handle, share: Share, (): ()) -> Result<Vec<u8>, Failure> {
        let tasks = share.of(share.params.value("size"));
        let span_ns = share.params.value("span_ms") * 1_000_000;
        let seed = share.params.seed.wrapping_add(share.index as u64);
        let lateness = timers::sleep_together(&rt, tasks.end - tasks.start, span_ns, seed).await?;
        let mut bytes = Vec::new();
        V2Serializer::new()
            .serialize(&lateness, &mut bytes)
            .map_err(|error| Failure::Crashed(format!("the histogram: {error}")))?;
        Ok(bytes)
    }
}

/// `timers`, split over loops.
///
/// # Errors
/// See [`hash()`].
pub fn timers<L: Loops>(params: &Params, meter: &mut Meter) -> Result<(), Failure> {
    let loops = start::<L>(params, meter)?;
    meter.start();
    let parts = loops.each::<Timers>(params, &())?;
    meter.stop(params.value("size"));
    let mut lateness = Latency::histogram();
    for bytes in parts {
        let part = Deserializer::new()
            .deserialize::<u64, _>(&mut bytes.as_slice())
            .map_err(|error| Failure::Crashed(format!("the histogram: {error}")))?;
        lateness
            .add(part)
            .map_err(|error| Failure::Crashed(format!("the histogram: {error}")))?;
    }
    meter.record_latency(&lateness);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subtrees_add_up_to_the_whole() {
        for n in [2, 8, 16, 30] {
            for loops in [1, 2, 7] {
                let sum = subtrees(n, loops).into_iter().map(fib::fib).sum::<u64>();
                assert_eq!(sum, fib::fib(n));
            }
        }
        assert!(subtrees(20, 4).len() >= 16);
    }
}
