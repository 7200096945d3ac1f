//! TCP streams under a scheduler: each case is a root task for a fresh runtime that enters the ambient context.
//!
//! The cases in [`alone`](super::alone) change state of the whole process, so each of them gets its own process.

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

use runtime_kernel::{spawn, time, yield_now};
use runtime_library::net::{TcpListener, TcpStream};

pub(super) fn localhost() -> SocketAddr {
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

/// A connection continues in one direction after the other was closed.
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

/// A reader sees the end of a stream, whether it comes with the data, after it, or while the reader waits; again and
/// again.
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

/// If the peer resets a connection, a waiting reader gets an error, or the end.
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

/// Sockets that successively get the same descriptor numbers get only their own events.
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

pub(super) async fn echo(mut stream: TcpStream) -> io::Result<()> {
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

/// A stream that is used through shared references.
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

/// Tasks that take turns reading one stream each get their part: none is forgotten.
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

/// If a task is aborted in a read and drops its socket, the peer sees the end.
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

/// Peeking takes nothing; one call can transfer several buffers.
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

/// More buffers than the system takes in one call: the rest is read next, without another event.
pub async fn more_buffers_than_one_call_takes() {
    const BUFFERS: usize = 3000;
    let (mut client, mut server) = connected().await;
    client.write_all(&[7; BUFFERS]).await.expect("write");
    let mut bytes = vec![0; BUFFERS];
    let mut read = 0;
    while read < BUFFERS {
        let mut into: Vec<_> = bytes[read..].chunks_mut(1).map(IoSliceMut::new).collect();
        read += server.read_vectored(&mut into).await.expect("read");
    }
    assert_eq!(bytes, [7; BUFFERS]);
}

/// Halves can be joined again, but only with their own counterpart.
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
