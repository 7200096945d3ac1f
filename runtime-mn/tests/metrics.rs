//! What the workers count.

use std::thread;
use std::time::{Duration, Instant};

use runtime_core::testing::rounds::polls_between_looks;
use runtime_core::{Metrics, Runtime as _, sleep, spawn, yield_now};
use runtime_mn::Runtime;

/// Waits until `holds` is true. After a task's end, its awaiter may continue before the worker has counted everything.
fn until(runtime: &Runtime, holds: impl Fn(&Metrics) -> bool) -> Metrics {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let metrics = runtime.handle().metrics();
        if holds(&metrics) {
            return metrics;
        }
        assert!(Instant::now() < deadline, "{metrics:#?}");
        thread::yield_now();
    }
}

#[test]
fn polls_and_live_tasks_are_counted() {
    let runtime = Runtime::builder().workers(2).build().unwrap();
    runtime.block_on(async {
        for task in (0..100).map(|_| spawn(yield_now())).collect::<Vec<_>>() {
            task.await.unwrap();
        }
    });
    let metrics = until(&runtime, |metrics| metrics.live_tasks == Some(0));
    // Each of them at least twice, and the root.
    assert!(metrics.polls >= Some(201), "{metrics:#?}");
    let of_workers: u64 = metrics.workers.iter().map(|worker| worker.polls).sum();
    assert_eq!(Some(of_workers), metrics.polls);
    let idle = runtime.spawn(std::future::pending::<()>());
    until(&runtime, |metrics| metrics.live_tasks == Some(1));
    idle.abort();
    until(&runtime, |metrics| metrics.live_tasks == Some(0));
}

/// The poll must not come in the middle of a short round, and must not wait for the end of a long one.
#[test]
fn a_busy_worker_asks_for_sockets_once_a_round_or_every_few_hundred_tasks() {
    // Per round, in steps of the poll tick; then per four poll ticks, because the round is longer.
    for (tasks, expected) in [(150, 140..220), (2_000, 200..400)] {
        let runtime = Runtime::builder().workers(1).build().unwrap();
        let polls = runtime.block_on(polls_between_looks(runtime.handle().clone(), tasks));
        assert!(expected.contains(&polls), "{tasks} tasks: {polls} polls");
    }
}

#[test]
fn every_worker_has_its_own_line() {
    let runtime = Runtime::builder().workers(3).build().unwrap();
    runtime.block_on(sleep(Duration::from_millis(5)));
    let metrics = until(&runtime, |metrics| metrics.parks >= Some(3));
    assert_eq!(metrics.workers.len(), 3);
    let parks: u64 = metrics.workers.iter().map(|worker| worker.parks).sum();
    assert!(parks >= 3, "{metrics:#?}");
}

#[test]
fn busy_time_is_the_time_awake() {
    let runtime = Runtime::builder().workers(1).build().unwrap();
    let computing = Duration::from_millis(50);
    let during = runtime.block_on({
        let handle = runtime.handle().clone();
        async move {
            thread::sleep(computing);
            handle.metrics().workers[0].busy
        }
    });
    assert!(
        during >= computing,
        "a worker that is awake counts, too: {during:?}"
    );
    // While it sleeps, it counts no further.
    until(&runtime, |metrics| {
        let busy = metrics.workers[0].busy;
        thread::sleep(Duration::from_millis(20));
        runtime.handle().metrics().workers[0].busy == busy
    });
}

#[test]
fn histograms_come_on_request() {
    let without = Runtime::builder().workers(1).build().unwrap();
    let metrics = without.handle().metrics();
    assert_eq!((metrics.poll_time, metrics.schedule_latency), (None, None));

    let runtime = Runtime::builder()
        .workers(2)
        .histograms(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        spawn(async { thread::sleep(Duration::from_millis(4)) })
            .await
            .unwrap();
        for _ in 0..200 {
            yield_now().await;
        }
    });
    let metrics = until(&runtime, |metrics| {
        metrics
            .poll_time
            .as_ref()
            .map(|histogram| histogram.count())
            == metrics.polls
    });
    let poll_time = metrics.poll_time.unwrap();
    assert!(poll_time.sum >= Duration::from_millis(4), "{poll_time:?}");
    // One poll of at least 4 ms, which is more than 2^21 ns.
    let long: u64 = poll_time.counts[22..].iter().sum();
    assert!(long >= 1, "{poll_time:?}");
    assert!(metrics.schedule_latency.unwrap().count() >= 1);
}
