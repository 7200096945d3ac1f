//! Five workers wait for a condition, and are notified a few at a time.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use runtime_core::combine::gather;
use runtime_core::sync::{Condition, Mutex};
use runtime_core::{sleep, spawn};

// ANCHOR: program
/// asyncio's `Condition` combines these two: a lock, and the waiters. The lock protects the number of workers that
/// have arrived.
#[derive(Default)]
struct Shared {
    workers: Mutex<usize>,
    changed: Condition,
}

async fn work(shared: Arc<Shared>) {
    let mut workers = shared.workers.lock().await;
    let number = *workers;
    *workers += 1;
    println!("worker {number} waits");
    // Releases the lock, waits until notified, and takes the lock again.
    let _workers = shared.changed.wait(workers).await;
    println!("worker {number} is released");
}

pub async fn run() -> io::Result<()> {
    let shared = Arc::new(Shared::default());
    let workers: Vec<_> = (0..5).map(|_| spawn(work(shared.clone()))).collect();
    while *shared.workers.lock().await < 5 {
        pause().await;
    }
    for count in 0..3 {
        let guard = shared.workers.lock().await; // without it, `notify` does not compile
        println!("notify {count}");
        shared.changed.notify(&guard, count);
        drop(guard); // now it takes effect
        pause().await;
    }
    let guard = shared.workers.lock().await;
    println!("notify all");
    shared.changed.notify_all(&guard);
    drop(guard);
    gather(workers).await.map_err(io::Error::other)?;
    Ok(())
}
// ANCHOR_END: program

async fn pause() {
    sleep(Duration::from_millis(10)).await;
}
