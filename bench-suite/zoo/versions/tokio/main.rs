//! Faults that tokio had, for the time machine. The arguments are the fault, its size and the workers; the output is a
//! line of JSON. In src/zoo, `pathologies` and `faults.rs` describe the programs.

use std::future::poll_fn;
use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |place: usize| arguments[place].parse::<usize>().unwrap();
    let (size, workers) = (number(1), number(2));
    let value = match arguments[0].as_str() {
        "lifo-chain" => threads(workers).block_on(lifo_chain(workers)),
        "lifo-hostage" => threads(workers).block_on(lifo_hostage(size)),
        // In a task, because the root of `block_on` is polled once for many tasks.
        "yield-driver" => one_thread().block_on(async { tokio::spawn(yield_driver()).await.unwrap() }),
        other => panic!("no fault {}", other),
    };
    println!("{{\"value\": {}}}", value);
    // Tasks that still run may never end.
    std::process::exit(0);
}

fn threads(workers: usize) -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(workers).enable_all().build().unwrap()
}

fn one_thread() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[derive(Default)]
struct Rally {
    passes: AtomicU64,
    players: [Mutex<Option<Waker>>; 2],
    over: AtomicBool,
}

async fn lifo_chain(workers: usize) -> u64 {
    let rallies: Vec<Arc<Rally>> = (0..workers).map(|_| Arc::default()).collect();
    let mut neighbours = Vec::new();
    for rally in &rallies {
        tokio::spawn(play(rally.clone(), 1));
        neighbours.push(tokio::spawn(begin(rally.clone())));
    }
    let mut most = 0;
    for neighbour in neighbours {
        most = most.max(neighbour.await.unwrap());
    }
    most
}

async fn begin(rally: Arc<Rally>) -> u64 {
    let (seen, begun) = (rally.clone(), Instant::now());
    let neighbour = tokio::spawn(async move {
        seen.over.store(true, SeqCst);
        seen.passes.load(SeqCst)
    });
    while !rally.over.load(SeqCst) {
        turn(&rally, 0).await;
        if begun.elapsed() > Duration::from_secs(3) {
            rally.over.store(true, SeqCst);
        }
    }
    wake(&rally, 1);
    neighbour.await.unwrap()
}

async fn play(rally: Arc<Rally>, me: usize) {
    while !rally.over.load(SeqCst) {
        turn(&rally, me).await;
    }
    wake(&rally, 1 - me);
}

async fn turn(rally: &Rally, me: usize) {
    poll_fn(|cx| {
        *rally.players[me].lock().unwrap() = Some(cx.waker().clone());
        if rally.over.load(SeqCst) {
            return Poll::Ready(());
        }
        if rally.passes.load(SeqCst) % 2 == me as u64 {
            rally.passes.fetch_add(1, SeqCst);
            wake(rally, 1 - me);
            return Poll::Ready(());
        }
        Poll::Pending
    })
    .await
}

fn wake(rally: &Rally, player: usize) {
    let waker = rally.players[player].lock().unwrap().take();
    if let Some(waker) = waker {
        waker.wake();
    }
}

#[derive(Default)]
struct Hostage {
    waker: Mutex<Option<Waker>>,
    called: AtomicBool,
    ran: AtomicBool,
}

async fn lifo_hostage(size: usize) -> u64 {
    let mut free = 0;
    for _ in 0..size {
        let hostage = Arc::new(Hostage::default());
        let waited = hostage.clone();
        let waiting = tokio::spawn(poll_fn(move |cx| {
            if waited.called.load(SeqCst) {
                waited.ran.store(true, SeqCst);
                return Poll::Ready(());
            }
            *waited.waker.lock().unwrap() = Some(cx.waker().clone());
            Poll::Pending
        }));
        while hostage.waker.lock().unwrap().is_none() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let holder = tokio::spawn(async move {
            hostage.called.store(true, SeqCst);
            let waker = hostage.waker.lock().unwrap().take();
            if let Some(waker) = waker {
                waker.wake();
            }
            let begun = Instant::now();
            while begun.elapsed() < Duration::from_millis(500) && !hostage.ran.load(SeqCst) {
                std::hint::spin_loop();
            }
            hostage.ran.load(SeqCst)
        });
        free += u64::from(holder.await.unwrap());
        waiting.await.unwrap();
    }
    free
}

async fn yield_driver() -> u64 {
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let served = Arc::new(AtomicBool::new(false));
    let notify = served.clone();
    tokio::spawn(async move {
        socket.recv(&mut [0; 8]).await.unwrap();
        notify.store(true, SeqCst);
    });
    // The reader now waits for the socket, which is not ready.
    tokio::time::sleep(Duration::from_millis(50)).await;
    UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"x", address).unwrap();
    let mut yields = 0;
    while !served.load(SeqCst) {
        tokio::task::yield_now().await;
        yields += 1;
    }
    yields
}
