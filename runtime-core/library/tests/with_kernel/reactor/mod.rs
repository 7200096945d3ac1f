//! Every driver, under the smallest possible executor: one thread, which polls what was woken.

mod polling;
mod streams;
mod turns;
mod waiting;

use std::future::{Future, poll_fn};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use futures_lite::{AsyncReadExt, AsyncWriteExt, future};

use runtime_core::blocking::BlockingPool;
use runtime_core::context::{self, Ambient, Binding, EnterGuard, IoDriver, Refused, Role};
use runtime_core::net::{BindOptions, TcpListener, TcpStream};
use runtime_core::reactor::own_thread::ThreadParker;
use runtime_core::reactor::{Direction, Initially, Polled, Reactor, ReactorKind, Registration};
use runtime_core::task::Task;
use runtime_core::time::TimerShard;

/// A runtime that is only used for its role.
struct Bare;

impl Ambient for Bare {
    fn name(&self) -> &'static str {
        "bare"
    }
    fn scheduler_for_new_task(&self) -> Binding<'_> {
        unreachable!("no task is spawned")
    }
    fn launch(&self, _: Task) -> Result<(), Refused> {
        unreachable!("no task is spawned")
    }
    fn io_driver(&self) -> IoDriver {
        unreachable!("drivers are explicit here")
    }
    fn timer_shard(&self) -> Arc<TimerShard> {
        unreachable!("no timer is set")
    }
    fn blocking_pool(&self) -> &Arc<BlockingPool> {
        unreachable!("nothing blocks")
    }
}

enum Waits {
    Reactor(Arc<Reactor>),
    /// The thread's own parker, which it may use because it runs tasks.
    Own(
        ThreadParker,
        #[allow(dead_code, reason = "left when dropped")] EnterGuard,
    ),
    /// The helper thread waits for sockets.
    Foreign(ThreadParker),
}

struct Executor {
    waits: Waits,
    polls: AtomicUsize,
}

struct Woken {
    flag: AtomicBool,
    unpark: Box<dyn Fn() + Send + Sync>,
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.flag.store(true, Ordering::Release);
        (self.unpark)();
    }
}

impl Executor {
    fn driver(&self) -> IoDriver {
        match &self.waits {
            Waits::Reactor(reactor) => IoDriver::Reactor(reactor.clone()),
            Waits::Own(..) | Waits::Foreign(_) => IoDriver::OwnThread,
        }
    }

    fn run<F: Future>(&self, future: F) -> F::Output {
        let unpark: Box<dyn Fn() + Send + Sync> = match &self.waits {
            Waits::Reactor(reactor) => {
                let reactor = reactor.clone();
                Box::new(move || reactor.notify())
            }
            Waits::Own(parker, _) | Waits::Foreign(parker) => {
                let unparker = parker.unparker();
                Box::new(move || unparker.unpark())
            }
        };
        let woken = Arc::new(Woken {
            flag: AtomicBool::new(true),
            unpark,
        });
        let waker: Waker = woken.clone().into();
        let mut cx = Context::from_waker(&waker);
        let mut future = pin!(future);
        loop {
            if woken.flag.swap(false, Ordering::AcqRel) {
                self.polls.fetch_add(1, Ordering::Relaxed);
                if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
                    return output;
                }
            }
            match &self.waits {
                Waits::Reactor(reactor) => {
                    reactor.poll(None).unwrap();
                }
                Waits::Own(parker, _) | Waits::Foreign(parker) => parker.park(None),
            }
        }
    }
}

fn executors() -> Vec<(&'static str, Executor)> {
    let mut all = vec![
        (
            "polling edge",
            Waits::Reactor(Reactor::new(ReactorKind::Polling).unwrap()),
        ),
        (
            "polling oneshot",
            Waits::Reactor(Reactor::polling_once_per_request().unwrap()),
        ),
        (
            "foreign",
            Waits::Foreign(ThreadParker::current_or_install()),
        ),
    ];
    #[cfg(target_os = "linux")]
    all.push((
        "epoll",
        Waits::Reactor(Reactor::new(ReactorKind::Epoll).unwrap()),
    ));
    all.into_iter()
        .map(|(name, waits)| {
            let polls = AtomicUsize::new(0);
            (name, Executor { waits, polls })
        })
        .collect()
}

/// Runs `test` with every reactor: where threads wait on their own, no future takes turns.
fn on_each_reactor(test: impl Fn(&Executor)) {
    let is_reactor = |executor: &Executor| matches!(executor.waits, Waits::Reactor(_));
    for (name, executor) in executors() {
        if is_reactor(&executor) {
            eprintln!("driver: {name}");
            test(&executor);
        }
    }
}

/// Runs `test` with every driver, each on its own thread.
fn on_each(test: impl Fn(&Executor) + Sync) {
    for (name, executor) in executors() {
        eprintln!("driver: {name}");
        test(&executor);
    }
    std::thread::scope(|scope| {
        scope.spawn(|| {
            eprintln!("driver: own thread");
            let guard = context::enter(Arc::new(Bare), Role::Worker);
            test(&Executor {
                waits: Waits::Own(ThreadParker::current_or_install(), guard),
                polls: AtomicUsize::new(0),
            });
        });
    });
}

fn localhost() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

async fn connected(driver: IoDriver) -> (TcpStream, TcpStream) {
    let listener =
        TcpListener::bind_on(driver.clone(), localhost(), BindOptions::default()).unwrap();
    let address = listener.local_addr().unwrap();
    let (client, accepted) =
        future::try_zip(TcpStream::connect_on(driver, address), listener.accept())
            .await
            .unwrap();
    assert_eq!(client.local_addr().unwrap(), accepted.1);
    (client, accepted.0)
}

fn registered_pair(driver: &IoDriver) -> (UnixStream, Registration) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    theirs.set_nonblocking(true).unwrap();
    let registration = Registration::new(theirs.into(), driver, Initially::Waiting).unwrap();
    (ours, registration)
}

fn read_one(fd: BorrowedFd<'_>) -> io::Result<u8> {
    let mut byte = [0];
    rustix::io::read(fd, &mut byte)?;
    Ok(byte[0])
}

#[derive(Default)]
struct Count(AtomicUsize);
impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}
impl Count {
    fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}
