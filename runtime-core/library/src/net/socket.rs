//! How all kinds of sockets are created.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SocketAddrAny, SocketFlags, SocketType, socket_with};

use runtime_kernel::context::{self, IoDriver};

/// How a socket that `what` creates on this thread waits.
pub(super) fn ambient_driver(what: &str) -> IoDriver {
    context::with(what, |ambient| ambient.io_driver())
}

/// A non-blocking socket that child processes do not inherit.
pub(super) fn new_socket(family: AddressFamily, kind: SocketType) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(socket_with(family, kind, flags, None)?)
}

pub(super) fn family(address: &SocketAddr) -> AddressFamily {
    match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    }
}

pub(super) fn internet_address(address: SocketAddrAny) -> io::Result<SocketAddr> {
    SocketAddr::try_from(address).map_err(io::Error::from)
}

/// The error if there was no address to try.
pub(super) fn no_address() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidInput,
        "the name stands for no address",
    )
}
