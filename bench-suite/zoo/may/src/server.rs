//! The server, with may's sockets.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::Duration;

use may::net::{TcpListener, TcpStream};
use may::{coroutine, go};

use crate::{compute, say};

const HELD: Duration = Duration::from_secs(2);
const CHUNK: usize = 64 * 1024;
const CHUNKS: usize = 4096;

/// The KiB that the writes of `s` have accepted.
static STREAMED: AtomicU64 = AtomicU64::new(0);

pub fn serve() {
    let listener = Arc::new(TcpListener::bind("127.0.0.1:0").expect("a port"));
    let port = listener.local_addr().expect("an address").port();
    say(&format!("{{\"listening\": {port}}}"));
    let _ = go!(move || accept(listener)).join();
}

fn accept(listener: Arc<TcpListener>) {
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                let listener = Arc::clone(&listener);
                drop(go!(move || answer(listener, stream)));
            }
            // No descriptor is left. There may be one later.
            Err(_) => coroutine::sleep(Duration::from_millis(10)),
        }
    }
}

fn answer(listener: Arc<TcpListener>, mut stream: TcpStream) {
    // A client that is gone needs no answer.
    let _ = converse(&listener, &mut stream);
    let _ = stream.shutdown(Shutdown::Both);
}

fn converse(listener: &Arc<TcpListener>, stream: &mut TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut byte = [0];
    while stream.read(&mut byte)? == 1 {
        match byte[0] {
            b's' => {
                let chunk = vec![0; CHUNK];
                for _ in 0..CHUNKS {
                    stream.write_all(&chunk)?;
                    STREAMED.fetch_add(CHUNK as u64 / 1024, Ordering::Relaxed);
                }
                continue;
            }
            b'c' => {
                let text = format!("{}\n", STREAMED.load(Ordering::Relaxed));
                stream.write_all(text.as_bytes())?;
                continue;
            }
            _ => stream.write_all(&byte)?,
        }
        match byte[0] {
            b'h' => {
                compute(HELD);
                stream.write_all(b"d")?;
            }
            b'b' => {
                std::thread::sleep(HELD);
                stream.write_all(b"d")?;
            }
            b'y' => drop(go!(|| loop {
                coroutine::yield_now();
            })),
            b'a' => {
                for _ in 0..1000 {
                    let listener = Arc::clone(listener);
                    drop(go!(move || accept(listener)));
                }
            }
            _ => {}
        }
    }
    Ok(())
}
