//! One operation of the scheduler, many times, on one worker: for tools that count instructions.
//!
//! ```text
//! cargo build --release --example one_op -p runtime-mn
//! valgrind --tool=callgrind --dump-instr=yes target/release/examples/one_op pingpong 20000
//! ```
//!
//! Count twice, with `n` and `2n`, and divide the difference by `n`: the start and the end of the runtime cancel out.
//! With the word `record` after the count, the recorder is on.

use std::process::exit;

use runtime_core::sync::channel;
use runtime_core::trace::Recorder;
use runtime_core::{JoinHandle, yield_now};
use runtime_mn::{Builder, Handle};

/// Spawns a task, awaits it, and spawns the next.
async fn spawn(handle: Handle, count: u64) {
    for number in 0..count {
        let task = handle.spawn(async move { number });
        assert_eq!(task.await.unwrap(), number);
    }
}

/// Spawns 100 tasks and then awaits them, again and again.
async fn batch(handle: Handle, count: u64) {
    for _ in 0..count / 100 {
        let spawn = |number: u64| handle.spawn(async move { number });
        let tasks: Vec<_> = (0..100).map(spawn).collect();
        for (number, task) in (0..).zip(tasks) {
            assert_eq!(task.await.unwrap(), number);
        }
    }
}

/// Spawns a task for one of the two preceding numbers, and computes the other itself.
async fn fib(handle: Handle, n: u64) -> u64 {
    if n < 2 {
        return n;
    }
    let child = spawn_fib(&handle, n - 1);
    Box::pin(fib(handle, n - 2)).await + child.await.unwrap()
}

/// With a named return type. Without it, whether `fib` is `Send` would depend on itself.
fn spawn_fib(handle: &Handle, n: u64) -> JoinHandle<u64> {
    handle.spawn(fib(handle.clone(), n))
}

/// Forks: 986 for each fib(15).
async fn forks(handle: Handle, count: u64) {
    for _ in 0..count / 986 {
        assert_eq!(spawn_fib(&handle, 15).await.unwrap(), 610);
    }
}

/// Two tasks yield in turn.
async fn yields(handle: Handle, count: u64) {
    let tasks = [(); 2].map(|()| {
        handle.spawn(async move {
            for _ in 0..count / 2 {
                yield_now().await;
            }
        })
    });
    for task in tasks {
        task.await.unwrap();
    }
}

/// Two tasks send a number back and forth, through channels that hold one item each.
async fn pingpong(handle: Handle, count: u64) {
    let (to_pong, from_ping) = channel(1);
    let (to_ping, from_pong) = channel(1);
    let pong = handle.spawn(async move {
        while let Some(number) = from_ping.recv().await {
            to_ping.send(number + 1).await.unwrap();
        }
    });
    let ping = handle.spawn(async move {
        for number in 0..count {
            to_pong.send(number).await.unwrap();
            assert_eq!(from_pong.recv().await, Some(number + 1));
        }
    });
    ping.await.unwrap();
    pong.await.unwrap();
}

fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (operation, count, records) = match &arguments[..] {
        [operation, count] => (operation.as_str(), count.parse().ok(), false),
        [operation, count, word] if word == "record" => {
            (operation.as_str(), count.parse().ok(), true)
        }
        _ => ("", None, false),
    };
    let _session = records.then(|| Recorder::new().start());
    let runtime = Builder::new().workers(1).build()?;
    let handle = runtime.handle().clone();
    let root = match (operation, count) {
        ("spawn", Some(count)) => runtime.spawn(spawn(handle, count)),
        ("batch", Some(count)) => runtime.spawn(batch(handle, count)),
        ("fib", Some(count)) => runtime.spawn(forks(handle, count)),
        ("yield", Some(count)) => runtime.spawn(yields(handle, count)),
        ("pingpong", Some(count)) => runtime.spawn(pingpong(handle, count)),
        _ => {
            eprintln!("usage: one_op spawn|batch|fib|yield|pingpong COUNT [record]");
            exit(2);
        }
    };
    runtime.block_on(root).unwrap();
    Ok(())
}
