//! Protocol code that is generic over `Read + Write` runs unchanged on sockets that suspend green tasks.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::SocketAddr;

use runtime_core::green::net::{TcpListener, TcpStream};
use runtime_core::green::sync::{Mutex, channel};
use runtime_core::green::{self, WaitExt, wait};
use tungstenite::Message;

mod each;
use each::each;

const CLIENTS: usize = 20;

/// Serves each connection by `serve` in a separate green task, and returns the address and the server's task.
fn server(
    runtime: &each::Any,
    serve: fn(TcpStream) -> io::Result<()>,
) -> (SocketAddr, runtime_core::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let handle = runtime.clone();
    let task = spawn(runtime, move || {
        for _ in 0..CLIENTS {
            let (stream, _) = listener.accept().unwrap();
            drop(spawn(&handle, move || serve(stream).unwrap()));
        }
    });
    (address, task)
}

/// Unoptimised, parsers of other crates have large frames.
fn spawn<T: Send + 'static>(
    runtime: &each::Any,
    function: impl FnOnce() -> T + Send + 'static,
) -> runtime_core::JoinHandle<T> {
    let builder = green::Builder::new().stack_bytes(512 * 1024);
    builder.spawn_on(runtime, function)
}

/// An HTTP/1.1 server for any stream: it does not know about tasks.
fn serve_http<S: Read + Write>(mut stream: S) -> io::Result<()> {
    let mut input = Vec::new();
    loop {
        let (length, path) = loop {
            let mut headers = [httparse::EMPTY_HEADER; 16];
            let mut request = httparse::Request::new(&mut headers);
            match request.parse(&input).map_err(io::Error::other)? {
                httparse::Status::Complete(length) => {
                    break (length, request.path.unwrap_or("/").to_owned());
                }
                httparse::Status::Partial => {}
            }
            let mut bytes = [0; 512];
            match stream.read(&mut bytes)? {
                0 => return Ok(()),
                read => input.extend_from_slice(&bytes[..read]),
            }
        };
        input.drain(..length);
        let body = format!("you asked for {path}");
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
        stream.write_all(head.as_bytes())?;
        stream.write_all(body.as_bytes())?;
    }
}

/// A client, for any stream.
fn ask<S: Read + Write>(stream: &mut BufReader<S>, path: &str) -> io::Result<String> {
    // In two pieces, so that the server sees a part of a head.
    let stream_mut = stream.get_mut();
    stream_mut.write_all(b"GET ")?;
    stream_mut.write_all(format!("{path} HTTP/1.1\r\nhost: here\r\n\r\n").as_bytes())?;
    let mut length = 0;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        if let Some(text) = line.strip_prefix("content-length: ") {
            length = text.trim().parse().map_err(io::Error::other)?;
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    String::from_utf8(body).map_err(io::Error::other)
}

#[test]
fn a_loop_over_httparse_serves() {
    each(|runtime| {
        let (address, accepting) = server(&runtime, serve_http);
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                spawn(&runtime, move || {
                    let mut stream = BufReader::new(TcpStream::connect(address).unwrap());
                    for round in 0..10 {
                        let path = format!("/{client}/{round}");
                        let body = ask(&mut stream, &path).unwrap();
                        assert_eq!(body, format!("you asked for {path}"));
                    }
                })
            })
            .collect();
        for client in clients {
            wait(client).unwrap();
        }
        accepting.wait().unwrap();
    });
}

#[test]
fn tungstenite_talks_websocket() {
    fn serve(stream: TcpStream) -> io::Result<()> {
        let mut socket = tungstenite::accept(stream).map_err(io::Error::other)?;
        loop {
            match socket.read() {
                Ok(message) if message.is_text() => {
                    socket.send(message).map_err(io::Error::other)?
                }
                Ok(_) => {}
                Err(tungstenite::Error::ConnectionClosed) => return Ok(()),
                Err(error) => return Err(io::Error::other(error)),
            }
        }
    }
    each(|runtime| {
        let (address, accepting) = server(&runtime, serve);
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                spawn(&runtime, move || {
                    let stream = TcpStream::connect(address).unwrap();
                    let url = format!("ws://{address}/");
                    let (mut socket, _) = tungstenite::client(url, stream).unwrap();
                    for round in 0..10 {
                        let text = format!("{client} {round}");
                        socket.send(Message::text(&*text)).unwrap();
                        let answer = socket.read().unwrap();
                        assert_eq!(answer.to_text().unwrap(), text);
                    }
                    socket.close(None).unwrap();
                    while socket.read().is_ok() {}
                })
            })
            .collect();
        for client in clients {
            wait(client).unwrap();
        }
        accepting.wait().unwrap();
    });
}

#[test]
fn a_lock_is_held_across_a_wait_and_a_channel_is_an_iterator() {
    each(|runtime| {
        let sum = std::sync::Arc::new(Mutex::new(0));
        let (sender, receiver) = channel(2);
        let tasks: Vec<_> = (0..10)
            .map(|number| {
                let (sum, sender) = (std::sync::Arc::clone(&sum), sender.clone());
                spawn(&runtime, move || {
                    let mut guard = sum.wait_lock();
                    let before = *guard;
                    green::yield_now();
                    *guard = before + number;
                    drop(guard);
                    sender.send(number).unwrap();
                })
            })
            .collect();
        drop(sender);
        assert_eq!(receiver.sum::<u64>(), 45);
        for task in tasks {
            wait(task).unwrap();
        }
        assert_eq!(*sum.wait_lock(), 45);
    });
}
