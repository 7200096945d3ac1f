//! `http`: an HTTP/1.1 server with hyper and keep-alive, with a task per connection.
//!
//! Compared with echo, it adds a real protocol library: allocation, parsing, larger futures, and adapters between the
//! runtime's sockets and hyper's traits. The client is another process, as for `echo`. The figure is the server's CPU
//! time per request.
//!
//! One op is one request: `GET /`, answered with 200 and a small body. The client checks status and body.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Incoming};
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST, HeaderValue};
use hyper::http::uri::Authority;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, Version};
use runtime_core::hyper_rt::HyperIo;
use runtime_core::{Runtime, TaskHandle as _, TcpListener as _};

use super::refusals::Refusals;
use super::slow_clients::{REQUEST_TIMEOUT, TimeoutStream};
use super::{Program, client, echo};
use crate::load::Protocol;
use crate::measure::Meter;
use crate::vocabulary::{Failure, Group, Mode, Params, Workload};

/// The body of every response.
pub const BODY: &str = "Hello, world!\n";

/// An HTTP server and a client process.
pub struct Http;

impl Program for Http {
    const INFO: Workload = Workload {
        name: "http",
        group: Group::Io,
        mode: Mode::Closed,
        about: "an HTTP/1.1 server on hyper with keep-alive: echo plus a real protocol library",
        op: "one GET answered with 200",
        parameters: &[client::CONNECTIONS, client::rate(0)],
        metric: "cpu_ns_per_op",
    };

    async fn run<R: Runtime>(rt: R, params: &Params, meter: &mut Meter) -> Result<(), Failure> {
        let listener = echo::bind(&rt).await?;
        let server = listener.local_addr().map_err(echo::crashed)?;
        let refusals = Refusals::default();
        let accepting = rt.spawn(serve_noting(rt.clone(), listener, refusals.clone()));
        let duration = Duration::from_nanos(params.budget_ns);
        let mut options = client::options(Protocol::Http, server, params, duration);
        options.body = Some(BODY.to_owned());
        let measured = client::measure(&rt, options, meter).await;
        accepting.abort();
        refusals.explain(measured)
    }
}

/// Accepts forever, and serves each connection in a task.
pub async fn serve<R: Runtime>(rt: R, listener: R::TcpListener) {
    let own = rt.clone();
    echo::accept_with(&rt, &listener, None, |stream| converse(own.clone(), stream)).await
}

/// [`serve`] under measurement: ends and takes a note if the system refuses a resource for a connection.
async fn serve_noting<R: Runtime>(rt: R, listener: R::TcpListener, refusals: Refusals) {
    let own = rt.clone();
    echo::accept_with(&rt, &listener, Some(&refusals), |stream| {
        converse(own.clone(), stream)
    })
    .await
}

async fn converse<R: Runtime>(rt: R, stream: R::TcpStream) {
    let stream = HyperIo::new(TimeoutStream::new(stream, rt.clone()));
    let service = service_fn(move |request: Request<Incoming>| {
        let has_body = !request.body().is_end_stream();
        answer(has_body.then(|| rt.clone()), request)
    });
    let conversation = http1::Builder::new()
        // A client may shut down its side after its last request and still wait for the response.
        .half_close(true)
        .serve_connection(stream, service);
    // An error of the client does not concern the server.
    let _ = conversation.await;
}

/// Any method and any path get 200 and the same small body; hyper omits it for `HEAD`. `timed` is a clock to limit the
/// time for the request's body, if it has one.
async fn answer<R: Runtime>(
    timed: Option<R>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    if !names_its_host(&request) {
        return Ok(refused(StatusCode::BAD_REQUEST, NO_HOST));
    }
    // Read the request's body to its end. Otherwise the connection could not be used again.
    if let Some(rt) = timed {
        let mut body = request.into_body();
        let whole = async {
            loop {
                match body.frame().await {
                    Some(Ok(_)) => {}
                    Some(Err(_)) => break false,
                    None => break true,
                }
            }
        };
        if !matches!(rt.timeout(REQUEST_TIMEOUT, whole).await, Ok(true)) {
            let late = "the request's body did not arrive\n";
            return Ok(refused(StatusCode::REQUEST_TIMEOUT, late));
        }
    }
    let mut response = Response::new(Full::new(Bytes::from_static(BODY.as_bytes())));
    response.headers_mut().insert(CONTENT_TYPE, TEXT);
    Ok(response)
}

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// The body of the response to a request that HTTP/1.1 requires the server to reject.
pub(crate) const NO_HOST: &str = "a request needs one valid Host\n";

fn refused(status: StatusCode, why: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(why.as_bytes())));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, TEXT);
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// Whether a request names its host as RFC 9112, section 3.2 requires: from HTTP/1.1 on, it must do so exactly once,
/// with a valid value.
fn names_its_host<B>(request: &Request<B>) -> bool {
    let mut hosts = request.headers().get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) => request.version() < Version::HTTP_11,
        (Some(host), None) => is_host(host.as_bytes()),
        (Some(_), Some(_)) => false,
    }
}

/// Whether `value` is valid for the header `Host`: `host`, `host:port`, or empty.
pub(crate) fn is_host(value: &[u8]) -> bool {
    value.is_empty() || (!value.contains(&b'@') && Authority::try_from(value).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_or_an_address_with_or_without_a_port() {
        for host in ["", "x", "example.org:80", "127.0.0.1:8080", "[::1]:80"] {
            assert!(is_host(host.as_bytes()), "{host}");
        }
        for host in ["a b", "user@x", "x/y", "\u{e4}"] {
            assert!(!is_host(host.as_bytes()), "{host}");
        }
    }
}
