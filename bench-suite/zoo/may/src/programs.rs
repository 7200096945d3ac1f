//! The programs without servers.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use may::coroutine::{self, JoinHandle};
use may::go;
use may::sync::{mpsc, Mutex, Semphore, SyncFlag};

use crate::{compute, cpu, switches};

pub fn idle_wakeups(size: usize, _: usize) -> f64 {
    coroutine::sleep(Duration::from_millis(100));
    let before = cpu();
    for _ in 0..size {
        coroutine::sleep(Duration::from_millis(1));
    }
    (cpu() - before) / 1e3 / size as f64
}

/// Two coroutines that wake each other, until a neighbour has run.
struct Rally {
    passes: AtomicU64,
    over: AtomicBool,
    turns: [Semphore; 2],
}

impl Rally {
    fn play(&self, me: usize, limit: Duration) {
        let begun = Instant::now();
        while !self.over.load(Ordering::SeqCst) && begun.elapsed() < limit {
            self.turns[me].wait();
            self.passes.fetch_add(1, Ordering::SeqCst);
            self.turns[1 - me].post();
        }
        // The other one may be waiting for its turn.
        self.turns[1 - me].post();
    }
}

pub fn lifo_chain(_: usize, workers: usize) -> f64 {
    const LIMIT: Duration = Duration::from_secs(3);
    let rallies: Vec<_> = (0..workers)
        .map(|_| {
            go!(|| {
                let rally = Arc::new(Rally {
                    passes: AtomicU64::new(0),
                    over: AtomicBool::new(false),
                    turns: [Semphore::new(1), Semphore::new(0)],
                });
                let (other, seen) = (Arc::clone(&rally), Arc::clone(&rally));
                drop(go!(move || other.play(1, LIMIT)));
                let neighbour = go!(move || {
                    seen.over.store(true, Ordering::SeqCst);
                    seen.passes.load(Ordering::SeqCst)
                });
                rally.play(0, LIMIT);
                neighbour.join().unwrap_or(u64::MAX)
            })
        })
        .collect();
    let passes = rallies.into_iter().map(|rally| rally.join().unwrap_or(u64::MAX));
    passes.max().unwrap_or(0) as f64
}

pub fn lifo_hostage(size: usize, _: usize) -> f64 {
    let mut free = 0;
    for _ in 0..size {
        let called = Arc::new(SyncFlag::new());
        let ran = Arc::new(AtomicBool::new(false));
        let (waits_for, runs) = (Arc::clone(&called), Arc::clone(&ran));
        let hostage = go!(move || {
            waits_for.wait();
            runs.store(true, Ordering::SeqCst);
        });
        coroutine::sleep(Duration::from_millis(1));
        let holder = go!(move || {
            called.fire();
            let begun = Instant::now();
            while !ran.load(Ordering::SeqCst) && begun.elapsed() < Duration::from_millis(500) {
                std::hint::spin_loop();
            }
            ran.load(Ordering::SeqCst)
        });
        free += usize::from(holder.join().unwrap_or(false));
        let _ = hostage.join();
    }
    free as f64
}

pub fn priority_inversion(_: usize, workers: usize) -> f64 {
    let lock = Arc::new(Mutex::new(()));
    let turns = Arc::new(AtomicU64::new(0));
    let over = Arc::new(AtomicBool::new(false));
    let locked = Arc::new(SyncFlag::new());
    let (owned, holds) = (Arc::clone(&lock), Arc::clone(&locked));
    drop(go!(move || {
        let guard = owned.lock();
        holds.fire();
        for _ in 0..5 {
            coroutine::yield_now();
        }
        drop(guard);
    }));
    locked.wait();
    let busy = workers * 2;
    for _ in 0..busy {
        let (turns, over) = (Arc::clone(&turns), Arc::clone(&over));
        drop(go!(move || {
            while !over.load(Ordering::SeqCst) {
                compute(Duration::from_millis(1));
                turns.fetch_add(1, Ordering::SeqCst);
                coroutine::yield_now();
            }
        }));
    }
    let urgent = go!(move || {
        let _guard = lock.lock();
        turns.load(Ordering::SeqCst)
    });
    let waited = urgent.join().unwrap_or(u64::MAX);
    over.store(true, Ordering::SeqCst);
    waited as f64 / busy as f64
}

pub fn mutex_convoy(size: usize, _: usize) -> f64 {
    const TASKS: usize = 32;
    let lock = Arc::new(Mutex::new(()));
    let before = switches();
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let lock = Arc::clone(&lock);
            go!(move || {
                for _ in 0..size {
                    let _guard = lock.lock();
                    compute(Duration::from_micros(10));
                }
            })
        })
        .collect();
    for task in tasks {
        let _ = task.join();
    }
    (switches() - before) / (TASKS * size) as f64
}

pub fn outside_spawns(size: usize, _: usize) -> f64 {
    all(&start(size / 10), size / 10);
    let begun = Instant::now();
    all(&start(size), size);
    let inside = begun.elapsed();
    let begun = Instant::now();
    let thread = std::thread::spawn(move || start(size));
    let ended = thread.join().expect("it starts coroutines and nothing else");
    all(&ended, size);
    begun.elapsed().as_secs_f64() / inside.as_secs_f64()
}

fn start(count: usize) -> Arc<AtomicUsize> {
    let ended = Arc::new(AtomicUsize::new(0));
    for _ in 0..count {
        let ended = Arc::clone(&ended);
        drop(go!(move || {
            ended.fetch_add(1, Ordering::SeqCst);
        }));
    }
    ended
}

fn all(ended: &AtomicUsize, count: usize) {
    while ended.load(Ordering::SeqCst) < count {
        coroutine::sleep(Duration::from_millis(1));
    }
}

pub fn panic_storm(size: usize, _: usize) -> f64 {
    let mut reported = 0;
    for _ in 0..size / 100 {
        let tasks: Vec<JoinHandle<()>> = (0..100)
            .map(|_| {
                go!(|| {
                    coroutine::yield_now();
                    panic!("on purpose");
                })
            })
            .collect();
        for task in tasks {
            let payload = task.join().err();
            let text = payload.as_ref().and_then(|payload| payload.downcast_ref::<&str>());
            reported += usize::from(text == Some(&"on purpose"));
        }
    }
    let alive = go!(|| 1).join();
    alive.map_or(0.0, |_| reported as f64)
}

pub fn await_chain(size: usize, _: usize) -> f64 {
    let start = Arc::new(SyncFlag::new());
    let started = Arc::clone(&start);
    let first = go!(move || {
        started.wait();
        0_u64
    });
    let link = |before: JoinHandle<u64>| go!(move || before.join().map_or(0, |links| links + 1));
    let last = (0..size).fold(first, |before, _| link(before));
    start.fire();
    last.join().unwrap_or(0) as f64
}

/// may's own examples use its unbounded channels.
pub fn queue_bound(size: usize, _: usize) -> f64 {
    let (sender, receiver) = mpsc::channel::<usize>();
    let taken = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&taken);
    drop(go!(move || {
        for number in 0..size {
            if sender.send(number).is_err() {
                return;
            }
            counted.fetch_add(1, Ordering::SeqCst);
        }
    }));
    let mut before = 0;
    loop {
        coroutine::sleep(Duration::from_millis(100));
        let now = taken.load(Ordering::SeqCst);
        if now == before && now > 0 {
            drop(receiver);
            return now as f64;
        }
        before = now;
    }
}
