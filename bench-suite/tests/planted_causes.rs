//! Programs with a planted fault, each recorded in two variants: `first_divergence` must find the cause.
//!
//! The missed batch is not among them: this scheduler takes single tasks so cheaply that it would not be the first
//! difference. The analysis's own tests plant it in a simulated trace, with the other causes.
//!
//! A recording covers the whole process, so code here runs only while its test holds the recording.

use std::collections::BTreeMap;
use std::future::Future;
use std::hint::spin_loop;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bench_suite::analysis::cause::Cause;
use bench_suite::analysis::divergence::{Divergence, first_divergence};
use bench_suite::trace::{Run, record};
use runtime_core::sync::{Event, Mutex};
use runtime_core::trace::Recorder;
use runtime_core::{Launch, LaunchConfig, Runtime, TaskHandle as _};
use runtime_mn::Mn;
use runtime_n1::N1;
use runtime_threads::Threads;

/// Long in comparison with the delays that a busy machine causes between two steps.
const LONG: Duration = Duration::from_millis(80);

fn recorded<L, F>(name: &str, program: impl FnOnce(L::Runtime) -> F + Send + 'static) -> Run
where
    L: Launch,
    F: Future<Output = ()> + Send + 'static,
{
    let mut config = LaunchConfig::default();
    config.workers = 1;
    // The monitor would take over the work of a worker that is blocked for long.
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

/// On a busy machine, the kernel may take the CPU away for longer than the planted fault lasts. That would be the first
/// large difference, so the program runs again, up to this many times.
const ATTEMPTS: u32 = 20;

/// The first difference between the two runs, from the first attempt that finds the expected cause.
fn found(cause: &str, slow: impl Fn() -> Run, fast: impl Fn() -> Run) -> Divergence {
    let mut others = Vec::new();
    for _ in 0..ATTEMPTS {
        match first_divergence([&slow(), &fast()]) {
            Some(found) if found.cause.name() == cause && found.slow == 0 => return found,
            other => others.push(other.map(|it| it.sentence)),
        }
    }
    panic!("never {cause}, but {others:#?}");
}

/// A wakes B and then computes for long.
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
    let slow = || recorded::<Mn, _>("mn", a_wakes_b);
    let fast = || recorded::<Threads, _>("threads", a_wakes_b);
    let found = found("LIFO slot", slow, fast);
    assert!(
        found.sentence.starts_with("M:N put `")
            && found.sentence.contains("in the LIFO slot behind `"),
        "{}",
        found.sentence
    );
}

#[test]
fn a_task_behind_a_poll_that_blocks_the_loop() {
    let slow = || recorded::<N1, _>("n1", a_wakes_b);
    let fast = || recorded::<Threads, _>("threads", a_wakes_b);
    let found = found("blocked worker", slow, fast);
    assert!(
        found.sentence.starts_with("N:1 let `"),
        "{}",
        found.sentence
    );
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
    let slow = || recorded::<N1, _>("n1", timer_beside_a_hog);
    let fast = || recorded::<Threads, _>("threads", timer_beside_a_hog);
    let found = found("late timer", slow, fast);
    assert!(
        matches!(found.cause, Cause::LateTimer { during: Some(_) }),
        "{}",
        found.sentence
    );
    assert!(found.waited_ns >= LONG.as_nanos() as u64 / 2);
}

const SLEEPERS: usize = 64;

/// Only one of many tasks has something to do. Either all are woken, or only that one.
async fn one_of_many<R: Runtime>(rt: R, wake_all: bool, chosen: usize) {
    let events: Vec<_> = (0..SLEEPERS).map(|_| Arc::new(Event::new())).collect();
    let begun = Arc::new(AtomicUsize::new(0));
    let mut handles = Vec::new();
    for (number, event) in events.iter().cloned().enumerate() {
        let begun = begun.clone();
        handles.push(rt.spawn(async move {
            begun.fetch_add(1, Ordering::SeqCst);
            loop {
                event.wait().await;
                event.clear();
                compute(LONG / SLEEPERS as u32);
                if number == chosen {
                    return;
                }
            }
        }));
    }
    // From here on, all of them wait.
    while begun.load(Ordering::SeqCst) < SLEEPERS {
        rt.yield_now().await;
    }
    for (number, event) in events.iter().enumerate() {
        if wake_all || number == chosen {
            event.set();
        }
    }
    handles.remove(chosen).await.unwrap();
    handles.iter().for_each(|handle| handle.abort());
}

#[test]
fn a_herd_that_is_woken_for_one() {
    let slow = || recorded::<N1, _>("n1", |rt| one_of_many(rt, true, SLEEPERS - 1));
    let fast = || recorded::<N1, _>("n1", |rt| one_of_many(rt, false, SLEEPERS - 1));
    let found = found("herd", slow, fast);
    assert!(
        found.sentence.contains("found nothing to do"),
        "{}",
        found.sentence
    );
}

/// The chosen task is not the last one to be woken, because M:N would run that one first.
#[test]
fn a_herd_under_mn() {
    let slow = || recorded::<Mn, _>("mn", |rt| one_of_many(rt, true, SLEEPERS / 2));
    let fast = || recorded::<Mn, _>("mn", |rt| one_of_many(rt, false, SLEEPERS / 2));
    found("herd", slow, fast);
}

/// The timer is set before the hog computes, whichever task runs first.
async fn timer_before_a_hog<R: Runtime>(rt: R) {
    let set = Arc::new(Event::new());
    let (is_set, own) = (set.clone(), rt.clone());
    let ticker = rt.spawn(async move {
        is_set.set();
        own.sleep(Duration::from_millis(5)).await;
    });
    let hog = rt.spawn(async move {
        set.wait().await;
        compute(LONG);
    });
    ticker.await.unwrap();
    hog.await.unwrap();
}

#[test]
fn a_timer_that_a_long_poll_makes_late_under_mn() {
    let slow = || recorded::<Mn, _>("mn", timer_before_a_hog);
    let fast = || recorded::<Threads, _>("threads", timer_before_a_hog);
    found("late timer", slow, fast);
}

/// Two tasks that are spawned together. The one that runs first computes for long.
async fn behind_a_hog<R: Runtime>(rt: R) {
    let first = Arc::new(AtomicBool::new(true));
    let tasks: Vec<_> = (0..2)
        .map(|_| {
            let first = first.clone();
            rt.spawn(async move {
                if first.swap(false, Ordering::SeqCst) {
                    compute(LONG);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

#[test]
fn a_task_behind_a_poll_that_blocks_a_worker() {
    let slow = || recorded::<Mn, _>("mn", behind_a_hog);
    let fast = || recorded::<Threads, _>("threads", behind_a_hog);
    found("blocked worker", slow, fast);
}

const LOCKERS: usize = 16;

/// Each task takes the lock, and sleeps while it holds the lock or afterwards.
async fn sleepers_with_a_lock<R: Runtime>(rt: R, count: usize, sleep: Duration, with_it: bool) {
    let lock = Arc::new(Mutex::new(()));
    let tasks: Vec<_> = (0..count)
        .map(|_| {
            let (lock, rt) = (lock.clone(), rt.clone());
            rt.clone().spawn(async move {
                let guard = lock.lock().await;
                if !with_it {
                    drop(guard);
                    return rt.sleep(sleep).await;
                }
                rt.sleep(sleep).await;
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

#[test]
fn a_lock_that_goes_from_hand_to_hand() {
    let run = |with_it| {
        let sleep = LONG / LOCKERS as u32;
        let program = move |rt| sleepers_with_a_lock(rt, LOCKERS, sleep, with_it);
        recorded::<N1, _>("n1", program)
    };
    let found = found("convoy", || run(true), || run(false));
    assert!(
        matches!(found.cause, Cause::Convoy { hand_overs, .. } if hand_overs >= 2),
        "{}",
        found.sentence
    );
}

#[test]
fn a_lock_that_one_task_holds_for_long() {
    let run =
        |with_it| recorded::<Mn, _>("mn", move |rt| sleepers_with_a_lock(rt, 2, LONG, with_it));
    found("long holder", || run(true), || run(false));
}

const IN_LINE: usize = 32;

/// One task among others that each compute for a while. It is spawned before or after them.
async fn in_line<R: Runtime>(rt: R, is_last: bool) {
    let spawn_it = || rt.spawn(async {});
    let first = (!is_last).then(spawn_it);
    let others: Vec<_> = (0..IN_LINE)
        .map(|_| rt.spawn(async { compute(LONG / IN_LINE as u32) }))
        .collect();
    let it = first.unwrap_or_else(spawn_it);
    it.await.unwrap();
    for other in others {
        other.await.unwrap();
    }
}

#[test]
fn a_task_at_the_end_of_a_long_queue() {
    let slow = || recorded::<N1, _>("n1", |rt| in_line(rt, true));
    let fast = || recorded::<N1, _>("n1", |rt| in_line(rt, false));
    found("turn", slow, fast);
}
