//! Pairs of green tasks that answer each other under M:N: on which workers they start, and how long a round trip takes.
//!
//! A green task stays on the worker that starts it. If both tasks of a pair start on one worker, they always stay
//! together. If they start on two workers, each message crosses threads. `pairs [PAIRS]`

use std::collections::HashMap;
use std::thread::{self, ThreadId};
use std::time::Instant;

use runtime_core::green::sync::{Receiver, Sender, channel};
use runtime_core::green::{self, wait};
use runtime_core::{JoinHandle, yield_now};

const ROUND_TRIPS: u32 = 2000;

/// Answers until the other task is gone. Returns the worker on which it ran.
fn pong(from: Receiver<u32>, to: Sender<u32>) -> ThreadId {
    for number in from {
        let _ = to.send(number);
    }
    thread::current().id()
}

/// Asks this many times. Returns the worker on which it ran, and the nanoseconds per round trip.
fn ping(to: Sender<u32>, from: Receiver<u32>) -> (ThreadId, f64) {
    let start = Instant::now();
    for number in 0..ROUND_TRIPS {
        to.send(number).expect("it listens");
        from.recv().expect("it answers");
    }
    let took = start.elapsed().as_nanos() as f64;
    (thread::current().id(), took / f64::from(ROUND_TRIPS))
}

/// A pair that another task spawns, one task after the other.
fn both() -> (JoinHandle<ThreadId>, JoinHandle<(ThreadId, f64)>) {
    let ((to_pong, from_ping), (to_ping, from_pong)) = (channel(1), channel(1));
    (
        green::spawn(move || pong(from_ping, to_ping)),
        green::spawn(move || ping(to_pong, from_pong)),
    )
}

/// A task that spawns the other one and talks to it.
fn child() -> JoinHandle<(ThreadId, ThreadId, f64)> {
    green::spawn(|| {
        let ((to_pong, from_ping), (to_ping, from_pong)) = (channel(1), channel(1));
        let pong = green::spawn(move || pong(from_ping, to_ping));
        let (here, ns) = ping(to_pong, from_pong);
        (wait(pong).expect("it returns"), here, ns)
    })
}

/// The share of tasks on the worker that has the most of them, in per cent.
fn largest_share(pairs: &[(ThreadId, ThreadId, f64)]) -> f64 {
    let mut on: HashMap<ThreadId, u32> = HashMap::new();
    for &(pong, ping, _) in pairs {
        *on.entry(pong).or_default() += 1;
        *on.entry(ping).or_default() += 1;
    }
    let most = on.values().max().copied().unwrap_or(0);
    50.0 * f64::from(most) / pairs.len() as f64
}

fn report(what: &str, pairs: &[(ThreadId, ThreadId, f64)]) {
    for (where_, together) in [("one worker", true), ("two workers", false)] {
        let of = pairs.iter().filter(|pair| (pair.0 == pair.1) == together);
        let mut ns: Vec<f64> = of.map(|pair| pair.2).collect();
        ns.sort_by(f64::total_cmp);
        let median = ns.get(ns.len() / 2).copied().unwrap_or(f64::NAN);
        println!(
            "{what:<34} {where_:<12} {:>4} pairs {median:>8.0} ns a round trip",
            ns.len()
        );
    }
    let share = largest_share(pairs);
    println!(
        "{:<34} {share:.0}% of them on the worker that has the most",
        ""
    );
}

fn main() -> std::io::Result<()> {
    let pairs = std::env::args().nth(1);
    let pairs = pairs.map_or(200, |pairs| pairs.parse().expect("a number of pairs"));
    let runtime = runtime_mn::Runtime::builder().workers(2).build()?;
    let outcomes = runtime.block_on(async move {
        let (mut started, mut children, mut at_once) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..pairs {
            let (pong, ping) = both();
            let (asked, ns) = ping.await.expect("it returns");
            started.push((pong.await.expect("it returns"), asked, ns));
            yield_now().await;
        }
        for _ in 0..pairs {
            children.push(child().await.expect("it returns"));
        }
        let all: Vec<_> = (0..pairs).map(|_| child()).collect();
        for one in all {
            at_once.push(one.await.expect("it returns"));
        }
        (started, children, at_once)
    });
    report("both started by a third task", &outcomes.0);
    report("one starts the other", &outcomes.1);
    report("one starts the other, all at once", &outcomes.2);
    Ok(())
}
