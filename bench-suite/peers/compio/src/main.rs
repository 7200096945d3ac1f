//! compio under the lab's workloads.
//!
//! This follows compio's README and examples: one runtime per thread, and nothing is shared between threads. Tasks of
//! the lab's programs share data, so they run on one loop, as under asyncio. Buffers are handed to the kernel and come
//! back with the result. compio has no channels or locks and recommends none, so the program uses `async-channel` and
//! `async-lock`, which don't depend on a runtime.

use std::cell::Cell;
use std::future::Future;
use std::io::{BufRead, Write};
use std::pin::Pin;
use std::rc::Rc;
use std::time::{Duration, Instant};

use async_lock::{Mutex, Semaphore};
use compio::BufResult;
use compio::io::{AsyncRead, AsyncWriteExt};
use compio::net::{TcpListener, TcpStream};
use compio::runtime::{JoinHandle, Runtime, spawn};
use serde_json::{Value, json};

/// The number of operations, and the answer.
type Outcome = Result<(u64, u64), String>;

fn main() {
    let request = next_line().expect("a request");
    let workload = request["workload"].as_str().unwrap_or_default().to_owned();
    let params = request["params"].clone();
    let value = move |name: &str| params[name].as_u64().unwrap_or(0);
    let size = value("size");
    let runtime = Runtime::new().expect("a runtime");
    match workload.as_str() {
        "spawn" => serve_orders(&runtime, async || Ok((size, spawn_and_join(0, size).await))),
        "spawn-batch" => serve_orders(&runtime, async || Ok((size, spawn_batches(size).await))),
        "yield" => serve_orders(&runtime, async || {
            Ok(yield_together(size, value("yields")).await)
        }),
        "pingpong" => serve_orders(&runtime, async || rally(size).await),
        "skynet-spawn" => serve_orders(&runtime, async || Ok(skynet(size as u32).await)),
        "fib-spawn" => serve_orders(&runtime, async || {
            Ok((forks(size), result(spawn(fib(size))).await))
        }),
        "mpmc" => serve_orders(&runtime, async || pass(&value).await),
        "mutex-contended" => {
            serve_orders(&runtime, async || {
                Ok(contend(size, value("tasks"), value("held")).await)
            });
        }
        "idle" => serve_orders(&runtime, async || Ok(park(size).await)),
        "timers" => timers(
            &runtime,
            size,
            value("span_ms"),
            request["seed"].as_u64().unwrap_or(0),
        ),
        "echo" | "mixed" => serve(&runtime, value("hogs")),
        other => say(
            &json!({"type": "failure", "status": "refused", "error": format!("no {other} here")}),
        ),
    }
    // Tasks that wait forever need not be dropped first.
    std::process::exit(0);
}

/// Reads the next line from the lab.
fn next_line() -> Option<Value> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).ok()?;
    serde_json::from_str(&line).ok()
}

/// The next order; `None` if the lab says stop or is gone.
fn next_order() -> Option<Value> {
    next_line().filter(|order| order["type"] != "stop")
}

fn say(word: &Value) {
    let mut output = std::io::stdout().lock();
    // If the lab is gone, this process is about to be killed too.
    let _ = writeln!(output, "{word}").and_then(|()| output.flush());
}

/// Executes orders: does the work as many times as each says.
fn serve_orders(runtime: &Runtime, work: impl AsyncFn() -> Outcome) {
    say(&json!({"type": "ready", "workers": 1}));
    while let Some(order) = next_order() {
        let (mut ops, mut answer) = (0, 0);
        let begun = Instant::now();
        for _ in 0..order["repetitions"].as_u64().unwrap_or(1) {
            match runtime.block_on(work()) {
                Ok((done, right)) => {
                    ops += done;
                    answer += right;
                }
                Err(error) => {
                    return say(
                        &json!({"type": "failure", "status": "wrong_answer", "error": error}),
                    );
                }
            }
        }
        let wall_ns = begun.elapsed().as_nanos() as u64;
        say(&json!({"type": "done", "ops": ops, "wall_ns": wall_ns, "answer": answer}));
    }
}

/// The result of a task.
async fn result<T>(handle: JoinHandle<T>) -> T {
    handle
        .await
        .unwrap_or_else(|_| panic!("a task has panicked"))
}

async fn yield_now() {
    let mut yielded = false;
    std::future::poll_fn(move |context| {
        if std::mem::replace(&mut yielded, true) {
            return std::task::Poll::Ready(());
        }
        context.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await;
}

async fn spawn_and_join(begin: u64, end: u64) -> u64 {
    let handles: Vec<_> = (begin..end)
        .map(|number| spawn(async move { number }))
        .collect();
    let mut sum = 0;
    for handle in handles {
        sum += result(handle).await;
    }
    sum
}

async fn spawn_batches(size: u64) -> u64 {
    const BATCH: usize = 100;
    let mut sum = 0;
    for begin in (0..size).step_by(BATCH) {
        sum += spawn_and_join(begin, size.min(begin + BATCH as u64)).await;
    }
    sum
}

async fn yield_together(tasks: u64, yields: u64) -> (u64, u64) {
    let handles: Vec<_> = (0..tasks)
        .map(|_| {
            spawn(async move {
                for _ in 0..yields {
                    yield_now().await;
                }
                yields
            })
        })
        .collect();
    let mut done = 0;
    for handle in handles {
        done += result(handle).await;
    }
    (done, done)
}

async fn rally(round_trips: u64) -> Outcome {
    let (to_pong, from_ping) = async_channel::bounded::<u64>(1);
    let (to_ping, from_pong) = async_channel::bounded::<u64>(1);
    let pong = spawn(async move {
        while let Ok(number) = from_ping.recv().await {
            if to_ping.send(number + 1).await.is_err() {
                break;
            }
        }
    });
    let ping = spawn(async move {
        let mut sum = 0;
        for number in 0..round_trips {
            to_pong
                .send(number)
                .await
                .map_err(|error| error.to_string())?;
            let answer = from_pong.recv().await.map_err(|error| error.to_string())?;
            if answer != number + 1 {
                return Err(format!("the answer to {number} is {answer}"));
            }
            sum += answer;
        }
        Ok(sum)
    });
    let sum = result(ping).await?;
    result(pong).await;
    Ok((round_trips, sum))
}

fn node(first: u64, leaves: u64) -> Pin<Box<dyn Future<Output = u64>>> {
    Box::pin(async move {
        if leaves == 1 {
            return first;
        }
        let below = leaves / 10;
        let children: Vec<_> = (0..10)
            .map(|child| spawn(node(first + child * below, below)))
            .collect();
        let mut sum = 0;
        for child in children {
            sum += result(child).await;
        }
        sum
    })
}

async fn skynet(levels: u32) -> (u64, u64) {
    let leaves = 10_u64.pow(levels);
    let sum = result(spawn(node(0, leaves))).await;
    ((0..=levels).map(|level| 10_u64.pow(level)).sum(), sum)
}

fn fib(n: u64) -> Pin<Box<dyn Future<Output = u64>>> {
    Box::pin(async move {
        if n < 2 {
            return n;
        }
        let child = spawn(fib(n - 1));
        let here = fib(n - 2).await;
        here + result(child).await
    })
}

fn forks(n: u64) -> u64 {
    if n < 2 {
        0
    } else {
        1 + forks(n - 1) + forks(n - 2)
    }
}

async fn pass(value: &impl Fn(&str) -> u64) -> Outcome {
    let (each, producers, consumers) = (value("size"), value("producers"), value("consumers"));
    let (put, get) = async_channel::bounded::<(usize, u64)>(value("capacity") as usize);
    if value("alone") == 1 {
        let mut sum = 0;
        for number in 0..each {
            put.send((0, number))
                .await
                .map_err(|error| error.to_string())?;
            sum += get.recv().await.map_err(|error| error.to_string())?.1;
        }
        return Ok((each, sum));
    }
    let consuming: Vec<_> = (0..consumers)
        .map(|_| {
            let get = get.clone();
            spawn(async move {
                let mut next = vec![0; producers as usize];
                let (mut count, mut sum) = (0, 0);
                while let Ok((producer, number)) = get.recv().await {
                    if number < next[producer] {
                        return Err("a producer's items came out of order".to_owned());
                    }
                    next[producer] = number + 1;
                    count += 1;
                    sum += number;
                }
                Ok((count, sum))
            })
        })
        .collect();
    let producing: Vec<_> = (0..producers as usize)
        .map(|producer| {
            let put = put.clone();
            spawn(async move {
                for number in 0..each {
                    put.send((producer, number))
                        .await
                        .expect("the consumers are here");
                }
            })
        })
        .collect();
    // The queue closes when the last producer drops its end.
    drop(put);
    for producer in producing {
        result(producer).await;
    }
    let (mut count, mut sum) = (0, 0);
    for consumer in consuming {
        let (counted, summed) = result(consumer).await?;
        count += counted;
        sum += summed;
    }
    Ok((count, sum))
}

async fn contend(each: u64, tasks: u64, held: u64) -> (u64, u64) {
    let lock = Rc::new(Mutex::new(0_u64));
    let working: Vec<_> = (0..tasks)
        .map(|_| {
            let lock = Rc::clone(&lock);
            spawn(async move {
                for _ in 0..each {
                    let mut counter = lock.lock().await;
                    for _ in 0..held {
                        yield_now().await;
                    }
                    *counter += 1;
                }
            })
        })
        .collect();
    for worker in working {
        result(worker).await;
    }
    let counter = *lock.lock().await;
    (each * tasks, counter)
}

/// Spawns tasks and leaves them waiting.
async fn park(tasks: u64) -> (u64, u64) {
    let begun = Rc::new(Semaphore::new(0));
    for _ in 0..tasks {
        let begun = Rc::clone(&begun);
        spawn(async move {
            begun.add_permits(1);
            drop(begun);
            std::future::pending::<()>().await;
        })
        .detach();
    }
    for _ in 0..tasks {
        begun.acquire().await.forget();
    }
    (tasks, tasks)
}

fn timers(runtime: &Runtime, tasks: u64, span_ms: u64, seed: u64) {
    say(&json!({"type": "ready", "workers": 1}));
    while next_order().is_some() {
        let mut state = seed;
        let begun = Instant::now();
        let late = runtime.block_on(async {
            let mut handles = Vec::new();
            for _ in 0..tasks {
                // SplitMix64, as in the lab.
                state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
                let mut z = state;
                z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
                z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
                let delay = Duration::from_nanos((z ^ (z >> 31)) % (span_ms * 1_000_000 + 1));
                let deadline = Instant::now() + delay;
                handles.push(spawn(async move {
                    compio::time::sleep_until(deadline).await;
                    let now = Instant::now();
                    let late = now.saturating_duration_since(deadline).as_nanos() as i64;
                    late - deadline.saturating_duration_since(now).as_nanos() as i64
                }));
            }
            let mut late = Vec::new();
            for handle in handles {
                late.push(result(handle).await);
            }
            late
        });
        let wall_ns = begun.elapsed().as_nanos() as u64;
        say(&json!({"type": "done", "ops": tasks, "wall_ns": wall_ns, "answer": tasks}));
        say(&json!({"type": "late", "late_ns": late}));
    }
}

async fn echo(mut stream: TcpStream) {
    let mut buffer = Vec::with_capacity(4096);
    loop {
        buffer.clear();
        let BufResult(Ok(length @ 1..), filled) = stream.read(buffer).await else {
            return;
        };
        debug_assert_eq!(filled.len(), length);
        let BufResult(Ok(()), sent) = stream.write_all(filled).await else {
            return;
        };
        buffer = sent;
    }
}

fn serve(runtime: &Runtime, hogs: u64) {
    let sink = Rc::new(Cell::new(0_u64));
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound").to_string();
        spawn(async move {
            loop {
                match listener.accept().await {
                    Ok((stream, _)) => {
                        let _ = stream.set_nodelay(true);
                        spawn(echo(stream)).detach();
                    }
                    Err(error) => return eprintln!("accepting has ended: {error}"),
                }
            }
        })
        .detach();
        for _ in 0..hogs {
            let sink = Rc::clone(&sink);
            spawn(async move {
                loop {
                    let begun = Instant::now();
                    let mut state = 0_u64;
                    while begun.elapsed() < Duration::from_millis(100) {
                        for _ in 0..1000 {
                            state = state.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
                        }
                    }
                    sink.set(state);
                    compio::time::sleep(Duration::from_millis(10)).await;
                }
            })
            .detach();
        }
        say(&json!({"type": "listening", "address": address, "workers": 1}));
        // The lab's lines arrive on standard input, and reading it would block the loop.
        let (said, orders) = async_channel::bounded(1);
        std::thread::spawn(move || {
            while let Some(order) = next_order() {
                if said.send_blocking(order).is_err() {
                    break;
                }
            }
        });
        while orders.recv().await.is_ok() {}
    });
}
