//! An echo server without any runtime: one thread, one epoll instance, and only the necessary system calls.
//!
//! It is the reference for all servers: what a runtime costs beyond it is the price of tasks, wakers and fairness. The
//! rest is the kernel's cost. It is edge-triggered, which is cheapest: for a level-triggered socket, the kernel checks
//! after each event whether the socket is still ready.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::thread;
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;

use crate::load::Protocol;
use crate::measure::Meter;
use crate::registry::{Registry, RuntimeInfo};
use crate::vocabulary::{Failure, Params};
use crate::workloads::{client, echo};

/// The most events per call.
const EVENTS: usize = 1024;
const LISTENER: u64 = u64::MAX;
const END: u64 = u64::MAX - 1;

/// Adds its own row, with this one server.
pub(crate) fn register(registry: &mut Registry) {
    let about = "no runtime: one thread, one epoll instance, a loop written by hand";
    let info = RuntimeInfo::new("epoll-loop", about);
    registry.runtimes.push(info);
    registry.add("echo", info.name, echo);
}

/// `echo`: writes what it reads, and stores only what does not fit into the socket.
///
/// # Errors
/// Those of [`Program::run`](crate::workloads::Program::run).
pub fn echo(params: &Params, meter: &mut Meter) -> Result<(), Failure> {
    let server = Server::start(client::loopback())
        .map_err(|error| Failure::Crashed(format!("the server: {error}")))?;
    let duration = Duration::from_nanos(params.budget_ns);
    let options = client::options(Protocol::Echo, server.address, params, duration);
    client::measure_blocking(options, meter)
}

/// A server that runs on a thread until it is dropped.
struct Server {
    address: SocketAddr,
    end: OwnedFd,
    thread: Option<thread::JoinHandle<io::Result<()>>>,
}

impl Server {
    fn start(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let end = eventfd(0, EventfdFlags::CLOEXEC)?;
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(
            &epoll,
            &listener,
            EventData::new_u64(LISTENER),
            EventFlags::IN,
        )?;
        epoll::add(&epoll, &end, EventData::new_u64(END), EventFlags::IN)?;
        let mut served = Loop {
            epoll,
            listener,
            connections: Vec::new(),
            free: Vec::new(),
            buffer: vec![0; echo::BUFFER],
        };
        let thread = thread::Builder::new()
            .name("epoll-loop".to_owned())
            .spawn(move || served.run())?;
        Ok(Self {
            address,
            end,
            thread: Some(thread),
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = rustix::io::write(&self.end, &1_u64.to_ne_bytes());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Loop {
    epoll: OwnedFd,
    listener: TcpListener,
    /// An event carries the index of its connection.
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
    buffer: Vec<u8>,
}

struct Connection {
    stream: TcpStream,
    /// What the client did not accept yet. Nothing is read meanwhile.
    unsent: Vec<u8>,
}

impl Loop {
    fn run(&mut self) -> io::Result<()> {
        let mut events = Vec::with_capacity(EVENTS);
        loop {
            events.clear();
            match epoll::wait(&self.epoll, spare_capacity(&mut events), None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            for event in &events {
                match event.data.u64() {
                    END => return Ok(()),
                    LISTENER => self.accept()?,
                    place => self.serve(place as usize, event.flags),
                }
            }
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            let stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                // Out of descriptors, or the client is gone. The other connections stay pending.
                Err(_) => return Ok(()),
            };
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            let place = self.free.pop().unwrap_or_else(|| {
                self.connections.push(None);
                self.connections.len() - 1
            });
            epoll::add(
                &self.epoll,
                &stream,
                EventData::new_u64(place as u64),
                EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET,
            )?;
            self.connections[place] = Some(Connection {
                stream,
                unsent: Vec::new(),
            });
        }
    }

    fn serve(&mut self, place: usize, flags: EventFlags) {
        let Some(connection) = &mut self.connections[place] else {
            return;
        };
        if connection.serve(flags, &mut self.buffer).is_err() {
            // Closing removes it from the epoll instance.
            self.connections[place] = None;
            self.free.push(place);
        }
    }
}

impl Connection {
    /// Reads and writes until either would block, because edge-triggered events are not repeated. An error or the end
    /// of the stream ends the connection; the latter is returned as an error.
    fn serve(&mut self, flags: EventFlags, buffer: &mut [u8]) -> io::Result<()> {
        let ending = EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR;
        loop {
            if !self.unsent.is_empty() {
                let sent = transfer(|| self.stream.write(&self.unsent))?.unwrap_or(0);
                self.unsent.drain(..sent);
                if !self.unsent.is_empty() {
                    return Ok(());
                }
            }
            let length = match transfer(|| self.stream.read(buffer))? {
                None => return Ok(()),
                Some(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Some(length) => length,
            };
            let sent = transfer(|| self.stream.write(&buffer[..length]))?.unwrap_or(0);
            if sent < length {
                self.unsent.extend_from_slice(&buffer[sent..length]);
                return Ok(());
            }
            // A short read has emptied the socket, but the end of the stream may follow.
            if length < buffer.len() && !flags.intersects(ending) {
                return Ok(());
            }
        }
    }
}

/// The number of bytes moved; `None` if it would block. In that case an event follows.
fn transfer(mut operation: impl FnMut() -> io::Result<usize>) -> io::Result<Option<usize>> {
    loop {
        match operation() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            moved => return moved.map(Some),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// More than the sockets' buffers hold, so the server must wait for its client.
    #[test]
    fn a_client_that_reads_late_gets_all() {
        const SIZE: usize = 16 << 20;
        let server = Server::start(client::loopback()).unwrap();
        let mut reader = TcpStream::connect(server.address).unwrap();
        let mut writer = reader.try_clone().unwrap();
        let sent: Vec<u8> = (0..SIZE).map(|at| (at % 251) as u8).collect();
        let expected = sent.clone();
        let writing = thread::spawn(move || {
            writer.write_all(&sent).unwrap();
            writer.shutdown(std::net::Shutdown::Write).unwrap();
        });
        thread::sleep(Duration::from_millis(50));
        let mut received = vec![0; SIZE];
        reader.read_exact(&mut received).unwrap();
        assert!(received == expected);
        assert_eq!(
            reader.read(&mut [0]).unwrap(),
            0,
            "closed after the last byte"
        );
        writing.join().unwrap();
    }
}
