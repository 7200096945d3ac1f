//! Planted causes: a trace with the cause beside one without it.

use super::recording::Recording;
use crate::analysis::divergence::{Divergence, first_divergence};
use crate::trace::{Kind, Run, ThreadKind};

const MS: u64 = 1_000_000;
const US: u64 = 1000;

fn found(slow: &Run, fast: &Run) -> Divergence {
    let both = [
        first_divergence([slow, fast]),
        first_divergence([fast, slow]),
    ];
    let [one, other] = both.map(|it| it.expect("they differ"));
    // The result does not depend on the order of the runs.
    assert_eq!((one.slow, other.slow), (0, 1), "{}", one.sentence);
    assert_eq!(one.sentence, other.sentence);
    one
}

/// A wakes B and then computes for 8 ms.
fn a_wakes_b(runtime: &str, workers: u32, b_begins: u64, b_thread: u32, place: i64) -> Run {
    let mut recording = Recording::new(runtime, workers);
    let root = recording.task("root", None);
    let (b, a) = (
        recording.task("B", Some(root)),
        recording.task("A", Some(root)),
    );
    recording.spawn(0, 0, root);
    recording.begin(US, 0, root);
    recording.spawn(2 * US, 0, b);
    recording.spawn(3 * US, 0, a);
    recording.end(4 * US, 0, root, 1);
    recording.poll(0, b, [5 * US, 6 * US], 0);
    recording.begin(7 * US, 0, a);
    recording.wake(10 * US, 0, b, i64::from(a), 0);
    recording.queued(10 * US, 0, b, 0, place);
    recording.end(8 * MS, 0, a, 1);
    recording.poll(b_thread, b, [b_begins, b_begins + 50 * US], 1);
    recording.finish((b_begins + 60 * US).max(8 * MS))
}

#[test]
fn a_task_in_the_slot_behind_a_long_poll() {
    let slow = a_wakes_b("mn", 2, 8 * MS + 10 * US, 0, 0);
    let fast = a_wakes_b("threads", 2, 30 * US, 1, 2);
    let found = found(&slow, &fast);
    assert_eq!(found.cause.name(), "LIFO slot");
    assert_eq!(
        (found.waited_ns, found.other_waited_ns),
        (8 * MS, Some(20 * US))
    );
    assert_eq!(
        found.sentence,
        "M:N put `B` in the LIFO slot behind `A`, which computed 7.99 ms; `B` waited 8.00 ms, and 20.0 µs under 1:1. \
         The run took 8.07 ms under M:N and 8.00 ms under 1:1."
    );
}

#[test]
fn a_worker_that_a_long_poll_blocks() {
    let slow = a_wakes_b("n1", 1, 8 * MS + 10 * US, 0, 2);
    let fast = a_wakes_b("mn", 2, 30 * US, 1, 2);
    let found = found(&slow, &fast);
    assert_eq!(found.cause.name(), "blocked worker");
    assert!(
        found.sentence.contains("one poll of `A`"),
        "{}",
        found.sentence
    );
}

#[test]
fn tasks_from_the_slot_that_overtake() {
    let run = |chain_first: bool| {
        let mut recording = Recording::new("mn", 1);
        recording.config("lifo-slot", if chain_first { "on" } else { "off" });
        let tasks = ["x", "y", "z"].map(|name| recording.task(name, None));
        let [x, y, z] = tasks;
        for task in tasks {
            recording.spawn(0, 0, task);
        }
        recording.poll(0, x, [10, 20], 0);
        recording.poll(0, y, [30, 40], 0);
        recording.poll(0, z, [50, 60], 0);
        recording.wake(100, 0, z, -1, 3);
        recording.queued(100, 0, z, 0, 2);
        let mut now = 200;
        if !chain_first {
            recording.poll(0, z, [now, now + 10], 1);
            now += 100;
        }
        // x and y wake each other through the slot, 40 times for 10 µs.
        recording.wake(now, 0, x, -1, 3);
        recording.queued(now, 0, x, 0, 0);
        for turn in 0..40 {
            let (task, other) = if turn % 2 == 0 { (x, y) } else { (y, x) };
            recording.begin(now + 10, 0, task);
            recording.wake(now + 20, 0, other, i64::from(task), 0);
            recording.queued(now + 20, 0, other, 0, if chain_first { 0 } else { 2 });
            recording.end(now + 10 * US, 0, task, 0);
            now += 10 * US;
        }
        if chain_first {
            recording.poll(0, z, [now, now + 10], 1);
        }
        recording.finish(now + 10 * US)
    };
    let found = found(&run(true), &run(false));
    assert_eq!(found.cause.name(), "LIFO slot");
    assert!(
        found
            .sentence
            .starts_with("M:N (lifo-slot on) ran 40 polls from the LIFO slot before `z`"),
        "{}",
        found.sentence
    );
}

#[test]
fn a_timer_that_is_seen_late() {
    let run = |late: u64| {
        let mut recording = Recording::new(if late > 0 { "n1" } else { "mn" }, 2);
        let (ticker, hog) = (recording.task("ticker", None), recording.task("hog", None));
        recording.spawn(0, 0, ticker);
        recording.spawn(0, 0, hog);
        recording.poll(0, ticker, [US, 2 * US], 0);
        recording.poll(if late > 0 { 0 } else { 1 }, hog, [3 * US, 9 * MS], 1);
        let fires = 2 * US + MS + late;
        recording.event(fires, 0, Kind::TimerFired, Some(ticker), [-1; 2]);
        recording.wake(fires, 0, ticker, -1, 1);
        recording.poll(0, ticker, [fires + US, fires + 2 * US], 1);
        recording.finish(10 * MS)
    };
    let found = found(&run(8 * MS), &run(0));
    assert_eq!(found.cause.name(), "late timer");
    assert_eq!((found.waited_ns, found.other_waited_ns), (9 * MS, Some(MS)));
    assert!(
        found.sentence.contains("after a poll of `hog`"),
        "{}",
        found.sentence
    );
}

#[test]
fn a_herd_that_is_woken_for_one_item() {
    // There is one item. Either all sleepers are woken, or only the one that gets it.
    let run = |all: bool| {
        let mut recording = Recording::new("mn", 1);
        recording.config("wakes", if all { "all" } else { "one" });
        let producer = recording.task("producer", None);
        let sleepers: Vec<_> = (0..50)
            .map(|number| recording.task(&format!("sleeper {number}"), None))
            .collect();
        let mut now = 0;
        for &sleeper in &sleepers {
            recording.spawn(now, 0, sleeper);
            recording.poll(0, sleeper, [now + 10, now + 20], 0);
            now += 100;
        }
        recording.spawn(now, 0, producer);
        recording.begin(now + 10, 0, producer);
        let woken = if all { &sleepers[..] } else { &sleepers[49..] };
        for &sleeper in woken {
            recording.wake(now + 20, 0, sleeper, i64::from(producer), 0);
            recording.queued(now + 20, 0, sleeper, 0, 2);
        }
        recording.end(now + 30, 0, producer, 1);
        for &sleeper in woken {
            now += 5 * US;
            let got = sleeper == sleepers[49];
            recording.poll(0, sleeper, [now, now + 4 * US], i64::from(got));
        }
        recording.finish(now + 10 * US)
    };
    let found = found(&run(true), &run(false));
    assert_eq!(found.cause.name(), "herd");
    assert!(
        found.sentence.contains("found nothing to do"),
        "{}",
        found.sentence
    );
}

/// Eight tasks, each of which holds a lock for `held`.
fn lockers(name: &str, held: u64, hand_over: u64) -> Run {
    let mut recording = Recording::new("mn", 1);
    recording.config("lock", name);
    let tasks: Vec<_> = (0..8)
        .map(|number| recording.task(&format!("locker {number}"), None))
        .collect();
    for (&task, begin) in tasks.iter().zip((0..).step_by(100)) {
        recording.spawn(begin, 0, task);
        recording.begin(begin + 10, 0, task);
        if hand_over > 0 {
            recording.event(begin + 20, 0, Kind::LockWait, Some(task), [7, 0]);
        }
        recording.end(begin + 30, 0, task, 0);
    }
    let mut now = 1000;
    for &task in &tasks {
        let got = now + hand_over;
        recording.event(got, 0, Kind::LockGot, Some(task), [7, 0]);
        recording.event(got + held, 0, Kind::LockRelease, Some(task), [7, 0]);
        now = got + held;
    }
    recording.finish(now + US)
}

#[test]
fn a_convoy_at_a_lock() {
    let slow = lockers("fair", 100, 60 * US);
    let fast = lockers("barging", 100, 0);
    let found = found(&slow, &fast);
    assert_eq!(found.cause.name(), "convoy");
    assert!(
        found.sentence.contains("a convoy at lock 7"),
        "{}",
        found.sentence
    );
}

#[test]
fn one_long_holder_is_not_a_convoy() {
    let run = |held: u64| {
        let mut recording = Recording::new("mn", 2);
        recording.config("held", &held.to_string());
        let (holder, waiter) = (
            recording.task("holder", None),
            recording.task("waiter", None),
        );
        recording.begin(0, 0, holder);
        recording.event(10, 0, Kind::LockGot, Some(holder), [1, 0]);
        recording.poll(1, waiter, [20, 40], 0);
        recording.event(30, 1, Kind::LockWait, Some(waiter), [1, 0]);
        recording.event(held, 0, Kind::LockRelease, Some(holder), [1, 0]);
        recording.end(held, 0, holder, 1);
        recording.event(held + 10, 1, Kind::LockGot, Some(waiter), [1, 0]);
        recording.finish(held + 20)
    };
    let found = found(&run(5 * MS), &run(US));
    assert_eq!(found.cause.name(), "long holder");
    assert!(
        found.sentence.contains("which `holder` held"),
        "{}",
        found.sentence
    );
}

/// A thief takes 16 tasks, `batch` per steal. A steal costs 50 µs.
fn stolen(batch: usize) -> Run {
    let mut recording = Recording::new("mn", 2);
    recording.config("steal", if batch == 1 { "one" } else { "half" });
    let root = recording.task("root", None);
    let tasks: Vec<_> = (0..16)
        .map(|number| recording.task(&format!("task {number}"), Some(root)))
        .collect();
    recording.spawn(0, 0, root);
    recording.begin(10, 0, root);
    for &task in &tasks {
        recording.spawn(100, 0, task);
        recording.queued(100, 0, task, 0, 1);
    }
    // The owner continues in short polls, so that no long poll explains the wait.
    let mut now = 200;
    for goes in tasks.chunks(batch) {
        now += 50 * US;
        recording.event(now, 1, Kind::Steal, None, [0, goes.len() as i64]);
        for &task in goes {
            recording.poll(1, task, [now + 10, now + 1010], 1);
            now += 1010;
        }
    }
    recording.end(1000, 0, root, 1);
    recording.finish(now + US)
}

#[test]
fn tasks_that_are_stolen_one_at_a_time() {
    let found = found(&stolen(1), &stolen(8));
    assert_eq!(found.cause.name(), "missed batch");
    assert!(
        found
            .sentence
            .starts_with("M:N (steal one) took tasks one at a time"),
        "{}",
        found.sentence
    );
}

#[test]
fn a_worker_that_sleeps_while_a_task_is_due() {
    let run = |woken: u64| {
        let mut recording = Recording::new("mn", 2);
        recording.config("woken", &woken.to_string());
        let task = recording.task("t", None);
        recording.park(1, [0, woken], 0);
        recording.spawn(100, 0, task);
        recording.poll(1, task, [woken + 10, woken + 20], 1);
        recording.finish(woken + 100)
    };
    let found = found(&run(MS), &run(200));
    assert_eq!(found.cause.name(), "sleeping worker");
}

#[test]
fn a_thread_that_the_kernel_lets_wait() {
    let run = |begins: u64| {
        let mut recording = Recording::new("threads", 0);
        recording.config("begins", &begins.to_string());
        let thread = recording.thread(ThreadKind::Task);
        let task = recording.task("t", None);
        recording.spawn(100, thread, task);
        recording.poll(thread, task, [begins, begins + 20], 1);
        recording.finish(begins + 100)
    };
    let found = found(&run(MS), &run(200));
    assert_eq!(found.cause.name(), "kernel");
}

#[test]
fn the_first_large_difference_is_named_and_not_the_largest() {
    let run = |slow: bool| {
        let mut recording = Recording::new("mn", 1);
        recording.config("slow", if slow { "yes" } else { "no" });
        let tasks: Vec<_> = (0..3)
            .map(|it| recording.task(&format!("t{it}"), None))
            .collect();
        let waits = if slow {
            [10 * US, 500 * US, 900 * US]
        } else {
            [US; 3]
        };
        let mut now = 0;
        for (task, wait) in tasks.into_iter().zip(waits) {
            recording.spawn(now, 0, task);
            recording.poll(0, task, [now + wait, now + wait + 10], 1);
            now += wait + 20;
        }
        recording.finish(now)
    };
    let found = found(&run(true), &run(false));
    assert_eq!(found.task, 1);
}

#[test]
fn identical_runs_do_not_diverge() {
    let run = stolen(8);
    assert_eq!(first_divergence([&run, &run]), None);
}
