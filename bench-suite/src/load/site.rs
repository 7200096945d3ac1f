//! A small web site with seeded pages and latencies, for the workloads that fetch.
//!
//! `/INDEX` answers after a latency that depends only on the seed and the index, and so does its body. The client can
//! compute what to expect. `/stall` never answers; any other path gives 404.
//!
//! The site runs on tokio's one-thread runtime in its own process, whichever runtime is measured, so the cost is the
//! same for all.

use std::convert::Infallible;
use std::io::{self, PipeReader, Read as _};
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use futures_lite::FutureExt as _;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, TcpStream};

use crate::workloads::random;

/// The settings of the site.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct SiteOptions {
    /// The seed of latencies and bodies.
    pub seed: u64,
    /// Latencies range from 0 to this.
    pub max_latency: Duration,
    /// The length of each body in bytes.
    pub bytes: usize,
}

impl SiteOptions {
    /// The body of page `index`.
    pub fn body(&self, index: u64) -> Vec<u8> {
        let mut words = random::SplitMix64::new(random::at(self.seed, index));
        let mut body = Vec::with_capacity(self.bytes + 8);
        while body.len() < self.bytes {
            body.extend_from_slice(&words.next().to_le_bytes());
        }
        body.truncate(self.bytes);
        body
    }

    /// The latency of page `index`.
    pub fn latency(&self, index: u64) -> Duration {
        let nanoseconds = u64::try_from(self.max_latency.as_nanos()).unwrap_or(u64::MAX);
        // A different random sequence from the body's.
        let random = random::at(!self.seed, index);
        Duration::from_nanos(random % nanoseconds.saturating_add(1))
    }
}

/// Serves on a free port of the loopback interface until `input` ends. Calls `ready` with the address.
///
/// # Errors
/// If the runtime or the listener can't be created, and the errors of `ready`.
pub fn serve(
    options: SiteOptions,
    mut input: PipeReader,
    ready: impl FnOnce(SocketAddr) -> io::Result<()>,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        // A large backlog, because a crawler connects to all pages at once.
        let socket = tokio::net::TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        let listener = socket.listen(16_384)?;
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        std::thread::Builder::new()
            .name("site-input".to_owned())
            .spawn(move || {
                let _ = input.read(&mut [0]);
                drop(end);
            })?;
        ready(listener.local_addr()?)?;
        let end = async {
            let _ = ended.await;
            Ok(())
        };
        end.or(async { Err(accept(options, listener).await) }).await
    })
}

async fn accept(options: SiteOptions, listener: TcpListener) -> io::Error {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(converse(options, stream));
            }
            // The client was gone before the connection was accepted.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => return error,
        }
    }
}

async fn converse(options: SiteOptions, stream: TcpStream) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let service =
        service_fn(
            move |request| async move { Ok::<_, Infallible>(answer(options, &request).await) },
        );
    // A client that goes away early does not concern the site.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn answer<B>(options: SiteOptions, request: &Request<B>) -> Response<Full<Bytes>> {
    let path = &request.uri().path()[1..];
    if path == "stall" {
        std::future::pending::<()>().await;
    }
    let Ok(index) = path.parse() else {
        let mut response = Response::new(Full::default());
        *response.status_mut() = StatusCode::NOT_FOUND;
        return response;
    };
    let latency = options.latency(index);
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    Response::new(Full::from(options.body(index)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_depend_on_seed_and_index_and_latencies_keep_their_bound() {
        let site = |seed| SiteOptions {
            seed,
            max_latency: Duration::from_millis(3),
            bytes: 13,
        };
        assert_eq!(site(1).body(5), site(1).body(5));
        assert_ne!(site(1).body(5), site(1).body(6));
        assert_ne!(site(1).body(5), site(2).body(5));
        assert_eq!(site(1).body(5).len(), 13);
        assert!((0..1000).all(|index| site(1).latency(index) <= Duration::from_millis(3)));
    }
}
