//! The generator against simple and badly behaved servers.

use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;

use super::*;

/// A server with a thread per connection. It runs until the test's process ends.
fn serve(connection: fn(TcpStream) -> io::Result<()>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            thread::spawn(move || connection(stream));
        }
    });
    address
}

fn options(server: SocketAddr, bytes: usize) -> LoadOptions {
    LoadOptions {
        protocol: Protocol::Echo,
        server,
        connections: 2,
        bytes,
        rate: None,
        warm_up: Duration::ZERO,
        duration: Duration::from_millis(100),
        body: None,
        answer: None,
    }
}

fn echo(stream: TcpStream) -> io::Result<()> {
    io::copy(&mut &stream, &mut &stream).map(drop)
}

/// Larger than the generator's buffer and both socket buffers: the generator has to wait for room, and reads several
/// times per event.
#[test]
fn a_message_larger_than_all_buffers_is_echoed_whole() {
    let bytes = 24 << 20;
    let mut ready = Ready::new(options(serve(echo), bytes)).unwrap();
    let report = ready.run().unwrap();
    assert!(report.requests >= 2, "{} requests", report.requests);
}

/// Exactly the size of the generator's buffer, and a byte more or less: a read that fills the buffer does not show
/// whether there is more.
#[test]
fn a_message_as_large_as_the_buffer_is_one_response() {
    let server = serve(echo);
    for bytes in [1 << 20, (1 << 20) + 1, (1 << 20) + 2] {
        let mut ready = Ready::new(options(server, bytes)).unwrap();
        let report = ready.run().unwrap();
        assert!(report.requests >= 2, "{} requests", report.requests);
    }
}

/// The end of the stream may arrive together with the answer, and epoll reports it once.
#[test]
fn a_server_that_closes_behind_its_answer_is_noticed_at_once() {
    let server = serve(|mut stream| {
        let mut message = [0; 64];
        stream.read_exact(&mut message)?;
        stream.write_all(&message)
    });
    let failure = Ready::new(options(server, 64)).and_then(|mut ready| ready.run());
    match failure {
        Err(LoadError::Failed(why)) => assert!(!why.contains("sent nothing"), "{why}"),
        other => panic!("{other:?}"),
    }
}
