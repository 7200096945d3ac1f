#![doc = include_str!("README.md")]

mod accept;
mod address;
mod server;
mod socket;
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
