//! A file that is larger than the available memory. It is read a few lines at a time, and never further ahead than the
//! queue's capacity.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_lite::io::BufReader;
use futures_lite::{AsyncBufReadExt as _, StreamExt as _};
use runtime_core::combine::gather;
use runtime_core::fs::{self, File};
use runtime_core::spawn;
use runtime_core::sync::Queue;

const LINES: u64 = 10_000;
const QUEUE: usize = 100;
const WORKERS: usize = 5;

// ANCHOR: program
/// Puts the lines into the queue. When it is full, `put` waits until there is room.
async fn read(file: File, lines: Arc<Queue<String>>, in_memory: Arc<Gauge>) -> io::Result<()> {
    let mut file = BufReader::new(file).lines();
    while let Some(line) = file.next().await {
        in_memory.add();
        let _ = lines.put(line?).await; // it fails once the queue is closed
    }
    lines.close();
    Ok(())
}

/// Takes lines until there are no more.
async fn work(lines: Arc<Queue<String>>, in_memory: Arc<Gauge>) -> u64 {
    let mut sum = 0;
    while let Some(line) = lines.get().await {
        sum += line.parse::<u64>().unwrap_or(0);
        in_memory.subtract();
    }
    sum
}

pub async fn run() -> io::Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("huge.txt");
    let text: String = (1..=LINES).map(|line| format!("{line}\n")).collect();
    fs::write(&path, text).await?;

    let lines = Arc::new(Queue::new(QUEUE)); // asyncio's `Queue(maxsize=100)`
    let in_memory = Arc::new(Gauge::default());
    let file = File::open(&path).await?;
    let reader = spawn(read(file, lines.clone(), in_memory.clone()));
    let workers = (0..WORKERS).map(|_| spawn(work(lines.clone(), in_memory.clone())));
    let sums = gather(workers).await.map_err(io::Error::other)?;
    reader.await.map_err(io::Error::other)??;

    println!("the sum of {LINES} lines is {}", sums.iter().sum::<u64>());
    // The lines in the queue, one per worker, and one for the reader.
    assert!(in_memory.most() <= QUEUE + WORKERS + 1);
    println!("at most {} lines in memory", in_memory.most());
    Ok(())
}
// ANCHOR_END: program

/// A counter that goes up and down, and its maximum.
#[derive(Default)]
struct Gauge {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Gauge {
    fn add(&self) {
        let now = self.now.fetch_add(1, Ordering::Relaxed) + 1;
        self.most.fetch_max(now, Ordering::Relaxed);
    }

    fn subtract(&self) {
        self.now.fetch_sub(1, Ordering::Relaxed);
    }

    fn most(&self) -> usize {
        self.most.load(Ordering::Relaxed)
    }
}
