//! Servers: accept, a task for each connection, a limit on connections, and a graceful shutdown.
//!
//! asyncio's `start_server` and `asyncio.Server`. A connection is a stream with the `futures-io` traits. Extension
//! traits, such as those of futures-lite, add lines and the like: `BufReader::new(stream)` and `read_line` is
//! asyncio's `readline`, `read_until` is `readuntil`, and `flush` on a `BufWriter` is `drain`. (A plain `write_all`
//! waits until the kernel has taken everything, so there is nothing to drain.)

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use runtime_kernel::primitives::real_locks::Mutex;

use super::accept;
use super::address::ToSocketAddrs;
use super::split::{OwnedReadHalf, OwnedWriteHalf};
use super::tcp_listener::TcpListener;
use super::tcp_stream::TcpStream;
use super::unix::{UnixListener, UnixStream};
use crate::sync::{OwnedPermit, Semaphore};
use runtime_kernel::budget::consume_budget;
use runtime_kernel::contain::contain;
use runtime_kernel::task::{AbortHandle, JoinError, JoinHandle};
use runtime_kernel::{spawn, time};

/// A listener for a [`Server`]: a [`TcpListener`] or a [`UnixListener`].
pub trait Listener: sealed::Accept {}

mod sealed {
    use std::future::Future;
    use std::io;

    pub trait Accept: Send + Sync + 'static {
        /// The accepted stream, as the handler gets it.
        type Stream: Send + 'static;
        /// The peer's address.
        type Address: Send + 'static;

        fn next(&self) -> impl Future<Output = io::Result<(Self::Stream, Self::Address)>> + Send;
    }
}

impl Listener for TcpListener {}
impl Listener for UnixListener {}

impl sealed::Accept for TcpListener {
    type Stream = TcpStream;
    type Address = std::net::SocketAddr;

    async fn next(&self) -> io::Result<(TcpStream, std::net::SocketAddr)> {
        // With `TCP_NODELAY`, like all streams of the runtimes' trait.
        crate::runtime::TcpListener::accept(self).await
    }
}

impl sealed::Accept for UnixListener {
    type Stream = UnixStream;
    type Address = std::os::unix::net::SocketAddr;

    async fn next(&self) -> io::Result<(UnixStream, std::os::unix::net::SocketAddr)> {
        self.accept().await
    }
}

/// The options of a server, set before it starts.
///
/// ```no_run
/// # use runtime_core::net::ServerOptions;
/// # use futures_lite::AsyncWriteExt as _;
/// # async fn example() -> std::io::Result<()> {
/// let server = ServerOptions::default()
///     .max_connections(1000)
///     .start("127.0.0.1:8080", |mut stream, _peer| async move {
///         let _ = stream.write_all(b"hello\n").await;
///     })
///     .await?;
/// // ... and at the end of the program:
/// server.shutdown(std::time::Duration::from_secs(5)).await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ServerOptions {
    max_connections: usize,
}

/// A limit that no machine reaches, and that the semaphore can count.
const UNLIMITED: usize = Semaphore::MAX_PERMITS;

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            max_connections: UNLIMITED,
        }
    }
}

impl ServerOptions {
    /// The maximum number of connections at a time; further ones wait in the kernel's queue until one has ended.
    /// Default: no limit.
    ///
    /// # Panics
    /// If it is zero: such a server would accept nothing.
    #[must_use]
    pub fn max_connections(mut self, connections: usize) -> Self {
        assert!(
            connections > 0,
            "a server of at most 0 connections accepts nothing: give 1 or more"
        );
        self.max_connections = connections.min(UNLIMITED);
        self
    }

    /// Listens on the first of `addresses` that can be bound, and serves. See [`start_server`].
    ///
    /// # Errors
    /// Those of [`TcpListener::bind`].
    ///
    /// # Panics
    /// Outside a runtime.
    pub async fn start<H, F>(
        self,
        addresses: impl ToSocketAddrs,
        handler: H,
    ) -> io::Result<Server<TcpListener>>
    where
        H: Fn(TcpStream, std::net::SocketAddr) -> F + Send + Sync + 'static,
        F: Future + Send + 'static,
        F::Output: Send,
    {
        let listener = TcpListener::bind(addresses).await?;
        Ok(self.serve(listener, handler))
    }

    /// Serves the connections of `listener`: like [`start`](ServerOptions::start), but for an existing listener, or
    /// for a Unix socket.
    ///
    /// # Panics
    /// Outside a runtime.
    pub fn serve<L, H, F>(self, listener: L, handler: H) -> Server<L>
    where
        L: Listener,
        H: Fn(L::Stream, L::Address) -> F + Send + Sync + 'static,
        F: Future + Send + 'static,
        F::Output: Send,
    {
        let listener = Arc::new(listener);
        let connections = Arc::new(Connections::new(self.max_connections));
        let accepting = spawn(accept_all(
            Arc::clone(&listener),
            Arc::clone(&connections),
            Arc::new(handler),
        ));
        Server {
            listener: Some(listener),
            connections,
            accepting: Some(accepting),
        }
    }
}

/// Listens on the first of `addresses` that can be bound (port 0 picks a free port), and spawns `handler` for each
/// connection, as a task of the ambient runtime. The task's output is dropped, and a panic ends only its own
/// connection: the handler must report errors itself. Accepted streams have `TCP_NODELAY` set. asyncio's function of
/// that name.
///
/// Fairness: connections are accepted in the kernel's order, one by one, and each is a task like any other. Cost: one
/// task for accepting and one for each connection, with a short lock to enter it and one to take it out. Cancel safe:
/// if it is dropped while it binds, nothing is left behind.
///
/// # Errors
/// Those of [`TcpListener::bind`].
///
/// # Panics
/// Outside a runtime.
pub async fn start_server<H, F>(
    addresses: impl ToSocketAddrs,
    handler: H,
) -> io::Result<Server<TcpListener>>
where
    H: Fn(TcpStream, std::net::SocketAddr) -> F + Send + Sync + 'static,
    F: Future + Send + 'static,
    F::Output: Send,
{
    ServerOptions::default().start(addresses, handler).await
}

/// Connects to the first of `addresses` that accepts, and returns the two halves of the stream, for two tasks or for
/// one. asyncio's function of that name. `TCP_NODELAY` is set, as asyncio does.
///
/// Cancel safe: dropping it closes its socket; a name look-up in progress continues, and its result is dropped. Cost:
/// a socket, its registration, and an allocation that the halves share; for a name a job in the blocking pool.
/// Addresses are tried one after the other.
///
/// # Errors
/// Those of [`TcpStream::connect`].
///
/// # Panics
/// Outside a runtime.
pub async fn open_connection(
    addresses: impl ToSocketAddrs,
) -> io::Result<(OwnedReadHalf<TcpStream>, OwnedWriteHalf<TcpStream>)> {
    let stream = TcpStream::connect(addresses).await?;
    stream.set_nodelay(true)?;
    Ok(stream.into_split())
}

/// A running server. Dropping it ends it at once: it stops accepting, and its connections are aborted. To let them
/// finish, use [`shutdown`](Server::shutdown); to serve for ever, await [`serve_forever`](Server::serve_forever).
#[must_use = "a dropped server ends, and its connections with it"]
pub struct Server<L: Listener> {
    /// Taken only by `shutdown`, which consumes the server.
    listener: Option<Arc<L>>,
    connections: Arc<Connections>,
    /// `None` once it has ended.
    accepting: Option<JoinHandle<io::Error>>,
}

impl<L: Listener> Server<L> {
    /// The listener, for example to get its address.
    pub fn listener(&self) -> &L {
        self.listener
            .as_ref()
            .expect("a server that was not shut down has its listener")
    }

    /// The number of open connections.
    pub fn connections(&self) -> usize {
        self.connections.live.lock().len()
    }

    /// The number of connections accepted since it started.
    pub fn accepted(&self) -> u64 {
        self.connections.accepted.load(Ordering::Relaxed)
    }

    /// Waits until it stops accepting, and returns the reason: the listener has failed, or the runtime shuts down.
    /// Running out of descriptors is not such a failure, because it is temporary. Existing connections continue.
    ///
    /// Cancel safe: if it is dropped, the server continues. asyncio's `serve_forever`.
    pub async fn serve_forever(&mut self) -> io::Error {
        let Some(accepting) = &mut self.accepting else {
            consume_budget().await;
            return io::Error::other("the server had stopped accepting before");
        };
        let ended = accepting.await;
        self.accepting = None;
        ended.unwrap_or_else(io::Error::other)
    }

    /// Shuts down gracefully: stops accepting, waits up to `grace` for the connections to finish, then aborts the
    /// rest and waits until they are gone. Returns how many it aborted. The kernel resets connections that were not
    /// accepted.
    ///
    /// Dropped while it waits, it ends the server at once.
    pub async fn shutdown(mut self, grace: Duration) -> usize {
        if let Some(accepting) = self.accepting.take() {
            accepting.abort();
            // It holds a place until its future is dropped.
            let _ended: Result<io::Error, JoinError> = accepting.await;
        }
        // The last reference: this closes the listener, so that nobody can connect any more.
        self.listener = None;
        let Self { connections, .. } = &self;
        let _ = time::timeout(grace, connections.all_gone()).await;
        let aborted = connections.abort_all();
        // They are gone when their futures are dropped. A handler can delay that only by blocking its thread.
        connections.all_gone().await;
        aborted
    }
}

impl Server<TcpListener> {
    /// The address that it listens on; if you bound port 0, with the actual port.
    ///
    /// # Errors
    /// Those of `getsockname`.
    pub fn local_addr(&self) -> io::Result<std::net::SocketAddr> {
        self.listener().local_addr()
    }
}

impl<L: Listener> Drop for Server<L> {
    fn drop(&mut self) {
        if let Some(accepting) = &self.accepting {
            // If its scheduler panics, the connections are aborted all the same.
            contain(|| accepting.abort());
        }
        // First closed, then aborted: see `Connections::begin`.
        self.connections.places.close();
        self.connections.abort_all();
    }
}

impl<L: Listener> fmt::Debug for Server<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("connections", &self.connections())
            .field("accepted", &self.accepted())
            .finish_non_exhaustive()
    }
}

/// Accepts until the listener fails, and returns the error.
async fn accept_all<L, H, F>(
    listener: Arc<L>,
    connections: Arc<Connections>,
    handler: Arc<H>,
) -> io::Error
where
    L: Listener,
    H: Fn(L::Stream, L::Address) -> F + Send + Sync + 'static,
    F: Future + Send + 'static,
    F::Output: Send,
{
    loop {
        // First a place, then a connection: connections without a place wait in the kernel's queue.
        let Ok(permit) = Arc::clone(&connections.places).acquire_owned().await else {
            return io::ErrorKind::ConnectionAborted.into();
        };
        match listener.next().await {
            Ok((stream, peer)) => {
                let arrived = Arrived {
                    handler: Arc::clone(&handler),
                    stream,
                    peer,
                    place: connections.place(permit),
                };
                connections.begin(arrived.place.number, async move {
                    // The place comes first, because what is bound first is dropped last.
                    let Arrived {
                        place: _place,
                        handler,
                        stream,
                        peer,
                    } = { arrived };
                    handler(stream, peer).await;
                });
            }
            // The next accept waits before it tries, so exhausted descriptors don't cause spinning.
            Err(error) if accept::is_passing(&error) => {}
            Err(error) => return error,
        }
    }
}

/// A connection whose handler was not called yet. The place is dropped last, here as later: once it is free, nothing
/// of the connection is left.
struct Arrived<H, S, A> {
    handler: Arc<H>,
    stream: S,
    peer: A,
    place: Seat,
}

/// The connections of one server.
struct Connections {
    limit: usize,
    /// A permit for each possible connection. When all are free, no connection is left.
    places: Arc<Semaphore>,
    /// By number. `None` while its task is being started.
    live: Mutex<HashMap<u64, Option<AbortHandle>>>,
    /// How many there were so far, which is also the next one's number.
    accepted: AtomicU64,
}

/// One connection's place, in the set and under the limit. It is part of the connection's future, and is dropped with
/// it, however that ends.
struct Seat {
    number: u64,
    connections: Arc<Connections>,
    _permit: OwnedPermit,
}

impl Connections {
    fn new(limit: usize) -> Self {
        Self {
            limit,
            places: Arc::new(Semaphore::new(limit)),
            live: Mutex::default(),
            accepted: AtomicU64::new(0),
        }
    }

    /// Enters an accepted connection into the set.
    fn place(self: &Arc<Self>, permit: OwnedPermit) -> Seat {
        let number = self.accepted.fetch_add(1, Ordering::Relaxed);
        self.live.lock().insert(number, None);
        Seat {
            number,
            connections: Arc::clone(self),
            _permit: permit,
        }
    }

    /// Starts the task of the connection that has the place `number`.
    fn begin(&self, number: u64, conversation: impl Future<Output = ()> + Send + 'static) {
        let task = spawn(conversation);
        // It may have ended already, which removed its entry.
        if let Some(entry) = self.live.lock().get_mut(&number) {
            *entry = Some(task.abort_handle());
        }
        // Checked after the entry was made. A server that is dropped closes the places and then aborts the connections
        // in the set. So either it has found this entry, or the places are closed by now.
        if self.places.is_closed() {
            task.abort();
        }
    }

    async fn all_gone(&self) {
        // An error would mean that the places were closed, and then nobody is interested.
        let _ = self.places.acquire_many(self.limit).await;
    }

    /// Aborts all present connections, and counts them.
    fn abort_all(&self) -> usize {
        let live: Vec<AbortHandle> = self.live.lock().values().flatten().cloned().collect();
        // Outside the lock, which their ends also take. An abort may run any scheduler code: if that panics, the others
        // are aborted all the same.
        for connection in &live {
            contain(|| connection.abort());
        }
        live.len()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let entry = self.connections.live.lock().remove(&self.number);
        drop(entry);
    }
}
