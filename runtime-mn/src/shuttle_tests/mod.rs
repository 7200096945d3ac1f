//! The whole scheduler, with three workers, under random and under priority-based schedules.
//!
//! All threads are shuttle's, and the reactor has no sockets. Every program here ends by itself: if a wake-up is lost,
//! shuttle finds all threads blocked and says so. A failure prints the seed, by which the test repeats it
//! (`SHUTTLE_RANDOM_SEED`).

mod blocking;
mod ending;
mod fork_join;
mod spawning;
mod sync;
mod wakes;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use runtime_core::primitives::thread;
use runtime_core::yield_now;
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, Runner};

use crate::{Builder, Runtime};

/// Schedules of each kind that a test goes through, unless `LAB_SHUTTLE_ITERATIONS` says otherwise.
const ITERATIONS: usize = 500;
/// How many changes of priority a schedule of the second kind has.
const PCT_DEPTH: usize = 3;
/// A worker polls tasks inside of each other's polls: more than shuttle's 60 KiB.
const STACK_BYTES: usize = 256 * 1024;

const POLICIES: [&str; 7] = [
    "go-like",
    "tokio-like",
    "global-queue",
    "no-steal",
    "random-steal",
    "priority",
    "shed",
];

/// Runs `program` under many schedules.
fn check(program: impl Fn() + Send + Sync + 'static) {
    let iterations = std::env::var("LAB_SHUTTLE_ITERATIONS").map_or(ITERATIONS, |iterations| {
        iterations
            .parse()
            .expect("LAB_SHUTTLE_ITERATIONS is a number")
    });
    let seed = std::env::var("SHUTTLE_RANDOM_SEED").map_or_else(
        |_| std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), iterations),
        |seed| seed.parse().expect("SHUTTLE_RANDOM_SEED is a number"),
    );
    eprintln!("SHUTTLE_RANDOM_SEED={seed} LAB_SHUTTLE_ITERATIONS={iterations}");
    let program = Arc::new(program);
    let again = Arc::clone(&program);
    run(
        RandomScheduler::new_from_seed(seed, iterations),
        move || program(),
    );
    run(
        PctScheduler::new_from_seed(seed, PCT_DEPTH, iterations),
        move || again(),
    );
}

fn run(scheduler: impl Scheduler + 'static, program: impl Fn() + Send + Sync + 'static) {
    let mut config = Config::new();
    config.stack_size = STACK_BYTES;
    config.silence_warnings = true;
    Runner::new(scheduler, config).run(program);
}

/// As [`check`], under one policy after the other.
fn check_policies(program: impl Fn(Runtime) + Send + Sync + 'static) {
    let turn = AtomicUsize::new(0);
    check(move || {
        let policy = POLICIES[turn.fetch_add(1, Relaxed) % POLICIES.len()];
        program(builder().build_by_name(policy).unwrap());
    });
}

/// Three workers, and nothing that goes by the clock.
fn builder() -> Builder {
    Runtime::builder()
        .workers(3)
        .monitor(false)
        .max_replacement_workers(0)
}

fn runtime() -> Runtime {
    builder().build().unwrap()
}

/// What became of a number of tasks. What only counts is no scheduling point.
#[derive(Clone)]
struct Tally(Arc<[Fate]>);

#[derive(Default)]
struct Fate {
    made: AtomicUsize,
    ran: AtomicUsize,
    dropped: AtomicUsize,
}

/// Notes that a future is gone.
struct Mark(Tally, usize);

impl Drop for Mark {
    fn drop(&mut self) {
        self.0.0[self.1].dropped.fetch_add(1, Relaxed);
    }
}

impl Tally {
    fn new(tasks: usize) -> Self {
        Self((0..tasks).map(|_| Fate::default()).collect())
    }

    /// A task that is noted under that number. Its output is the number.
    fn task<F: Future + Send>(
        &self,
        number: usize,
        body: F,
    ) -> impl Future<Output = usize> + Send + use<F> {
        self.0[number].made.fetch_add(1, Relaxed);
        let mark = Mark(self.clone(), number);
        async move {
            mark.0.0[number].ran.fetch_add(1, Relaxed);
            body.await;
            drop(mark);
            number
        }
    }

    /// Each future that was made was dropped once, and polled from its beginning at most once.
    fn assert_none_leaked(&self) {
        for (number, fate) in self.0.iter().enumerate() {
            let made = fate.made.load(Relaxed);
            assert_eq!(fate.dropped.load(Relaxed), made, "drops of task {number}");
            assert!(fate.ran.load(Relaxed) <= made, "task {number} ran twice");
        }
    }

    fn assert_all_ran_once(&self) {
        self.assert_none_leaked();
        for number in 0..self.0.len() {
            assert_eq!(self.0[number].ran.load(Relaxed), 1, "runs of task {number}");
        }
    }
}

async fn yields(times: usize) {
    for _ in 0..times {
        yield_now().await;
    }
}
