//! Servers under a scheduler: each case is a root task for a fresh runtime that enters the ambient context.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_lite::io::{BufReader, BufWriter};
use futures_lite::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, future};

use super::net::{echo, localhost};
use runtime_kernel::{spawn, yield_now};
use runtime_library::net::{
    Server, ServerOptions, TcpListener, TcpStream, UnixListener, UnixStream, open_connection,
    start_server,
};

const LONG: Duration = Duration::from_secs(60);

async fn converse(stream: TcpStream, _peer: SocketAddr) {
    let _ = echo(stream).await;
}

async fn echo_server(options: ServerOptions) -> (Server<TcpListener>, SocketAddr) {
    let server = options.start(localhost(), converse).await.expect("bind");
    let address = server.local_addr().expect("address");
    (server, address)
}

/// A connection that was answered, so it occupies a place and a task.
async fn connect_and_greet(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("connect");
    exchange(&mut stream).await.expect("an answer");
    stream
}

async fn exchange(stream: &mut TcpStream) -> io::Result<()> {
    stream.write_all(b"?").await?;
    stream.read_exact(&mut [0]).await
}

/// True when the peer has closed the connection, by an end or by a reset.
async fn is_closed(stream: &mut TcpStream) -> bool {
    !matches!(stream.read(&mut [0]).await, Ok(1..))
}

/// Lines, parts up to a delimiter and exact lengths, through buffers on both sides.
pub async fn a_server_of_lines() {
    let server = start_server(localhost(), |stream, peer| async move {
        let (read, write) = stream.into_split();
        let (mut lines, mut answers) = (BufReader::new(read).lines(), BufWriter::new(write));
        while let Some(line) = futures_lite::StreamExt::next(&mut lines).await {
            let answer = format!("{}: {}\n", peer.ip(), line?.to_uppercase());
            answers.write_all(answer.as_bytes()).await?;
            answers.flush().await?;
        }
        io::Result::Ok(())
    })
    .await
    .expect("bind");
    let address = server.local_addr().expect("address");
    let clients: Vec<_> = (0..10)
        .map(|number| {
            spawn(async move {
                let (read, mut write) = open_connection(address).await?;
                let mut read = BufReader::new(read);
                for round in 0..10 {
                    let line = format!("line {round} of {number}\n");
                    write.write_all(line.as_bytes()).await?;
                    let (mut from, mut rest) = (Vec::new(), String::new());
                    read.read_until(b':', &mut from).await?;
                    read.read_exact(&mut [0]).await?;
                    read.read_line(&mut rest).await?;
                    assert_eq!(from, b"127.0.0.1:");
                    assert_eq!(rest, line.to_uppercase());
                }
                write.close().await?;
                assert_eq!(read.read_line(&mut String::new()).await?, 0);
                io::Result::Ok(())
            })
        })
        .collect();
    for client in clients {
        client.await.expect("a client").expect("its streams");
    }
    assert_eq!(server.accepted(), 10);
    assert_eq!(server.shutdown(LONG).await, 0);
}

/// There are no more connections than allowed; the next one is served when one has ended.
pub async fn connections_beyond_the_limit_wait() {
    const LIMIT: usize = 3;
    let (server, address) = echo_server(ServerOptions::default().max_connections(LIMIT)).await;
    let (live, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = (0..20)
        .map(|_| {
            let (live, most) = (live.clone(), most.clone());
            spawn(async move {
                let mut stream = connect_and_greet(address).await;
                most.fetch_max(live.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                for _ in 0..5 {
                    exchange(&mut stream).await.expect("an answer");
                }
                live.fetch_sub(1, Ordering::SeqCst);
            })
        })
        .collect();
    for client in clients {
        client.await.expect("a client");
    }
    assert!(most.load(Ordering::SeqCst) <= LIMIT);

    let mut held = Vec::new();
    for _ in 0..LIMIT {
        held.push(connect_and_greet(address).await);
    }
    let mut beyond = TcpStream::connect(address).await.expect("the kernel");
    beyond.write_all(b"?").await.expect("the kernel");
    let mut byte = [0];
    let mut answered = Box::pin(beyond.read_exact(&mut byte));
    for _ in 0..100 {
        assert!(future::poll_once(&mut answered).await.is_none());
        yield_now().await;
    }
    drop(held.pop());
    answered.await.expect("its turn");
    drop((held, beyond));
    assert_eq!(server.shutdown(LONG).await, 0);
}

/// A graceful end: nobody else can connect, and connected clients finish.
pub async fn shutdown_lets_connections_finish() {
    let (server, address) = echo_server(ServerOptions::default()).await;
    let mut streams = vec![
        connect_and_greet(address).await,
        connect_and_greet(address).await,
    ];
    let shutdown = spawn(server.shutdown(LONG));
    while TcpStream::connect(address).await.is_ok() {
        yield_now().await;
    }
    for _ in 0..10 {
        for stream in &mut streams {
            exchange(stream).await.expect("still served");
        }
        assert!(!shutdown.is_finished());
        yield_now().await;
    }
    drop(streams.pop());
    exchange(&mut streams[0]).await.expect("still served");
    drop(streams);
    assert_eq!(shutdown.await.expect("a task"), 0);
}

/// A connection that has not finished when the grace period is over is aborted, and gone when `shutdown` returns.
pub async fn shutdown_aborts_when_the_grace_is_over() {
    let held = Arc::new(());
    let inside = held.clone();
    let server = start_server(localhost(), move |stream, peer| {
        let inside = inside.clone();
        async move {
            converse(stream, peer).await;
            drop(inside);
        }
    })
    .await
    .expect("bind");
    let address = server.local_addr().expect("address");
    let mut streams = Vec::new();
    for _ in 0..5 {
        streams.push(connect_and_greet(address).await);
    }
    assert_eq!(server.connections(), 5);
    assert_eq!(server.shutdown(Duration::from_millis(5)).await, 5);
    assert_eq!(Arc::strong_count(&held), 1, "handlers and their captures");
    for stream in &mut streams {
        assert!(is_closed(stream).await);
    }
}

/// Dropping the server closes the listener and every connection.
pub async fn a_dropped_server_ends_its_connections() {
    let (server, address) = echo_server(ServerOptions::default()).await;
    let mut streams = vec![
        connect_and_greet(address).await,
        connect_and_greet(address).await,
    ];
    drop(server);
    for stream in &mut streams {
        assert!(is_closed(stream).await);
    }
    while TcpStream::connect(address).await.is_ok() {
        yield_now().await;
    }
}

/// A connection that is being accepted while its server ends also ends, whichever comes first.
pub async fn dropping_servers_while_connections_come() {
    for round in 0..50 {
        let (server, address) = echo_server(ServerOptions::default()).await;
        let clients: Vec<_> = (0..4)
            .map(|_| {
                spawn(async move {
                    if let Ok(mut stream) = TcpStream::connect(address).await {
                        while exchange(&mut stream).await.is_ok() {}
                    }
                })
            })
            .collect();
        for _ in 0..round % 10 {
            yield_now().await;
        }
        drop(server);
        for client in clients {
            client.await.expect("a client whose connection has ended");
        }
    }
}

/// A handler that panics, in its call or in its future, ends its own connection and frees its place.
pub async fn handlers_that_panic_harm_nobody_else() {
    let calls = AtomicUsize::new(0);
    let server = ServerOptions::default()
        .max_connections(1)
        .start(localhost(), move |stream, peer| {
            let call = calls.fetch_add(1, Ordering::SeqCst);
            assert!(call != 0, "on purpose, in the call");
            async move {
                assert!(call != 1, "on purpose, in the future");
                converse(stream, peer).await;
            }
        })
        .await
        .expect("bind");
    let address = server.local_addr().expect("address");
    for _ in 0..2 {
        let mut stream = TcpStream::connect(address).await.expect("connect");
        assert!(is_closed(&mut stream).await);
    }
    drop(connect_and_greet(address).await);
    assert_eq!(server.accepted(), 3);
    assert_eq!(server.shutdown(LONG).await, 0);
}

/// The same over a Unix socket.
pub async fn servers_on_unix_sockets() {
    let folder = std::env::temp_dir();
    let path = folder.join(format!(
        "server-{}-{:?}",
        std::process::id(),
        std::thread::current().id()
    ));
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).expect("bind");
    let server = ServerOptions::default().serve(listener, |mut stream: UnixStream, _| async move {
        let mut text = String::new();
        stream.read_to_string(&mut text).await?;
        stream.write_all(text.to_uppercase().as_bytes()).await
    });
    let (mut read, mut write) = UnixStream::connect(&path)
        .await
        .expect("connect")
        .into_split();
    write.write_all(b"over a file").await.expect("write");
    drop(write);
    let mut answer = String::new();
    read.read_to_string(&mut answer).await.expect("read");
    assert_eq!(answer, "OVER A FILE");
    assert_eq!(server.shutdown(LONG).await, 0);
    std::fs::remove_file(&path).expect("the socket's file");
}
