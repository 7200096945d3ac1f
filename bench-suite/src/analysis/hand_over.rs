//! What it costs to hand something to another thread: data that its core must fetch, and a thread that must be woken.
//! These are properties of the machine and its kernel, so they are measured without any program.

use std::hint::spin_loop;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Acquire, Ordering::Release};
use std::thread;
use std::time::{Duration, Instant};

use crate::environment::cores;

/// Rounds. The fastest one counts, because other programs only make a round slower.
const ROUNDS: u64 = 1000;
/// Hand-overs there and back per round. A round is far shorter than a time slice, so that most rounds are undisturbed
/// even on a busy machine.
const TURNS: u64 = 8;
/// Wake-ups that are measured. The median counts.
const WAKE_UPS: usize = 41;
/// How long a thread is left alone so that it sleeps.
const SETTLES: Duration = Duration::from_micros(200);

/// What it costs to hand something to another thread, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HandOver {
    /// From a write to a word by one core until another core has read it.
    pub transfer_ns: u64,
    /// How long the call that wakes a sleeping thread takes.
    pub waking_ns: u64,
}

impl HandOver {
    /// Measures this machine, in some 10 ms. With one core, there is nobody to hand anything to: all is 0.
    pub fn measured() -> Self {
        if cores() < 2 {
            return Self::default();
        }
        Self {
            transfer_ns: transfer(),
            waking_ns: waking(),
        }
    }
}

/// A word on a cache line of its own.
#[repr(align(128))]
struct Line(AtomicU64);

/// Two threads write to a word in turn. The time of one hand-over.
fn transfer() -> u64 {
    let line = Line(AtomicU64::new(0));
    let answer = || {
        for turn in 0..=ROUNDS * TURNS {
            wait_for(&line, 2 * turn + 1);
            line.0.store(2 * turn + 2, Release);
        }
    };
    let ask = |turn: u64| {
        line.0.store(2 * turn + 1, Release);
        wait_for(&line, 2 * turn + 2);
    };
    thread::scope(|scope| {
        scope.spawn(answer);
        // The first answer comes once the other thread has started.
        ask(0);
        let rounds = (0..ROUNDS).map(|round| {
            let begun = Instant::now();
            (1..=TURNS).for_each(|turn| ask(round * TURNS + turn));
            begun.elapsed().as_nanos() as u64 / (2 * TURNS)
        });
        rounds.min().unwrap_or(0)
    })
}

fn wait_for(line: &Line, value: u64) {
    while line.0.load(Acquire) != value {
        spin_loop();
    }
}

/// How long `unpark` takes for a thread that sleeps.
fn waking() -> u64 {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let sleeper = scope.spawn(|| {
            while !done.load(Acquire) {
                thread::park();
            }
        });
        let mut took: Vec<_> = (0..WAKE_UPS)
            .map(|_| {
                thread::sleep(SETTLES);
                let begun = Instant::now();
                sleeper.thread().unpark();
                begun.elapsed().as_nanos() as u64
            })
            .collect();
        done.store(true, Release);
        sleeper.thread().unpark();
        *took.select_nth_unstable(WAKE_UPS / 2).1
    })
}
