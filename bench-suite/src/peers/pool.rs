//! A plain thread pool with one thread per core: one queue under a lock, workers that wait on a condition variable.
//!
//! A program without a runtime would use it for computing, so it is the reference against which every scheduler must
//! justify its complexity. A job can't wait for another job: if all workers waited, none would be left to run it. This
//! is why it has no row for recursion.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, mpsc};
use std::thread;

use parking_lot::{Condvar, Mutex};

use crate::measure::Meter;
use crate::registry::{Registry, RuntimeInfo};
use crate::repetitions::Repetitions;
use crate::vocabulary::{Failure, Params};
use crate::workloads::{check, hash, launch_config, matmul, nqueens, spawn};

/// Adds its own row, with the workloads whose jobs don't wait.
pub(crate) fn register(registry: &mut Registry) {
    let about = "a plain thread pool as large as the cores: one queue under a lock";
    let info = RuntimeInfo::new("pool", about);
    registry.runtimes.push(info);
    registry.add("matmul", info.name, matmul);
    registry.add("hash", info.name, hash);
    registry.add("nqueens", info.name, nqueens);
    registry.add("spawn", info.name, spawn);
    registry.add("spawn-batch", info.name, spawn_batch);
}

type Job = Box<dyn FnOnce() + Send>;

/// The pool. Dropping it lets the workers finish the queued jobs, and then ends them.
pub struct Pool {
    shared: Arc<Shared>,
    threads: Vec<thread::JoinHandle<()>>,
}

struct Shared {
    queue: Mutex<Queue>,
    filled: Condvar,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    closed: bool,
}

impl Pool {
    /// A pool of `threads` threads.
    ///
    /// # Errors
    /// If the system refuses a thread.
    pub fn new(threads: usize) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            queue: Mutex::new(Queue::default()),
            filled: Condvar::new(),
        });
        let mut pool = Self {
            shared,
            threads: Vec::with_capacity(threads),
        };
        for number in 0..threads {
            let shared = Arc::clone(&pool.shared);
            let thread = thread::Builder::new().name(format!("pool-{number}"));
            pool.threads.push(thread.spawn(move || shared.work())?);
        }
        Ok(pool)
    }

    /// The number of threads.
    pub fn threads(&self) -> usize {
        self.threads.len()
    }

    /// Queues a job.
    pub fn execute(&self, job: impl FnOnce() + Send + 'static) {
        self.shared.queue.lock().jobs.push_back(Box::new(job));
        self.shared.filled.notify_one();
    }

    /// Runs `function` on each item and returns the results in the items' order.
    ///
    /// # Errors
    /// [`Failure::Crashed`] if a job panicked.
    pub fn map<I, T, F>(&self, items: I, function: F) -> Result<Vec<T>, Failure>
    where
        I: IntoIterator,
        I::Item: Send + 'static,
        T: Send + 'static,
        F: Fn(I::Item) -> T + Send + Sync + 'static,
    {
        let function = Arc::new(function);
        let (sender, receiver) = mpsc::channel();
        let mut results = Vec::new();
        for (index, item) in items.into_iter().enumerate() {
            results.push(None);
            let function = Arc::clone(&function);
            let sender = sender.clone();
            self.execute(move || {
                // The receiver is gone only if the caller panicked.
                let _ = sender.send((index, function(item)));
            });
        }
        drop(sender);
        // Ends once every job has dropped its sender, by finishing or by a panic.
        for (index, result) in receiver {
            results[index] = Some(result);
        }
        results
            .into_iter()
            .collect::<Option<_>>()
            .ok_or_else(|| Failure::Crashed("a job of the pool panicked".to_owned()))
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.queue.lock().closed = true;
        self.shared.filled.notify_all();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn work(&self) {
        while let Some(job) = self.next() {
            // Unwinding drops the job's sender, which tells the caller about the panic.
            let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(job));
        }
    }

    /// Waits for a job; `None` if the pool is closed and empty.
    fn next(&self) -> Option<Job> {
        let mut queue = self.queue.lock();
        loop {
            if let Some(job) = queue.jobs.pop_front() {
                return Some(job);
            }
            if queue.closed {
                return None;
            }
            self.filled.wait(&mut queue);
        }
    }
}

/// Starts a pool and repeats `body`, which returns the number of ops.
fn repeat(
    params: &Params,
    meter: &mut Meter,
    body: impl Fn(&Pool) -> Result<u64, Failure>,
) -> Result<(), Failure> {
    let pool = Pool::new(launch_config(params)?.workers)
        .map_err(|error| Failure::Refused(format!("the pool did not start: {error}")))?;
    meter.workers = Some(pool.threads() as u64);
    let mut repetitions = Repetitions::new(params.budget_ns);
    while repetitions.next(meter) {
        let ops = body(&pool)?;
        repetitions.done(meter, ops);
    }
    Ok(())
}

/// `spawn`: jobs that return their number.
///
/// # Errors
/// Those of [`Program::run`](crate::workloads::Program::run).
pub fn spawn(params: &Params, meter: &mut Meter) -> Result<(), Failure> {
    let tasks = params.value("size");
    repeat(params, meter, |pool| {
        let sum: u64 = pool.map(0..tasks, |number| number)?.iter().sum();
        check("the sum of the jobs' numbers", sum, spawn::sum_below(tasks))?;
        Ok(tasks)
    })
}

/// `spawn-batch`: jobs that return their number, a hundred at a time.
///
/// # Errors
/// Those of [`Program::run`](crate::workloads::Program::run).
pub fn spawn_batch(params: &Params, meter: &mut Meter) -> Result<(), Failure> {
    let tasks = params.value("size");
    repeat(params, meter, |pool| {
        let mut sum: u64 = 0;
        let mut begun = 0;
        while begun < tasks {
            let end = tasks.min(begun + spawn::BATCH);
            sum += pool.map(begun..end, |number| number)?.iter().sum::<u64>();
            begun = end;
        }
        check("the sum of the jobs' numbers", sum, spawn::sum_below(tasks))?;
        Ok(tasks)
    })
}

/// `matmul`: a job for each piece.
///
/// # Errors
/// Those of [`Program::run`](crate::workloads::Program::run).
pub fn matmul(params: &Params, meter: &mut Meter) -> Result<(), Failure> {
    const PIECES_PER_THREAD: usize = 4;
    let input = Arc::new(matmul::Input::new(
        params.value("size") as usize,
        params.seed,
    ));
    repeat(params, meter, |pool| {
        let shared = Arc::clone(&input);
        let rows = matmul::cut(input.n, PIECES_PER_THREAD * pool.threads());
        let product = pool.map(rows, move |rows| shared.product_rows(rows))?;
        input.check(&product.concat())?;
        Ok(1)
    })
}

/// `hash`: a job for each chunk.
///
/// # Errors
/// Those of [`Program::run`](crate::workloads::Program::run).
pub fn hash(params: &Params, meter: &mut Meter) -> Result<(), Failure> {
    let input = Arc::new(hash::Input::new(params.value("size") as usize, params.seed));
    repeat(params, meter, |pool| {
        let shared = Arc::clone(&input);
        let digests = pool.map(0..input.chunks(), move |chunk| shared.chunk_digest(chunk))?;
        input.check(hash::Input::root_digest(digests))?;
        Ok(input.chunks() as u64)
    })
}

/// `nqueens`: a job for each opening.
///
/// # Errors
/// Those of [`Program::run`](crate::workloads::Program::run).
pub fn nqueens(params: &Params, meter: &mut Meter) -> Result<(), Failure> {
    let queens = params.value("size") as u32;
    repeat(params, meter, |pool| {
        let found = pool.map(nqueens::openings(queens), nqueens::Board::solutions)?;
        let found = found.iter().sum::<u64>();
        check("the number of solutions", found, nqueens::known(queens))?;
        Ok(1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_items() {
        let pool = Pool::new(4).unwrap();
        let squares = pool.map(0..1000_u64, |n| n * n).unwrap();
        assert!(
            squares
                .iter()
                .enumerate()
                .all(|(n, &square)| square == (n * n) as u64)
        );
    }

    #[test]
    fn a_panicking_job_fails_its_caller_and_leaves_the_pool_usable() {
        let pool = Pool::new(2).unwrap();
        let failed = pool.map(0..10, |n| assert!(n != 5, "asked for"));
        assert!(matches!(failed, Err(Failure::Crashed(_))));
        assert_eq!(pool.map(0..3, |n| n).unwrap(), [0, 1, 2]);
    }
}
