//! Sockets under a scheduler: each case is a root task for a fresh runtime that enters the ambient context.
//!
//! The cases of [`alone`](super::alone) change what belongs to the whole process, and have it to themselves.

use std::future::poll_fn;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use futures_io::AsyncRead;
use futures_lite::{AsyncReadExt, AsyncWriteExt, future};

use crate::net::{BindOptions, TcpListener, TcpStream, UdpSocket, UnixListener, UnixStream};
use crate::{spawn, time, yield_now};

fn localhost() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

pub(super) async fn connected() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind(localhost()).await.expect("bind");
    let address = listener.local_addr().expect("address");
    let (client, (server, _)) = future::try_zip(TcpStream::connect(address), listener.accept())
        .await
        .expect("connect and accept");
    (client, server)
}

/// An address at which nobody listens.
fn deserted() -> SocketAddr {
    let listener = std::net::TcpListener::bind(localhost()).expect("bind");
    listener.local_addr().expect("address")
}

/// A connection goes on in one direction after the other was closed.
pub async fn half_close() {
    let (client, mut server) = connected().await;
    let (mut read, mut write) = client.into_split();
    let peer = spawn(async move {
        let mut question = String::new();
        // Ends only when the client has closed its direction.
        server.read_to_string(&mut question).await?;
        server.write_all(question.to_uppercase().as_bytes()).await?;
        io::Result::Ok(())
    });
    write.write_all(b"half a connection").await.expect("write");
    drop(write);
    let mut answer = String::new();
    read.read_to_string(&mut answer).await.expect("read");
    assert_eq!(answer, "HALF A CONNECTION");
    peer.await.expect("peer").expect("peer's streams");
}

/// `shutdown` of either direction is seen by the side that it concerns.
pub async fn shutdown_of_each_direction() {
    let (mut client, mut server) = connected().await;
    client.shutdown(Shutdown::Write).expect("shutdown");
    assert_eq!(server.read(&mut [0]).await.expect("read"), 0);
    let error = client.write(b"more").await.expect_err("closed");
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);

    server.shutdown(Shutdown::Read).expect("shutdown");
    assert_eq!(server.read(&mut [0]).await.expect("read"), 0);
    server.write_all(b"last").await.expect("write");
    server.close().await.expect("close");
    let mut last = Vec::new();
    client.read_to_end(&mut last).await.expect("read");
    assert_eq!(last, b"last");
}

/// The end of a stream is seen whether it comes with the data, after it, or to a reader that waits; again and again.
pub async fn end_of_stream() {
    for round in 0..100 {
        let (mut client, mut server) = connected().await;
        let reader = spawn(async move {
            let mut all = Vec::new();
            server.read_to_end(&mut all).await.expect("read");
            for _ in 0..3 {
                assert_eq!(server.read(&mut [0; 8]).await.expect("read again"), 0);
            }
            all
        });
        if round % 2 == 0 {
            yield_now().await;
        }
        client.write_all(b"data").await.expect("write");
        if round % 3 == 0 {
            yield_now().await;
        }
        drop(client);
        assert_eq!(reader.await.expect("reader"), b"data");
    }
}

/// A connection that the peer resets is an error for a reader that waits, or the end.
pub async fn reset() {
    let (client, mut server) = connected().await;
    let reader = spawn(async move { server.read(&mut [0]).await });
    yield_now().await;
    client.set_linger(Some(Duration::ZERO)).expect("set_linger");
    drop(client);
    let error = reader.await.expect("reader").expect_err("reset");
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}

/// A writer that is far ahead of the reader waits, and all of its data arrives.
pub async fn large_write_with_back_pressure() {
    const SIZE: usize = 32 << 20;
    let (mut client, mut server) = connected().await;
    let written = Arc::new(AtomicUsize::new(0));
    let count = written.clone();
    let writer = spawn(async move {
        let data: Vec<u8> = (0..SIZE).map(|index| (index % 251) as u8).collect();
        let mut rest = &data[..];
        while !rest.is_empty() {
            let moved = client.write(rest).await.expect("write");
            count.fetch_add(moved, Ordering::Relaxed);
            rest = &rest[moved..];
        }
    });
    let mut buffer = vec![0; 100_000];
    let mut total = 0;
    loop {
        let read = server.read(&mut buffer).await.expect("read");
        if read == 0 {
            break;
        }
        for (index, byte) in buffer[..read].iter().enumerate() {
            assert_eq!(*byte, ((total + index) % 251) as u8, "at {}", total + index);
        }
        if total == 0 {
            // The kernel buffers a few MiB, and nothing more was read.
            let ahead = written.load(Ordering::Relaxed);
            assert!(ahead < SIZE, "nothing held the writer back");
        }
        total += read;
    }
    assert_eq!(total, SIZE);
    writer.await.expect("writer");
}

/// A connect that is refused is an error; a retry with a listener there works.
pub async fn refused_connect() {
    for _ in 0..20 {
        let error = TcpStream::connect(deserted()).await.expect_err("refused");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }
    // The next address is tried.
    let listener = TcpListener::bind(localhost()).await.expect("bind");
    let there = listener.local_addr().expect("address");
    let addresses = [deserted(), there];
    let stream = TcpStream::connect(&addresses[..]).await.expect("connect");
    assert_eq!(stream.peer_addr().expect("peer"), there);
}

/// Sockets that come and go under the same descriptor numbers get their own events only.
pub async fn descriptor_reuse() {
    for round in 0..100_u8 {
        let (mut client, mut server) = connected().await;
        // Readiness for the old one is on its way when it is closed; so is a waiter.
        client.write_all(&[round]).await.expect("write");
        drop(future::poll_once(server.read(&mut [0; 8])).await);
        drop((client, server));

        let (mut client, mut server) = connected().await;
        let mut buffer = [0; 8];
        {
            let mut read = pin!(server.read(&mut buffer));
            assert!(
                future::poll_once(read.as_mut()).await.is_none(),
                "nothing was sent here"
            );
            client.write_all(&[round, 1]).await.expect("write");
            assert_eq!(read.await.expect("read"), 2);
        }
        assert_eq!(buffer[..2], [round, 1]);
    }
}

/// Connections that are all there before the first accept, so that one edge stands for all of them, are all accepted, by several
/// tasks at once; and so are those that come while they accept.
pub async fn many_connections_on_one_edge() {
    const CONNECTIONS: usize = 200;
    const ACCEPTORS: usize = 4;
    let listener = TcpListener::bind(localhost()).await.expect("bind");
    let address = listener.local_addr().expect("address");
    let listener = Arc::new(listener);
    let mut early = Vec::new();
    for _ in 0..CONNECTIONS / 2 {
        early.push(TcpStream::connect(address).await.expect("connect"));
    }
    for _ in 0..ACCEPTORS {
        let listener = listener.clone();
        drop(spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                drop(spawn(echo(stream)));
            }
        }));
    }
    let mut clients = Vec::new();
    for index in 0..CONNECTIONS as u32 {
        let early = early.pop();
        clients.push(spawn(async move {
            let mut stream = match early {
                Some(stream) => stream,
                None => TcpStream::connect(address).await.expect("connect"),
            };
            for round in 0..10 {
                let message = (index + round).to_ne_bytes();
                stream.write_all(&message).await.expect("write");
                let mut answer = [0; 4];
                stream.read_exact(&mut answer).await.expect("read");
                assert_eq!(answer, message);
            }
        }));
    }
    for client in clients {
        client.await.expect("client");
    }
}

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..read]).await?;
    }
}

/// One task reads while another writes the same socket, in both ways of sharing it.
pub async fn one_socket_read_and_written_by_two_tasks() {
    const SIZE: usize = 4 << 20;
    async fn exchange(
        mut read: impl AsyncRead + Unpin + Send + 'static,
        mut write: impl futures_io::AsyncWrite + Unpin + Send + 'static,
    ) {
        let reader = spawn(async move {
            let mut buffer = vec![0; 10_000];
            let mut total = 0;
            while total < SIZE {
                let read = read.read(&mut buffer).await.expect("read");
                assert!(read > 0, "the stream ended early");
                for (index, byte) in buffer[..read].iter().enumerate() {
                    assert_eq!(*byte, ((total + index) % 241) as u8);
                }
                total += read;
            }
        });
        let data: Vec<u8> = (0..SIZE).map(|index| (index % 241) as u8).collect();
        write.write_all(&data).await.expect("write");
        reader.await.expect("reader");
    }

    let (client, server) = connected().await;
    let peer = spawn(echo(server));
    let (read, write) = client.into_split();
    exchange(read, write).await;
    peer.await.expect("peer").expect("echo");

    let (client, server) = connected().await;
    let peer = spawn(echo(server));
    let client = Arc::new(client);
    exchange(Shared(client.clone()), Shared(client)).await;
    peer.await.expect("peer").expect("echo");
}

/// A stream through references to it.
struct Shared(Arc<TcpStream>);

impl AsyncRead for Shared {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*self.0).poll_read(cx, buffer)
    }
}

impl futures_io::AsyncWrite for Shared {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*self.0).poll_write(cx, bytes)
    }
    fn poll_flush(self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut &*self.0).poll_flush(cx)
    }
    fn poll_close(self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut &*self.0).poll_close(cx)
    }
}

/// Tasks that read one stream by turns each get their part: nobody is forgotten.
pub async fn several_readers_of_one_stream() {
    const READERS: usize = 5;
    let (mut client, server) = connected().await;
    let server = Arc::new(server);
    let readers: Vec<_> = (0..READERS)
        .map(|_| {
            let server = server.clone();
            spawn(async move {
                let mut byte = [0];
                (&*server).read_exact(&mut byte).await.expect("read");
                usize::from(byte[0])
            })
        })
        .collect();
    for index in 0..READERS as u8 {
        client.write_all(&[1 << index]).await.expect("write");
        yield_now().await;
    }
    let mut sum = 0;
    for reader in readers {
        sum += reader.await.expect("reader");
    }
    assert_eq!(sum, (1 << READERS) - 1);
}

/// A task that waits to read a socket which another task drops is woken.
pub async fn a_dropped_socket_with_a_pending_read() {
    let (_client, server) = connected().await;
    let shared = Arc::new(Mutex::new(Some(server)));
    let waiting = Arc::new(AtomicBool::new(false));
    let reader = {
        let (shared, waiting) = (shared.clone(), waiting.clone());
        spawn(poll_fn(move |cx| {
            let mut shared = shared.lock().expect("lock");
            let Some(server) = &mut *shared else {
                return Poll::Ready("it is gone");
            };
            let polled = Pin::new(server).poll_read(cx, &mut [0]);
            assert!(polled.is_pending());
            waiting.store(true, Ordering::SeqCst);
            Poll::Pending
        }))
    };
    while !waiting.load(Ordering::SeqCst) {
        yield_now().await;
    }
    let server = shared.lock().expect("lock").take();
    drop(server);
    assert_eq!(reader.await.expect("reader"), "it is gone");
}

/// The peer of a socket that is dropped while its task is aborted in a read sees the end.
pub async fn an_aborted_reader_closes_its_socket() {
    for _ in 0..20 {
        let (mut client, mut server) = connected().await;
        let reader = spawn(async move { server.read(&mut [0]).await });
        yield_now().await;
        reader.abort();
        assert_eq!(client.read(&mut [0]).await.expect("read"), 0);
    }
}

/// A read that timed out has taken nothing, and the next one works.
pub async fn a_cancelled_read_loses_nothing() {
    let (mut client, mut server) = connected().await;
    for round in 0..20_u8 {
        let mut buffer = [0; 16];
        let elapsed = time::timeout(Duration::from_millis(1), server.read(&mut buffer)).await;
        assert!(elapsed.is_err(), "nothing was sent");
        client.write_all(&[round; 3]).await.expect("write");
        let mut three = [0; 3];
        server.read_exact(&mut three).await.expect("read");
        assert_eq!(three, [round; 3]);
    }
}

/// An accept that was cancelled has taken no connection.
pub async fn a_cancelled_accept_loses_no_connection() {
    let listener = TcpListener::bind(localhost()).await.expect("bind");
    let address = listener.local_addr().expect("address");
    for _ in 0..20 {
        assert!(future::poll_once(listener.accept()).await.is_none());
        let client = TcpStream::connect(address).await.expect("connect");
        let (_, peer) = listener.accept().await.expect("accept");
        assert_eq!(peer, client.local_addr().expect("address"));
    }
}

/// An operation that is always ready lets other tasks run.
pub async fn a_socket_that_is_always_ready_lets_others_run() {
    let (mut client, server) = connected().await;
    client.write_all(b"here to stay").await.expect("write");
    server.readable().await.expect("readable");
    let ran = Arc::new(AtomicBool::new(false));
    let flag = ran.clone();
    let other = spawn(async move { flag.store(true, Ordering::SeqCst) });
    while !ran.load(Ordering::SeqCst) {
        server.peek(&mut [0]).await.expect("peek");
    }
    other.await.expect("the other");
}

/// Peeking takes nothing; several buffers go and come in one call.
pub async fn peek_and_vectored() {
    let (mut client, mut server) = connected().await;
    let parts = [
        IoSlice::new(b"one "),
        IoSlice::new(b""),
        IoSlice::new(b"two"),
    ];
    assert_eq!(client.write_vectored(&parts).await.expect("write"), 7);
    let mut peeked = [0; 3];
    assert_eq!(server.peek(&mut peeked).await.expect("peek"), 3);
    assert_eq!(&peeked, b"one");
    let (mut first, mut second) = ([0; 2], [0; 16]);
    let mut into = [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
    assert_eq!(server.read_vectored(&mut into).await.expect("read"), 7);
    assert_eq!((&first, &second[..5]), (b"on", &b"e two"[..]));
}

/// What is set on a socket is what it tells.
pub async fn options_and_addresses() {
    let options = BindOptions::default().reuse_port(true).backlog(16);
    let one = TcpListener::bind_with(localhost(), options)
        .await
        .expect("bind");
    let address = one.local_addr().expect("address");
    let two = TcpListener::bind_with(address, options)
        .await
        .expect("the same port");
    assert_eq!(two.local_addr().expect("address"), address);
    let taken = TcpListener::bind(address).await.expect_err("taken");
    assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);

    let (client, server) = connected().await;
    assert_eq!(
        client.peer_addr().expect("peer"),
        server.local_addr().expect("local")
    );
    client.set_nodelay(true).expect("set_nodelay");
    assert!(client.nodelay().expect("nodelay"));
    client.set_ttl(42).expect("set_ttl");
    assert_eq!(client.ttl().expect("ttl"), 42);
    let linger = Some(Duration::from_secs(1));
    client.set_linger(linger).expect("set_linger");
    assert_eq!(client.linger().expect("linger"), linger);
    assert!(client.take_error().expect("take_error").is_none());
}

/// Names are looked up; what is neither address nor name is an error.
pub async fn names() {
    let listener = TcpListener::bind("localhost:0").await.expect("bind");
    let port = listener.local_addr().expect("address").port();
    let connect = TcpStream::connect(("localhost", port));
    future::try_zip(connect, listener.accept())
        .await
        .expect("connect");
    let error = TcpStream::connect("no port").await.expect_err("no port");
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    assert!(TcpStream::connect("no.such.host.invalid:1").await.is_err());
}

/// Halves are put together again, and only with their own.
pub async fn halves_reunite() {
    let (client, server) = connected().await;
    let (client_read, client_write) = client.into_split();
    let (server_read, server_write) = server.into_split();
    let (client_read, server_write) = client_read
        .reunite(server_write)
        .map_err(|error| (error.0, error.1))
        .expect_err("of different streams");
    let mut client = client_read.reunite(client_write).expect("its own half");
    let mut server = server_read.reunite(server_write).expect("its own half");
    let (mut read, mut write) = client.split();
    future::try_zip(write.write_all(b"ping"), server.read_exact(&mut [0; 4]))
        .await
        .expect("still open");
    server.write_all(b"pong").await.expect("write");
    read.read_exact(&mut [0; 4]).await.expect("read");
}

/// Datagrams: with addresses, connected, peeked at, cut.
pub async fn datagrams() {
    let one = UdpSocket::bind(localhost()).await.expect("bind");
    let two = UdpSocket::bind(localhost()).await.expect("bind");
    let (at_one, at_two) = (
        one.local_addr().expect("address"),
        two.local_addr().expect("address"),
    );
    let mut buffer = [0; 16];
    assert_eq!(one.send_to(b"hello", at_two).await.expect("send"), 5);
    assert_eq!(two.peek_from(&mut buffer).await.expect("peek"), (5, at_one));
    assert_eq!(two.recv_from(&mut buffer).await.expect("recv"), (5, at_one));
    assert_eq!(&buffer[..5], b"hello");

    assert!(one.peer_addr().is_err());
    one.connect(at_two).await.expect("connect");
    two.connect(at_one).await.expect("connect");
    assert_eq!(one.peer_addr().expect("peer"), at_two);
    let receive = async {
        let mut short = [0; 3];
        assert_eq!(one.recv(&mut short).await.expect("recv"), 3);
        assert_eq!(&short, b"lon");
        one.recv(&mut buffer).await.expect("the next, whole")
    };
    let send = async {
        two.send(b"long one").await.expect("send");
        two.send(b"next").await.expect("send");
    };
    assert_eq!(future::zip(receive, send).await.0, 4);
    one.set_broadcast(true).expect("set_broadcast");
    assert!(one.broadcast().expect("broadcast"));
}

/// Each datagram reaches one of the tasks that wait for it; none of them is forgotten.
pub async fn one_datagram_socket_shared_by_tasks() {
    const RECEIVERS: usize = 4;
    const EACH: usize = 25;
    let socket = Arc::new(UdpSocket::bind(localhost()).await.expect("bind"));
    let address = socket.local_addr().expect("address");
    let receivers: Vec<_> = (0..RECEIVERS)
        .map(|_| {
            let socket = socket.clone();
            spawn(async move {
                let mut sum = 0;
                for _ in 0..EACH {
                    let mut byte = [0];
                    socket.recv_from(&mut byte).await.expect("recv");
                    sum += usize::from(byte[0]);
                }
                sum
            })
        })
        .collect();
    let sender = UdpSocket::bind(localhost()).await.expect("bind");
    for value in 0..(RECEIVERS * EACH) as u8 {
        sender.send_to(&[value], address).await.expect("send");
    }
    let mut sum = 0;
    for receiver in receivers {
        sum += receiver.await.expect("receiver");
    }
    assert_eq!(sum, (0..RECEIVERS * EACH).sum());
}

/// Unix sockets: a pair, and a listener in the file system.
pub async fn unix_sockets() {
    let (one, mut other) = UnixStream::pair().expect("pair");
    let (mut read, mut write) = one.into_split();
    let peer = spawn(async move {
        let mut all = Vec::new();
        other.read_to_end(&mut all).await.expect("read");
        other.write_all(&all).await.expect("write");
    });
    let data: Vec<u8> = (0..1 << 20).map(|index| (index % 253) as u8).collect();
    write.write_all(&data).await.expect("write");
    drop(write);
    let mut back = Vec::new();
    read.read_to_end(&mut back).await.expect("read");
    assert!(back == data, "what came back differs");
    peer.await.expect("peer");

    let directory = super::files::Scratch::new("unix-sockets");
    let path = directory.path("socket");
    let missing = UnixStream::connect(&path)
        .await
        .expect_err("nobody is there");
    assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    let listener = UnixListener::bind(&path).expect("bind");
    let address = listener.local_addr().expect("address");
    assert_eq!(address.as_pathname(), Some(&*path));
    let (mut client, (mut server, peer)) =
        future::try_zip(UnixStream::connect(&path), listener.accept())
            .await
            .expect("connect");
    assert!(peer.is_unnamed(), "{peer:?}");
    assert_eq!(
        client.peer_addr().expect("peer").as_pathname(),
        Some(&*path)
    );
    client.write_all(b"hi").await.expect("write");
    let mut two = [0; 2];
    assert_eq!(server.peek(&mut two).await.expect("peek"), 2);
    server.read_exact(&mut two).await.expect("read");
    assert_eq!(&two, b"hi");
    client.shutdown(Shutdown::Write).expect("shutdown");
    assert_eq!(server.read(&mut two).await.expect("read"), 0);
}

/// Generates the tests of sockets and files for a scheduler in the calling crate, one `#[test]` per case, in a module
/// `io_conformance`. The subject is an [`AmbientSubject`](crate::testing::AmbientSubject).
#[macro_export]
macro_rules! io_conformance {
    ($subject:ty) => {
        mod io_conformance {
            #[allow(unused_imports)]
            use super::*;
            $crate::__io_cases!(__io_tests, $subject);
        }
    };
}

/// One `#[test]` for each case.
#[macro_export]
#[doc(hidden)]
macro_rules! __io_tests {
    ({ $subject:ty } $($module:ident { $($case:ident)* })*) => {$(
        mod $module {
            #[allow(unused_imports)]
            use super::*;
            $(
                #[test]
                fn $case() {
                    $crate::testing::run::<$subject>(stringify!($case), || {
                        let subject = <$subject as $crate::testing::Subject>::start();
                        $crate::testing::Subject::run(&subject, $crate::testing::$module::$case());
                    });
                }
            )*
        }
    )*};
}

/// Hands the names of the cases, by module, to another macro.
#[macro_export]
#[doc(hidden)]
macro_rules! __io_cases {
    ($consumer:ident, $argument:ty) => {
        $crate::$consumer! {
            { $argument }
            net {
                a_cancelled_accept_loses_no_connection
                a_cancelled_read_loses_nothing
                a_dropped_socket_with_a_pending_read
                a_socket_that_is_always_ready_lets_others_run
                an_aborted_reader_closes_its_socket
                datagrams
                descriptor_reuse
                end_of_stream
                half_close
                halves_reunite
                large_write_with_back_pressure
                many_connections_on_one_edge
                names
                one_datagram_socket_shared_by_tasks
                one_socket_read_and_written_by_two_tasks
                options_and_addresses
                peek_and_vectored
                refused_connect
                reset
                several_readers_of_one_stream
                shutdown_of_each_direction
                unix_sockets
            }
            files {
                a_cancelled_read_loses_nothing
                a_failed_write_is_reported
                directories
                flushed_writes_are_there
                reads_writes_and_seeks
                whole_files
            }
        }
    };
}
