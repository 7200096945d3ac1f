//! Many tasks, each on its own thread, accept from one socket: one thread watches the socket at a time, and there is
//! always one that does.

use std::future::{Future, poll_fn};
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use runtime_core::Runtime as _;
use runtime_core::net::TcpListener;
use runtime_threads::Runtime;

const TIME_LIMIT: Duration = Duration::from_secs(60);

fn listener(runtime: &Runtime) -> (Arc<TcpListener>, SocketAddr) {
    let bound = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
    let listener = bound.unwrap();
    let address = listener.local_addr().unwrap();
    (Arc::new(listener), address)
}

fn connect(address: SocketAddr) {
    drop(std::net::TcpStream::connect(address).unwrap());
}

/// Waits until this many tasks have parked.
fn all_wait(runtime: &Runtime, tasks: u64) {
    let begun = Instant::now();
    while runtime.handle().metrics().parks < Some(tasks) {
        assert!(begun.elapsed() < TIME_LIMIT);
        thread::yield_now();
    }
}

async fn accept_all(listener: Arc<TcpListener>, taken: Sender<()>) {
    while listener.accept().await.is_ok() {
        // The receiver may be gone: then the test has ended.
        let _ = taken.send(());
    }
}

fn await_one(taken: &Receiver<()>) {
    taken.recv_timeout(TIME_LIMIT).expect("it was taken");
}

#[test]
fn a_connection_wakes_few_accepting_tasks() {
    const TASKS: u64 = 200;
    const CONNECTIONS: u64 = 100;
    // One park for the task that takes the connection, and one for the next task if that was quick. Times four.
    const PARKS_EACH: u64 = 8;
    let runtime = Runtime::new().unwrap();
    let (listener, address) = listener(&runtime);
    let (taken, all_taken) = mpsc::channel();
    for _ in 0..TASKS {
        let task = accept_all(Arc::clone(&listener), taken.clone());
        drop(runtime.handle().spawn(task));
    }
    all_wait(&runtime, TASKS);
    let before = runtime.handle().metrics().parks.unwrap();
    for _ in 0..CONNECTIONS {
        connect(address);
        await_one(&all_taken);
        // Otherwise a task that two connections wake may park only once for both.
        thread::sleep(Duration::from_millis(2));
    }
    let parks = runtime.handle().metrics().parks.unwrap() - before;
    assert!(
        parks < CONNECTIONS * PARKS_EACH,
        "{parks} parks for {CONNECTIONS} connections"
    );
}

/// Each task is woken in turn, and blocks its thread instead of accepting, like the losing arm of a `select` whose
/// task is now busy with something else. The last one accepts.
#[test]
fn woken_tasks_that_do_something_else_do_not_block_the_socket() {
    const BUSY: u64 = 5;
    let runtime = Runtime::new().unwrap();
    let (listener, address) = listener(&runtime);
    let (taken, all_taken) = mpsc::channel();
    let mut gates = Vec::new();
    for number in 0..BUSY {
        let (open, gate) = mpsc::channel::<()>();
        let gate = Mutex::new(gate);
        gates.push(open);
        let of_task = Arc::clone(&listener);
        drop(runtime.handle().spawn(async move {
            let mut accept = pin!(of_task.accept());
            let mut is_first = true;
            poll_fn(|cx| {
                if std::mem::take(&mut is_first) {
                    return accept.as_mut().poll(cx).map(drop);
                }
                let _ = gate.lock().unwrap().recv();
                Poll::Ready(())
            })
            .await;
        }));
        all_wait(&runtime, number + 1);
    }
    let last = accept_all(Arc::clone(&listener), taken);
    drop(runtime.handle().spawn(last));
    all_wait(&runtime, BUSY + 1);
    for _ in 0..3 {
        connect(address);
        await_one(&all_taken);
    }
    drop(gates);
}

#[test]
fn tasks_that_remain_after_aborts_take_new_connections() {
    const TASKS: usize = 12;
    let runtime = Runtime::new().unwrap();
    let (listener, address) = listener(&runtime);
    let (taken, all_taken) = mpsc::channel();
    for remains in 0..TASKS {
        let tasks: Vec<_> = (0..TASKS)
            .map(|_| {
                let task = accept_all(Arc::clone(&listener), taken.clone());
                runtime.handle().spawn(task)
            })
            .collect();
        for (number, task) in tasks.iter().enumerate() {
            if number != remains {
                task.abort();
            }
        }
        for _ in 0..3 {
            connect(address);
            await_one(&all_taken);
        }
        tasks[remains].abort();
        for task in tasks {
            assert!(runtime.block_on(task).is_err());
        }
    }
}

/// Tasks that give up after a moment, come again, compute, or wait for two sockets at once.
#[test]
fn every_connection_is_taken_while_accepting_tasks_do_other_work() {
    const TASKS: usize = 16;
    const CONNECTIONS: usize = 400;
    let runtime = Runtime::new().unwrap();
    let (one, of_one) = listener(&runtime);
    let (other, of_other) = listener(&runtime);
    let (taken, all_taken) = mpsc::channel();
    let turns = Arc::new(AtomicUsize::new(0));
    for number in 0..TASKS {
        let (one, other) = (Arc::clone(&one), Arc::clone(&other));
        let (turns, taken) = (Arc::clone(&turns), taken.clone());
        drop(runtime.handle().spawn(async move {
            loop {
                let turn = turns.fetch_add(1, Ordering::Relaxed);
                let limit = match number % 4 {
                    0 => TIME_LIMIT,
                    _ => Duration::from_micros((turn * 37 % 900) as u64),
                };
                let either = futures_lite::future::or(one.accept(), other.accept());
                let accepted = match number % 2 {
                    0 => runtime_core::timeout(limit, either).await,
                    _ => runtime_core::timeout(limit, one.accept()).await,
                };
                if matches!(accepted, Ok(Ok(_))) && taken.send(()).is_err() {
                    return;
                }
                if turn % 7 == 0 {
                    thread::sleep(Duration::from_micros(300));
                }
            }
        }));
    }
    for number in 0..CONNECTIONS {
        connect(if number % 3 == 0 { of_other } else { of_one });
        if number % 2 == 0 {
            await_one(&all_taken);
        }
    }
    for _ in 0..CONNECTIONS / 2 {
        await_one(&all_taken);
    }
    drop(all_taken);
}
