//! An echo server without any runtime: one thread, one epoll instance, and the system calls that there must be.
//!
//! It is the reference for all that serve sockets: what a runtime costs beyond it is the price of tasks, wakers and
//! fairness. The rest is the kernel's. Edge-triggered, as that costs least: of a level-triggered socket the kernel
//! asks after each event whether it is still ready.

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

/// Events taken at once.
const EVENTS: usize = 1024;
const LISTENER: u64 = u64::MAX;
const END: u64 = u64::MAX - 1;

/// A row of its own, with the one server.
pub(crate) fn register(registry: &mut Registry) {
    let about = "no runtime: one thread, one epoll instance, a loop written by hand";
    let info = RuntimeInfo::new("epoll-loop", about);
    registry.runtimes.push(info);
    registry.add("echo", info.name, echo);
}

/// `echo`: what is read is written, and only what does not fit is kept.
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

/// A server that works on a thread until it is dropped.
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
    /// A connection's place is what its events are marked with.
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
    buffer: Vec<u8>,
}

struct Connection {
    stream: TcpStream,
    /// What the client did not take yet. Nothing is read meanwhile.
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
                // Out of descriptors, or gone already: the rest stays readable.
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
            // Closing takes it out of the epoll instance.
            self.connections[place] = None;
            self.free.push(place);
        }
    }
}

impl Connection {
    /// Reads and writes until one of both would have to wait, as nothing is reported twice. An error, or the end of
    /// the stream, which is one here, ends the connection.
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
            // A short read has emptied the socket; but the end may stand behind it.
            if length < buffer.len() && !flags.intersects(ending) {
                return Ok(());
            }
        }
    }
}

/// How much was moved; `None` if that would have to wait. When it need not any more is reported.
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

    /// More than the sockets' buffers hold: the server must wait for its client.
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
