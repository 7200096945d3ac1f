//! Programs with a planted trouble, recorded for real in two ways: `first_divergence` names the cause.
//!
//! A recording is of the whole process. So nothing here runs but while its test has the recording.

use std::collections::BTreeMap;
use std::future::Future;
use std::hint::spin_loop;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bench_suite::analysis::cause::Cause;
use bench_suite::analysis::divergence::{Divergence, first_divergence};
use bench_suite::trace::{Run, record};
use runtime_core::sync::Event;
use runtime_core::trace::Recorder;
use runtime_core::{Launch, LaunchConfig, Runtime, TaskHandle as _};
use runtime_mn::Mn;
use runtime_n1::N1;
use runtime_threads::Threads;

/// Long beside what a machine that is busy otherwise puts between two steps.
const LONG: Duration = Duration::from_millis(80);

fn recorded<L, F>(name: &str, program: impl FnOnce(L::Runtime) -> F + Send + 'static) -> Run
where
    L: Launch,
    F: Future<Output = ()> + Send + 'static,
{
    let mut config = LaunchConfig::default();
    config.workers = 1;
    // It would take the work of a worker that is blocked for long.
    let monitor = L::PARTS.iter().find(|part| part.name == "monitor");
    config
        .without
        .extend(monitor.map(|part| part.name.to_owned()));
    let session = Recorder::new().records_per_thread(1 << 16).start_in_turn();
    L::run(&config, program).unwrap();
    record::run(name, BTreeMap::new(), &session.stop())
}

fn compute(time: Duration) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        spin_loop();
    }
}

fn found(slow: &Run, fast: &Run) -> Divergence {
    let found = first_divergence([slow, fast]).expect("they differ");
    assert_eq!(found.slow, 0, "{}", found.sentence);
    found
}

/// A wakes B and computes for long.
async fn a_wakes_b<R: Runtime>(rt: R) {
    let (ready, go) = (Arc::new(Event::new()), Arc::new(Event::new()));
    let (b_ready, b_go) = (ready.clone(), go.clone());
    let b = rt.spawn(async move {
        b_ready.set();
        b_go.wait().await;
    });
    let a = rt.spawn(async move {
        ready.wait().await;
        go.set();
        compute(LONG);
    });
    a.await.unwrap();
    b.await.unwrap();
}

#[test]
fn a_task_in_the_lifo_slot_behind_a_long_poll() {
    let slow = recorded::<Mn, _>("mn", a_wakes_b);
    let fast = recorded::<Threads, _>("threads", a_wakes_b);
    let found = found(&slow, &fast);
    assert_eq!(found.cause.name(), "LIFO slot", "{}", found.sentence);
    assert!(
        found.sentence.starts_with("M:N put `")
            && found.sentence.contains("in the LIFO slot behind `"),
        "{}",
        found.sentence
    );
}

#[test]
fn a_task_behind_a_poll_that_blocks_the_loop() {
    let slow = recorded::<N1, _>("n1", a_wakes_b);
    let fast = recorded::<Threads, _>("threads", a_wakes_b);
    let found = found(&slow, &fast);
    assert_eq!(found.cause.name(), "blocked worker", "{}", found.sentence);
}

async fn timer_beside_a_hog<R: Runtime>(rt: R) {
    let sleep = rt.sleep(Duration::from_millis(5));
    let ticker = rt.spawn(sleep);
    let hog = rt.spawn(async { compute(LONG) });
    ticker.await.unwrap();
    hog.await.unwrap();
}

#[test]
fn a_timer_that_a_long_poll_makes_late() {
    let slow = recorded::<N1, _>("n1", timer_beside_a_hog);
    let fast = recorded::<Threads, _>("threads", timer_beside_a_hog);
    let found = found(&slow, &fast);
    assert!(
        matches!(found.cause, Cause::LateTimer { during: Some(_) }),
        "{}",
        found.sentence
    );
    assert!(found.waited_ns >= LONG.as_nanos() as u64 / 2);
}

const SLEEPERS: usize = 64;

/// There is something to do for one of many, and all are woken or only that one.
async fn one_of_many<R: Runtime>(rt: R, wake_all: bool) {
    let events: Vec<_> = (0..SLEEPERS).map(|_| Arc::new(Event::new())).collect();
    let mut handles = Vec::new();
    for (number, event) in events.iter().cloned().enumerate() {
        handles.push(rt.spawn(async move {
            loop {
                event.wait().await;
                event.clear();
                compute(LONG / SLEEPERS as u32);
                if number == SLEEPERS - 1 {
                    return;
                }
            }
        }));
    }
    // All wait now.
    rt.yield_now().await;
    for (number, event) in events.iter().enumerate() {
        if wake_all || number == SLEEPERS - 1 {
            event.set();
        }
    }
    handles.pop().unwrap().await.unwrap();
    handles.iter().for_each(|handle| handle.abort());
}

#[test]
fn a_herd_that_is_woken_for_one() {
    let slow = recorded::<N1, _>("n1", |rt| one_of_many(rt, true));
    let fast = recorded::<N1, _>("n1", |rt| one_of_many(rt, false));
    let found = found(&slow, &fast);
    assert_eq!(found.cause.name(), "herd", "{}", found.sentence);
}
