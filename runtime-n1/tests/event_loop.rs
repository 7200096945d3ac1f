//! Tests that are particular to N:1. Those for every scheduler are in `conformance.rs`.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::task::{Poll, Waker};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use futures_lite::{AsyncReadExt, AsyncWriteExt, future};
use runtime_core::net::{TcpListener, TcpStream};
use runtime_core::testing::poll_batches::polls_between_looks;
use runtime_core::{JoinError, Metrics, Runtime, sleep, spawn, yield_now};
use runtime_core::{Launch, LaunchConfig, context};
use runtime_n1::{Loop, N1, spawn_local};

#[test]
fn tasks_need_not_be_send() {
    let event_loop = Loop::new().unwrap();
    let shared = Rc::new(RefCell::new(Vec::new()));
    let seen = Rc::clone(&shared);
    event_loop.block_on(async move {
        let children: Vec<_> = (0..10)
            .map(|number| {
                let seen = Rc::clone(&seen);
                spawn_local(async move {
                    yield_now().await;
                    seen.borrow_mut().push(number);
                })
            })
            .collect();
        for child in children {
            child.await.unwrap();
        }
    });
    assert_eq!(*shared.borrow(), (0..10).collect::<Vec<_>>());
}

#[test]
fn ready_tasks_run_first_in_first_out() {
    let event_loop = Loop::new().unwrap();
    let order = Rc::new(RefCell::new(String::new()));
    let seen = Rc::clone(&order);
    event_loop.block_on(async move {
        for name in ["a", "b", "c"] {
            let seen = Rc::clone(&seen);
            drop(spawn_local(async move {
                for _ in 0..2 {
                    seen.borrow_mut().push_str(name);
                    yield_now().await;
                }
            }));
        }
        for _ in 0..3 {
            yield_now().await;
        }
    });
    assert_eq!(*order.borrow(), "abcabc");
}

/// Awaiting a task does not change its turn, either.
#[test]
fn a_child_that_is_awaited_runs_after_those_that_were_ready_before() {
    let event_loop = Loop::new().unwrap();
    let order = Rc::new(RefCell::new(String::new()));
    let seen = Rc::clone(&order);
    event_loop.block_on(async move {
        let mut last = None;
        for name in ["a", "b", "c"] {
            let seen = Rc::clone(&seen);
            last = Some(spawn_local(async move { seen.borrow_mut().push_str(name) }));
        }
        last.unwrap().await.unwrap();
        seen.borrow_mut().push('.');
    });
    assert_eq!(*order.borrow(), "abc.");
}

/// The child borrows a value that its parent keeps borrowed around the poll of the handle.
#[test]
fn a_child_does_not_run_while_its_parents_poll_borrows() {
    let event_loop = Loop::new().unwrap();
    let shared = Rc::new(RefCell::new(0));
    let of_root = Rc::clone(&shared);
    event_loop.block_on(async move {
        let shared = of_root;
        for _ in 0..10 {
            let of_child = Rc::clone(&shared);
            let mut child = spawn_local(async move { *of_child.borrow_mut() += 1 });
            let outcome = future::poll_fn(|cx| {
                let _borrowed = shared.borrow_mut();
                Pin::new(&mut child).poll(cx)
            });
            outcome.await.expect("the child");
        }
    });
    assert_eq!(*shared.borrow(), 10);
}

/// Waking, aborting and dropping a handle do not run anything inside the caller either.
#[test]
fn no_call_runs_a_task_while_its_caller_borrows() {
    let event_loop = Loop::new().unwrap();
    /// Borrows when it is dropped.
    struct Borrows(Rc<RefCell<u32>>);
    impl Drop for Borrows {
        fn drop(&mut self) {
            *self.0.borrow_mut() += 1;
        }
    }
    let shared = Rc::new(RefCell::new(0));
    let of_root = Rc::clone(&shared);
    event_loop.block_on(async move {
        let shared = of_root;
        let wakers = Rc::new(RefCell::new(Vec::<Waker>::new()));
        let waiting: Vec<_> = (0..3)
            .map(|_| {
                let (borrows, of_task) = (Borrows(Rc::clone(&shared)), Rc::clone(&wakers));
                let mut polled = false;
                spawn_local(future::poll_fn(move |cx| {
                    of_task.borrow_mut().push(cx.waker().clone());
                    *borrows.0.borrow_mut() += 1;
                    if std::mem::replace(&mut polled, true) {
                        return Poll::Ready(());
                    }
                    Poll::Pending
                }))
            })
            .collect();
        yield_now().await;
        assert_eq!(*shared.borrow(), 3);
        let new = {
            let _borrowed = shared.borrow_mut();
            let of_new = Rc::clone(&shared);
            let new = spawn_local(async move { *of_new.borrow_mut() += 1 });
            waiting[0].abort();
            wakers.borrow_mut().drain(..).for_each(Waker::wake);
            drop(waiting);
            new
        };
        new.await.unwrap();
        yield_now().await;
    });
    // Three first polls, two second ones, three destructors, and the new task.
    assert_eq!(*shared.borrow(), 9);
}

#[test]
fn other_threads_wake_and_spawn() {
    let event_loop = Loop::new().unwrap();
    let handle = event_loop.handle().clone();
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let handle = handle.clone();
            thread::spawn(move || {
                (0..1000)
                    .map(|number| {
                        handle
                            .block_on(handle.spawn(async move { number }))
                            .unwrap()
                    })
                    .sum::<u64>()
            })
        })
        .collect();
    let stopper = thread::spawn(move || {
        let sums: Vec<_> = threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect();
        handle.stop();
        sums
    });
    event_loop.run_forever();
    assert_eq!(stopper.join().unwrap(), vec![499_500; 4]);
}

#[test]
fn a_future_is_dropped_on_the_loops_thread_even_if_its_last_waker_is_elsewhere() {
    struct OnThread(mpsc::Sender<ThreadId>, #[allow(dead_code)] Rc<()>);
    impl Drop for OnThread {
        fn drop(&mut self) {
            self.0.send(thread::current().id()).unwrap();
        }
    }
    let event_loop = Loop::new().unwrap();
    let (dropped, dropped_on) = mpsc::channel();
    let (send_waker, waker) = mpsc::channel::<Waker>();
    let probe = OnThread(dropped, Rc::new(()));
    event_loop.block_on(async move {
        drop(spawn_local(async move {
            let _probe = probe;
            future::poll_fn(|cx| {
                send_waker.send(cx.waker().clone()).unwrap();
                Poll::<()>::Pending
            })
            .await;
        }));
        yield_now().await;
    });
    thread::spawn(move || drop(waker.recv().unwrap()))
        .join()
        .unwrap();
    assert!(dropped_on.try_recv().is_err());
    drop(event_loop);
    assert_eq!(dropped_on.recv().unwrap(), thread::current().id());
}

#[test]
fn a_stop_ends_one_run_and_the_tasks_go_on_in_the_next() {
    let event_loop = Loop::new().unwrap();
    let reached = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&reached);
    let handle = event_loop.handle().clone();
    drop(event_loop.spawn_local(async move {
        handle.stop();
        yield_now().await;
        yield_now().await;
        seen.store(true, SeqCst);
        handle.stop();
    }));
    event_loop.run_forever();
    assert!(!reached.load(SeqCst));
    event_loop.run_forever();
    assert!(reached.load(SeqCst));
}

#[test]
fn a_loop_with_sockets_and_timers_serves_both() {
    let event_loop = Loop::new().unwrap();
    event_loop.block_on(async {
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
        let ticking = spawn(async {
            for _ in 0..5 {
                sleep(Duration::from_millis(2)).await;
            }
        });
        let mut stream = TcpStream::connect(address).await.unwrap();
        for _ in 0..1000 {
            stream.write_all(b"hello").await.unwrap();
            let mut answer = [0; 5];
            stream.read_exact(&mut answer).await.unwrap();
            assert_eq!(&answer, b"hello");
        }
        ticking.await.unwrap();
        drop(stream);
        assert_eq!(server.await.unwrap(), 5000);
    });
}

#[test]
fn a_hundred_thousand_sleepers_all_wake_and_none_early() {
    let event_loop = Loop::new().unwrap();
    event_loop.block_on(async {
        let start = Instant::now();
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
        assert!(start.elapsed() >= Duration::from_millis(49));
    });
}

#[test]
fn an_idle_loop_asks_the_kernel_once() {
    let event_loop = Loop::new().unwrap();
    let handle = event_loop.handle().clone();
    let polls = |metrics: Metrics| metrics.io_polls.unwrap();
    let waited = event_loop.block_on(async move {
        let before = polls(handle.metrics());
        sleep(Duration::from_millis(200)).await;
        polls(handle.metrics()) - before
    });
    assert!(waited <= 3, "{waited} polls of the reactor for one sleep");
}

/// The check must not come in the middle of a short round, and must not wait for the end of a long one.
#[test]
fn a_busy_loop_asks_for_sockets_once_a_round_or_every_few_hundred_tasks() {
    // Per round; then per four times the default interval, because the round is longer.
    for (tasks, expected) in [(150, 140..220), (2_000, 200..400)] {
        let event_loop = Loop::new().unwrap();
        let polls = event_loop.block_on(polls_between_looks(event_loop.handle().clone(), tasks));
        assert!(expected.contains(&polls), "{tasks} tasks: {polls} polls");
    }
}

#[test]
fn spawning_after_the_end_reports_cancelled() {
    let event_loop = Loop::new().unwrap();
    let handle = event_loop.handle().clone();
    assert!(event_loop.shutdown(Duration::ZERO).is_empty());
    let late = handle.spawn(async { 1 });
    assert!(matches!(handle.block_on(late), Err(JoinError::Cancelled)));
}

#[test]
fn a_chain_of_a_million_awaits_does_not_overflow_the_stack() {
    let event_loop = Loop::new().unwrap();
    fn chain(left: u32) -> std::pin::Pin<Box<dyn Future<Output = u32> + Send>> {
        Box::pin(async move {
            if left == 0 {
                return 0;
            }
            spawn(chain(left - 1)).await.unwrap() + 1
        })
    }
    assert_eq!(event_loop.block_on(chain(1_000_000)), 1_000_000);
}

#[test]
fn a_child_that_is_awaited_at_once_cannot_starve_the_others() {
    let event_loop = Loop::new().unwrap();
    event_loop.block_on(async {
        let stop = Rc::new(std::cell::Cell::new(false));
        let seen = Rc::clone(&stop);
        let greedy = spawn_local(async move {
            while !seen.get() {
                spawn(async {}).await.unwrap();
            }
        });
        spawn_local(async move { stop.set(true) }).await.unwrap();
        greedy.await.unwrap();
    });
}

#[test]
fn a_guard_that_is_held_over_an_await_changes_no_other_tasks_runtime() {
    let (event_loop, other) = (Loop::new().unwrap(), Loop::new().unwrap());
    let handle = other.handle().clone();
    let is_own = |own: &Arc<dyn context::Ambient>| {
        context::try_with(|ambient| Arc::ptr_eq(ambient, own)).unwrap()
    };
    event_loop.block_on(async move {
        let own = context::try_with(Arc::clone).unwrap();
        let seen = Arc::clone(&own);
        let holds = spawn_local(async move {
            let guard = handle.enter();
            assert!(!is_own(&seen), "entered");
            yield_now().await;
            assert!(is_own(&seen), "left with the end of the poll");
            let again = handle.enter();
            assert!(!is_own(&seen));
            // It is not the innermost guard any more: dropping it must not leave the runtime entered by `again`.
            drop(guard);
            assert!(!is_own(&seen));
            drop(again);
            assert!(is_own(&seen));
            std::mem::forget(handle.enter());
            yield_now().await;
            assert!(is_own(&seen));
        });
        for _ in 0..10 {
            yield_now().await;
            assert!(is_own(&own), "another task's guard");
            assert!(context::in_task());
        }
        holds.await.unwrap();
    });
    assert!(context::try_with(|_| ()).is_none());
}

#[test]
fn a_guard_may_go_into_a_task_that_drops_it() {
    let (event_loop, other) = (Loop::new().unwrap(), Loop::new().unwrap());
    let guard = other.enter();
    event_loop.block_on(async move {
        drop(guard);
        spawn(async { yield_now().await }).await.unwrap();
    });
    assert!(context::try_with(|_| ()).is_none());
}

#[test]
fn unknown_policies_and_knobs_are_refused() {
    let run = |config: &LaunchConfig| N1::run(config, |_| async { 1 });
    assert_eq!(run(&LaunchConfig::default()).unwrap(), 1);
    let mut config = LaunchConfig::default();
    config.knobs.insert("steal".to_owned(), "one".to_owned());
    let error = run(&config).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    assert!(error.to_string().contains("no knob `steal`"), "{error}");
    let mut config = LaunchConfig::default();
    config.policy = Some("go-like".to_owned());
    let error = run(&config).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    assert!(error.to_string().contains("no policy `go-like`"), "{error}");
}
