//! Every driver, under the smallest executor that there is: one thread, polling what was woken.

use std::future::{Future, poll_fn};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::net::UnixStream;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use futures_lite::{AsyncReadExt, AsyncWriteExt, future};

use super::own_thread::ThreadParker;
use super::*;
use crate::blocking::BlockingPool;
use crate::context::{self, Ambient, Binding, EnterGuard, IoDriver, Refused, Role};
use crate::net::{BindOptions, TcpListener, TcpStream};
use crate::task::Task;
use crate::time::TimerShard;

/// A runtime for the sake of its role alone.
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
        Arc<ThreadParker>,
        #[allow(dead_code, reason = "left when dropped")] EnterGuard,
    ),
    /// Sockets are waited for by the helper thread.
    Foreign(Arc<ThreadParker>),
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
                let parker = parker.clone();
                Box::new(move || parker.unpark())
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
    let reactor = |backend| {
        Waits::Reactor(Arc::new(Reactor {
            sources: Sources::new(),
            backend,
        }))
    };
    let mut all = vec![
        (
            "polling edge",
            reactor(Backend::Portable(portable::Portable::new().unwrap())),
        ),
        (
            "polling oneshot",
            reactor(Backend::Portable(
                portable::Portable::new_oneshot().unwrap(),
            )),
        ),
        (
            "foreign",
            Waits::Foreign(ThreadParker::current_or_install()),
        ),
    ];
    #[cfg(target_os = "linux")]
    all.push((
        "epoll",
        reactor(Backend::Epoll(epoll::Epoll::new().unwrap())),
    ));
    all.into_iter()
        .map(|(name, waits)| {
            let polls = AtomicUsize::new(0);
            (name, Executor { waits, polls })
        })
        .collect()
}

/// Runs `test` with every driver, each on a thread of its own.
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

#[test]
fn an_echo_goes_round() {
    on_each(|executor| {
        executor.run(async {
            let (mut client, mut server) = connected(executor.driver()).await;
            for round in 0..100_u8 {
                client.write_all(&[round; 64]).await.unwrap();
                let mut buffer = [0; 100];
                let read = server.read(&mut buffer).await.unwrap();
                server.write_all(&buffer[..read]).await.unwrap();
                let mut answer = [0; 64];
                client.read_exact(&mut answer).await.unwrap();
                assert_eq!(answer, [round; 64]);
            }
        });
    });
}

#[test]
fn end_of_stream_is_seen_after_a_short_read_of_data_that_came_with_it() {
    on_each(|executor| {
        executor.run(async {
            for _ in 0..50 {
                let (mut client, mut server) = connected(executor.driver()).await;
                client.write_all(b"last words").await.unwrap();
                drop(client);
                let mut all = Vec::new();
                server.read_to_end(&mut all).await.unwrap();
                assert_eq!(all, b"last words");
            }
        });
    });
}

#[test]
fn a_write_larger_than_the_buffers_waits_for_the_reader() {
    const SIZE: usize = 20 << 20;
    on_each(|executor| {
        executor.run(async {
            let (mut client, mut server) = connected(executor.driver()).await;
            let data: Vec<u8> = (0..SIZE).map(|index| (index % 251) as u8).collect();
            let write = async {
                client.write_all(&data).await.unwrap();
                client.close().await.unwrap();
            };
            let mut all = Vec::new();
            future::zip(write, server.read_to_end(&mut all))
                .await
                .1
                .unwrap();
            assert!(all == data, "what arrived differs from what was sent");
        });
    });
}

#[test]
fn a_refused_connect_is_an_error() {
    on_each(|executor| {
        let address = std::net::TcpListener::bind(localhost())
            .unwrap()
            .local_addr()
            .unwrap();
        let error = executor
            .run(TcpStream::connect_on(executor.driver(), address))
            .unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    });
}

#[test]
fn all_who_wait_in_one_direction_are_woken_and_each_gets_its_byte() {
    on_each(|executor| {
        let (mut ours, registration) = registered_pair(&executor.driver());
        let read = || registration.io(Direction::Read, read_one);
        let sum = executor.run(async {
            // All three have left their wakers when the bytes are written.
            let write = async {
                future::yield_now().await;
                ours.write_all(&[1, 2, 4]).unwrap();
            };
            let ((), ((a, b), c)) =
                future::zip(write, future::zip(future::zip(read(), read()), read())).await;
            a.unwrap() + b.unwrap() + c.unwrap()
        });
        assert_eq!(sum, 7);
    });
}

#[test]
fn a_cancelled_waiter_swallows_no_wake_up() {
    on_each(|executor| {
        let (mut ours, registration) = registered_pair(&executor.driver());
        let waker: Waker = Arc::new(Count::default()).into();
        let mut cx = Context::from_waker(&waker);
        let mut cancelled = Box::pin(registration.ready(Direction::Read));
        assert!(cancelled.as_mut().poll(&mut cx).is_pending());
        let value = executor.run(async {
            let mut kept = pin!(registration.io(Direction::Read, read_one));
            assert!(future::poll_once(kept.as_mut()).await.is_none());
            drop(cancelled);
            ours.write_all(&[9]).unwrap();
            kept.await.unwrap()
        });
        assert_eq!(value, 9);
    });
}

#[test]
fn a_cancelled_future_takes_its_waker_back() {
    on_each(|executor| {
        let (_ours, registration) = registered_pair(&executor.driver());
        let count = Arc::new(Count::default());
        let waker: Waker = count.clone().into();
        let mut cx = Context::from_waker(&waker);
        let mut waiting = Box::pin(registration.ready(Direction::Read));
        assert!(waiting.as_mut().poll(&mut cx).is_pending());
        assert_eq!(Arc::strong_count(&count), 3);
        drop(waiting);
        assert_eq!(Arc::strong_count(&count), 2);
    });
}

#[test]
fn closing_wakes_who_still_waits() {
    on_each(|executor| {
        let (_ours, registration) = registered_pair(&executor.driver());
        let count = Arc::new(Count::default());
        let waker: Waker = count.clone().into();
        let mut cx = Context::from_waker(&waker);
        assert!(
            registration
                .poll_ready(&mut cx, Direction::Read)
                .is_pending()
        );
        drop(registration);
        assert_eq!(count.get(), 1);
    });
}

#[test]
fn a_reused_descriptor_gets_no_event_of_its_predecessor() {
    on_each(|executor| {
        for _ in 0..50 {
            let (mut ours, old) = registered_pair(&executor.driver());
            ours.write_all(&[1]).unwrap();
            // Its number, and its slot, go to the next.
            drop(old);
            let (mut ours, new) = registered_pair(&executor.driver());
            let value = executor.run(async {
                let mut read = pin!(new.io(Direction::Read, read_one));
                assert!(future::poll_once(read.as_mut()).await.is_none());
                ours.write_all(&[2]).unwrap();
                read.await.unwrap()
            });
            assert_eq!(value, 2);
        }
    });
}

#[test]
fn readiness_cleared_late_does_not_erase_a_newer_event() {
    for (_, executor) in executors() {
        let Waits::Reactor(reactor) = &executor.waits else {
            continue;
        };
        let (mut ours, registration) = registered_pair(&executor.driver());
        let waker = Waker::noop();
        let mut cx = Context::from_waker(waker);
        // A request, for the backend that needs one.
        let _ = registration.poll_ready(&mut cx, Direction::Read);
        ours.write_all(&[1]).unwrap();
        while registration
            .poll_ready(&mut cx, Direction::Read)
            .is_pending()
        {
            reactor.poll(None).unwrap();
        }
        let Poll::Ready(Ok(seen)) = registration.poll_ready(&mut cx, Direction::Read) else {
            panic!("it is ready");
        };
        let token = registration.token().expect("it is with a reactor");
        assert!(reactor.sources.dispatch(token, ready::READABLE));
        registration.clear_ready(seen);
        assert!(registration.poll_ready(&mut cx, Direction::Read).is_ready());
    }
}

#[test]
fn what_is_too_much_for_one_poll_is_reported_by_the_next() {
    for (name, executor) in executors() {
        let Waits::Reactor(reactor) = &executor.waits else {
            continue;
        };
        let sockets = 3 * Reactor::EVENTS + 1;
        let pairs: Vec<_> = (0..sockets)
            .map(|_| registered_pair(&executor.driver()))
            .collect();
        let mut cx = Context::from_waker(Waker::noop());
        let mut is_readable = |(_, registration): &(UnixStream, Registration)| {
            registration.poll_ready(&mut cx, Direction::Read).is_ready()
        };
        // Requests, for the backend that needs them.
        assert_eq!(pairs.iter().filter(|it| is_readable(it)).count(), 0);
        // What is written to is reported as writable, too, when it is registered: not all of that at once either.
        while reactor.poll(Some(Duration::ZERO)).unwrap().sockets > 0 {}
        for (ours, _) in &pairs {
            (&*ours).write_all(&[1]).unwrap();
        }
        let mut reported = 0;
        while reported < sockets {
            let more = reactor.poll(None).unwrap();
            let is_last = reported + more.sockets == sockets;
            let expected = if is_last { 1 } else { Reactor::EVENTS };
            assert_eq!((more.sockets, more.is_full), (expected, !is_last), "{name}");
            reported += more.sockets;
        }
        assert_eq!(pairs.iter().filter(|it| is_readable(it)).count(), sockets);
    }
}

#[test]
fn a_notify_breaks_a_poll_and_many_cost_one() {
    for (_, executor) in executors() {
        let Waits::Reactor(reactor) = executor.waits else {
            continue;
        };
        for _ in 0..100 {
            // Before the poll.
            for _ in 0..10 {
                reactor.notify();
            }
            assert_eq!(reactor.poll(None).unwrap(), Polled::default());
            // Used up: this poll waits its time.
            let start = Instant::now();
            let polled = reactor.poll(Some(Duration::from_millis(1))).unwrap();
            assert_eq!(polled, Polled::default());
            assert!(start.elapsed() >= Duration::from_millis(1));
            // During, or before; the thread decides.
            let other = reactor.clone();
            let thread = std::thread::spawn(move || other.notify());
            reactor.poll(None).unwrap();
            thread.join().unwrap();
        }
    }
}

#[test]
fn a_shut_down_reactor_fails_its_sockets() {
    for (_, executor) in executors() {
        let Waits::Reactor(reactor) = &executor.waits else {
            continue;
        };
        let (_ours, registration) = registered_pair(&executor.driver());
        let result = executor.run(async {
            let mut read = pin!(registration.io(Direction::Read, read_one));
            assert!(future::poll_once(read.as_mut()).await.is_none());
            reactor.shut_down();
            read.await
        });
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::Other);
        assert!(
            TcpListener::bind_on(executor.driver(), localhost(), BindOptions::default()).is_err()
        );
    }
}

#[test]
fn has_sources_follows_the_sockets() {
    for kind in ReactorKind::ALL {
        let reactor = Reactor::new(*kind).unwrap();
        let driver = IoDriver::Reactor(reactor.clone());
        assert!(!reactor.has_sources());
        let pairs: Vec<_> = (0..200).map(|_| registered_pair(&driver)).collect();
        assert!(reactor.has_sources());
        drop(pairs);
        assert!(!reactor.has_sources());
    }
}

#[test]
fn many_connections_are_each_served() {
    const CONNECTIONS: usize = 300;
    on_each(|executor| {
        executor.run(async {
            let listener =
                TcpListener::bind_on(executor.driver(), localhost(), BindOptions::default())
                    .unwrap();
            let address = listener.local_addr().unwrap();
            // All are in the queue before the first is accepted: one edge stands for all of them.
            let clients: Vec<_> = (0..CONNECTIONS)
                .map(|_| std::net::TcpStream::connect(address).unwrap())
                .collect();
            let mut servers = Vec::new();
            for _ in 0..CONNECTIONS {
                servers.push(listener.accept().await.unwrap());
            }
            for (index, mut client) in clients.iter().enumerate() {
                client.write_all(&(index as u32).to_ne_bytes()).unwrap();
            }
            for (server, peer) in &mut servers {
                let index = clients
                    .iter()
                    .position(|client| client.local_addr().unwrap() == *peer)
                    .unwrap();
                let mut number = [0; 4];
                server.read_exact(&mut number).await.unwrap();
                assert_eq!(u32::from_ne_bytes(number), index as u32);
            }
        });
    });
}

#[test]
fn one_socket_is_read_and_written_by_two_threads() {
    on_each(|executor| {
        const ROUNDS: usize = 2000;
        let (client, mut server) = executor.run(connected(executor.driver()));
        let (done_here, done) = executor.run(connected(executor.driver()));
        let (mut read, mut write) = client.into_split();
        std::thread::scope(|scope| {
            // Woken from here, polled there: the reader's waker belongs to a thread that doesn't wait for sockets.
            scope.spawn(move || {
                future::block_on(async {
                    let mut buffer = [0; 64];
                    for _ in 0..ROUNDS {
                        read.read_exact(&mut buffer).await.unwrap();
                    }
                    (&done_here).write_all(&[1]).await.unwrap();
                });
            });
            executor.run(async {
                for _ in 0..ROUNDS {
                    write.write_all(&[7; 64]).await.unwrap();
                    let mut buffer = [0; 64];
                    server.read_exact(&mut buffer).await.unwrap();
                    server.write_all(&buffer).await.unwrap();
                }
                // Until the reader has its last byte, this thread has to go on collecting events: it waits for a byte that the
                // reader's end of the test sends.
                let mut done = done;
                done.read_exact(&mut [0]).await.unwrap();
            });
        });
    });
}

#[test]
fn a_socket_that_stays_ready_costs_no_poll_of_its_own() {
    on_each(|executor| {
        executor.run(async {
            let (mut client, mut server) = connected(executor.driver()).await;
            client.write_all(&[1; 1000]).await.unwrap();
            server.readable().await.unwrap();
            let before = executor.polls.load(Ordering::Relaxed);
            // Reads that fill the buffer leave the socket ready.
            for _ in 0..10 {
                let mut buffer = [0; 100];
                server.read_exact(&mut buffer).await.unwrap();
            }
            assert_eq!(executor.polls.load(Ordering::Relaxed), before);
        });
    });
}

#[test]
fn poll_fn_readers_are_woken_by_one_edge() {
    on_each(|executor| {
        let (mut ours, registration) = registered_pair(&executor.driver());
        executor.run(async {
            let mut asked = false;
            poll_fn(|cx| {
                let polled = registration.poll_ready(cx, Direction::Read);
                if !std::mem::replace(&mut asked, true) {
                    assert!(polled.is_pending());
                    ours.write_all(&[1]).unwrap();
                }
                polled.map(drop)
            })
            .await;
        });
        let mut byte = [0];
        let _ = ours.set_nonblocking(true);
        assert!(ours.read(&mut byte).is_err());
    });
}
