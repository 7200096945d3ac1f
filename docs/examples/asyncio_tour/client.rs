//! A small HTTP client made of hyper.

use std::io;

use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::HOST;
use hyper::{Request, Uri};
use runtime_core::hyper_rt::HyperIo;
use runtime_core::net::TcpStream;
use runtime_core::spawn;

pub use hyper::StatusCode;

/// A server's answer.
pub struct Answer {
    pub status: StatusCode,
    pub body: Bytes,
}

// ANCHOR: get
/// Fetches `url` over its own connection. If you drop it before it is done, it closes the connection.
pub async fn get(url: &str) -> io::Result<Answer> {
    let url: Uri = url.parse().map_err(io::Error::other)?;
    let host = match (url.scheme_str(), url.authority()) {
        (Some("http"), Some(host)) => host,
        _ => {
            return Err(io::Error::other(
                "not a URL of the form http://HOST:PORT/PATH",
            ));
        }
    };
    let stream = TcpStream::connect((host.host(), host.port_u16().unwrap_or(80))).await?;
    // Path and query. Their text begins with a `/`, even if the URL omits it.
    let target = url.path_and_query().map(ToString::to_string);
    let request = Request::get(target.unwrap_or_default())
        .header(HOST, host.as_str())
        .body(Empty::<Bytes>::new())
        .map_err(io::Error::other)?;
    exchange(stream, request).await.map_err(io::Error::other)
}

async fn exchange(stream: TcpStream, request: Request<Empty<Bytes>>) -> hyper::Result<Answer> {
    // hyper splits a connection into one part that takes requests and one that moves the bytes. The second one runs in
    // a task, which ends with the first.
    let (mut requests, connection) = http1::handshake(HyperIo::vectored(stream)).await?;
    drop(spawn(connection));
    let response = requests.send_request(request).await?;
    Ok(Answer {
        status: response.status(),
        body: response.into_body().collect().await?.to_bytes(),
    })
}
// ANCHOR_END: get
