//! Tests that are particular to M:N. Those for every scheduler are in `conformance.rs`.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use futures_lite::{AsyncReadExt, AsyncWriteExt};
use runtime_core::net::{TcpListener, TcpStream, UnixStream};
use runtime_core::{ForkJoin, JoinError, Runtime as _, sleep, spawn, yield_now};
use runtime_mn::Runtime;

fn runtime(workers: usize) -> Runtime {
    Runtime::builder().workers(workers).build().unwrap()
}

#[test]
fn two_tasks_run_at_the_same_instant() {
    let runtime = runtime(2);
    let barrier = Arc::new(Barrier::new(2));
    let tasks: Vec<_> = (0..2)
        .map(|_| {
            let barrier = Arc::clone(&barrier);
            runtime.spawn(async move {
                barrier.wait();
            })
        })
        .collect();
    runtime.block_on(async move {
        for task in tasks {
            task.await.unwrap();
        }
    });
}

#[test]
fn many_threads_block_on_at_once() {
    let runtime = runtime(2);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for number in 0..500_u64 {
                    let handle = runtime.spawn(async move {
                        yield_now().await;
                        number
                    });
                    assert_eq!(runtime.block_on(handle).unwrap(), number);
                }
            });
        }
    });
}

#[test]
fn a_flood_of_tasks_from_inside_is_joined() {
    let runtime = runtime(2);
    let sum = runtime.block_on(async {
        let tasks: Vec<_> = (0..200_000_u64)
            .map(|number| spawn(async move { number }))
            .collect();
        let mut sum = 0;
        for task in tasks {
            sum += task.await.unwrap();
        }
        sum
    });
    assert_eq!(sum, 199_999 * 200_000 / 2);
    // A worker may count a task as ended after its awaiter has continued.
    let deadline = Instant::now() + Duration::from_secs(10);
    while runtime.handle().metrics().live_tasks != Some(0) {
        assert!(
            Instant::now() < deadline,
            "{:?}",
            runtime.handle().metrics()
        );
        thread::yield_now();
    }
}

fn fibonacci(n: u64) -> std::pin::Pin<Box<dyn Future<Output = u64> + Send>> {
    Box::pin(async move {
        if n < 2 {
            return n;
        }
        let one = spawn(fibonacci(n - 1));
        let two = fibonacci(n - 2).await;
        one.await.unwrap() + two
    })
}

#[test]
fn a_tree_of_tasks_is_summed_up_on_any_number_of_workers() {
    for workers in [1, 2, 3, 8] {
        assert_eq!(runtime(workers).block_on(fibonacci(20)), 6765);
    }
}

#[test]
fn a_chain_of_a_million_awaits_does_not_overflow_the_stack() {
    fn chain(left: u32) -> std::pin::Pin<Box<dyn Future<Output = u32> + Send>> {
        Box::pin(async move {
            if left == 0 {
                return 0;
            }
            spawn(chain(left - 1)).await.unwrap() + 1
        })
    }
    assert_eq!(runtime(2).block_on(chain(1_000_000)), 1_000_000);
}

#[test]
fn sockets_and_timers_are_served_while_all_workers_are_busy() {
    let runtime = runtime(2);
    let stop = Arc::new(AtomicUsize::new(0));
    for _ in 0..4 {
        let stop = Arc::clone(&stop);
        drop(runtime.spawn(async move {
            while stop.load(SeqCst) == 0 {
                yield_now().await;
            }
        }));
    }
    let served = runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut buffer = [0; 64];
            let mut served = 0;
            while let Ok(bytes @ 1..) = stream.read(&mut buffer).await {
                stream.write_all(&buffer[..bytes]).await.unwrap();
                served += bytes;
            }
            served
        });
        let mut stream = TcpStream::connect(address).await.unwrap();
        for _ in 0..200 {
            stream.write_all(b"hello").await.unwrap();
            let mut answer = [0; 5];
            stream.read_exact(&mut answer).await.unwrap();
            sleep(Duration::from_micros(100)).await;
        }
        drop(stream);
        server.await.unwrap()
    });
    stop.store(1, SeqCst);
    assert_eq!(served, 1000);
}

#[test]
fn a_hundred_thousand_sleepers_all_wake_and_none_early() {
    runtime(2).block_on(async {
        let sleepers: Vec<_> = (0..100_000_u64)
            .map(|number| {
                spawn(async move {
                    let duration = Duration::from_micros(number * 7919 % 50_000);
                    let deadline = Instant::now() + duration;
                    sleep(duration).await;
                    assert!(Instant::now() >= deadline);
                })
            })
            .collect();
        for sleeper in sleepers {
            sleeper.await.unwrap();
        }
    });
}

#[test]
fn an_idle_runtime_parks_and_stays_parked() {
    let runtime = runtime(2);
    let handle = runtime.handle().clone();
    let parks = runtime.block_on(async move {
        // Everything that the start has caused is over once both workers have slept through a timer.
        sleep(Duration::from_millis(50)).await;
        let before = handle.metrics().parks.unwrap();
        sleep(Duration::from_millis(200)).await;
        handle.metrics().parks.unwrap() - before
    });
    assert!(parks <= 4, "{parks} parks while nothing happened");
}

#[test]
fn a_shutdown_names_the_tasks_it_could_not_stop() {
    let runtime = runtime(2);
    let (release, released) = std::sync::mpsc::channel::<()>();
    let started = Arc::new(Barrier::new(2));
    let in_task = Arc::clone(&started);
    let stuck = runtime.handle().spawn_named("stuck", async move {
        in_task.wait();
        released.recv().unwrap();
    });
    let idle = runtime.spawn(std::future::pending::<()>());
    started.wait();
    let handle = runtime.handle().clone();
    assert_eq!(runtime.shutdown(Duration::from_millis(20)), ["stuck"]);
    let join = |handle| runtime_core::park::block_on_current_thread(handle);
    assert!(matches!(join(idle), Err(JoinError::Cancelled)));
    assert!(matches!(
        join(handle.spawn(async {})),
        Err(JoinError::Cancelled)
    ));
    release.send(()).unwrap();
    // It finished in the poll during which it was aborted.
    assert!(join(stuck).is_ok());
}

#[test]
fn a_runtime_may_be_dropped_in_one_of_its_own_tasks() {
    let runtime = runtime(2);
    let handle = runtime.handle().clone();
    let task = handle.spawn(async move {
        drop(runtime);
        1
    });
    let idle = handle.spawn(std::future::pending::<()>());
    let join = |handle| runtime_core::park::block_on_current_thread(handle);
    assert_eq!(join(task).unwrap(), 1);
    assert!(runtime_core::park::block_on_current_thread(idle).is_err());
}

#[test]
fn joins_run_both_sides_and_hand_on_panics() {
    let runtime = runtime(2);
    let fork_join = runtime.handle().fork_join();
    fn sum(fork_join: &runtime_mn::MnForkJoin, from: u64, to: u64) -> u64 {
        if to - from < 10 {
            return (from..to).sum();
        }
        let middle = from.midpoint(to);
        let (one, two) = fork_join.join(
            || sum(fork_join, from, middle),
            || sum(fork_join, middle, to),
        );
        one + two
    }
    for _ in 0..20 {
        assert_eq!(sum(&fork_join, 0, 100_000), 99_999 * 100_000 / 2);
    }
    for panicking in ["a", "b"] {
        let caught = std::panic::catch_unwind(|| {
            fork_join.join(
                || assert_ne!(panicking, "a", "side a"),
                || assert_ne!(panicking, "b", "side b"),
            )
        });
        assert!(caught.is_err());
    }
    // Also inside a task.
    let in_task = fork_join.clone();
    assert_eq!(
        runtime.block_on(async move { sum(&in_task, 0, 1000) }),
        499_500
    );
}

#[test]
fn scopes_wait_for_their_closures_which_may_borrow() {
    let runtime = runtime(2);
    let fork_join = runtime.handle().fork_join();
    let counter = AtomicUsize::new(0);
    fork_join.scope(|scope| {
        for _ in 0..100 {
            scope.spawn(|scope| {
                counter.fetch_add(1, SeqCst);
                scope.spawn(|_| {
                    counter.fetch_add(1, SeqCst);
                });
            });
        }
    });
    assert_eq!(counter.load(SeqCst), 200);
}

/// A worker that always finds more ready sockets neither sleeps nor reaches the tick at which it checks its timers.
#[test]
fn timers_fire_beside_sockets_that_are_always_ready() {
    let runtime = Runtime::builder()
        .workers(1)
        .poll_tick(65_536)
        .build()
        .unwrap();
    runtime.block_on(async {
        let players: Vec<_> = (0..100)
            .flat_map(|_| {
                let (mut ours, theirs) = UnixStream::pair().unwrap();
                let play = |mut stream: UnixStream| async move {
                    let mut byte = [0];
                    while stream.read_exact(&mut byte).await.is_ok() {
                        stream.write_all(&byte).await.unwrap();
                    }
                };
                [
                    spawn(async move {
                        ours.write_all(&[1]).await.unwrap();
                        play(ours).await;
                    }),
                    spawn(play(theirs)),
                ]
            })
            .collect();
        sleep(Duration::from_millis(20)).await;
        players.iter().for_each(|player| player.abort());
    });
}
