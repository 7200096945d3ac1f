//! smol under our traits: async-executor on several threads, async-io's reactor, async-net, async-channel, blocking.
//!
//! Each thread drives the shared executor and the reactor (`async_io::block_on(executor.run(..))`), as smol's
//! documentation recommends for several threads. The executor is ambient, in a thread-local of these threads. smol's
//! users keep it in a `static`; a counter shared by all tasks would be a cost that they don't have. Therefore, use the
//! handle only from tasks of that runtime.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use async_executor::Executor;
use futures_lite::FutureExt as _;
use runtime_core::time::Elapsed;
use runtime_core::{
    Capabilities, JoinError, Launch, LaunchConfig, Metrics, Runtime, TaskHandle, TcpListener,
};

use crate::foreign::Foreign;
use crate::launcher::Reactor;
use crate::registry::{Registry, RuntimeInfo};
use crate::workloads::primitives::Smols;

/// Adds smol, under every workload over `Runtime`.
pub(crate) fn register(registry: &mut Registry) {
    let about = "smol: async-executor on several threads, async-io";
    let info = RuntimeInfo::new("smol", about).launched_by::<Smol>(Reactor::Fixed("polling"));
    registry.add_runtime::<Smol, Smols>(info);
}

thread_local! {
    static EXECUTOR: RefCell<Option<Arc<Ambient>>> = const { RefCell::new(None) };
}

struct Ambient {
    executor: Executor<'static>,
    threads: usize,
}

fn with_ambient<T>(f: impl FnOnce(&Ambient) -> T) -> T {
    EXECUTOR.with_borrow(|ambient| {
        f(ambient
            .as_deref()
            .expect("smol's handle is used from its own tasks"))
    })
}

/// smol with several threads. It is its own launcher and its own handle.
#[derive(Clone, Copy, Debug)]
pub struct Smol;

impl Launch for Smol {
    type Runtime = Self;

    fn run<F, R>(config: &LaunchConfig, root: F) -> io::Result<R::Output>
    where
        F: FnOnce(Self) -> R + Send + 'static,
        R: Future + Send + 'static,
        R::Output: Send + 'static,
    {
        config.check_names::<Self>("smol")?;
        let ambient = Arc::new(Ambient {
            executor: Executor::new(),
            threads: config.workers,
        });
        // The threads end when the sender is dropped.
        let (running, ended) = async_channel::bounded::<()>(1);
        let mut threads = Vec::with_capacity(config.workers);
        for number in 0..config.workers {
            let ambient = Arc::clone(&ambient);
            let ended = ended.clone();
            let thread = std::thread::Builder::new().name(format!("smol-{number}"));
            threads.push(thread.spawn(move || {
                EXECUTOR.set(Some(Arc::clone(&ambient)));
                let _ = async_io::block_on(ambient.executor.run(ended.recv()));
                EXECUTOR.set(None);
            })?);
        }
        // Call `root` inside the task, where the ambient runtime is set.
        let root = ambient
            .executor
            .spawn(AssertUnwindSafe(async move { root(Self).await }).catch_unwind());
        let outcome = async_io::block_on(root);
        drop(running);
        for thread in threads {
            // A panic of the executor itself. Panics of tasks are caught.
            if let Err(payload) = thread.join() {
                std::panic::resume_unwind(payload);
            }
        }
        Ok(outcome.unwrap_or_else(|payload| std::panic::resume_unwind(payload)))
    }
}

impl Runtime for Smol {
    type JoinHandle<T: Send + 'static> = Handle<T>;
    type TcpListener = Listener;
    type TcpStream = async_net::TcpStream;
    type Sender<T: Send + 'static> = Sender<T>;
    type Receiver<T: Send + 'static> = Receiver<T>;

    fn name(&self) -> &'static str {
        "smol"
    }

    fn capabilities(&self) -> Capabilities {
        let workers = with_ambient(|ambient| ambient.threads);
        Capabilities {
            workers: Some(workers),
            parallel: workers > 1,
            preemptive: false,
            migrates_tasks: workers > 1,
        }
    }

    fn metrics(&self) -> Metrics {
        Metrics::default()
    }

    fn spawn<F>(&self, future: F) -> Handle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let future = AssertUnwindSafe(future).catch_unwind();
        Handle::new(with_ambient(|ambient| ambient.executor.spawn(future)))
    }

    fn spawn_blocking<F, T>(&self, function: F) -> Handle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        // Lets the function spawn, as under the other runtimes.
        let ambient = EXECUTOR.with_borrow(Clone::clone);
        Handle::new(blocking::unblock(move || {
            EXECUTOR.set(ambient);
            let outcome = std::panic::catch_unwind(AssertUnwindSafe(function));
            EXECUTOR.set(None);
            outcome
        }))
    }

    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send + 'static {
        let timer = async_io::Timer::after(duration);
        async move {
            timer.await;
        }
    }

    fn sleep_until(&self, deadline: Instant) -> impl Future<Output = ()> + Send + 'static {
        let timer = async_io::Timer::at(deadline);
        async move {
            timer.await;
        }
    }

    async fn timeout<F>(&self, duration: Duration, future: F) -> Result<F::Output, Elapsed>
    where
        F: Future + Send,
        F::Output: Send,
    {
        // `or` polls its left side first, so a ready result takes precedence over a deadline that is due.
        let deadline = async {
            async_io::Timer::after(duration).await;
            Err(Elapsed)
        };
        async { Ok(future.await) }.or(deadline).await
    }

    fn yield_now(&self) -> impl Future<Output = ()> + Send + 'static {
        futures_lite::future::yield_now()
    }

    async fn bind(&self, address: SocketAddr) -> io::Result<Listener> {
        async_net::TcpListener::bind(address).await.map(Foreign)
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<async_net::TcpStream> {
        let stream = async_net::TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    fn channel<T: Send + 'static>(&self, capacity: usize) -> (Sender<T>, Receiver<T>) {
        let (sender, receiver) = async_channel::bounded(capacity);
        (Foreign(sender), Foreign(receiver))
    }
}

/// A task's result: its output, or the payload of its panic.
type Caught<T> = std::thread::Result<T>;

/// smol's `Task`, which cancels when dropped, as a handle that detaches when dropped.
pub struct Handle<T>(Cell<Inner<T>>);

enum Inner<T> {
    Running(async_executor::Task<Caught<T>>),
    /// smol's cancellation, which completes when the task's future has been dropped.
    Cancelling(Pin<Box<dyn Future<Output = Option<Caught<T>>> + Send>>),
    Taken,
}

impl<T: Send + 'static> Handle<T> {
    fn new(task: async_executor::Task<Caught<T>>) -> Self {
        Self(Cell::new(Inner::Running(task)))
    }
}

impl<T> Future for Handle<T> {
    type Output = Result<T, JoinError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let inner = self.get_mut().0.get_mut();
        let outcome = match inner {
            Inner::Running(task) => task.poll(cx).map(Some),
            Inner::Cancelling(cancellation) => cancellation.poll(cx),
            Inner::Taken => panic!("a handle was polled after it returned its output"),
        };
        outcome.map(|outcome| {
            *inner = Inner::Taken;
            match outcome {
                Some(Ok(output)) => Ok(output),
                Some(Err(payload)) => Err(JoinError::Panicked(payload.into())),
                None => Err(JoinError::Cancelled),
            }
        })
    }
}

impl<T: Send + 'static> TaskHandle<T> for Handle<T> {
    fn abort(&self) {
        let inner = match self.0.replace(Inner::Taken) {
            Inner::Running(task) => {
                let mut cancellation = task.cancel().boxed();
                // The first poll requests the cancellation. If the task has already ended, the poll returns its output.
                let outcome = cancellation.poll(&mut Context::from_waker(Waker::noop()));
                match outcome {
                    Poll::Ready(outcome) => Inner::Cancelling(std::future::ready(outcome).boxed()),
                    Poll::Pending => Inner::Cancelling(cancellation),
                }
            }
            other => other,
        };
        self.0.set(inner);
    }

    fn is_finished(&self) -> bool {
        let inner = self.0.replace(Inner::Taken);
        let finished = match &inner {
            Inner::Running(task) => task.is_finished(),
            Inner::Cancelling(_) => false,
            Inner::Taken => true,
        };
        self.0.set(inner);
        finished
    }
}

impl<T> Drop for Handle<T> {
    fn drop(&mut self) {
        if let Inner::Running(task) = self.0.replace(Inner::Taken) {
            task.detach();
        }
    }
}

/// async-net's `TcpListener`.
pub type Listener = Foreign<async_net::TcpListener>;

impl TcpListener for Listener {
    type Stream = async_net::TcpStream;

    async fn accept(&self) -> io::Result<(async_net::TcpStream, SocketAddr)> {
        let (stream, peer) = self.0.accept().await?;
        stream.set_nodelay(true)?;
        Ok((stream, peer))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// The sending half of an async-channel.
pub type Sender<T> = Foreign<async_channel::Sender<T>>;

/// The receiving half of an async-channel.
pub type Receiver<T> = Foreign<async_channel::Receiver<T>>;
