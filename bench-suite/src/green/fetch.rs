//! A keep-alive HTTP/1.1 client in code that looks blocking, with httparse. It is the counterpart of the client with
//! hyper in `workloads/fetch.rs`.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::StatusCode;
use runtime_core::green::net::TcpStream;

/// The most headers that a response may have.
const HEADERS: usize = 32;
/// The size of one read. The buffer is on the heap, because a task's stack is small.
const CHUNK: usize = 4096;

/// A connection to one server.
pub(super) struct Connection {
    stream: TcpStream,
    host: String,
    input: Vec<u8>,
}

/// The head of a response.
struct Head {
    status: StatusCode,
    /// Where the body begins.
    at: usize,
    length: usize,
}

impl Connection {
    pub(super) fn open(server: SocketAddr) -> io::Result<Self> {
        Ok(Self {
            stream: TcpStream::connect(server)?,
            host: server.to_string(),
            input: Vec::new(),
        })
    }

    /// Fetches `path`. After the time limit it fails, and the connection must be dropped.
    pub(super) fn get(
        &mut self,
        path: &str,
        limit: Option<Duration>,
    ) -> io::Result<(StatusCode, Bytes)> {
        let deadline = limit.map(|limit| Instant::now() + limit);
        let request = format!("GET {path} HTTP/1.1\r\nhost: {}\r\n\r\n", self.host);
        self.stream.write_all(request.as_bytes())?;
        self.input.clear();
        let head = loop {
            if let Some(head) = parse(&self.input)? {
                break head;
            }
            self.read_more(deadline)?;
        };
        while self.input.len() < head.at + head.length {
            self.read_more(deadline)?;
        }
        let body = Bytes::copy_from_slice(&self.input[head.at..head.at + head.length]);
        Ok((head.status, body))
    }

    fn read_more(&mut self, deadline: Option<Instant>) -> io::Result<()> {
        if let Some(deadline) = deadline {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            self.stream.set_read_timeout(Some(left))?;
        }
        let before = self.input.len();
        self.input.resize(before + CHUNK, 0);
        let read = self.stream.read(&mut self.input[before..])?;
        self.input.truncate(before + read);
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }
}

/// `None` while the head is incomplete.
fn parse(input: &[u8]) -> io::Result<Option<Head>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let at = match response.parse(input).map_err(io::Error::other)? {
        httparse::Status::Complete(at) => at,
        httparse::Status::Partial => return Ok(None),
    };
    let status = response.code.unwrap_or_default();
    let status = StatusCode::from_u16(status).map_err(io::Error::other)?;
    let mut headers = response.headers.iter();
    let length = headers
        .find(|header| header.name.eq_ignore_ascii_case("content-length"))
        .and_then(|header| std::str::from_utf8(header.value).ok()?.trim().parse().ok())
        .ok_or_else(|| io::Error::other("a response without a length"))?;
    Ok(Some(Head { status, at, length }))
}
