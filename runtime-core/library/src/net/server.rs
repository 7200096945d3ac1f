//! Servers: accept, a task for each connection, a limit on how many, and an end that lets them finish.
//!
//! asyncio's `start_server` and `asyncio.Server`. A connection is a stream with the `futures-io` traits; lines and the
//! like come from extension traits, such as those of futures-lite: `BufReader::new(stream)` and `read_line` is
//! asyncio's `readline`, `read_until` is `readuntil`, `flush` on a `BufWriter` is `drain`. (A plain `write_all` waits
//! until the kernel has taken everything: nothing to drain.)

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::accept;
use super::address::ToSocketAddrs;
use super::split::{OwnedReadHalf, OwnedWriteHalf};
use super::tcp_listener::TcpListener;
use super::tcp_stream::TcpStream;
use super::unix::{UnixListener, UnixStream};
use crate::sync::{OwnedPermit, Semaphore};
use runtime_kernel::budget::consume_budget;
use runtime_kernel::task::{AbortHandle, JoinError, JoinHandle};
use runtime_kernel::{spawn, time};

/// What a [`Server`] can accept from: a [`TcpListener`] or a [`UnixListener`].
pub trait Listener: sealed::Accept {}

mod sealed {
    use std::future::Future;
    use std::io;

    pub trait Accept: Send + Sync + 'static {
        /// What is accepted, ready to be handed to a handler.
        type Stream: Send + 'static;
        /// Where it comes from.
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
        // With `TCP_NODELAY`, as everything over the runtimes' trait.
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

/// How a server is to be, before it starts.
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
    /// The most connections at a time; further ones wait in the kernel's queue until one has ended. Default: no limit.
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
    /// Outside of a runtime.
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

    /// Serves what `listener` accepts: as [`start`](ServerOptions::start) for one that was made elsewhere, or for a
    /// Unix socket.
    ///
    /// # Panics
    /// Outside of a runtime.
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

/// Listens on the first of `addresses` that can be bound (port 0 takes a free one) and spawns what `handler` makes of
/// each connection, as a task of the ambient runtime. What the task returns is dropped, and a panic ends its
/// connection alone: what matters of either is the handler's to report. Accepted streams have `TCP_NODELAY` set.
/// asyncio's function of that name.
///
/// Fairness: connections are accepted in the kernel's order, one by one, and each is a task like any other. Cost: one
/// task for accepting and one for each connection, with a short lock to enter it and one to take it out. Cancel safe:
/// dropped while it binds, it leaves nothing behind.
///
/// # Errors
/// Those of [`TcpListener::bind`].
///
/// # Panics
/// Outside of a runtime.
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

/// Connects to the first of `addresses` that accepts, and gives the two halves of the stream, for two tasks or for
/// one. asyncio's function of that name. `TCP_NODELAY` is set, as asyncio does.
///
/// Cancel safe: dropped, it closes its socket; a name that is being looked up then is looked up for nobody. Cost: a
/// socket, its registration, and an allocation that the halves share; for a name a job in the blocking pool. Addresses
/// are tried one after the other.
///
/// # Errors
/// Those of [`TcpStream::connect`].
///
/// # Panics
/// Outside of a runtime.
pub async fn open_connection(
    addresses: impl ToSocketAddrs,
) -> io::Result<(OwnedReadHalf<TcpStream>, OwnedWriteHalf<TcpStream>)> {
    let stream = TcpStream::connect(addresses).await?;
    stream.set_nodelay(true)?;
    Ok(stream.into_split())
}

/// A server that accepts. Dropping it ends it at once: accepting stops and its connections are aborted. To let them
/// finish, see [`shutdown`](Server::shutdown); to serve for ever, await [`serve_forever`](Server::serve_forever).
#[must_use = "a dropped server ends, and its connections with it"]
pub struct Server<L: Listener> {
    /// Taken by `shutdown` only, which takes the server.
    listener: Option<Arc<L>>,
    connections: Arc<Connections>,
    /// `None` once it has ended.
    accepting: Option<JoinHandle<io::Error>>,
}

impl<L: Listener> Server<L> {
    /// What it accepts from, for example to ask for its address.
    pub fn listener(&self) -> &L {
        self.listener
            .as_ref()
            .expect("a server that was not shut down has its listener")
    }

    /// How many connections there are now.
    pub fn connections(&self) -> usize {
        self.connections.live.lock().len()
    }

    /// How many connections were accepted since it started.
    pub fn accepted(&self) -> u64 {
        self.connections.accepted.load(Ordering::Relaxed)
    }

    /// Waits until it accepts no more, and says why: because the listener has failed, or because the runtime shuts
    /// down. Running out of descriptors is no such failure, as it passes. Connections that there are go on.
    ///
    /// Cancel safe: dropped, the server goes on. asyncio's `serve_forever`.
    pub async fn serve_forever(&mut self) -> io::Error {
        let Some(accepting) = &mut self.accepting else {
            consume_budget().await;
            return io::Error::other("the server had stopped accepting before");
        };
        let ended = accepting.await;
        self.accepting = None;
        ended.unwrap_or_else(io::Error::other)
    }

    /// Ends it well: stops accepting, waits up to `grace` for the connections to finish, then aborts those that are
    /// left and waits until they are gone. Returns how many it aborted. Connections that nobody had accepted are reset
    /// by the kernel.
    ///
    /// Dropped while it waits, it ends the server at once.
    pub async fn shutdown(mut self, grace: Duration) -> usize {
        if let Some(accepting) = self.accepting.take() {
            accepting.abort();
            // It holds a place until its future is dropped.
            let _ended: Result<io::Error, JoinError> = accepting.await;
        }
        // The last reference: closed, so that nobody can connect any more.
        self.listener = None;
        let Self { connections, .. } = &self;
        let _ = time::timeout(grace, connections.all_gone()).await;
        let aborted = connections.abort_all();
        // Gone when their futures are dropped, which a handler puts off only by blocking its thread.
        connections.all_gone().await;
        aborted
    }
}

impl Server<TcpListener> {
    /// The address listened on, with the port that port 0 was given.
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
            accepting.abort();
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

/// Accepts until the listener fails, and says how.
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
        // First a place, then a connection: those for whom there is no place wait in the kernel's queue.
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
                    // The place comes first, as what is bound last is dropped first.
                    let Arrived {
                        place: _place,
                        handler,
                        stream,
                        peer,
                    } = { arrived };
                    handler(stream, peer).await;
                });
            }
            // The next accept waits before it tries: no spinning while descriptors are exhausted.
            Err(error) if accept::is_passing(&error) => {}
            Err(error) => return error,
        }
    }
}

/// A connection whose handler has not been called yet. The place is the last to be dropped, here as later: once it is
/// free, nothing is left of the connection.
struct Arrived<H, S, A> {
    handler: Arc<H>,
    stream: S,
    peer: A,
    place: Place,
}

/// The connections of one server.
struct Connections {
    limit: usize,
    /// A permit for each connection that there may be. When all are free, no connection is left.
    places: Arc<Semaphore>,
    /// By number. `None` while its task is being started.
    live: Mutex<HashMap<u64, Option<AbortHandle>>>,
    /// How many there were; the next one's number.
    accepted: AtomicU64,
}

/// One connection's place, in the set and under the limit. It is part of the connection's future, and goes with it
/// however that ends.
struct Place {
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

    /// A place in the set for a connection that was accepted.
    fn place(self: &Arc<Self>, permit: OwnedPermit) -> Place {
        let number = self.accepted.fetch_add(1, Ordering::Relaxed);
        self.live.lock().insert(number, None);
        Place {
            number,
            connections: Arc::clone(self),
            _permit: permit,
        }
    }

    /// Starts the task of the connection that has the place `number`.
    fn begin(&self, number: u64, conversation: impl Future<Output = ()> + Send + 'static) {
        let task = spawn(conversation);
        // It may have ended already, and its entry with it.
        if let Some(entry) = self.live.lock().get_mut(&number) {
            *entry = Some(task.abort_handle());
        }
        // Looked at after the entry was made: a server that is dropped closes the places and then aborts what it finds
        // entered, so that either it has found this entry or the places are closed by now.
        if self.places.is_closed() {
            task.abort();
        }
    }

    async fn all_gone(&self) {
        // An error would say that the places were closed, and then there is nobody to tell.
        let _ = self.places.acquire_many(self.limit).await;
    }

    /// Aborts those that there are, and counts them.
    fn abort_all(&self) -> usize {
        let live: Vec<AbortHandle> = self.live.lock().values().flatten().cloned().collect();
        // Outside of the lock, which their ends take.
        live.iter().for_each(AbortHandle::abort);
        live.len()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let entry = self.connections.live.lock().remove(&self.number);
        drop(entry);
    }
}
