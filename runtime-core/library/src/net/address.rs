//! Addresses and host names.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::sync::Arc;

use crate::owned_job::OwnedJob;
use runtime_kernel::budget::consume_budget;
use runtime_kernel::context;

/// Something that resolves to one or more socket addresses: an address, or a host name and a port.
///
/// A name is looked up with the system's resolver, which blocks, in the ambient runtime's blocking pool. An
/// address in text is not looked up, and needs no runtime.
///
/// A look-up that is dropped while it waits for a thread does not begin. One that has begun can't be stopped: it
/// keeps its thread until the resolver gives up, by the limits of `resolv.conf` (by default 5 s for each of two
/// attempts at each server).
///
/// ```
/// use runtime_core::net::ToSocketAddrs;
///
/// let found = futures_lite::future::block_on("127.0.0.1:80".to_socket_addrs()).unwrap();
/// assert_eq!(found, ["127.0.0.1:80".parse().unwrap()]);
/// ```
pub trait ToSocketAddrs: Send {
    /// The addresses, in the order in which to try them.
    ///
    /// # Errors
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for a text without a port, and those of the resolver.
    fn to_socket_addrs(self) -> impl Future<Output = io::Result<Vec<SocketAddr>>> + Send;
}

macro_rules! already_an_address {
    ($($type:ty),*) => {$(
        impl ToSocketAddrs for $type {
            async fn to_socket_addrs(self) -> io::Result<Vec<SocketAddr>> {
                consume_budget().await;
                Ok(vec![self.into()])
            }
        }
    )*};
}
already_an_address!(
    SocketAddr,
    SocketAddrV4,
    SocketAddrV6,
    (IpAddr, u16),
    (Ipv4Addr, u16),
    (Ipv6Addr, u16)
);

impl ToSocketAddrs for &[SocketAddr] {
    async fn to_socket_addrs(self) -> io::Result<Vec<SocketAddr>> {
        consume_budget().await;
        Ok(self.to_vec())
    }
}

impl ToSocketAddrs for Vec<SocketAddr> {
    async fn to_socket_addrs(self) -> io::Result<Self> {
        consume_budget().await;
        Ok(self)
    }
}

impl ToSocketAddrs for &str {
    async fn to_socket_addrs(self) -> io::Result<Vec<SocketAddr>> {
        consume_budget().await;
        if let Ok(address) = self.parse() {
            return Ok(vec![address]);
        }
        let parts = self
            .rsplit_once(':')
            .and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)));
        match parts {
            Some((host, port)) => look_up(host.to_owned(), port).await,
            None => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("`{self}` is not of the form HOST:PORT"),
            )),
        }
    }
}

impl ToSocketAddrs for String {
    async fn to_socket_addrs(self) -> io::Result<Vec<SocketAddr>> {
        self.as_str().to_socket_addrs().await
    }
}

impl ToSocketAddrs for (&str, u16) {
    async fn to_socket_addrs(self) -> io::Result<Vec<SocketAddr>> {
        consume_budget().await;
        let (host, port) = self;
        match host.parse::<IpAddr>() {
            Ok(address) => Ok(vec![SocketAddr::new(address, port)]),
            Err(_) => look_up(host.to_owned(), port).await,
        }
    }
}

impl ToSocketAddrs for (String, u16) {
    async fn to_socket_addrs(self) -> io::Result<Vec<SocketAddr>> {
        (self.0.as_str(), self.1).to_socket_addrs().await
    }
}

async fn look_up(host: String, port: u16) -> io::Result<Vec<SocketAddr>> {
    // Not in the closure: after a refused job, simulated time may pass, and then wakers run.
    let pool = context::with("looking up a host's name", |ambient| {
        Arc::clone(ambient.blocking_pool())
    });
    let job = pool.spawn(move || {
        std::net::ToSocketAddrs::to_socket_addrs(&(host.as_str(), port))
            .map(Iterator::collect::<Vec<_>>)
    });
    OwnedJob::new(job)
        .await
        .unwrap_or_else(|error| Err(io::Error::other(error)))
}
