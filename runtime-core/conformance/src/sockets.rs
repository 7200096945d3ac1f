//! Listeners, names, datagrams and Unix sockets under a scheduler: each case is a root task for a fresh runtime that
//! enters the ambient context.

use std::io;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use futures_lite::{AsyncReadExt, AsyncWriteExt, future};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType};

use super::net::{connected, echo, localhost};
use runtime_kernel::blocking::{Executor, set_default_executor};
use runtime_kernel::{spawn, spawn_blocking, time, yield_now};
use runtime_library::net::{
    BindOptions, TcpListener, TcpStream, UdpSocket, UnixListener, UnixStream,
};

/// An address at which nobody listens.
fn unused_address() -> SocketAddr {
    let listener = std::net::TcpListener::bind(localhost()).expect("bind");
    listener.local_addr().expect("address")
}

/// A refused connect is an error; a retry with a listener there works.
pub async fn refused_connect() {
    for _ in 0..20 {
        let error = TcpStream::connect(unused_address())
            .await
            .expect_err("refused");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }
    // The next address is tried.
    let listener = TcpListener::bind(localhost()).await.expect("bind");
    let there = listener.local_addr().expect("address");
    let addresses = [unused_address(), there];
    let stream = TcpStream::connect(&addresses[..]).await.expect("connect");
    assert_eq!(stream.peer_addr().expect("peer"), there);
}

/// A task that awaits a socket, and together with it something that always wakes it at once, still notices the socket.
pub async fn a_task_that_always_has_work_hears_its_socket() {
    let (mut here, mut there) = connected().await;
    let listening = spawn(async move {
        let always_busy = async {
            loop {
                yield_now().await;
            }
        };
        let mut byte = [0];
        let hears = async {
            here.read_exact(&mut byte).await.expect("a byte");
        };
        future::or(hears, always_busy).await;
        byte
    });
    // So that the read has found nothing.
    for _ in 0..10 {
        yield_now().await;
    }
    there.write_all(&[7]).await.expect("write");
    assert_eq!(listening.await.expect("a task"), [7]);
}

/// Connections that all exist before the first accept, so that one edge stands for all of them, are all accepted by
/// several concurrent tasks; so are those that come while they accept.
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

/// A cancelled accept has taken no connection.
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

/// Options that are set on a socket can be read back.
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

/// Names are looked up; text that is neither address nor name is an error.
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

/// Datagrams: with addresses, connected, peeked, truncated.
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

/// Each datagram reaches one of the tasks that wait for it; none of the tasks is forgotten.
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

/// A Unix listener whose queue is full, and the sockets that fill it.
fn full_unix_listener(path: &std::path::Path) -> (std::os::unix::net::UnixListener, Vec<OwnedFd>) {
    let listener = std::os::unix::net::UnixListener::bind(path).expect("bind");
    // As short as the system allows.
    rustix::net::listen(&listener, 0).expect("listen");
    let address = SocketAddrUnix::new(path).expect("address");
    let mut clients = Vec::new();
    loop {
        let client = rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None);
        let client = client.expect("socket");
        rustix::io::ioctl_fionbio(&client, true).expect("non-blocking");
        match rustix::net::connect(&client, &address) {
            Ok(()) => clients.push(client),
            Err(Errno::AGAIN) => return (listener, clients),
            Err(error) => panic!("connect: {error}"),
        }
    }
}

/// The number of connections in a listener's queue. They are taken out.
fn arrived(listener: &std::os::unix::net::UnixListener) -> usize {
    listener.set_nonblocking(true).expect("non-blocking");
    let mut arrived = 0;
    loop {
        match listener.accept() {
            Ok(_) => arrived += 1,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return arrived,
            Err(error) => panic!("accept: {error}"),
        }
    }
}

/// A client that connects to a listener whose queue is full gets in when there is room.
pub async fn a_full_unix_listener_is_waited_for() {
    let scratch = super::files::Scratch::new("full-listener");
    let path = scratch.path("socket");
    let (listener, clients) = full_unix_listener(&path);
    let waiting: Vec<_> = (0..5)
        .map(|_| {
            let path = path.clone();
            spawn(async move { UnixStream::connect(path).await })
        })
        .collect();
    for _ in 0..clients.len() {
        listener.accept().expect("accept");
    }
    // They don't choose the order in which they get in.
    let count = waiting.len();
    let accepting = spawn_blocking(move || {
        for _ in 0..count {
            let (mut accepted, _) = listener.accept().expect("accept");
            io::Write::write_all(&mut accepted, b"x").expect("write");
        }
    });
    for client in waiting {
        let mut client = client.await.expect("a task").expect("connect");
        let mut byte = [0];
        client.read_exact(&mut byte).await.expect("read");
    }
    accepting.await.expect("a job");
}

/// A `connect` that was given up occupies no thread, and never arrives.
pub async fn abandoned_unix_connects_leave_nothing() {
    let scratch = super::files::Scratch::new("abandoned-connects");
    let path = scratch.path("socket");
    let (listener, clients) = full_unix_listener(&path);
    set_default_executor(Executor::new("two", 2));
    for _ in 0..10 {
        let limit = Duration::from_millis(3);
        let connected = time::timeout(limit, UnixStream::connect(&path)).await;
        assert!(connected.is_err(), "there is no room");
    }
    let job = spawn_blocking(|| 1);
    assert_eq!(job.await.expect("a job runs"), 1);
    assert_eq!(arrived(&listener), clients.len());
    let client = UnixStream::connect(&path).await.expect("connect");
    assert_eq!(arrived(&listener), 1, "one has connected");
    drop(client);
}
