//! Sockets: addresses, binding, connecting, accepting, and transfers that need not wait.

use std::future::poll_fn;
use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::os::unix::net::UnixStream as Peer;
use std::pin::Pin;
use std::time::Duration;

use futures_io::{AsyncRead, AsyncWrite};
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use rustix::net::RecvFlags;

use super::super::files::Scratch;
use super::super::net::{connected, localhost};
use super::operation::{Loops, Operation, operation};
use runtime_kernel::context;
use runtime_kernel::reactor::{Direction, Initially, Registration};
use runtime_library::net::{
    BindOptions, TcpListener, TcpStream, ToSocketAddrs, UdpSocket, UnixListener, UnixStream,
    open_connection, start_server,
};
use runtime_library::{Runtime, TcpListener as _};

/// Nobody listens here: a connect is refused at once.
const UNUSED_ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 1);

pub(super) fn operations<R: Runtime>() -> Vec<Operation<R>> {
    let mut all = vec![
        operation(
            "addresses that need no look-up",
            &["net/address.rs: to_socket_addrs"],
            |loops: Loops<R>| async move {
                let (text, address) = ("127.0.0.1:80", SocketAddr::from((Ipv4Addr::LOCALHOST, 80)));
                let found = |found: io::Result<Vec<SocketAddr>>| {
                    assert_eq!(found.expect("an address"), [address]);
                };
                for _ in loops.rounds() {
                    found(text.to_socket_addrs().await);
                }
                for _ in loops.rounds() {
                    found(text.to_owned().to_socket_addrs().await);
                }
                for _ in loops.rounds() {
                    found(address.to_socket_addrs().await);
                }
                for _ in loops.rounds() {
                    found((&[address][..]).to_socket_addrs().await);
                }
                for _ in loops.rounds() {
                    found(vec![address].to_socket_addrs().await);
                }
                for _ in loops.rounds() {
                    found(("127.0.0.1", 80).to_socket_addrs().await);
                }
                for _ in loops.rounds() {
                    assert!("no port".to_socket_addrs().await.is_err());
                }
            },
        ),
        operation(
            "binding",
            &[
                "net/tcp_listener.rs: bind",
                "net/tcp_listener.rs: bind_with",
                "net/udp.rs: bind",
                "native.rs: bind",
            ],
            |loops: Loops<R>| async move {
                for _ in loops.rounds() {
                    TcpListener::bind(localhost()).await.expect("bind");
                }
                for _ in loops.rounds() {
                    let none = TcpListener::bind_with(Own, BindOptions::default()).await;
                    assert!(none.is_err());
                }
                for _ in loops.rounds() {
                    UdpSocket::bind(localhost()).await.expect("bind");
                }
                for _ in loops.rounds() {
                    loops.runtime.bind(localhost()).await.expect("bind");
                }
            },
        ),
        operation(
            "connects that fail at once",
            &[
                "net/tcp_stream.rs: connect",
                "net/tcp_stream.rs: connect_on",
                "net/server.rs: open_connection",
                "net/unix.rs: connect",
                "native.rs: connect",
            ],
            |loops: Loops<R>| async move {
                for _ in loops.rounds() {
                    assert!(TcpStream::connect(UNUSED_ADDRESS).await.is_err());
                }
                for _ in loops.rounds() {
                    assert!(TcpStream::connect(Own).await.is_err());
                }
                for _ in loops.rounds() {
                    let driver = context::with("a case", |ambient| ambient.io_driver());
                    assert!(TcpStream::connect_on(driver, UNUSED_ADDRESS).await.is_err());
                }
                for _ in loops.rounds() {
                    assert!(open_connection(UNUSED_ADDRESS).await.is_err());
                }
                for _ in loops.rounds() {
                    assert!(UnixStream::connect("/no/such/socket").await.is_err());
                }
                for _ in loops.rounds() {
                    assert!(loops.runtime.connect(UNUSED_ADDRESS).await.is_err());
                }
            },
        ),
        operation(
            "connections that wait to be accepted",
            &["net/tcp_listener.rs: accept", "net/unix.rs: accept"],
            |loops: Loops<R>| async move {
                let scratch = Scratch::new("ready");
                let path = scratch.path("socket");
                let listener = UnixListener::bind(&path).expect("bind");
                for _ in loops.rounds() {
                    let _peer = Peer::connect(&path).expect("connect");
                    listener.accept().await.expect("accept");
                }
                let listener = TcpListener::bind(localhost()).await.expect("bind");
                let address = listener.local_addr().expect("address");
                for _ in loops.rounds() {
                    let _peer = std::net::TcpStream::connect(address).expect("connect");
                    listener.accept().await.expect("accept");
                }
                let listener = loops.runtime.bind(localhost()).await.expect("bind");
                let address = listener.local_addr().expect("address");
                for _ in loops.rounds() {
                    let _peer = std::net::TcpStream::connect(address).expect("connect");
                    listener.accept().await.expect("accept");
                }
            },
        ),
    ];
    all.extend(streams());
    all.extend(others());
    all
}

/// Addresses of a type that does not use a budget: there are none.
struct Own;

impl ToSocketAddrs for Own {
    async fn to_socket_addrs(self) -> io::Result<Vec<SocketAddr>> {
        Ok(Vec::new())
    }
}

/// All reads: at the end of a stream, and into an empty buffer.
async fn reads<R>(loops: &Loops<R>, mut stream: impl AsyncRead + Unpin) {
    for _ in loops.rounds() {
        assert_eq!(stream.read(&mut [0]).await.expect("the end"), 0);
    }
    for _ in loops.rounds() {
        assert_eq!(stream.read(&mut []).await.expect("nothing"), 0);
    }
    for _ in loops.rounds() {
        let read = poll_fn(|cx| Pin::new(&mut stream).poll_read_vectored(cx, &mut []));
        assert_eq!(read.await.expect("nothing"), 0);
    }
}

/// All writes of nothing, and the close.
async fn writes<R>(loops: &Loops<R>, mut stream: impl AsyncWrite + Unpin) {
    for _ in loops.rounds() {
        assert_eq!(stream.write(b"").await.expect("nothing"), 0);
    }
    for _ in loops.rounds() {
        let written = poll_fn(|cx| Pin::new(&mut stream).poll_write_vectored(cx, &[]));
        assert_eq!(written.await.expect("nothing"), 0);
    }
    for _ in loops.rounds() {
        stream.flush().await.expect("flush");
    }
    for _ in loops.rounds() {
        stream.close().await.expect("close");
    }
}

fn streams<R: Runtime>() -> Vec<Operation<R>> {
    vec![
        operation(
            "streams",
            &[
                "net/stream.rs: AsyncRead for $type",
                "net/stream.rs: AsyncWrite for $type",
                "net/tcp_stream.rs: peek",
                "net/tcp_stream.rs: readable",
                "net/tcp_stream.rs: writable",
                "net/unix.rs: peek",
                "reactor/waiting.rs: Future for Ready",
                "reactor/waiting.rs: Future for Io",
                "reactor/registration.rs: poll_io",
                "reactor/registration.rs: poll_transfer",
            ],
            |loops: Loops<R>| async move {
                let (here, there) = connected().await;
                there.shutdown(Shutdown::Write).expect("shutdown");
                reads(&loops, &here).await;
                for _ in loops.rounds() {
                    assert_eq!(here.peek(&mut [0]).await.expect("the end"), 0);
                }
                for _ in loops.rounds() {
                    here.readable().await.expect("the end");
                }
                for _ in loops.rounds() {
                    here.writable().await.expect("room");
                }
                // Not on a Unix socket: fewer bytes fill its buffer.
                for _ in loops.rounds() {
                    assert_eq!((&here).write(b"x").await.expect("a byte"), 1);
                }
                writes(&loops, &here).await;
                let (here, there) = UnixStream::pair().expect("a pair");
                there.shutdown(Shutdown::Write).expect("shutdown");
                reads(&loops, &here).await;
                for _ in loops.rounds() {
                    assert_eq!(here.peek(&mut [0]).await.expect("the end"), 0);
                }
                writes(&loops, &here).await;
            },
        ),
        operation(
            "halves of streams",
            &[
                "net/split.rs: AsyncRead for ReadHalf",
                "net/split.rs: AsyncWrite for WriteHalf",
                "net/split.rs: AsyncRead for OwnedReadHalf",
                "net/split.rs: AsyncWrite for OwnedWriteHalf",
            ],
            |loops: Loops<R>| async move {
                let (mut here, there) = UnixStream::pair().expect("a pair");
                there.shutdown(Shutdown::Write).expect("shutdown");
                let (read, write) = here.split();
                reads(&loops, read).await;
                writes(&loops, write).await;
                let (here, there) = UnixStream::pair().expect("a pair");
                there.shutdown(Shutdown::Write).expect("shutdown");
                let (read, write) = here.into_split();
                reads(&loops, read).await;
                writes(&loops, write).await;
            },
        ),
        operation(
            "descriptors",
            &["reactor/registration.rs: poll_ready"],
            |loops: Loops<R>| async move {
                let (here, _there) = Peer::pair().expect("a pair");
                here.set_nonblocking(true).expect("an option");
                let driver = context::with("a case", |ambient| ambient.io_driver());
                let registered = Registration::new(here.into(), &driver, Initially::Ready);
                let registration = registered.expect("registered");
                for _ in loops.rounds() {
                    let ready = poll_fn(|cx| registration.poll_ready(cx, Direction::Write));
                    ready.await.expect("room");
                }
                drop(_there);
                for _ in loops.rounds() {
                    let read = registration.io(Direction::Read, |fd| {
                        let (_, read) = rustix::net::recv(fd, &mut [0_u8], RecvFlags::empty())?;
                        Ok(read)
                    });
                    assert_eq!(read.await.expect("the end"), 0);
                }
            },
        ),
    ]
}

fn others<R: Runtime>() -> Vec<Operation<R>> {
    vec![
        operation(
            "datagrams",
            &[
                "net/udp.rs: connect",
                "net/udp.rs: send",
                "net/udp.rs: send_to",
                "net/udp.rs: recv",
                "net/udp.rs: recv_from",
                "net/udp.rs: peek_from",
            ],
            |loops: Loops<R>| async move {
                let socket = UdpSocket::bind(localhost()).await.expect("bind");
                let own = socket.local_addr().expect("address");
                let mut buffer = [0; 8];
                for _ in loops.rounds() {
                    socket.send_to(b"1", own).await.expect("sent");
                    socket.recv_from(&mut buffer).await.expect("received");
                }
                for _ in loops.rounds() {
                    socket.connect(own).await.expect("an address");
                }
                for _ in loops.rounds() {
                    assert!(socket.connect(Own).await.is_err());
                }
                for _ in loops.rounds() {
                    socket.send(b"1").await.expect("sent");
                    socket.recv(&mut buffer).await.expect("received");
                }
                socket.send(b"1").await.expect("sent");
                for _ in loops.rounds() {
                    socket.peek_from(&mut buffer).await.expect("still there");
                }
            },
        ),
        operation(
            "servers",
            &[
                "net/server.rs: start",
                "net/server.rs: start_server",
                "net/server.rs: serve_forever",
                "net/server.rs: shutdown",
            ],
            |loops: Loops<R>| async move {
                for _ in loops.rounds() {
                    let started = start_server(localhost(), |_, _| async {}).await;
                    drop(started.expect("bind"));
                }
                for _ in loops.rounds() {
                    assert!(start_server(Own, |_, _| async {}).await.is_err());
                }
                let started = start_server(localhost(), |_, _| async {}).await;
                let mut server = started.expect("bind");
                // The listener fails from now on.
                rustix::net::shutdown(server.listener(), rustix::net::Shutdown::Both)
                    .expect("shutdown");
                server.serve_forever().await;
                for _ in loops.rounds() {
                    server.serve_forever().await;
                }
                assert_eq!(server.shutdown(Duration::ZERO).await, 0);
            },
        ),
    ]
}
