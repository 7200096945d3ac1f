//! Many tasks that wait for one socket: which task an event wakes, and which one is woken instead of a task that is
//! gone. Each case is a root task for a fresh runtime that enters the ambient context.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures_lite::{AsyncReadExt, AsyncWriteExt};

use super::net::localhost;
use runtime_kernel::reactor::IoDriver;
use runtime_kernel::{context, spawn, time, yield_now};
use runtime_library::net::{TcpListener, TcpStream, UdpSocket};

const PAUSE: Duration = Duration::from_millis(1);

#[derive(Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

type Accepted = io::Result<(TcpStream, SocketAddr)>;

/// An accept that is polled with its own waker.
struct Accepting<'a> {
    future: Pin<Box<dyn Future<Output = Accepted> + Send + 'a>>,
    woken: Arc<Flag>,
}

impl<'a> Accepting<'a> {
    /// An accept that waits.
    fn waiting(listener: &'a TcpListener) -> Self {
        let mut accepting = Self {
            future: Box::pin(listener.accept()),
            woken: Arc::default(),
        };
        assert!(accepting.poll().is_pending(), "there is no connection");
        accepting
    }

    fn poll(&mut self) -> Poll<SocketAddr> {
        let waker = Waker::from(self.woken.clone());
        let polled = self.future.as_mut().poll(&mut Context::from_waker(&waker));
        polled.map(|accepted| accepted.expect("a connection").1)
    }

    fn is_woken(&self) -> bool {
        self.woken.0.load(Ordering::SeqCst)
    }

    /// The runtime waits for the socket while this task sleeps.
    async fn woken(&mut self) {
        while !self.is_woken() {
            time::sleep(PAUSE).await;
        }
    }
}

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind(localhost()).await.expect("bind");
    let address = listener.local_addr().expect("address");
    (listener, address)
}

/// A waiter is dropped after it was woken and before it was polled: the next one is woken, and gets the connection.
pub async fn a_waiter_that_was_woken_and_is_dropped_loses_no_connection() {
    let (listener, address) = listener().await;
    for woken_and_dropped in 1..5 {
        let mut waiters: Vec<_> = (0..8).map(|_| Accepting::waiting(&listener)).collect();
        let client = TcpStream::connect(address).await.expect("connect");
        for _ in 0..woken_and_dropped {
            waiters[0].woken().await;
            waiters.remove(0);
        }
        waiters[0].woken().await;
        let peer = client.local_addr().expect("address");
        assert_eq!(waiters[0].poll(), Poll::Ready(peer));
    }
}

/// A waiter is woken, but its task does something else and keeps it: others get the connections.
pub async fn a_waiter_that_was_woken_and_is_kept_keeps_no_connection() {
    let (listener, address) = listener().await;
    let listener = Arc::new(listener);
    let kept: Vec<_> = (0..3).map(|_| Accepting::waiting(&listener)).collect();
    let others = listener.clone();
    let accepting = spawn(async move {
        let mut peers = Vec::new();
        for _ in 0..2 {
            peers.push(others.accept().await.expect("a connection").1);
        }
        peers
    });
    let mut clients = Vec::new();
    for _ in 0..2 {
        let client = TcpStream::connect(address).await.expect("connect");
        clients.push(client.local_addr().expect("address"));
        time::sleep(PAUSE).await;
    }
    assert_eq!(accepting.await.expect("it ends"), clients);
    drop(kept);
}

/// Waiters are served in the order in which they began to wait. One that was woken for nothing keeps its place.
pub async fn who_accepts_is_served_in_turn() {
    let (listener, address) = listener().await;
    let mut waiters: Vec<_> = (0..8).map(|_| Accepting::waiting(&listener)).collect();
    while !waiters.is_empty() {
        let client = TcpStream::connect(address).await.expect("connect");
        waiters[0].woken().await;
        let peer = client.local_addr().expect("address");
        assert_eq!(waiters.remove(0).poll(), Poll::Ready(peer));
        for waiter in &mut waiters {
            if waiter.woken.0.swap(false, Ordering::SeqCst) {
                assert!(waiter.poll().is_pending(), "there is one connection");
            }
        }
    }
}

/// Tasks that accept are aborted while connections come: the remaining ones take all of them.
pub async fn aborted_tasks_lose_no_connection() {
    const ROUNDS: usize = 30;
    const TASKS: usize = 8;
    let (listener, address) = listener().await;
    let listener = Arc::new(listener);
    for round in 0..ROUNDS {
        let accepts = || {
            let listener = listener.clone();
            spawn(async move { listener.accept().await.map(|(_, peer)| peer) })
        };
        let mut tasks: Vec<_> = (0..TASKS).map(|_| accepts()).collect();
        // In some rounds they have begun to wait.
        for _ in 0..round % 3 {
            yield_now().await;
        }
        let client = TcpStream::connect(address).await.expect("connect");
        for _ in 0..round % 5 {
            yield_now().await;
        }
        let last = tasks.pop().expect("a task");
        for task in &tasks {
            task.abort();
        }
        let mut taken = 0;
        for task in tasks {
            taken += usize::from(task.await.is_ok());
        }
        assert!(taken <= 1, "there is one connection");
        if taken == 0 {
            let peer = last.await.expect("a task").expect("a connection");
            assert_eq!(peer, client.local_addr().expect("address"));
        } else {
            last.abort();
            last.await.expect_err("there was nothing left");
        }
    }
}

/// Counts the polls of `future`.
async fn counted<F: Future>(polls: &AtomicUsize, future: F) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|cx| {
        polls.fetch_add(1, Ordering::Relaxed);
        future.as_mut().poll(cx)
    })
    .await
}

/// The number of waiters, and how many polls each round may cost: the waiter that takes the connection, and again when
/// it returns and lets others go first; the next one, which finds nothing. Twice that, because a system may report
/// more than it must.
const WAITERS: usize = 200;
const ROUNDS: usize = 100;
const POLLS_PER_ROUND: usize = 8;

/// The maximum number of polls in all. Under 1:1 the bound is loose: its own tests count how often threads park.
fn most_polls() -> usize {
    let driver = context::with("a case about sockets", |ambient| ambient.io_driver());
    let a_round = match driver {
        IoDriver::Reactor(_) => POLLS_PER_ROUND,
        IoDriver::OwnThread => WAITERS + POLLS_PER_ROUND,
    };
    WAITERS + a_round * ROUNDS
}

async fn until_all_wait(polls: &AtomicUsize) {
    while polls.load(Ordering::Relaxed) < WAITERS {
        time::sleep(PAUSE).await;
    }
}

/// Of many tasks that accept from one listener, a connection wakes only a few.
pub async fn a_connection_wakes_few_of_many() {
    let most = most_polls();
    let (listener, address) = listener().await;
    let listener = Arc::new(listener);
    let polls = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..WAITERS)
        .map(|_| {
            let (listener, polls) = (listener.clone(), polls.clone());
            spawn(async move {
                loop {
                    let accepted = counted(&polls, listener.accept()).await;
                    let (mut stream, _) = accepted.expect("a connection");
                    stream.write_all(&[1]).await.expect("write");
                }
            })
        })
        .collect();
    until_all_wait(&polls).await;
    for _ in 0..ROUNDS {
        let mut client = TcpStream::connect(address).await.expect("connect");
        client.read_exact(&mut [0]).await.expect("an answer");
    }
    let polls = polls.load(Ordering::Relaxed);
    tasks.iter().for_each(|task| task.abort());
    assert!(polls <= most, "{polls} polls");
}

/// Of many tasks that receive from one socket, a datagram wakes only a few.
pub async fn a_datagram_wakes_few_of_many() {
    let most = most_polls();
    let socket = Arc::new(UdpSocket::bind(localhost()).await.expect("bind"));
    let address = socket.local_addr().expect("address");
    let client = UdpSocket::bind(localhost()).await.expect("bind");
    let polls = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..WAITERS)
        .map(|_| {
            let (socket, polls) = (socket.clone(), polls.clone());
            spawn(async move {
                let mut buffer = [0; 8];
                loop {
                    let received = counted(&polls, socket.recv_from(&mut buffer)).await;
                    let (length, sender) = received.expect("a datagram");
                    let sent = socket.send_to(&buffer[..length], sender).await;
                    sent.expect("an answer");
                }
            })
        })
        .collect();
    until_all_wait(&polls).await;
    for _ in 0..ROUNDS {
        client.send_to(&[1], address).await.expect("send");
        client.recv(&mut [0]).await.expect("an answer");
    }
    let polls = polls.load(Ordering::Relaxed);
    tasks.iter().for_each(|task| task.abort());
    assert!(polls <= most, "{polls} polls");
}
