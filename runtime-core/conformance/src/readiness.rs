//! An operation sees what becomes ready between two polls, although the future of the first poll is gone. Each case is
//! a root task for a fresh runtime that enters the ambient context.
//!
//! An operation is polled once, when nothing is ready, and dropped. Then the data arrives. From then on a new future
//! is made and polled each time, with short sleeps in between: a runtime that forgets that the last waiter gave up
//! never sees the data.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex as StdMutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures_lite::{AsyncReadExt, AsyncWriteExt, future};
use signal_hook::low_level::raise;

use super::files::Scratch;
use super::net::{connected, localhost};
use runtime_kernel::{spawn, time};
use runtime_library::net::{TcpListener, TcpStream, UdpSocket, UnixListener, UnixStream};
use runtime_library::process::{Command, Stdio};
use runtime_library::signal::{SignalKind, signal};
use runtime_library::sync::Event;

const PAUSE: Duration = Duration::from_millis(1);
const ROUNDS: usize = 20;

/// The operation's result: a new future is polled once each time, and dropped.
macro_rules! by_single_polls {
    ($operation:expr) => {
        loop {
            if let Some(done) = future::poll_once($operation).await {
                break done;
            }
            time::sleep(PAUSE).await;
        }
    };
}

/// The same with a time limit of zero.
macro_rules! by_zero_timeouts {
    ($operation:expr) => {
        loop {
            if let Ok(done) = time::timeout(Duration::ZERO, $operation).await {
                break done;
            }
            time::sleep(PAUSE).await;
        }
    };
}

macro_rules! assert_waits {
    ($operation:expr) => {
        assert!(
            future::poll_once($operation).await.is_none(),
            "ready with nothing there"
        );
    };
}

/// Datagrams: with the sender's address, from the connected peer, and peeked.
pub async fn datagrams_that_come_between_two_polls() {
    let socket = UdpSocket::bind(localhost()).await.expect("bind");
    let other = UdpSocket::bind(localhost()).await.expect("bind");
    let address = socket.local_addr().expect("address");
    let from = other.local_addr().expect("address");
    let mut buffer = [0; 8];
    for round in 0..ROUNDS as u8 {
        assert_waits!(socket.recv_from(&mut buffer));
        other.send_to(&[round], address).await.expect("send");
        let (bytes, sender) = by_single_polls!(socket.recv_from(&mut buffer)).expect("receive");
        assert_eq!((bytes, sender, buffer[0]), (1, from, round));

        assert_waits!(socket.peek_from(&mut buffer));
        other.send_to(&[round], address).await.expect("send");
        by_zero_timeouts!(socket.peek_from(&mut buffer)).expect("peek");
        let (bytes, _) = by_zero_timeouts!(socket.recv_from(&mut buffer)).expect("receive");
        assert_eq!((bytes, buffer[0]), (1, round));
    }
    socket.connect(from).await.expect("connect");
    for round in 0..ROUNDS as u8 {
        assert_waits!(socket.recv(&mut buffer));
        other.send_to(&[round], address).await.expect("send");
        assert_eq!(
            by_single_polls!(socket.recv(&mut buffer)).expect("receive"),
            1
        );
    }
}

/// Bytes on TCP and Unix streams, read or peeked.
pub async fn bytes_that_come_between_two_polls() {
    let (mut client, mut server) = connected().await;
    let mut buffer = [0; 8];
    for round in 0..ROUNDS as u8 {
        assert_waits!(server.read(&mut buffer));
        client.write_all(&[round]).await.expect("write");
        assert_eq!(by_single_polls!(server.read(&mut buffer)).expect("read"), 1);
        assert_eq!(buffer[0], round);

        assert_waits!(server.peek(&mut buffer));
        client.write_all(&[round]).await.expect("write");
        assert_eq!(by_single_polls!(server.peek(&mut buffer)).expect("peek"), 1);
        by_zero_timeouts!(server.readable()).expect("readable");
        assert_eq!(
            by_zero_timeouts!(server.read(&mut buffer)).expect("read"),
            1
        );
    }
    let (mut client, mut server) = UnixStream::pair().expect("pair");
    for round in 0..ROUNDS as u8 {
        assert_waits!(server.peek(&mut buffer));
        client.write_all(&[round]).await.expect("write");
        assert_eq!(by_single_polls!(server.peek(&mut buffer)).expect("peek"), 1);
        assert_eq!(by_single_polls!(server.read(&mut buffer)).expect("read"), 1);
        assert_eq!(buffer[0], round);
    }
    drop(client);
    assert_eq!(
        by_single_polls!(server.peek(&mut buffer)).expect("the end"),
        0
    );
}

/// Connections to TCP and Unix listeners.
pub async fn connections_that_come_between_two_polls() {
    let listener = TcpListener::bind(localhost()).await.expect("bind");
    let address = listener.local_addr().expect("address");
    let scratch = Scratch::new("readiness");
    let path = scratch.path("socket");
    let unix = UnixListener::bind(&path).expect("bind");
    for _ in 0..ROUNDS {
        assert_waits!(listener.accept());
        let client = TcpStream::connect(address).await.expect("connect");
        let (_, peer) = by_single_polls!(listener.accept()).expect("accept");
        assert_eq!(peer, client.local_addr().expect("address"));

        assert_waits!(unix.accept());
        let _client = UnixStream::connect(&path).await.expect("connect");
        by_zero_timeouts!(unix.accept()).expect("accept");
    }
}

/// Room to write, once the peer reads.
pub async fn room_that_comes_between_two_polls() {
    let (mut client, mut server) = connected().await;
    let chunk = vec![7; 1 << 16];
    for _ in 0..5 {
        let mut written = 0;
        while let Some(bytes) = future::poll_once(client.write(&chunk)).await {
            written += bytes.expect("write");
        }
        // The kernel may have found more room meanwhile: either result is right.
        let _ = future::poll_once(client.writable()).await;
        let mut left = written;
        let mut buffer = vec![0; 1 << 16];
        while left > 0 {
            let wanted = left.min(buffer.len());
            left -= server.read(&mut buffer[..wanted]).await.expect("read");
        }
        by_single_polls!(client.writable()).expect("writable");
        written = by_zero_timeouts!(client.write(&chunk)).expect("write");
        server
            .read_exact(&mut buffer[..written])
            .await
            .expect("read");
    }
}

/// The end of a child process, and its output.
pub async fn children_that_end_between_two_polls() {
    for _ in 0..5 {
        let mut child = Command::new("cat")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("start");
        let mut stdin = child.stdin.take().expect("piped");
        let mut stdout = child.stdout.take().expect("piped");
        let mut buffer = [0; 8];
        assert_waits!(child.wait());
        assert_waits!(stdout.read(&mut buffer));
        stdin.write_all(b"x").await.expect("write");
        assert_eq!(by_single_polls!(stdout.read(&mut buffer)).expect("read"), 1);
        drop(stdin);
        let status = by_single_polls!(child.wait()).expect("wait");
        assert!(status.success());
        assert_eq!(
            by_zero_timeouts!(stdout.read(&mut buffer)).expect("the end"),
            0
        );
    }
}

/// Signals.
pub async fn signals_that_come_between_two_polls() {
    // This signal does nothing by default, and no other case uses it.
    let kind = SignalKind::from_raw(signal_hook::consts::SIGURG);
    let mut stream = signal(kind).expect("listen");
    for _ in 0..ROUNDS {
        assert_waits!(stream.recv());
        raise(kind.as_raw()).expect("raise");
        by_single_polls!(stream.recv()).expect("it goes on");
    }
}

/// The task that polled it once has ended, and with it everything that it waited with.
pub async fn readiness_outlives_the_task_that_gave_up() {
    for _ in 0..ROUNDS {
        let (mut client, mut server) = connected().await;
        let given_up = spawn(async move {
            let mut buffer = [0; 8];
            assert_waits!(server.read(&mut buffer));
            assert_waits!(server.peek(&mut buffer));
            server
        });
        let mut server = given_up.await.expect("a task");
        client.write_all(b"x").await.expect("write");
        let read = spawn(async move {
            let mut buffer = [0; 8];
            by_single_polls!(server.peek(&mut buffer))?;
            by_zero_timeouts!(server.read(&mut buffer))
        });
        let read: io::Result<usize> = read.await.expect("a task");
        assert_eq!(read.expect("read"), 1);
    }
}

/// A future that two tasks share was polled by the task that ends: the other one is still woken.
///
/// Like `Shared` of other libraries, the future records its waiters, and the first one that is woken polls it.
pub async fn a_future_that_tasks_share_outlives_the_task_that_polled_it() {
    for _ in 0..ROUNDS {
        let (socket, other) = datagram_sockets().await;
        let address = socket.local_addr().expect("address");
        let receiving = Box::pin(async move {
            let mut buffer = [0; 8];
            socket.recv(&mut buffer).await.expect("receive")
        });
        let shared = SharedFuture::new(receiving);
        let (first, second) = (Arc::clone(&shared), Arc::clone(&shared));
        let polled = Arc::new(Event::new());
        let was_polled = Arc::clone(&polled);
        let ends = spawn(async move {
            assert!(
                future::poll_once(future::poll_fn(|cx| first.poll(cx)))
                    .await
                    .is_none()
            );
            was_polled.set();
        });
        polled.wait().await;
        let waits = spawn(async move { future::poll_fn(|cx| second.poll(cx)).await });
        ends.await.expect("the first task");
        other.send_to(b"x", address).await.expect("send");
        assert_eq!(waits.await.expect("the second task"), 1);
    }
}

async fn datagram_sockets() -> (UdpSocket, UdpSocket) {
    let bind = async || UdpSocket::bind(localhost()).await.expect("bind");
    (bind().await, bind().await)
}

/// Polls its future with its own waker, which wakes all waiters.
struct SharedFuture {
    future: StdMutex<Pin<Box<dyn Future<Output = usize> + Send>>>,
    waiting: StdMutex<Vec<Waker>>,
    /// The future was woken since its last poll.
    is_due: AtomicBool,
}

impl SharedFuture {
    fn new(future: Pin<Box<dyn Future<Output = usize> + Send>>) -> Arc<Self> {
        Arc::new(Self {
            future: StdMutex::new(future),
            waiting: StdMutex::default(),
            is_due: AtomicBool::new(true),
        })
    }

    fn poll(self: &Arc<Self>, cx: &mut Context<'_>) -> Poll<usize> {
        self.waiting.lock().unwrap().push(cx.waker().clone());
        if !self.is_due.swap(false, Ordering::SeqCst) {
            return Poll::Pending;
        }
        let waker = Waker::from(Arc::clone(self));
        let mut future = self.future.lock().unwrap();
        future.as_mut().poll(&mut Context::from_waker(&waker))
    }
}

impl Wake for SharedFuture {
    fn wake(self: Arc<Self>) {
        self.is_due.store(true, Ordering::SeqCst);
        let waiting = std::mem::take(&mut *self.waiting.lock().unwrap());
        waiting.into_iter().for_each(Waker::wake);
    }
}
