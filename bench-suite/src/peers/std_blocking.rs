//! Plain blocking servers with a thread per connection: what the standard library alone provides.
//!
//! This is the reference for 1:1: what `threads` costs beyond it is the price of time-outs, cancellation and select on
//! a thread. httparse parses HTTP, as it does in hyper.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use runtime_core::LaunchConfig;

use crate::load::Protocol;
use crate::measure::Meter;
use crate::registry::{Registry, RuntimeInfo};
use crate::vocabulary::{Failure, Params, is_refusal};
use crate::workloads::refusals::Refusals;
use crate::workloads::server::{ServeError, Service, Session};
use crate::workloads::slow_clients::REQUEST_TIMEOUT;
use crate::workloads::{client, echo, http};

/// The longest head of a request.
const MAX_HEAD: usize = 64 << 10;

/// Adds its own row, with the two servers.
pub(crate) fn register(registry: &mut Registry) {
    let about = "plain blocking sockets of the standard library, a thread for each connection";
    let info = RuntimeInfo::new("std-blocking", about);
    registry.runtimes.push(info.served_by(serve));
    registry.add("echo", info.name, echo);
    registry.add("http", info.name, http);
}

/// `echo`: reads and writes, on a thread per connection.
///
/// # Errors
/// Those of [`Program::run`](crate::workloads::Program::run).
pub fn echo(params: &Params, meter: &mut Meter) -> Result<(), Failure> {
    measured(Protocol::Echo, params, meter)
}

/// `http`: the same with a parser in between.
///
/// # Errors
/// Those of [`Program::run`](crate::workloads::Program::run).
pub fn http(params: &Params, meter: &mut Meter) -> Result<(), Failure> {
    measured(Protocol::Http, params, meter)
}

fn measured(protocol: Protocol, params: &Params, meter: &mut Meter) -> Result<(), Failure> {
    let refusals = Refusals::default();
    let server = Server::listen(protocol, client::loopback(), Some(refusals.clone()))
        .map_err(echo::crashed)?;
    let duration = Duration::from_nanos(params.budget_ns);
    let mut options = client::options(protocol, server.address, params, duration);
    if protocol == Protocol::Http {
        options.body = Some(http::BODY.to_owned());
    }
    refusals.explain(client::measure_blocking(options, meter))
}

/// Serves outside clients until the session ends. There are no counters, because there is no scheduler.
fn serve(_: &LaunchConfig, service: Service, session: Session) -> Result<(), ServeError> {
    if service.cpu_bound_tasks > 0 {
        return Err(ServeError::NoCpuBoundTasks);
    }
    let server = Server::start(service.protocol, service.address).map_err(ServeError::Bind)?;
    (session.ready)(server.address)?;
    (session.until)();
    Ok(())
}

/// A server that accepts on a thread until it is dropped. Its connections end when their clients close them.
pub struct Server {
    /// Its address.
    pub address: SocketAddr,
    listener: TcpListener,
    accepting: Option<thread::JoinHandle<()>>,
}

impl Server {
    /// Listens on `address`.
    ///
    /// # Errors
    /// Those of `bind`, and if the system refuses a thread.
    pub fn start(protocol: Protocol, address: SocketAddr) -> io::Result<Self> {
        Self::listen(protocol, address, None)
    }

    /// [`start`](Server::start). With `refusals`, it stops accepting once the system refuses a resource for a
    /// connection, and records that.
    fn listen(
        protocol: Protocol,
        address: SocketAddr,
        refusals: Option<Refusals>,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        let accepting = {
            let listener = listener.try_clone()?;
            thread::Builder::new()
                .name("accept".to_owned())
                .spawn(move || accept(protocol, listener, refusals.as_ref()))?
        };
        Ok(Self {
            address,
            listener,
            accepting: Some(accepting),
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Shutting down the listener makes the pending accept fail.
        let _ = rustix::net::shutdown(&self.listener, rustix::net::Shutdown::Both);
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

fn accept(protocol: Protocol, listener: TcpListener, refusals: Option<&Refusals>) {
    /// When out of descriptors or threads, it is useless to retry at once.
    const PAUSE: Duration = Duration::from_millis(10);
    loop {
        let stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => return,
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
            Err(error) => match refusals.filter(|_| is_refusal(&error)) {
                Some(refusals) => return give_up(&listener, refusals, &error),
                None => {
                    thread::sleep(PAUSE);
                    continue;
                }
            },
        };
        // Without a thread the connection is closed. An error of the client does not concern the server.
        let started = thread::Builder::new().spawn(move || {
            stream.set_nodelay(true)?;
            match protocol {
                Protocol::Echo => converse_echo(stream),
                Protocol::Http => converse_http(stream),
            }
        });
        if let (Err(error), Some(refusals)) = (started, refusals) {
            return give_up(&listener, refusals, &error);
        }
    }
}

/// Also ends connections that were not accepted, so that no client waits for them.
fn give_up(listener: &TcpListener, refusals: &Refusals, error: &io::Error) {
    refusals.note(error);
    let _ = rustix::net::shutdown(listener, rustix::net::Shutdown::Both);
}

/// Sends everything back, over any kind of stream.
pub(crate) fn converse_echo(mut stream: impl io::Read + io::Write) -> io::Result<()> {
    let mut buffer = vec![0; echo::BUFFER];
    loop {
        let length = stream.read(&mut buffer)?;
        if length == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..length])?;
    }
}

/// Answers requests, over any kind of stream.
pub(crate) fn converse_http(mut stream: impl Source + io::Write) -> io::Result<()> {
    let mut input = Vec::new();
    loop {
        let Some(request) = read_request(&mut stream, &mut input)? else {
            return Ok(());
        };
        if !request.names_its_host {
            let response = format!(
                "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{}",
                http::NO_HOST.len(),
                http::NO_HOST,
            );
            return stream.write_all(response.as_bytes());
        }
        let connection = if request.close { "close" } else { "keep-alive" };
        let body = if request.is_head { "" } else { http::BODY };
        let response = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\nConnection: {connection}\r\n\r\n{body}",
            http::BODY.len(),
        );
        stream.write_all(response.as_bytes())?;
        if request.close {
            return Ok(());
        }
    }
}

/// The relevant parts of a request.
#[derive(Debug, PartialEq, Eq)]
struct Request {
    is_head: bool,
    /// Whether no other request follows.
    close: bool,
    /// Whether it names its host, as HTTP requires.
    names_its_host: bool,
}

/// A stream from which requests come.
pub(crate) trait Source: io::Read {
    /// Sets the time limit of later reads; `None` means no limit.
    fn limit(&self, limit: Option<Duration>) -> io::Result<()>;
}

impl Source for TcpStream {
    fn limit(&self, limit: Option<Duration>) -> io::Result<()> {
        self.set_read_timeout(limit)
    }
}

/// Reads a request and its body. `input` keeps what follows them. `None` at the end of the stream.
fn read_request(stream: &mut impl Source, input: &mut Vec<u8>) -> io::Result<Option<Request>> {
    // A request that has begun must end in time. Most are complete after one read and never need the limit.
    let mut deadline: Option<Instant> = None;
    let outcome = read_until(stream, input, &mut deadline);
    if deadline.is_some() {
        stream.limit(None)?;
    }
    outcome
}

fn read_until(
    stream: &mut impl Source,
    input: &mut Vec<u8>,
    deadline: &mut Option<Instant>,
) -> io::Result<Option<Request>> {
    loop {
        if let Some((request, mut length)) = parse(input)? {
            // Skip the body.
            loop {
                let here = length.min(input.len());
                input.drain(..here);
                length -= here;
                if length == 0 {
                    return Ok(Some(request));
                }
                limit_rest(stream, deadline)?;
                if !read_more(stream, input)? {
                    return Ok(None);
                }
            }
        }
        if !input.is_empty() {
            limit_rest(stream, deadline)?;
        }
        if input.len() > MAX_HEAD {
            return Err(io::Error::other("the request's head is too long"));
        }
        if !read_more(stream, input)? {
            return Ok(None);
        }
    }
}

/// Sets the limit for a read in the middle of a request.
fn limit_rest(stream: &impl Source, deadline: &mut Option<Instant>) -> io::Result<()> {
    let deadline = *deadline.get_or_insert_with(|| Instant::now() + REQUEST_TIMEOUT);
    match deadline.checked_duration_since(Instant::now()) {
        Some(left) if !left.is_zero() => stream.limit(Some(left)),
        _ => Err(io::ErrorKind::TimedOut.into()),
    }
}

fn read_more(stream: &mut impl io::Read, input: &mut Vec<u8>) -> io::Result<bool> {
    let mut buffer = [0; echo::BUFFER];
    let length = stream.read(&mut buffer)?;
    input.extend_from_slice(&buffer[..length]);
    Ok(length > 0)
}

/// The request and the length of its head and body; `None` while the head is incomplete.
fn parse(input: &[u8]) -> io::Result<Option<(Request, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut headers);
    let head = match request.parse(input).map_err(io::Error::other)? {
        httparse::Status::Complete(head) => head,
        httparse::Status::Partial => return Ok(None),
    };
    let header = |name: &str| {
        let mut headers = request.headers.iter();
        headers
            .find(|header| header.name.eq_ignore_ascii_case(name))
            .and_then(|header| std::str::from_utf8(header.value).ok())
    };
    if header("transfer-encoding").is_some() {
        return Err(io::Error::other("chunked requests are not supported"));
    }
    let body = match header("content-length") {
        Some(length) => length.trim().parse::<usize>().map_err(io::Error::other)?,
        None => 0,
    };
    let close = match header("connection") {
        Some(value) => value.eq_ignore_ascii_case("close"),
        None => request.version == Some(0),
    };
    let mut hosts = request
        .headers
        .iter()
        .filter(|header| header.name.eq_ignore_ascii_case("host"));
    let names_its_host = match (hosts.next(), hosts.next()) {
        (None, _) => request.version == Some(0),
        (Some(host), None) => http::is_host(host.value),
        (Some(_), Some(_)) => false,
    };
    let request = Request {
        is_head: request.method == Some("HEAD"),
        close,
        names_its_host,
    };
    Ok(Some((request, head.saturating_add(body))))
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Source for &[u8] {
        fn limit(&self, _: Option<Duration>) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn requests_follow_each_other_on_one_connection() {
        let bytes = b"POST /a HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcHEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        let (mut stream, mut input) = (&bytes[..], Vec::new());
        let first = read_request(&mut stream, &mut input).unwrap().unwrap();
        assert_eq!(
            first,
            Request {
                is_head: false,
                close: false,
                names_its_host: false,
            }
        );
        let second = read_request(&mut stream, &mut input).unwrap().unwrap();
        assert_eq!(
            second,
            Request {
                is_head: true,
                close: true,
                names_its_host: true,
            }
        );
        assert_eq!(read_request(&mut stream, &mut input).unwrap(), None);
    }

    #[test]
    fn a_client_before_http_1_1_does_not_keep_the_connection() {
        let (request, _) = parse(b"GET / HTTP/1.0\r\n\r\n").unwrap().unwrap();
        assert!(request.close && request.names_its_host);
    }
}
