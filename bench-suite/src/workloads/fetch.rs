//! A keep-alive HTTP/1.1 client connection with hyper, for the workloads that fetch.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::Poll;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1;
use hyper::header::{HOST, HeaderValue};
use hyper::{Request, StatusCode};
use runtime_core::Runtime;
use runtime_core::hyper_rt::HyperIo;

type Driver<R> = http1::Connection<HyperIo<<R as Runtime>::TcpStream>, Empty<Bytes>>;

/// A connection to one server.
///
/// hyper splits a connection into a sender of requests and a future that moves the bytes. Here, the future is polled
/// together with each request, in the same task. In its own task, it would cost one more thread per connection under
/// 1:1.
pub(super) struct Connection<R: Runtime> {
    requests: http1::SendRequest<Empty<Bytes>>,
    /// `None` once the server has closed the connection.
    driver: Option<Pin<Box<Driver<R>>>>,
    host: HeaderValue,
}

impl<R: Runtime> Connection<R> {
    pub(super) async fn open(rt: &R, server: SocketAddr) -> io::Result<Self> {
        let stream = rt.connect(server).await?;
        let (requests, driver) = http1::handshake(HyperIo::new(stream))
            .await
            .map_err(io::Error::other)?;
        let host = server.to_string();
        Ok(Self {
            requests,
            driver: Some(Box::pin(driver)),
            host: HeaderValue::try_from(host).map_err(io::Error::other)?,
        })
    }

    /// Fetches `path`. Not cancel safe: if you drop this future, drop the connection too.
    pub(super) async fn get(&mut self, path: &str) -> io::Result<(StatusCode, Bytes)> {
        let mut request = Request::get(path)
            .body(Empty::new())
            .map_err(io::Error::other)?;
        request.headers_mut().insert(HOST, self.host.clone());
        let requests = &mut self.requests;
        let exchange = async move {
            requests.ready().await?;
            let response = requests.send_request(request).await?;
            let status = response.status();
            let body = response.into_body().collect().await?;
            Ok((status, body.to_bytes()))
        };
        drive(&mut self.driver, exchange)
            .await
            .map_err(|error: hyper::Error| io::Error::other(error))
    }
}

/// Polls the connection together with an exchange on it. If the connection fails, hyper tells the exchange.
async fn drive<D, E>(driver: &mut Option<Pin<Box<D>>>, exchange: E) -> E::Output
where
    D: Future,
    E: Future,
{
    let mut exchange = pin!(exchange);
    poll_fn(|cx| {
        // Poll the exchange first, because it may have something for the driver to write, and again after the driver
        // may have read something.
        if let Poll::Ready(output) = exchange.as_mut().poll(cx) {
            return Poll::Ready(output);
        }
        if let Some(running) = driver
            && running.as_mut().poll(cx).is_ready()
        {
            *driver = None;
        }
        exchange.as_mut().poll(cx)
    })
    .await
}
