//! may under the lab's workloads.
//!
//! This follows may's README and examples: `go!` for each activity, join handles for results, `may::sync` and
//! `may::net` instead of the standard library's, blocking code otherwise. The stack size is may's default. Every
//! coroutine maps its own stack with a guard page. These are two of the 65,530 mappings that Linux allows by default,
//! which explains the limits in the manifest. After a sleep, may's timer thread runs the coroutine until its next wait.

use std::collections::VecDeque;
use std::io::{BufRead, Read, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use may::sync::{mpmc, mpsc, Mutex, Semphore};
use may::{coroutine, go};
use serde_json::{json, Value};

type Outcome = Result<(u64, u64), String>;

fn main() {
    let request = next_line().expect("a request");
    let workers = request["workers"].as_u64().unwrap_or(1) as usize;
    may::config().set_workers(workers);
    let workload = request["workload"].as_str().unwrap_or_default().to_owned();
    let params = request["params"].clone();
    let value = move |name: &str| params[name].as_u64().unwrap_or(0);
    let size = value("size");
    match workload.as_str() {
        "spawn" => serve_orders(workers, || Ok((size, spawn_and_join(0, size)))),
        "spawn-batch" => serve_orders(workers, || Ok((size, spawn_batches(size)))),
        "yield" => serve_orders(workers, || Ok(yield_together(size, value("yields")))),
        "pingpong" => serve_orders(workers, || rally(size)),
        "skynet-spawn" => serve_orders(workers, || Ok(skynet(size as u32))),
        "fib-spawn" => serve_orders(workers, || Ok((forks(size), go!(move || fib(size)).join().unwrap()))),
        "mpmc" => serve_orders(workers, || pass(&value)),
        "mutex-contended" => serve_orders(workers, || Ok(contend(size, value("tasks"), value("held")))),
        "idle" => serve_orders(workers, || Ok(park(size))),
        "timers" => timers(workers, size, value("span_ms"), request["seed"].as_u64().unwrap_or(0)),
        "echo" | "mixed" => serve(workers, value("hogs")),
        other => say(&json!({"type": "failure", "status": "refused", "error": format!("no {other} here")})),
    }
    // Coroutines that wait forever don't keep the process alive, but dropping what they hold may.
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
fn serve_orders(workers: usize, work: impl Fn() -> Outcome) {
    say(&json!({"type": "ready", "workers": workers}));
    while let Some(order) = next_order() {
        let (mut ops, mut answer) = (0, 0);
        let begun = Instant::now();
        for _ in 0..order["repetitions"].as_u64().unwrap_or(1) {
            match work() {
                Ok((done, right)) => {
                    ops += done;
                    answer += right;
                }
                Err(error) => return say(&json!({"type": "failure", "status": "wrong_answer", "error": error})),
            }
        }
        let wall_ns = begun.elapsed().as_nanos() as u64;
        say(&json!({"type": "done", "ops": ops, "wall_ns": wall_ns, "answer": answer}));
    }
}

/// Joins from within a coroutine, as the programs do.
fn spawn_and_join(begin: u64, end: u64) -> u64 {
    go!(move || {
        let handles: Vec<_> = (begin..end).map(|number| go!(move || number)).collect();
        handles.into_iter().map(|handle| handle.join().unwrap()).sum()
    })
    .join()
    .unwrap()
}

fn spawn_batches(size: u64) -> u64 {
    const BATCH: usize = 100;
    (0..size)
        .step_by(BATCH)
        .map(|begin| spawn_and_join(begin, size.min(begin + BATCH as u64)))
        .sum()
}

fn yield_together(tasks: u64, yields: u64) -> (u64, u64) {
    let handles: Vec<_> = (0..tasks)
        .map(|_| {
            go!(move || {
                for _ in 0..yields {
                    coroutine::yield_now();
                }
                yields
            })
        })
        .collect();
    let done = handles.into_iter().map(|handle| handle.join().unwrap()).sum();
    (done, done)
}

fn rally(round_trips: u64) -> Outcome {
    let (to_pong, from_ping) = mpsc::channel::<u64>();
    let (to_ping, from_pong) = mpsc::channel::<u64>();
    let pong = go!(move || {
        while let Ok(number) = from_ping.recv() {
            if to_ping.send(number + 1).is_err() {
                break;
            }
        }
    });
    let ping = go!(move || {
        let mut sum = 0;
        for number in 0..round_trips {
            to_pong.send(number).map_err(|error| error.to_string())?;
            let answer = from_pong.recv().map_err(|error| error.to_string())?;
            if answer != number + 1 {
                return Err(format!("the answer to {number} is {answer}"));
            }
            sum += answer;
        }
        Ok(sum)
    });
    let sum = ping.join().unwrap()?;
    pong.join().unwrap();
    Ok((round_trips, sum))
}

fn node(first: u64, leaves: u64) -> u64 {
    if leaves == 1 {
        return first;
    }
    let below = leaves / 10;
    let children: Vec<_> = (0..10).map(|child| go!(move || node(first + child * below, below))).collect();
    children.into_iter().map(|child| child.join().unwrap()).sum()
}

fn skynet(levels: u32) -> (u64, u64) {
    let leaves = 10_u64.pow(levels);
    let sum = go!(move || node(0, leaves)).join().unwrap();
    ((0..=levels).map(|level| 10_u64.pow(level)).sum(), sum)
}

fn fib(n: u64) -> u64 {
    if n < 2 {
        return n;
    }
    let child = go!(move || fib(n - 1));
    let here = fib(n - 2);
    here + child.join().unwrap()
}

fn forks(n: u64) -> u64 {
    if n < 2 {
        0
    } else {
        1 + forks(n - 1) + forks(n - 2)
    }
}

/// may's own channels are unbounded. A semaphore for the free places makes this one bounded.
struct Bounded {
    items: mpmc::Receiver<(usize, u64)>,
    put: mpmc::Sender<(usize, u64)>,
    free: Semphore,
}

impl Bounded {
    fn new(capacity: u64) -> Self {
        let (put, items) = mpmc::channel();
        Self {
            items,
            put,
            free: Semphore::new(capacity as usize),
        }
    }

    fn put(&self, item: (usize, u64)) {
        self.free.wait();
        self.put.send(item).expect("both ends are here");
    }

    fn get(&self) -> (usize, u64) {
        let item = self.items.recv().expect("both ends are here");
        self.free.post();
        item
    }
}

/// The producer number of the marker that ends a consumer.
const END: usize = usize::MAX;

fn pass(value: &impl Fn(&str) -> u64) -> Outcome {
    let (each, producers, consumers) = (value("size"), value("producers"), value("consumers"));
    let queue = Arc::new(Bounded::new(value("capacity")));
    if value("alone") == 1 {
        let alone = go!(move || {
            (0..each)
                .map(|number| {
                    queue.put((0, number));
                    queue.get().1
                })
                .sum()
        });
        return Ok((each, alone.join().unwrap()));
    }
    let consuming: Vec<_> = (0..consumers)
        .map(|_| {
            let queue = Arc::clone(&queue);
            go!(move || {
                let mut next = vec![0; producers as usize];
                let (mut count, mut sum) = (0, 0);
                loop {
                    let (producer, number) = queue.get();
                    if producer == END {
                        return Ok((count, sum));
                    }
                    if number < next[producer] {
                        return Err("a producer's items came out of order".to_owned());
                    }
                    next[producer] = number + 1;
                    count += 1;
                    sum += number;
                }
            })
        })
        .collect();
    let producing: Vec<_> = (0..producers as usize)
        .map(|producer| {
            let queue = Arc::clone(&queue);
            go!(move || (0..each).for_each(|number| queue.put((producer, number))))
        })
        .collect();
    for producer in producing {
        producer.join().unwrap();
    }
    for _ in 0..consumers {
        queue.put((END, 0));
    }
    let (mut count, mut sum) = (0, 0);
    for consumer in consuming {
        let (counted, summed) = consumer.join().unwrap()?;
        count += counted;
        sum += summed;
    }
    Ok((count, sum))
}

fn contend(each: u64, tasks: u64, held: u64) -> (u64, u64) {
    let lock = Arc::new(Mutex::new(0_u64));
    let working: Vec<_> = (0..tasks)
        .map(|_| {
            let lock = Arc::clone(&lock);
            go!(move || {
                for _ in 0..each {
                    let mut counter = lock.lock().unwrap();
                    for _ in 0..held {
                        coroutine::yield_now();
                    }
                    *counter += 1;
                }
            })
        })
        .collect();
    for worker in working {
        worker.join().unwrap();
    }
    let counter = *lock.lock().unwrap();
    (each * tasks, counter)
}

/// Starts coroutines and leaves them waiting.
fn park(tasks: u64) -> (u64, u64) {
    let begun = Arc::new(Semphore::new(0));
    for _ in 0..tasks {
        let begun = Arc::clone(&begun);
        go!(move || {
            begun.post();
            drop(begun);
            coroutine::park();
        });
    }
    (0..tasks).for_each(|_| begun.wait());
    (tasks, tasks)
}

fn timers(workers: usize, tasks: u64, span_ms: u64, seed: u64) {
    say(&json!({"type": "ready", "workers": workers}));
    while next_order().is_some() {
        let mut state = seed;
        let begun = Instant::now();
        let mut handles = VecDeque::new();
        for _ in 0..tasks {
            // SplitMix64, as in the lab.
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            let delay = Duration::from_nanos((z ^ (z >> 31)) % (span_ms * 1_000_000 + 1));
            let deadline = Instant::now() + delay;
            handles.push_back(go!(move || {
                coroutine::sleep(deadline.saturating_duration_since(Instant::now()));
                let now = Instant::now();
                let late = now.saturating_duration_since(deadline).as_nanos() as i64;
                late - deadline.saturating_duration_since(now).as_nanos() as i64
            }));
        }
        let late: Vec<i64> = handles.into_iter().map(|handle| handle.join().unwrap()).collect();
        let wall_ns = begun.elapsed().as_nanos() as u64;
        say(&json!({"type": "done", "ops": tasks, "wall_ns": wall_ns, "answer": tasks}));
        say(&json!({"type": "late", "late_ns": late}));
    }
}

static SINK: AtomicU64 = AtomicU64::new(0);

fn serve(workers: usize, hogs: u64) {
    let listener = may::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound").to_string();
    go!(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let _ = stream.set_nodelay(true);
            go!(move || {
                let mut buffer = vec![0; 4096];
                while let Ok(length @ 1..) = stream.read(&mut buffer) {
                    if stream.write_all(&buffer[..length]).is_err() {
                        break;
                    }
                }
            });
        }
    });
    for _ in 0..hogs {
        go!(|| loop {
            let begun = Instant::now();
            let mut state = 0_u64;
            while begun.elapsed() < Duration::from_millis(100) {
                for _ in 0..1000 {
                    state = state.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
                }
            }
            SINK.store(state, Ordering::Relaxed);
            coroutine::sleep(Duration::from_millis(10));
        });
    }
    say(&json!({"type": "listening", "address": address, "workers": workers}));
    while next_order().is_some() {}
}
