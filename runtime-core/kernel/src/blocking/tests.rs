//! Growing, shrinking, shutting down.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use super::*;
use crate::park::block_on_current_thread as block_on;
use crate::task::JoinError;

const LONG: Duration = Duration::from_secs(60);

fn pool(max_threads: usize, keep_alive: Duration) -> Arc<BlockingPool> {
    BlockingPool::new(BlockingConfig {
        max_threads,
        keep_alive,
        thread_name: "test-blocking".to_owned(),
        ..BlockingConfig::default()
    })
}

/// Waits, up to a generous limit, until other threads have made the condition true.
fn eventually(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + LONG;
    while !condition() {
        assert!(Instant::now() < deadline, "it never happened");
        thread::yield_now();
    }
}

#[test]
fn a_job_yields_its_value_and_a_panic_stays_in_its_handle() {
    let pool = pool(1, LONG);
    let panics = pool.spawn(|| panic!("on purpose"));
    let value = pool.spawn(|| 1);
    assert_eq!(block_on(value).unwrap(), 1);
    let error = block_on(panics).unwrap_err();
    assert_eq!(error.panic_message(), Some("on purpose"));
    assert_eq!(pool.threads(), 1);
}

#[test]
fn threads_are_started_only_while_all_are_busy() {
    let pool = pool(8, LONG);
    for _ in 0..100 {
        block_on(pool.spawn(|| ())).unwrap();
        // The handle completes a moment before its thread is idle again.
        eventually(|| pool.idle_threads() == pool.threads());
    }
    assert_eq!(pool.threads(), 1);
}

#[test]
fn jobs_that_wait_for_each_other_get_a_thread_each() {
    const JOBS: usize = 16;
    let pool = pool(JOBS, LONG);
    for _ in 0..50 {
        let barrier = Arc::new(Barrier::new(JOBS));
        let jobs: Vec<_> = (0..JOBS)
            .map(|_| {
                let barrier = barrier.clone();
                pool.spawn(move || barrier.wait().is_leader())
            })
            .collect();
        let leaders = jobs
            .into_iter()
            .map(|job| block_on(job).unwrap())
            .filter(|&leader| leader)
            .count();
        assert_eq!(leaders, 1);
    }
    assert_eq!(pool.threads(), JOBS);
}

#[test]
fn the_bound_holds_and_the_rest_waits_in_order() {
    let pool = pool(2, LONG);
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let jobs: Vec<_> = (0..100)
        .map(|number| {
            let (running, most) = (running.clone(), most.clone());
            pool.spawn(move || {
                most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                thread::yield_now();
                running.fetch_sub(1, Ordering::SeqCst);
                number
            })
        })
        .collect();
    for (number, job) in jobs.into_iter().enumerate() {
        assert_eq!(block_on(job).unwrap(), number);
    }
    assert!(most.load(Ordering::SeqCst) <= 2);
    assert!(pool.threads() <= 2);
}

#[test]
fn idle_threads_leave_and_come_back() {
    let pool = pool(4, Duration::from_millis(1));
    for _ in 0..3 {
        assert_eq!(block_on(pool.spawn(|| 1)).unwrap(), 1);
        eventually(|| pool.threads() == 0);
    }
}

#[test]
fn no_job_is_lost_between_retiring_threads_and_bursts() {
    let pool = pool(3, Duration::ZERO);
    let done = Arc::new(AtomicUsize::new(0));
    let spawners: Vec<_> = (0..3)
        .map(|_| {
            let (pool, done) = (pool.clone(), done.clone());
            thread::spawn(move || {
                for round in 0..2000 {
                    let done = done.clone();
                    let job = pool.spawn(move || {
                        done.fetch_add(1, Ordering::Relaxed);
                    });
                    if round % 7 == 0 {
                        block_on(job).unwrap();
                    }
                }
            })
        })
        .collect();
    for spawner in spawners {
        spawner.join().unwrap();
    }
    eventually(|| done.load(Ordering::Relaxed) == 6000);
    assert!(pool.shutdown(LONG).is_empty());
    assert_eq!(pool.threads(), 0);
}

#[test]
fn shutdown_cancels_the_queue_and_names_running_jobs() {
    let pool = pool(1, LONG);
    let (started, has_started) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let running = pool.spawn(move || {
        started.send(()).unwrap();
        released.recv().unwrap();
        7
    });
    has_started.recv().unwrap();
    let queued = pool.spawn(|| unreachable!("it is cancelled"));
    let names = pool.shutdown(Duration::from_millis(5));
    assert_eq!(names.len(), 1);
    assert!(names[0].contains("BlockingJob"), "{names:?}");
    assert!(block_on(queued).unwrap_err().is_cancelled());
    let late = pool.spawn(|| ());
    assert!(matches!(block_on(late), Err(JoinError::Cancelled)));
    release.send(()).unwrap();
    assert_eq!(block_on(running).unwrap(), 7);
    assert!(pool.shutdown(LONG).is_empty());
    assert_eq!(pool.threads(), 0);
}

#[test]
fn a_time_limit_beyond_the_clock_waits_forever() {
    let pool = pool(2, LONG);
    let job = pool.spawn(|| 1);
    assert_eq!(block_on(job).unwrap(), 1);
    assert!(pool.shutdown(Duration::MAX).is_empty());
}

#[test]
fn shutdown_from_a_job_does_not_wait_for_itself() {
    let pool = pool(1, LONG);
    let inner = pool.clone();
    let names = block_on(pool.spawn(move || inner.shutdown(LONG))).unwrap();
    assert_eq!(names.len(), 1);
    eventually(|| pool.threads() == 0);
}

#[test]
fn a_queued_job_can_be_aborted_and_its_function_is_dropped() {
    let pool = pool(1, LONG);
    let (release, released) = mpsc::channel::<()>();
    let first = pool.spawn(move || released.recv().unwrap());
    let token = Arc::new(());
    let held = token.clone();
    let second = pool.spawn(move || drop(held));
    second.abort();
    release.send(()).unwrap();
    block_on(first).unwrap();
    assert!(block_on(second).unwrap_err().is_cancelled());
    assert_eq!(Arc::strong_count(&token), 1);
}

#[test]
fn a_dropped_pool_lets_its_threads_go() {
    let pool = pool(2, LONG);
    let (alive, ended) = mpsc::channel::<()>();
    thread_local! {
        static ALIVE: std::cell::RefCell<Option<mpsc::Sender<()>>> = const { std::cell::RefCell::new(None) };
    }
    block_on(pool.spawn(move || ALIVE.with_borrow_mut(|place| *place = Some(alive)))).unwrap();
    drop(pool);
    // The channel disconnects when the thread has ended and its thread-locals are dropped.
    assert_eq!(
        ended.recv_timeout(LONG),
        Err(mpsc::RecvTimeoutError::Disconnected)
    );
}

#[test]
fn an_executor_in_the_pools_place_ends_with_it() {
    let pool = pool(1, LONG);
    let own = block_on(pool.spawn(|| thread::current().id())).unwrap();
    let executor = Executor::new("instead", 1);
    pool.set_default(executor.clone());
    let (started, has_started) = mpsc::channel();
    let (release, held) = mpsc::channel::<()>();
    let running = pool.spawn(move || {
        started.send(thread::current().id()).unwrap();
        held.recv()
    });
    let queued = pool.spawn(|| ());
    assert_ne!(has_started.recv().unwrap(), own);
    // Shutdown reaches both the pool's own thread, which is idle, and the executor's; the running job is named.
    assert_eq!(pool.shutdown(Duration::from_millis(1)).len(), 1);
    assert!(block_on(queued).unwrap_err().is_cancelled());
    assert!(block_on(executor.spawn(|| ())).unwrap_err().is_cancelled());
    release.send(()).unwrap();
    block_on(running).unwrap().unwrap();
    assert_eq!(pool.shutdown(LONG), Vec::<String>::new());
    // An executor that comes late is shut down at once.
    let late = Executor::new("late", 1);
    pool.set_default(late.clone());
    assert!(block_on(late.spawn(|| ())).unwrap_err().is_cancelled());
}

#[test]
#[should_panic(expected = "at least one thread")]
fn an_executor_without_threads_is_refused() {
    let _ = Executor::new("none", 0);
}

#[test]
fn a_hook_that_panics_costs_neither_its_thread_nor_a_job() {
    let pool = BlockingPool::new(BlockingConfig {
        max_threads: 1,
        on_thread_start: Some(|| panic!("on purpose")),
        ..BlockingConfig::default()
    });
    let (done, is_done) = mpsc::channel();
    drop(pool.spawn(move || done.send(())));
    is_done.recv_timeout(LONG).expect("nobody runs the job");
}
