//! `http`: an HTTP/1.1 server on hyper with keep-alive, a task for each connection.
//!
//! What echo is plus a real protocol library: allocation, parsing, larger futures, the adapters between the runtime's sockets
//! and hyper's traits. The client is another process, as for `echo`; the figure is the server's CPU time for each request.
//!
//! One op is one request: `GET /` answered with 200 and a small body. The client checks status and body.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use runtime_core::hyper_rt::HyperIo;
use runtime_core::{Runtime, TaskHandle as _, TcpListener as _};

use super::{Program, client, echo};
use crate::load::Protocol;
use crate::measure::Meter;
use crate::registry::{Failure, Group, Mode, Params, Workload};

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
        let accepting = rt.spawn(serve(rt.clone(), listener));
        let duration = Duration::from_nanos(params.budget_ns);
        let mut options = client::options(Protocol::Http, server, params, duration);
        options.body = Some(BODY.to_owned());
        let measured = client::measure(&rt, options, meter).await;
        accepting.abort();
        measured
    }
}

/// Accepts for ever, a task for each connection.
pub async fn serve<R: Runtime>(rt: R, listener: R::TcpListener) {
    echo::accept_with(&rt, &listener, |stream| async move {
        let conversation = http1::Builder::new()
            // A client may shut its side down after its last request and still wants the response.
            .half_close(true)
            .serve_connection(HyperIo::new(stream), service_fn(answer));
        // What a client does wrong is its own affair.
        let _ = conversation.await;
    })
    .await
}

/// Any method and any path get 200 and the same small body; hyper leaves it out for `HEAD`.
async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    // A request's body is read to its end, or the connection could not be used again.
    let mut body = request.into_body();
    while let Some(Ok(_)) = body.frame().await {}
    let mut response = Response::new(Full::new(Bytes::from_static(BODY.as_bytes())));
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    Ok(response)
}
