//! How much longer a thread computes while others compute too: two threads of one core share its units, and the cores
//! share clock and power. This is a property of the machine, so it is measured without any program.

use std::hint::black_box;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use crate::environment::cores;

/// The length of one slice. It is shorter than a time slice of the kernel, so that some slices are undisturbed on a
/// busy machine.
const SLICE: Duration = Duration::from_millis(1);
/// Slices of each kind. The fastest one counts.
const ROUNDS: usize = 30;
/// Fits into a core's L1 cache, like most of what a task touches.
const WORDS: usize = 1024;

/// How much workers slow each other down.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Contention {
    /// The number of cores. More threads than that take turns.
    pub cores: usize,
    /// The factor by which a thread computes longer while all cores compute. 1.0 means no effect.
    pub of_all_cores: f64,
}

impl Contention {
    /// A machine with a core for each worker, where workers don't affect each other.
    pub const NONE: Self = Self {
        cores: usize::MAX,
        of_all_cores: 1.0,
    };

    /// Measures this machine, by computing on all its cores for some 60 ms.
    pub fn measured() -> Self {
        let cores = cores();
        let (mut alone, mut together) = (0.0_f64, 0.0_f64);
        for _ in 0..ROUNDS {
            alone = alone.max(rate());
            together = together.max(rate_of_each(cores));
        }
        let of_all_cores = (alone / together.max(f64::MIN_POSITIVE)).max(1.0);
        Self {
            cores,
            of_all_cores: if cores > 1 { of_all_cores } else { 1.0 },
        }
    }

    /// The factor by which a thread computes longer when `threads` threads compute. It is interpolated between one core
    /// and all cores.
    ///
    /// ```
    /// use bench_suite::analysis::contention::Contention;
    ///
    /// let machine = Contention { cores: 3, of_all_cores: 1.5 };
    /// assert_eq!([1, 2, 3, 6].map(|threads| machine.slow_down(threads)), [1.0, 1.25, 1.5, 3.0]);
    /// ```
    pub fn slow_down(self, threads: usize) -> f64 {
        let on_cores = threads.clamp(1, self.cores.max(1));
        let others = (self.cores.max(2) - 1) as f64;
        let turns = threads.max(1) as f64 / on_cores as f64;
        (1.0 + (self.of_all_cores - 1.0) * (on_cores - 1) as f64 / others) * turns
    }
}

/// Turns per nanosecond of one thread, as an average over `threads` threads.
fn rate_of_each(threads: usize) -> f64 {
    let barrier = Barrier::new(threads);
    let rates: Vec<f64> = thread::scope(|scope| {
        let one = || {
            barrier.wait();
            rate()
        };
        let all: Vec<_> = (0..threads).map(|_| scope.spawn(one)).collect();
        all.into_iter().filter_map(|it| it.join().ok()).collect()
    });
    rates.iter().sum::<f64>() / threads as f64
}

/// Turns per nanosecond in one slice.
fn rate() -> f64 {
    let mut words = [1_u64; WORDS];
    let begun = Instant::now();
    let mut turns = 0_u32;
    loop {
        turn(black_box(&mut words));
        turns += 1;
        let lasted = begun.elapsed();
        if lasted >= SLICE {
            return f64::from(turns) / lasted.as_nanos() as f64;
        }
    }
}

/// Independent loads, stores and arithmetic.
fn turn(words: &mut [u64; WORDS]) {
    for (index, word) in words.iter_mut().enumerate() {
        *word = word.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(17) ^ index as u64;
    }
}
