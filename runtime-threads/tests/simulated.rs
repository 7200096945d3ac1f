//! Simulated time together with what only 1:1 has: threads that come and go, and non-worker threads that no thread
//! waits for.

use std::future::Future;
use std::net::Ipv4Addr;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::Duration;

use runtime_core::net::TcpListener;
use runtime_core::time::{Clock, now, sleep, sleep_until};
use runtime_threads::{Builder, Runtime};

const MS: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);

fn simulated() -> Builder {
    Runtime::builder().clock(Clock::simulated())
}

#[test]
fn the_last_task_that_ends_lets_time_pass_for_waiting_threads() {
    let runtime = simulated().build().unwrap();
    for _ in 0..200 {
        let sleeper = runtime.handle().spawn(async {
            let start = now();
            sleep(HOUR).await;
            now() - start
        });
        // It ends on its thread, and nothing waits for it.
        drop(runtime.handle().spawn(async { thread::yield_now() }));
        let slept = futures_lite::future::block_on(sleeper).unwrap();
        assert!(slept >= HOUR);
    }
}

#[test]
fn non_workers_sleep_in_simulated_time_without_any_task() {
    let runtime = simulated().build().unwrap();
    let _entered = runtime.handle().enter();
    let start = now();
    futures_lite::future::block_on(async {
        for hour in 1..=100 {
            sleep_until(start + hour * HOUR).await;
            assert!(now() >= start + hour * HOUR);
        }
    });
}

#[test]
fn non_workers_and_tasks_sleep_side_by_side() {
    let runtime = simulated().build().unwrap();
    let handle = runtime.handle();
    let sleeper = handle.spawn(async {
        for _ in 0..200 {
            sleep(3 * MS).await;
        }
    });
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let _entered = handle.enter();
                for _ in 0..200 {
                    futures_lite::future::block_on(sleep(2 * MS));
                }
            });
        }
    });
    futures_lite::future::block_on(sleeper).unwrap();
}

/// One of the accepting tasks watches the socket. When it gives up, another one takes over: that one is awake for a
/// moment, and sleeps again. It may be the last one to do so.
#[test]
fn time_passes_when_the_last_sleeper_was_about_to_watch_a_socket() {
    in_time(|| {
        let runtime = simulated().build().unwrap();
        let bound = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
        let listener = Arc::new(bound.unwrap());
        let tasks: Vec<_> = (1..=4)
            .map(|number| {
                let listener = Arc::clone(&listener);
                runtime.handle().spawn(async move {
                    for _ in 0..500 {
                        let accepted = runtime_core::timeout(number * MS, listener.accept());
                        assert!(accepted.await.is_err());
                    }
                })
            })
            .collect();
        for task in tasks {
            futures_lite::future::block_on(task).unwrap();
        }
    });
}

/// Runs `body` on a thread of its own, and fails if it does not end.
fn in_time(body: impl FnOnce() + Send + 'static) {
    let (done, all_done) = mpsc::channel();
    thread::spawn(move || {
        body();
        let _ = done.send(());
    });
    let ended = all_done.recv_timeout(Duration::from_secs(60));
    ended.expect("time stands still");
}

#[test]
fn a_thread_that_has_entered_can_sleep_after_the_end_of_the_runtime() {
    in_time(|| {
        let runtime = simulated().build().unwrap();
        let handle = runtime.handle();
        let _entered = handle.enter();
        let before = sleep(HOUR);
        drop(runtime);
        futures_lite::future::block_on(async {
            before.await;
            sleep(HOUR).await;
        });
    });
}

/// Once woken, waits for a connection.
struct AcceptsWhenWoken {
    accept: Mutex<Pin<Box<dyn Future<Output = ()> + Send>>>,
    woken: mpsc::Sender<()>,
}

impl Wake for AcceptsWhenWoken {
    fn wake(self: Arc<Self>) {
        let waker = Waker::from(Arc::clone(&self));
        let _ = self
            .accept
            .lock()
            .unwrap()
            .as_mut()
            .poll(&mut Context::from_waker(&waker));
        let _ = self.woken.send(());
    }
}

/// A thread that is about to sleep lets time pass, and so calls wakers. What they make it wait for is waited for in
/// the very sleep that it has announced.
#[test]
fn a_socket_that_is_awaited_by_a_thread_about_to_sleep_is_watched() {
    let clock = Clock::simulated();
    let runtime = Runtime::builder().clock(clock.clone()).build().unwrap();
    let bind = || {
        runtime
            .block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
            .unwrap()
    };
    let (first, second) = (bind(), bind());
    let address = second.local_addr().unwrap();
    let (woken, was_woken) = mpsc::channel();
    let waker = Waker::from(Arc::new(AcceptsWhenWoken {
        accept: Mutex::new(Box::pin(async move { drop(second.accept().await) })),
        woken,
    }));
    let hold = clock.hold();
    let handle = runtime.handle();
    let _entered = handle.enter();
    let mut sleep = pin!(sleep(HOUR));
    assert!(
        sleep
            .as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_pending()
    );
    let waits = handle.spawn(async move {
        drop(hold);
        first.accept().await
    });
    was_woken
        .recv_timeout(Duration::from_secs(60))
        .expect("time stands still");
    let _client = std::net::TcpStream::connect(address).unwrap();
    was_woken
        .recv_timeout(Duration::from_secs(60))
        .expect("nobody watches the socket");
    waits.abort();
}
