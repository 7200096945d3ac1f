//! One operation of the scheduler, many times, on one worker: for tools that count instructions.
//!
//! ```text
//! cargo build --release --example one_op -p runtime-mn
//! valgrind --tool=callgrind --dump-instr=yes target/release/examples/one_op pingpong 20000
//! ```
//!
//! Count twice, with `n` and `2n`, and divide the difference by `n`: starting and ending the runtime cancels out.

use std::process::exit;

use runtime_core::sync::channel;
use runtime_core::yield_now;
use runtime_mn::{Builder, Handle};

/// Spawns a task, awaits it, and spawns the next.
async fn spawn(handle: Handle, count: u64) {
    for number in 0..count {
        let task = handle.spawn(async move { number });
        assert_eq!(task.await.unwrap(), number);
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
    let (operation, count) = match &arguments[..] {
        [operation, count] => (operation.as_str(), count.parse().ok()),
        _ => ("", None),
    };
    let runtime = Builder::new().workers(1).build()?;
    let handle = runtime.handle().clone();
    let root = match (operation, count) {
        ("spawn", Some(count)) => runtime.spawn(spawn(handle, count)),
        ("yield", Some(count)) => runtime.spawn(yields(handle, count)),
        ("pingpong", Some(count)) => runtime.spawn(pingpong(handle, count)),
        _ => {
            eprintln!("usage: one_op spawn|yield|pingpong COUNT");
            exit(2);
        }
    };
    runtime.block_on(root).unwrap();
    Ok(())
}
