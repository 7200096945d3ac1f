//! The whole scheduler with all its parts, with three workers, under random and under priority-based schedules.
//!
//! All threads are shuttle's. The tests report the sockets. The time comes from a mock clock, which jumps to the next
//! deadline when all threads wait. Every program here ends by itself: if a wake-up is lost, shuttle finds all threads
//! blocked and reports it. Work that only a check of the monitor finds takes time, and a test can bound that. A
//! failure prints the seed with which you can repeat the test (`SHUTTLE_RANDOM_SEED`).

mod blocking;
mod cpu_pool;
mod ending;
mod fork_join;
mod io_sharing;
mod monitor;
mod policy_queues;
mod spawning;
mod sync;
mod time;
mod wake_throttling;
mod wakes;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use runtime_core::primitives::{mock_clock, thread};
use runtime_core::yield_now;
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, Runner};

use crate::{Builder, Runtime};
use time::{Passes, WithClock};

/// The number of schedules of each kind per test, unless `LAB_SHUTTLE_ITERATIONS` says otherwise.
const ITERATIONS: usize = 500;
/// The number of changes of priority in a schedule of the second kind.
const PCT_DEPTH: usize = 3;
/// More than shuttle's 60 KiB, which is too little for unoptimised code.
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

/// Runs `program` under many schedules. Deadlines may pass while threads could continue.
fn check(program: impl Fn() + Send + Sync + 'static) {
    explore(Passes::AtAnyMoment, program);
}

/// Like [`check`], but time passes only while all threads wait.
fn check_in_time(program: impl Fn() + Send + Sync + 'static) {
    explore(Passes::WhenAllWait, program);
}

fn explore(time: Passes, program: impl Fn() + Send + Sync + 'static) {
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
    let random = RandomScheduler::new_from_seed(seed, iterations);
    run(WithClock::new(random, time, seed), move || program());
    let pct = PctScheduler::new_from_seed(seed, PCT_DEPTH, iterations);
    run(WithClock::new(pct, time, seed), move || again());
}

fn run(scheduler: impl Scheduler + 'static, program: impl Fn() + Send + Sync + 'static) {
    let mut config = Config::new();
    config.stack_size = STACK_BYTES;
    config.silence_warnings = true;
    Runner::new(scheduler, config).run(move || mock_clock::run(&program));
}

/// Like [`check`], under one policy after the other, alternately with all parts and with none.
fn check_policies(program: impl Fn(Runtime) + Send + Sync + 'static) {
    let turn = AtomicUsize::new(0);
    check(move || {
        let turn = turn.fetch_add(1, Relaxed);
        let policy = POLICIES[turn % POLICIES.len()];
        let builder = if turn % 2 == 0 { builder() } else { plain() };
        program(builder.build_by_name(policy).unwrap());
    });
}

/// Three workers, and all parts.
fn builder() -> Builder {
    // To the kernel, all threads are one, whose priority must not be lowered.
    Runtime::builder()
        .workers(3)
        .warn_of_stuck(false)
        .cpu_pool_nice(0)
}

/// Three workers, and no part.
fn plain() -> Builder {
    Builder::plain().workers(3)
}

fn runtime() -> Runtime {
    builder().build().unwrap()
}

/// Which tasks have run and ended. Counting here is not a scheduling point.
#[derive(Clone)]
struct Tally(Arc<[Fate]>);

#[derive(Default)]
struct Fate {
    made: AtomicUsize,
    ran: AtomicUsize,
    dropped: AtomicUsize,
}

/// Notes that a future was dropped.
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

    /// A task that is counted under that number. Its output is the number.
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

    /// Each created future was dropped once, and polled from its beginning at most once.
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
