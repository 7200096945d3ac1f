//! UDP sockets.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    RecvFlags, SendFlags, SocketType, bind, connect, getpeername, getsockname, recv, recvfrom,
    send, sendto, sockopt,
};

use super::address::ToSocketAddrs;
use super::socket::{ambient_driver, family, internet_address, new_socket, no_address};
use runtime_kernel::budget::consume_budget;
use runtime_kernel::context::IoDriver;
use runtime_kernel::reactor::{Direction, Initially, Registration};

/// A UDP socket. Any number of tasks may send and receive at the same time, through `&`. Waiting tasks are served in
/// order, and a datagram wakes one of them.
///
/// All operations are cancel safe: an operation that did not complete has sent or received nothing. A datagram that
/// is longer than the buffer is truncated, and the rest is lost.
#[derive(Debug)]
pub struct UdpSocket {
    registration: Registration,
}

impl UdpSocket {
    /// Binds to the first of `addresses` that can be bound; port 0 picks a free port.
    ///
    /// # Errors
    /// Those of resolving, `socket` and `bind`.
    ///
    /// # Panics
    /// Outside a runtime.
    pub async fn bind(addresses: impl ToSocketAddrs) -> io::Result<Self> {
        consume_budget().await;
        let mut failed = no_address();
        for address in addresses.to_socket_addrs().await? {
            match Self::bind_on(ambient_driver("UdpSocket::bind"), address) {
                Ok(socket) => return Ok(socket),
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }

    /// Binds to `address`, and waits with `driver`. Needs no ambient runtime.
    ///
    /// # Errors
    /// Those of `socket` and `bind`.
    pub fn bind_on(driver: IoDriver, address: SocketAddr) -> io::Result<Self> {
        let socket = new_socket(family(&address), SocketType::DGRAM)?;
        bind(&socket, &address)?;
        Self::from_fd(socket, &driver)
    }

    /// Converts a socket of the standard library: makes it non-blocking, and registers it with the ambient runtime.
    ///
    /// # Errors
    /// If it can't be made non-blocking or registered.
    ///
    /// # Panics
    /// Outside a runtime.
    pub fn from_std(socket: std::net::UdpSocket) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Self::from_fd(socket.into(), &ambient_driver("UdpSocket::from_std"))
    }

    fn from_fd(socket: OwnedFd, driver: &IoDriver) -> io::Result<Self> {
        Ok(Self {
            registration: Registration::new(socket, driver, Initially::Ready)?,
        })
    }

    /// From now on [`send`](UdpSocket::send) sends to the first of `addresses` that is acceptable, and only datagrams
    /// from there are received. This sends nothing.
    ///
    /// # Errors
    /// Those of resolving and of `connect`.
    pub async fn connect(&self, addresses: impl ToSocketAddrs) -> io::Result<()> {
        consume_budget().await;
        let mut failed = no_address();
        for address in addresses.to_socket_addrs().await? {
            match connect(self, &address) {
                Ok(()) => return Ok(()),
                Err(error) => failed = error.into(),
            }
        }
        Err(failed)
    }

    /// Sends a datagram to `address`; returns its length.
    ///
    /// # Errors
    /// Those of `sendto`, such as for a datagram that is too long.
    pub async fn send_to(&self, datagram: &[u8], address: SocketAddr) -> io::Result<usize> {
        self.registration
            .io(Direction::Write, |fd| {
                Ok(sendto(fd, datagram, SendFlags::empty(), &address)?)
            })
            .await
    }

    /// Receives a datagram. Returns its length in `buffer` and its sender.
    ///
    /// # Errors
    /// Those of `recvfrom`.
    pub async fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.receive(buffer, RecvFlags::empty()).await
    }

    /// Receives a datagram without consuming it: the next call returns it again.
    ///
    /// # Errors
    /// Those of `recvfrom`.
    pub async fn peek_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.receive(buffer, RecvFlags::PEEK).await
    }

    async fn receive(
        &self,
        buffer: &mut [u8],
        flags: RecvFlags,
    ) -> io::Result<(usize, SocketAddr)> {
        self.registration
            .io(Direction::Read, |fd| {
                let (_, length, sender) = recvfrom(fd, &mut *buffer, flags)?;
                let sender = sender.ok_or(io::ErrorKind::NotConnected)?;
                Ok((length, internet_address(sender)?))
            })
            .await
    }

    /// Sends a datagram to the [connected](UdpSocket::connect) address; returns its length.
    ///
    /// # Errors
    /// Those of `send`; [`ConnectionRefused`](io::ErrorKind::ConnectionRefused) means that an earlier datagram had no
    /// receiver.
    pub async fn send(&self, datagram: &[u8]) -> io::Result<usize> {
        self.registration
            .io(Direction::Write, |fd| {
                Ok(send(fd, datagram, SendFlags::empty())?)
            })
            .await
    }

    /// Receives a datagram from the [connected](UdpSocket::connect) address. Returns its length in `buffer`.
    ///
    /// # Errors
    /// Those of `recv`; [`ConnectionRefused`](io::ErrorKind::ConnectionRefused) means that an earlier sent datagram
    /// had no receiver.
    pub async fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.registration
            .io(Direction::Read, |fd| {
                let (_, length) = recv(fd, &mut *buffer, RecvFlags::empty())?;
                Ok(length)
            })
            .await
    }

    /// Sets whether datagrams may be sent to broadcast addresses.
    ///
    /// # Errors
    /// Those of `setsockopt`.
    pub fn set_broadcast(&self, allowed: bool) -> io::Result<()> {
        Ok(sockopt::set_socket_broadcast(self, allowed)?)
    }

    /// Whether datagrams may be sent to broadcast addresses.
    ///
    /// # Errors
    /// Those of `getsockopt`.
    pub fn broadcast(&self) -> io::Result<bool> {
        Ok(sockopt::socket_broadcast(self)?)
    }

    /// The address that it is bound to; if you bound port 0, with the actual port.
    ///
    /// # Errors
    /// Those of `getsockname`.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        internet_address(getsockname(self)?)
    }

    /// The [connected](UdpSocket::connect) address.
    ///
    /// # Errors
    /// [`NotConnected`](io::ErrorKind::NotConnected) without one.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        match getpeername(self)? {
            Some(address) => internet_address(address),
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

impl AsFd for UdpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.registration.as_fd()
    }
}
