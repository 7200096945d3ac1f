//! A runtime that works incorrectly fails the workloads' checks, so that a fast wrong result never becomes a figure.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bench_suite::peers::tokio::{Handle, Listener, Receiver, Sender, Stream, Tokio, TokioCt};
use bench_suite::workloads::download::Download;
use bench_suite::workloads::echo::Echo;
use bench_suite::workloads::lock::Lock;
use bench_suite::workloads::mpmc::Mpmc;
use bench_suite::workloads::mutex_contended::MutexContended;
use bench_suite::workloads::pingpong::PingPong;
use bench_suite::workloads::primitives::{Ours, Primitives, With};
use bench_suite::workloads::semaphore::Semaphore;
use bench_suite::workloads::timers::Timers;
use bench_suite::workloads::{Program, under};
use bench_suite::{Failure, Meter, Params};
use futures_io::{AsyncRead, AsyncWrite};
use runtime_core::time::Elapsed;
use runtime_core::{
    Capabilities, ChannelReceiver, Launch, LaunchConfig, Metrics, Runtime, TcpListener,
};

/// tokio, but sleeps don't wait, sockets change what is read, and channels end after two items.
#[derive(Clone)]
struct Sabotaged(Tokio);

impl Launch for Sabotaged {
    type Runtime = Self;

    fn run<F, R>(config: &LaunchConfig, root: F) -> io::Result<R::Output>
    where
        F: FnOnce(Self) -> R + Send + 'static,
        R: Future + Send + 'static,
        R::Output: Send + 'static,
    {
        TokioCt::run(config, |rt| root(Self(rt)))
    }
}

impl Runtime for Sabotaged {
    type JoinHandle<T: Send + 'static> = Handle<T>;
    type TcpListener = Corrupting<Listener>;
    type TcpStream = Corrupting<Stream>;
    type Sender<T: Send + 'static> = Sender<T>;
    type Receiver<T: Send + 'static> = Short<T>;

    fn name(&self) -> &'static str {
        "sabotaged"
    }

    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }

    fn metrics(&self) -> Metrics {
        self.0.metrics()
    }

    fn spawn<F>(&self, future: F) -> Self::JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.0.spawn(future)
    }

    fn spawn_blocking<F, T>(&self, function: F) -> Self::JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.0.spawn_blocking(function)
    }

    fn sleep(&self, _duration: Duration) -> impl Future<Output = ()> + Send + 'static {
        std::future::ready(())
    }

    fn sleep_until(&self, _deadline: Instant) -> impl Future<Output = ()> + Send + 'static {
        std::future::ready(())
    }

    fn timeout<F>(
        &self,
        duration: Duration,
        future: F,
    ) -> impl Future<Output = Result<F::Output, Elapsed>> + Send
    where
        F: Future + Send,
        F::Output: Send,
    {
        self.0.timeout(duration, future)
    }

    fn yield_now(&self) -> impl Future<Output = ()> + Send + 'static {
        self.0.yield_now()
    }

    async fn bind(&self, address: SocketAddr) -> io::Result<Self::TcpListener> {
        self.0.bind(address).await.map(Corrupting)
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<Self::TcpStream> {
        self.0.connect(address).await.map(Corrupting)
    }

    fn channel<T: Send + 'static>(&self, capacity: usize) -> (Sender<T>, Short<T>) {
        let (sender, receiver) = self.0.channel(capacity);
        (sender, Short { receiver, left: 2 })
    }
}

/// A listener whose sockets change the first byte of each read.
struct Corrupting<T>(T);

impl TcpListener for Corrupting<Listener> {
    type Stream = Corrupting<Stream>;

    async fn accept(&self) -> io::Result<(Self::Stream, SocketAddr)> {
        let (stream, peer) = self.0.accept().await?;
        Ok((Corrupting(stream), peer))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

impl AsyncRead for Corrupting<Stream> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let length = ready!(Pin::new(&mut self.0).poll_read(cx, buffer))?;
        if let Some(byte) = buffer[..length].first_mut() {
            *byte ^= 1;
        }
        Poll::Ready(Ok(length))
    }
}

impl AsyncWrite for Corrupting<Stream> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_close(cx)
    }
}

/// A receiver that reports the end of the channel after a few items.
struct Short<T> {
    receiver: Receiver<T>,
    left: u32,
}

impl<T: Send + 'static> ChannelReceiver<T> for Short<T> {
    async fn recv(&mut self) -> Option<T> {
        self.left = self.left.checked_sub(1)?;
        self.receiver.recv().await
    }
}

/// The failure of a program under the sabotaged runtime, at a small size.
fn failure<P: Program>(values: &[(&str, u64)]) -> Failure {
    let mut params = Params {
        workers: 1,
        budget_ns: 20_000_000,
        seed: 1,
        ..Params::default()
    };
    for parameter in P::INFO.parameters {
        params
            .values
            .insert(parameter.name.to_owned(), parameter.default);
    }
    for &(name, value) in values {
        params.values.insert(name.to_owned(), value);
    }
    under::<Sabotaged, P>(&params, &mut Meter::default()).expect_err("it can't have gone well")
}

fn assert_wrong_answer(failure: Failure, about: &str) {
    match failure {
        Failure::WrongAnswer(why) => assert!(why.contains(about), "{why}"),
        other => panic!("{other}"),
    }
}

#[test]
fn a_sleep_that_ends_early_is_a_wrong_answer() {
    assert_wrong_answer(failure::<Timers>(&[("size", 10)]), "before its deadline");
}

#[test]
fn bytes_that_come_back_changed_are_a_wrong_answer() {
    assert_wrong_answer(failure::<Echo>(&[("connections", 2)]), "same bytes back");
}

#[test]
fn a_channel_that_ends_too_early_is_a_wrong_answer() {
    assert_wrong_answer(failure::<PingPong>(&[("size", 10)]), " 2");
}

#[test]
fn reports_that_are_lost_are_a_wrong_answer() {
    assert_wrong_answer(failure::<Download>(&[("size", 50)]), "what was done");
}

/// A lock that locks a copy, a semaphore without a limit, and a queue that swallows every tenth item.
struct BrokenPrimitives;

impl Primitives for BrokenPrimitives {
    type Mutex = ();
    type Guard<'a> = Box<u64>;
    type Semaphore = ();
    type Permit<'a> = Box<u64>;
    type Queue = <Ours as Primitives>::Queue;

    fn mutex() {}

    async fn lock((): &()) -> Box<u64> {
        Box::new(0)
    }

    fn semaphore(_permits: usize) {}

    async fn acquire((): &()) -> Box<u64> {
        Box::new(0)
    }

    fn queue(capacity: usize) -> Self::Queue {
        Ours::queue(capacity)
    }

    async fn put(queue: &Self::Queue, number: u64) -> bool {
        number % 10 == 9 || Ours::put(queue, number).await
    }

    fn get(queue: &Self::Queue) -> impl Future<Output = Option<u64>> + Send {
        Ours::get(queue)
    }

    fn close(queue: &Self::Queue) {
        Ours::close(queue);
    }
}

#[test]
fn locks_that_lose_counts_are_a_wrong_answer() {
    assert_wrong_answer(
        failure::<With<Lock, BrokenPrimitives>>(&[("size", 10)]),
        "the number of locks",
    );
    assert_wrong_answer(
        failure::<With<MutexContended, BrokenPrimitives>>(&[
            ("size", 10),
            ("tasks", 2),
            ("held", 0),
        ]),
        "the number of locks",
    );
}

#[test]
fn a_semaphore_without_end_is_a_wrong_answer() {
    assert_wrong_answer(
        failure::<With<Semaphore, BrokenPrimitives>>(&[("size", 10), ("permits", 3)]),
        "beyond the last",
    );
}

#[test]
fn a_queue_that_loses_items_is_a_wrong_answer() {
    let values = [
        ("size", 100),
        ("producers", 2),
        ("consumers", 2),
        ("capacity", 8),
        ("alone", 0),
    ];
    assert_wrong_answer(
        failure::<With<Mpmc, BrokenPrimitives>>(&values),
        "the number of items",
    );
}
