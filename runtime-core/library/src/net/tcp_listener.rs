//! Listening TCP sockets.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{SocketType, bind, getsockname, listen, sockopt};

use super::accept::Acceptor;
use super::address::ToSocketAddrs;
use super::socket::{ambient_driver, family, internet_address, new_socket, no_address};
use super::tcp_stream::TcpStream;
use runtime_kernel::budget::consume_budget;
use runtime_kernel::context::IoDriver;
use runtime_kernel::reactor::{Initially, Registration};

/// How a TCP listener is bound. The default reuses addresses and not ports.
///
/// ```
/// let options = runtime_core::net::BindOptions::default().reuse_port(true).backlog(4096);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BindOptions {
    reuse_address: bool,
    reuse_port: bool,
    only_v6: Option<bool>,
    backlog: i32,
}

impl Default for BindOptions {
    fn default() -> Self {
        Self {
            reuse_address: true,
            reuse_port: false,
            only_v6: None,
            backlog: 1024,
        }
    }
}

impl BindOptions {
    /// Whether an address may be bound on which connections of an earlier listener still linger. Default: true.
    #[must_use]
    pub fn reuse_address(mut self, reuse: bool) -> Self {
        self.reuse_address = reuse;
        self
    }

    /// Whether several listeners may be bound to one port; the kernel spreads the connections over them. Default:
    /// false.
    #[must_use]
    pub fn reuse_port(mut self, reuse: bool) -> Self {
        self.reuse_port = reuse;
        self
    }

    /// Whether an IPv6 listener refuses IPv4 connections. Default: as the system is set up.
    #[must_use]
    pub fn only_v6(mut self, only: bool) -> Self {
        self.only_v6 = Some(only);
        self
    }

    /// How many connections the kernel keeps that were not accepted yet; it has a limit of its own. Default: 1024.
    #[must_use]
    pub fn backlog(mut self, connections: u32) -> Self {
        self.backlog = i32::try_from(connections).unwrap_or(i32::MAX);
        self
    }

    fn listen(&self, address: &SocketAddr) -> io::Result<OwnedFd> {
        let socket = new_socket(family(address), SocketType::STREAM)?;
        sockopt::set_socket_reuseaddr(&socket, self.reuse_address)?;
        if self.reuse_port {
            sockopt::set_socket_reuseport(&socket, true)?;
        }
        if let (Some(only), true) = (self.only_v6, address.is_ipv6()) {
            sockopt::set_ipv6_v6only(&socket, only)?;
        }
        bind(&socket, address)?;
        listen(&socket, self.backlog)?;
        Ok(socket)
    }
}

/// A listening TCP socket. Any number of tasks may accept from it.
///
/// Dropping it closes it: connections that wait in its queue are reset.
#[derive(Debug)]
pub struct TcpListener {
    acceptor: Acceptor,
}

impl TcpListener {
    /// Listens on the first of `addresses` that can be bound; port 0 takes a free one.
    ///
    /// # Errors
    /// Those of resolving, `socket`, `bind` and `listen`.
    ///
    /// # Panics
    /// Outside of a runtime.
    pub async fn bind(addresses: impl ToSocketAddrs) -> io::Result<Self> {
        Self::bind_with(addresses, BindOptions::default()).await
    }

    /// [`bind`](TcpListener::bind) with options.
    ///
    /// # Errors
    /// Those of resolving, `socket`, `setsockopt`, `bind` and `listen`.
    ///
    /// # Panics
    /// Outside of a runtime.
    pub async fn bind_with(
        addresses: impl ToSocketAddrs,
        options: BindOptions,
    ) -> io::Result<Self> {
        // Binding waits for nothing, and the addresses may be of somebody else's type.
        consume_budget().await;
        let mut failed = no_address();
        for address in addresses.to_socket_addrs().await? {
            let driver = ambient_driver("TcpListener::bind");
            match Self::bind_on(driver, address, options) {
                Ok(listener) => return Ok(listener),
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }

    /// Listens on `address`, waiting by `driver`. Needs no ambient runtime.
    ///
    /// # Errors
    /// Those of `socket`, `setsockopt`, `bind` and `listen`.
    pub fn bind_on(
        driver: IoDriver,
        address: SocketAddr,
        options: BindOptions,
    ) -> io::Result<Self> {
        let socket = options.listen(&address)?;
        Self::from_fd(socket, &driver)
    }

    /// A listener from the standard library, from now on non-blocking, in the ambient runtime.
    ///
    /// # Errors
    /// When it can't be made non-blocking or be registered.
    ///
    /// # Panics
    /// Outside of a runtime.
    pub fn from_std(listener: std::net::TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Self::from_fd(listener.into(), &ambient_driver("TcpListener::from_std"))
    }

    fn from_fd(socket: OwnedFd, driver: &IoDriver) -> io::Result<Self> {
        let registration = Registration::new(socket, driver, Initially::Ready)?;
        Ok(Self {
            acceptor: Acceptor::new(registration),
        })
    }

    /// The next connection and where it comes from.
    ///
    /// Cancel safe: a dropped `accept` loses no connection.
    ///
    /// # Errors
    /// Those of `accept` that are the listener's own. After one that says that descriptors or memory are exhausted,
    /// the next call waits (50 ms and more while it lasts) before it tries again: a caller that just loops does not
    /// spin.
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let (socket, peer) = self.acceptor.accept().await?;
        let peer = match peer {
            Some(peer) => internet_address(peer)?,
            None => return Err(io::ErrorKind::NotConnected.into()),
        };
        let driver = self.acceptor.registration().driver();
        Ok((TcpStream::from_fd(socket, &driver)?, peer))
    }

    /// The address listened on, with the port that port 0 was given.
    ///
    /// # Errors
    /// Those of `getsockname`.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        internet_address(getsockname(self)?)
    }
}

impl AsFd for TcpListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.acceptor.as_fd()
    }
}

impl crate::runtime::TcpListener for TcpListener {
    type Stream = TcpStream;

    async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let (stream, peer) = TcpListener::accept(self).await?;
        // A connection that is gone already says so when it is read.
        let _ = stream.set_nodelay(true);
        Ok((stream, peer))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        TcpListener::local_addr(self)
    }
}
