//! Servers and connections.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_lite::io::{BufReader, BufWriter};
use futures_lite::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _};
use runtime_core::net::{ServerOptions, TcpStream, open_connection, start_server};

// ANCHOR: handler
/// Answers each line with its length.
async fn lengths(stream: TcpStream, _peer: SocketAddr) -> io::Result<()> {
    let (read, write) = stream.into_split();
    let (mut read, mut write) = (BufReader::new(read), BufWriter::new(write));
    let mut line = String::new();
    while read.read_line(&mut line).await? > 0 {
        let answer = format!("{}\n", line.trim_end().len());
        write.write_all(answer.as_bytes()).await?;
        write.flush().await?; // asyncio's `drain`
        line.clear();
    }
    Ok(())
}
// ANCHOR_END: handler

/// A server, a client, and a graceful end.
pub async fn serve() -> io::Result<String> {
    // ANCHOR: serve
    let server = start_server("127.0.0.1:0", lengths).await?;
    let address = server.local_addr()?;

    let (read, mut write) = open_connection(address).await?;
    write.write_all(b"how long is this?\n").await?;
    let mut answer = String::new();
    BufReader::new(read).read_line(&mut answer).await?;

    drop(write); // the end of our side; the handler returns
    let aborted = server.shutdown(Duration::from_secs(5)).await;
    assert_eq!(aborted, 0);
    // ANCHOR_END: serve
    Ok(answer)
}

/// A server with a limit.
pub async fn serve_a_few() -> io::Result<()> {
    // ANCHOR: limit
    let server = ServerOptions::default()
        .max_connections(100)
        .start("127.0.0.1:0", lengths)
        .await?;
    // ANCHOR_END: limit
    server.shutdown(Duration::ZERO).await;
    Ok(())
}

/// Parts of a stream, as a protocol might want them.
pub async fn parts(bytes: &[u8]) -> io::Result<(Vec<u8>, [u8; 4], Vec<u8>)> {
    let stream = bytes;
    // ANCHOR: parts
    let mut read = BufReader::new(stream);
    let mut until = Vec::new();
    read.read_until(b':', &mut until).await?; // readuntil(b":")
    let mut exactly = [0; 4];
    read.read_exact(&mut exactly).await?; // readexactly(4)
    let mut rest = Vec::new();
    read.read_to_end(&mut rest).await?; // read(-1)
    // ANCHOR_END: parts
    Ok((until, exactly, rest))
}

#[cfg(test)]
mod tests {
    use crate::under_all_three;

    #[test]
    fn a_server_answers_lines_and_ends_well() {
        under_all_three!(|_rt| {
            assert_eq!(super::serve().await.expect("sockets"), "17\n");
            super::serve_a_few().await.expect("sockets");
        });
    }

    #[test]
    fn streams_are_read_in_parts() {
        under_all_three!(|_rt| {
            let parts = super::parts(b"head:bodyand rest").await.expect("bytes");
            assert_eq!(parts, (b"head:".to_vec(), *b"body", b"and rest".to_vec()));
        });
    }
}
