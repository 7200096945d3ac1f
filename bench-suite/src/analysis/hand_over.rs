//! What it costs to hand something to another thread: data that its core must fetch, and a thread that must be woken.
//! These are properties of the machine and its kernel, so they are measured without any program.

use std::hint::{black_box, spin_loop};
use std::sync::atomic::{
    AtomicBool, AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release,
};
use std::thread;
use std::time::{Duration, Instant};

use crate::environment::cores;

/// Rounds. The fastest one counts for hand-overs there and back, because other programs only make a round slower.
const ROUNDS: u64 = 1000;
/// Hand-overs there and back per round. A round is far shorter than a time slice, so that most rounds are undisturbed
/// even on a busy machine.
const TURNS: u64 = 8;
/// Lines that are written and read in a row.
const LINES: u64 = 128;
/// Wake-ups that are measured. The median counts.
const WAKE_UPS: usize = 41;
/// How long a thread is left alone so that it sleeps.
const SETTLES: Duration = Duration::from_micros(200);

/// What it costs to hand something to another thread, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HandOver {
    /// From a write to a word by one core until another core has read it.
    pub transfer_ns: u64,
    /// From one word to the next, for a core that reads words in a row that another core wrote some time ago.
    pub stream_ns: u64,
    /// How long the call that wakes a sleeping thread takes.
    pub waking_ns: u64,
    /// From the start of that call until the thread runs.
    pub awake_after_ns: u64,
}

impl HandOver {
    /// Measures this machine, in some 10 ms. With one core, there is nobody to hand anything to: all is 0.
    pub fn measured() -> Self {
        if cores() < 2 {
            return Self::default();
        }
        let (waking_ns, awake_after_ns) = waking();
        Self {
            transfer_ns: transfer(),
            stream_ns: stream(),
            waking_ns,
            awake_after_ns,
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

/// One thread writes to many lines, and then another one reads them. The time for each line.
fn stream() -> u64 {
    let lines: Vec<_> = (0..LINES).map(|_| Line(AtomicU64::new(0))).collect();
    let turn = Line(AtomicU64::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..ROUNDS {
                wait_for(&turn, 2 * round);
                for line in &lines {
                    line.0.store(round, Release);
                }
                turn.0.store(2 * round + 1, Release);
            }
        });
        let read = |round: u64| {
            wait_for(&turn, 2 * round + 1);
            let begun = Instant::now();
            let sum: u64 = lines.iter().map(|line| line.0.load(Relaxed)).sum();
            let took = begun.elapsed();
            black_box(sum);
            turn.0.store(2 * round + 2, Release);
            took.as_nanos() as u64 / LINES
        };
        // Not the fastest one: in that one, both threads may have been on one core.
        let mut rounds: Vec<_> = (0..ROUNDS).map(read).collect();
        middle(&mut rounds)
    })
}

/// How long `unpark` takes for a thread that sleeps, and until that thread runs.
fn waking() -> (u64, u64) {
    let origin = Instant::now();
    let (is_over, ran_at) = (AtomicBool::new(false), AtomicU64::new(0));
    let since_origin = || origin.elapsed().as_nanos() as u64;
    thread::scope(|scope| {
        let sleeper = scope.spawn(|| {
            while !is_over.load(Acquire) {
                thread::park();
                ran_at.store(since_origin(), Release);
            }
        });
        let (mut calls, mut latencies) = (Vec::new(), Vec::new());
        for _ in 0..WAKE_UPS {
            thread::sleep(SETTLES);
            ran_at.store(0, Release);
            let begun = since_origin();
            sleeper.thread().unpark();
            calls.push(since_origin() - begun);
            while ran_at.load(Acquire) == 0 {
                spin_loop();
            }
            latencies.push(ran_at.load(Acquire).saturating_sub(begun));
        }
        is_over.store(true, Release);
        sleeper.thread().unpark();
        (middle(&mut calls), middle(&mut latencies))
    })
}

fn middle(values: &mut [u64]) -> u64 {
    let middle = values.len() / 2;
    *values.select_nth_unstable(middle).1
}
