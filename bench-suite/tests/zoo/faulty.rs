//! The loop of `runtime-n1` with one fault. The environment names the pathology that it must fail.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use bench_suite::Registry;
use bench_suite::launcher::Reactor;
use bench_suite::registry::RuntimeInfo;
use futures_io::{AsyncRead, AsyncWrite};
use runtime_core::time::Elapsed;
use runtime_core::{
    Capabilities, JoinError, Launch, LaunchConfig, Metrics, Runtime, TaskHandle, TcpListener,
};
use runtime_mn::Mn;
use runtime_n1::{Handle, N1};
use runtime_threads::Threads;

use crate::faulty_lock;

/// The environment variable with the name of a pathology. Without it, the loop has no fault.
pub(crate) const FAULT: &str = "LAB_FAULT";

/// This project's runtimes and the faulty one, without workloads.
pub(crate) fn registry() -> Registry {
    // All of them report to the recorder.
    let info = |name| {
        let mut info = RuntimeInfo::new(name, "a test's");
        info.ours = true;
        info
    };
    Registry {
        runtimes: vec![
            info("n1").launched_by::<N1>(Reactor::Chosen),
            info("mn").launched_by::<Mn>(Reactor::Chosen),
            info("threads").launched_by::<Threads>(Reactor::Chosen),
            info("faulty")
                .launched_by::<Faulty>(Reactor::Chosen)
                .locked_by(faulty_lock::make),
        ],
        ..Registry::default()
    }
}

pub(crate) fn has(fault: &str) -> bool {
    static PLANTED: OnceLock<String> = OnceLock::new();
    PLANTED.get_or_init(|| std::env::var(FAULT).unwrap_or_default()) == fault
}

struct Faulty;

impl Launch for Faulty {
    type Runtime = WithFault;

    fn run<F, R>(config: &LaunchConfig, root: F) -> io::Result<R::Output>
    where
        F: FnOnce(WithFault) -> R + Send + 'static,
        R: Future + Send + 'static,
        R::Output: Send + 'static,
    {
        // The loop runs on the thread that launches it.
        let _ = LOOP.set(thread::current().id());
        N1::run(config, |handle| root(WithFault(handle)))
    }
}

#[derive(Clone)]
struct WithFault(Handle);

static SPAWNED: AtomicU64 = AtomicU64::new(0);
/// The number of the task that is being polled.
static RUNNING: AtomicU64 = AtomicU64::new(u64::MAX);
static LOOP: OnceLock<ThreadId> = OnceLock::new();

impl Runtime for WithFault {
    type JoinHandle<T: Send + 'static> = Task<T>;
    type TcpListener = Listener;
    type TcpStream = Stream;
    type Sender<T: Send + 'static> = <Handle as Runtime>::Sender<T>;
    type Receiver<T: Send + 'static> = <Handle as Runtime>::Receiver<T>;

    fn name(&self) -> &'static str {
        "faulty"
    }

    fn capabilities(&self) -> Capabilities {
        Runtime::capabilities(&self.0)
    }

    fn metrics(&self) -> Metrics {
        Runtime::metrics(&self.0)
    }

    fn spawn<F>(&self, future: F) -> Task<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let number = SPAWNED.fetch_add(1, Ordering::SeqCst);
        if has("abort") {
            std::process::abort();
        }
        if has("outside-spawns") && LOOP.get() != Some(&thread::current().id()) {
            thread::sleep(Duration::from_millis(1));
        }
        // The neighbours of two pairs, which start after the pairs.
        let late = has("lifo-chain") && (number == 4 || number == 5);
        let late = late.then(|| Runtime::sleep(&self.0, Duration::from_secs(4)));
        let mut kept = Kept(Some(Box::pin(future)));
        let task = Runtime::spawn(&self.0, async move {
            if let Some(late) = late {
                late.await;
            }
            poll_fn(|cx| {
                RUNNING.store(number, Ordering::SeqCst);
                let poll = kept.poll(cx);
                RUNNING.store(u64::MAX, Ordering::SeqCst);
                poll
            })
            .await
        });
        if has("await-chain") && number == 1_000 {
            TaskHandle::abort(&task);
        }
        Task(task)
    }

    fn spawn_blocking<F, T>(&self, function: F) -> Task<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        Task(Runtime::spawn_blocking(&self.0, function))
    }

    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send + 'static {
        self.sleep_until(Instant::now() + duration)
    }

    fn sleep_until(&self, deadline: Instant) -> impl Future<Output = ()> + Send + 'static {
        if has("cancelled-timers") {
            std::mem::forget(vec![1_u8; 100]);
        }
        let sleep = Runtime::sleep_until(&self.0, deadline);
        let rt = self.0.clone();
        async move {
            while has("idle-wakeups") && Instant::now() < deadline {
                Runtime::yield_now(&rt).await;
            }
            sleep.await;
        }
    }

    async fn timeout<F>(&self, duration: Duration, future: F) -> Result<F::Output, Elapsed>
    where
        F: Future + Send,
        F::Output: Send,
    {
        Runtime::timeout(&self.0, duration, future).await
    }

    fn yield_now(&self) -> impl Future<Output = ()> + Send + 'static {
        let rt = self.0.clone();
        async move {
            // The first task, which owns the lock, gets its next turn long after the others.
            if has("priority-inversion") && RUNNING.load(Ordering::SeqCst) == 0 {
                return Runtime::sleep(&rt, Duration::from_secs(2)).await;
            }
            Runtime::yield_now(&rt).await;
        }
    }

    async fn bind(&self, address: SocketAddr) -> io::Result<Listener> {
        let listener = Runtime::bind(&self.0, address).await?;
        Ok(Listener(listener, self.0.clone()))
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<Stream> {
        Ok(Stream(Runtime::connect(&self.0, address).await?))
    }

    fn channel<T: Send + 'static>(&self, capacity: usize) -> (Self::Sender<T>, Self::Receiver<T>) {
        let capacity = if has("queue-bound") {
            1_000_000
        } else {
            capacity
        };
        Runtime::channel(&self.0, capacity)
    }
}

/// A task's future.
struct Kept<F>(Option<Pin<Box<F>>>);

impl<F: Future> Kept<F> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<F::Output> {
        let future = self.0.as_mut().expect("it is there until it is dropped");
        if !has("self-wake") {
            return future.as_mut().poll(cx);
        }
        // If it is ready again, run it again before anything else.
        loop {
            let woken = Arc::new(Woken(AtomicBool::new(false), cx.waker().clone()));
            let waker = Waker::from(Arc::clone(&woken));
            let poll = future.as_mut().poll(&mut Context::from_waker(&waker));
            if poll.is_ready() || !woken.0.load(Ordering::SeqCst) {
                return poll;
            }
        }
    }
}

impl<F> Drop for Kept<F> {
    fn drop(&mut self) {
        if has("drop-million") {
            std::mem::forget(self.0.take());
        }
    }
}

struct Woken(AtomicBool, Waker);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
        self.1.wake_by_ref();
    }
}

struct Task<T: Send + 'static>(<Handle as Runtime>::JoinHandle<T>);

impl<T: Send + 'static> Future for Task<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = Pin::new(&mut self.0).poll(cx);
        outcome.map_err(|error| match error {
            JoinError::Panicked(_) if has("panic-storm") => JoinError::Cancelled,
            error => error,
        })
    }
}

impl<T: Send + 'static> TaskHandle<T> for Task<T> {
    fn abort(&self) {
        self.0.abort();
    }

    fn is_finished(&self) -> bool {
        self.0.is_finished()
    }
}

struct Listener(<Handle as Runtime>::TcpListener, Handle);

impl TcpListener for Listener {
    type Stream = Stream;

    async fn accept(&self) -> io::Result<(Stream, SocketAddr)> {
        if has("new-connections") {
            Runtime::sleep(&self.1, Duration::from_secs(1)).await;
        }
        loop {
            match with_the_herd(self.0.accept()).await {
                Ok((stream, peer)) => return Ok((Stream(stream), peer)),
                // The library pauses by itself before the next accept.
                Err(_) if has("emfile-spin") => loop {
                    Runtime::yield_now(&self.1).await;
                },
                Err(_) if has("accept-emfile") => std::future::pending().await,
                Err(error) => return Err(error),
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// `accept`. With the fault, a connection wakes all accepting tasks, and each checks several times before it sleeps
/// again.
async fn with_the_herd<F: Future>(accept: F) -> F::Output {
    const LOOKS: u32 = 20;
    static HERD: Mutex<Vec<Waker>> = Mutex::new(Vec::new());
    let mut accept = pin!(accept);
    let mut looks = 0;
    poll_fn(|cx| {
        let poll = accept.as_mut().poll(cx);
        if has("herd") {
            let mut herd = HERD.lock().expect("no panic under it");
            match poll {
                Poll::Pending if looks < LOOKS => {
                    looks += 1;
                    cx.waker().wake_by_ref();
                }
                Poll::Pending => {
                    looks = 0;
                    herd.push(cx.waker().clone());
                }
                Poll::Ready(_) => herd.drain(..).for_each(Waker::wake),
            }
        }
        poll
    })
    .await
}

struct Stream(<Handle as Runtime>::TcpStream);

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        // Leak everything large.
        if has("slow-reader") && bytes.len() > 1024 {
            std::mem::forget(bytes.to_vec());
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_close(cx)
    }
}
