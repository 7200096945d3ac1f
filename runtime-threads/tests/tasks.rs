//! Tasks on their own threads: what only 1:1 promises, or might get wrong.

use std::future::{pending, poll_fn};
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use futures_lite::future::{self, block_on};
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use runtime_core::net::{TcpListener, TcpStream};
use runtime_core::{JoinError, Launch, LaunchConfig, Runtime as _};
use runtime_threads::{Runtime, Threads};

const LONG: Duration = Duration::from_secs(3600);
const MS: Duration = Duration::from_millis(1);

fn localhost() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

/// A server that never answers, and a stream to it.
async fn silent_stream() -> (TcpListener, TcpStream) {
    let listener = TcpListener::bind(localhost()).await.unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    (listener, stream)
}

#[test]
fn each_task_has_a_thread_of_its_own() {
    let runtime = Runtime::builder().thread_name("own").build().unwrap();
    runtime.block_on(async {
        let here = thread::current().id();
        let there = runtime_core::spawn(async {
            let before = thread::current().id();
            runtime_core::sleep(MS).await;
            runtime_core::yield_now().await;
            assert_eq!(thread::current().id(), before, "tasks do not move");
            assert!(thread::current().name().unwrap().starts_with("own-"));
            before
        });
        assert_ne!(there.await.unwrap(), here);
    });
}

#[test]
fn ten_thousand_tasks_complete() {
    const TASKS: usize = 10_000;
    let runtime = Runtime::new().unwrap();
    let handle = runtime.handle();
    let sum = runtime.block_on(async move {
        // All of them live at once: none may end before the last was spawned.
        let (open, gate) = runtime_core::sync::channel::<()>(1);
        let gate = Arc::new(gate);
        let tasks: Vec<_> = (0..TASKS)
            .map(|number| {
                let gate = Arc::clone(&gate);
                handle.spawn(async move {
                    gate.recv().await;
                    number
                })
            })
            .collect();
        drop(open);
        let mut sum = 0;
        for task in tasks {
            sum += task.await.expect("every task gets a thread");
        }
        sum
    });
    assert_eq!(sum, TASKS * (TASKS - 1) / 2);
}

#[test]
fn a_sleeping_task_can_be_aborted() {
    let runtime = Runtime::new().unwrap();
    let (sender, receiver) = mpsc::channel();
    let task = runtime.handle().spawn(async move {
        sender.send(()).unwrap();
        runtime_core::sleep(LONG).await;
    });
    receiver.recv().unwrap();
    task.abort();
    assert!(block_on(task).unwrap_err().is_cancelled());
    assert_eq!(runtime.shutdown(LONG), Vec::<String>::new());
}

#[test]
fn a_task_that_reads_can_be_aborted() {
    let runtime = Runtime::new().unwrap();
    let task = runtime.handle().spawn(async move {
        let (_listener, mut stream) = silent_stream().await;
        stream.read(&mut [0; 8]).await
    });
    runtime.block_on(async { runtime_core::sleep(MS).await });
    task.abort();
    assert!(block_on(task).unwrap_err().is_cancelled());
}

#[test]
fn a_timeout_ends_a_read_that_waits() {
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let (listener, mut stream) = silent_stream().await;
        let begun = Instant::now();
        for _ in 0..3 {
            let read = runtime_core::timeout(5 * MS, stream.read(&mut [0; 8])).await;
            assert!(read.is_err(), "nobody has written");
        }
        assert!(begun.elapsed() >= 15 * MS, "not early");
        // The cancelled read has taken nothing.
        let (mut peer, _) = listener.accept().await.unwrap();
        peer.write_all(b"late").await.unwrap();
        let mut buffer = [0; 8];
        assert_eq!(stream.read(&mut buffer).await.unwrap(), 4);
    });
}

#[test]
fn a_select_over_a_socket_and_a_timer_takes_the_first() {
    #[derive(Debug, PartialEq)]
    enum First {
        Read(usize),
        Slept,
    }
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let (listener, mut stream) = silent_stream().await;
        let (mut peer, _) = listener.accept().await.unwrap();
        let mut buffer = [0; 8];
        for round in 0..20 {
            let sleep = if round % 2 == 0 { MS } else { LONG };
            if round % 2 == 1 {
                peer.write_all(b"word").await.unwrap();
            }
            let first = future::or(
                async { First::Read(stream.read(&mut buffer).await.unwrap()) },
                async {
                    runtime_core::sleep(sleep).await;
                    First::Slept
                },
            )
            .await;
            let expected = [First::Slept, First::Read(4)];
            assert_eq!(first, expected[round % 2]);
        }
    });
}

/// A wake from another thread reaches a task that waits in `poll(2)`, and does not make it miss its socket.
#[test]
fn a_select_over_a_socket_and_a_channel_sees_both() {
    const ROUNDS: usize = 500;
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind(localhost()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, receiver) = runtime_core::sync::channel(1);
        let by_channel = runtime_core::spawn(async move {
            for _ in 0..ROUNDS {
                sender.send(()).await.unwrap();
            }
        });
        let by_socket = thread::spawn(move || {
            let mut stream = std::net::TcpStream::connect(address).unwrap();
            for _ in 0..ROUNDS {
                stream.write_all(b"x").unwrap();
            }
        });
        let (mut stream, _) = listener.accept().await.unwrap();
        let (mut received, mut read) = (0, 0);
        while received < ROUNDS || read < ROUNDS {
            let mut buffer = [0; 16];
            let word = async {
                match stream.read(&mut buffer).await.unwrap() {
                    0 => pending().await,
                    bytes => bytes,
                }
            };
            let item = async {
                match receiver.recv().await {
                    Some(()) => 0,
                    None => pending().await,
                }
            };
            match future::race(word, item).await {
                0 => received += 1,
                bytes => read += bytes,
            }
        }
        by_channel.await.unwrap();
        by_socket.join().unwrap();
    });
}

/// A task that never waits still sees its own timers and sockets.
#[test]
fn a_busy_task_sees_its_timers_and_sockets() {
    async fn busy() -> ! {
        loop {
            runtime_core::yield_now().await;
        }
    }
    async fn self_waking() -> ! {
        poll_fn(|cx| {
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await
    }
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        for yields in [true, false] {
            let noise = async {
                if yields {
                    busy().await
                } else {
                    self_waking().await
                }
            };
            future::or(runtime_core::sleep(2 * MS), noise).await;
            let noise = async {
                if yields {
                    busy().await
                } else {
                    self_waking().await
                }
            };
            let io = async {
                let (listener, mut stream) = silent_stream().await;
                let (mut peer, _) = listener.accept().await.unwrap();
                let write = runtime_core::spawn(async move {
                    runtime_core::sleep(2 * MS).await;
                    peer.write_all(b"now").await.unwrap();
                });
                assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 3);
                write.await.unwrap();
            };
            future::or(io, noise).await;
        }
    });
}

/// Sleeps that are polled on non-worker threads, inside a shut-down runtime and outside any.
#[test]
fn sleeps_complete_on_non_worker_threads() {
    let runtime = Runtime::new().unwrap();
    let begun = Instant::now();
    {
        let _entered = runtime.handle().enter();
        block_on(runtime_core::sleep(3 * MS));
    }
    assert!(begun.elapsed() >= 3 * MS);
    let job = runtime
        .handle()
        .spawn_blocking(|| block_on(runtime_core::sleep(MS)));
    block_on(job).unwrap();
}

/// A timer that one task has polled still fires when another task awaits it, after the first task's thread has gone.
#[test]
fn a_timer_outlives_the_thread_that_polled_it_first() {
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        for _ in 0..50 {
            let mut sleep = Box::pin(runtime_core::sleep(3 * MS));
            let begun = runtime_core::spawn(async move {
                // On a busy machine it is over already.
                let _ = future::poll_once(sleep.as_mut()).await;
                Some(sleep)
            });
            begun.await.unwrap().expect("the timer").await;
        }
    });
}

#[test]
fn a_limit_on_threads_is_reported_by_the_handle() {
    let runtime = Runtime::builder().max_threads(3).build().unwrap();
    let waiting: Vec<_> = (0..3)
        .map(|_| runtime.handle().spawn(pending::<()>()))
        .collect();
    let refused = runtime.handle().spawn(async {});
    assert!(refused.is_finished());
    match block_on(refused) {
        Err(JoinError::SpawnFailed(error)) => {
            assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
        }
        other => panic!("not refused: {other:?}"),
    }
    // Makes room again.
    for task in waiting {
        task.abort();
        let _ = block_on(task);
    }
    let mut outcome = block_on(runtime.handle().spawn(async { 1 }));
    while let Err(JoinError::SpawnFailed(_)) = outcome {
        // A handle may report the end before the task's thread has left.
        thread::yield_now();
        outcome = block_on(runtime.handle().spawn(async { 1 }));
    }
    assert_eq!(outcome.unwrap(), 1);
}

#[test]
fn the_launcher_runs_the_root_and_reports_bad_configurations() {
    let mut config = LaunchConfig::default();
    let name = Threads::run(&config, |rt| async move {
        let own = rt.clone();
        rt.spawn(async move { own.name() }).await.unwrap()
    });
    assert_eq!(name.unwrap(), "threads");
    config.stack_bytes = Some(0);
    assert!(Threads::run(&config, |_| async {}).is_err());
    config.stack_bytes = Some(64 * 1024);
    assert!(Threads::run(&config, |_| async {}).is_ok());
    config.policy = Some("go-like".to_owned());
    assert!(Threads::run(&config, |_| async {}).is_err());
}

#[test]
fn knobs_are_checked() {
    for bytes in [0, 16 * 1024, usize::MAX] {
        let error = Runtime::builder().stack_bytes(bytes).build().unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    }
    let error = Runtime::builder().thread_name("a\0b").build().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
}

/// The smallest stack is enough for a task that panics, including its message.
#[test]
fn the_smallest_stack_holds_a_panic() {
    let runtime = Runtime::builder().stack_bytes(32 * 1024).build().unwrap();
    let task = runtime
        .handle()
        .spawn(async { panic!("as planned: {}", 1.5) });
    let outcome: Result<(), _> = block_on(task);
    assert_eq!(
        outcome.unwrap_err().panic_message(),
        Some("as planned: 1.5")
    );
}

#[test]
fn names_of_tasks_still_polling_are_reported() {
    let runtime = Runtime::new().unwrap();
    let (sender, receiver) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let polls = runtime.handle().spawn_named("stubborn", async move {
        sender.send(()).unwrap();
        let _ = released.recv();
    });
    let dropped = Arc::new(AtomicUsize::new(0));
    struct CountDrop(Arc<AtomicUsize>);
    impl Drop for CountDrop {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let waits: Vec<_> = (0..50)
        .map(|_| {
            let dropped = CountDrop(Arc::clone(&dropped));
            runtime.handle().spawn(async move {
                let _dropped = dropped;
                pending::<()>().await;
            })
        })
        .collect();
    receiver.recv().unwrap();
    // No time at all: even so, tasks that are not in a poll are dropped before it returns.
    let names = runtime.shutdown(Duration::ZERO);
    assert!(names.contains(&"stubborn".to_owned()), "{names:?}");
    release.send(()).unwrap();
    block_on(polls).expect("it finished in the poll during which its runtime ended");
    for task in waits {
        assert!(block_on(task).unwrap_err().is_cancelled());
    }
    assert_eq!(dropped.load(Ordering::Relaxed), 50);
}

/// Tasks wake, spawn and await each other in a ring of channels, many times.
#[test]
fn a_ring_of_tasks_passes_a_token_round() {
    const TASKS: usize = 20;
    const ROUNDS: usize = 200;
    let runtime = Runtime::new().unwrap();
    let handle = runtime.handle();
    let total = runtime.block_on(async move {
        let (first, mut receiver) = handle.channel::<usize>(1);
        for _ in 0..TASKS {
            let (sender, next) = handle.channel::<usize>(1);
            let from = std::mem::replace(&mut receiver, next);
            drop(handle.spawn(async move {
                while let Some(token) = from.recv().await {
                    if sender.send(token + 1).await.is_err() {
                        return;
                    }
                }
            }));
        }
        let mut token = 0;
        for _ in 0..ROUNDS {
            first.send(token).await.unwrap();
            token = receiver.recv().await.unwrap();
        }
        token
    });
    assert_eq!(total, TASKS * ROUNDS);
}

/// The thread waits with another executor, and so fires no timers of its task meanwhile.
#[test]
fn a_sleep_of_another_executor_inside_a_task_ends() {
    let runtime = Runtime::new().unwrap();
    let (done, is_done) = mpsc::channel();
    drop(runtime.handle().spawn(async move {
        runtime_core::context::as_non_worker(|| block_on(runtime_core::sleep(MS)));
        done.send(())
    }));
    is_done
        .recv_timeout(Duration::from_secs(60))
        .expect("nobody fires the timer");
}
