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

/// Options for binding a TCP listener. The default reuses addresses but not ports.
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
    /// Whether an address may be bound while connections of an earlier listener still linger on it. Default: true.
    #[must_use]
    pub fn reuse_address(mut self, reuse: bool) -> Self {
        self.reuse_address = reuse;
        self
    }

    /// Whether several listeners may bind the same port; the kernel distributes the connections among them. Default:
    /// false.
    #[must_use]
    pub fn reuse_port(mut self, reuse: bool) -> Self {
        self.reuse_port = reuse;
        self
    }

    /// Whether an IPv6 listener refuses IPv4 connections. Default: the system's setting.
    #[must_use]
    pub fn only_v6(mut self, only: bool) -> Self {
        self.only_v6 = Some(only);
        self
    }

    /// How many connections the kernel queues before they are accepted; the kernel has its own limit. Default: 1024.
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

/// A listening TCP socket. Any number of tasks may accept from it, and they are served in order. A connection wakes
/// one of them, and then the next one when the first has accepted. Under 1:1 it wakes two threads, because the next
/// one watches at once.
///
/// Dropping it closes it: connections that wait in its queue are reset.
#[derive(Debug)]
pub struct TcpListener {
    acceptor: Acceptor,
}

impl TcpListener {
    /// Listens on the first of `addresses` that can be bound; port 0 picks a free port.
    ///
    /// # Errors
    /// Those of resolving, `socket`, `bind` and `listen`.
    ///
    /// # Panics
    /// Outside a runtime.
    pub async fn bind(addresses: impl ToSocketAddrs) -> io::Result<Self> {
        Self::bind_with(addresses, BindOptions::default()).await
    }

    /// [`bind`](TcpListener::bind) with options.
    ///
    /// # Errors
    /// Those of resolving, `socket`, `setsockopt`, `bind` and `listen`.
    ///
    /// # Panics
    /// Outside a runtime.
    pub async fn bind_with(
        addresses: impl ToSocketAddrs,
        options: BindOptions,
    ) -> io::Result<Self> {
        // Binding does not wait, and the addresses may be of a foreign type.
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

    /// Listens on `address`, and waits with `driver`. Needs no ambient runtime.
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

    /// Converts a listener of the standard library: makes it non-blocking, and registers it with the ambient runtime.
    ///
    /// # Errors
    /// If it can't be made non-blocking or registered.
    ///
    /// # Panics
    /// Outside a runtime.
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
    /// Cancel safe: a dropped `accept` loses no connection. An `accept` that is kept but not polled after it was
    /// woken delays other accepting tasks by some 10 ms.
    ///
    /// # Errors
    /// Errors of `accept` that concern the listener itself. After an error that says that descriptors or memory are
    /// exhausted, the next call waits (50 ms or more) before it tries again, so a caller that just loops does not
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

    /// The address that it listens on; if you bound port 0, with the actual port.
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
        // A connection that is already gone reports that when it is read.
        let _ = stream.set_nodelay(true);
        Ok((stream, peer))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        TcpListener::local_addr(self)
    }
}
