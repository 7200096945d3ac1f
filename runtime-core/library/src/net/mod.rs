#![doc = include_str!("README.md")]

mod accept;
mod address;
mod server;
mod split;
mod stream;
mod tcp_listener;
mod tcp_stream;
mod udp;
mod unix;

pub use address::ToSocketAddrs;
pub use server::{Listener, Server, ServerOptions, open_connection, start_server};
pub use split::{HalfClose, OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, WriteHalf};
pub use std::net::Shutdown;
pub use tcp_listener::{BindOptions, TcpListener};
pub use tcp_stream::TcpStream;
pub use udp::UdpSocket;
pub use unix::{UnixListener, UnixStream};

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SocketAddrAny, SocketFlags, SocketType, socket_with};

use runtime_kernel::context::{self, IoDriver};

/// How a socket made by `what` on this thread waits.
fn ambient_driver(what: &str) -> IoDriver {
    context::with(what, |ambient| ambient.io_driver())
}

/// A non-blocking socket that child processes do not inherit.
fn new_socket(family: AddressFamily, kind: SocketType) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(socket_with(family, kind, flags, None)?)
}

fn family(address: &SocketAddr) -> AddressFamily {
    match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    }
}

fn internet_address(address: SocketAddrAny) -> io::Result<SocketAddr> {
    SocketAddr::try_from(address).map_err(io::Error::from)
}

/// What is left to say if there was no address to try.
fn no_address() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidInput,
        "the name stands for no address",
    )
}
