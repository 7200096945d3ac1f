//! A fault that futures-util had, for the time machine. The arguments are the fault and its size; the output is a line
//! of JSON.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::Mutex;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    assert_eq!(arguments[0], "futures-unordered");
    let size = arguments[1].parse().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    println!("{{\"value\": {}}}", runtime.block_on(polls_of_each(size)));
}

async fn polls_of_each(size: u64) -> f64 {
    let (polls, lock) = (Arc::new(AtomicU64::new(0)), Arc::new(Mutex::new(())));
    let held = lock.clone().lock_owned().await;
    let mut set = FuturesUnordered::new();
    for _ in 0..size {
        let lock = lock.clone();
        let future = async move { drop(lock.lock().await) };
        set.push(Counted(Box::pin(future), polls.clone()));
    }
    drop(held);
    while set.next().await.is_some() {}
    polls.load(SeqCst) as f64 / size as f64
}

struct Counted(Pin<Box<dyn Future<Output = ()>>>, Arc<AtomicU64>);

impl Future for Counted {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.1.fetch_add(1, SeqCst);
        self.0.as_mut().poll(cx)
    }
}
