//! The HTTP server for Prometheus and `lab ps`. It has its own loop on its own thread, so it answers even while every
//! worker of the served runtime is stuck in a poll.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use runtime_core::hyper_rt::HyperIo;
use runtime_core::sync::oneshot;
use runtime_core::{Launch as _, LaunchConfig, Runtime};
use runtime_n1::N1;

use crate::workloads::echo::accept_with;
use crate::workloads::slow_clients::TimeoutStream;

/// The only page of an endpoint.
#[derive(Clone)]
pub(super) struct Page {
    /// The path, such as `/metrics`.
    pub(super) path: &'static str,
    pub(super) content_type: &'static str,
    /// Generates the text, once per request.
    pub(super) text: Arc<dyn Fn() -> String + Send + Sync>,
}

/// A running endpoint. Dropping it ends it.
pub(super) struct Endpoint {
    address: SocketAddr,
    /// Dropped first, which ends the loop.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Endpoint {
    /// Listens on `address` and answers a `GET` of the page's path.
    ///
    /// # Errors
    /// Errors of starting a loop and of listening.
    pub(super) fn start(address: SocketAddr, page: Page) -> io::Result<Self> {
        let (stop, stopped) = oneshot::channel();
        let (sender, receiver) = mpsc::sync_channel(1);
        let thread = thread::Builder::new()
            .name("lab-metrics".to_owned())
            .spawn(move || {
                let failed = sender.clone();
                let ran = N1::run(&LaunchConfig::default(), move |rt| async move {
                    let bound = rt.bind(address).await;
                    match bound.and_then(|listener| Ok((listener.local_addr()?, listener))) {
                        Ok((address, listener)) => {
                            let _ = sender.send(Ok(address));
                            drop(rt.spawn(serve(rt.clone(), listener, page)));
                            // Completes when the endpoint is dropped.
                            let _ = stopped.await;
                        }
                        Err(error) => drop(sender.send(Err(error))),
                    }
                });
                if let Err(error) = ran {
                    let _ = failed.send(Err(error));
                }
            })?;
        let address = receiver
            .recv()
            .unwrap_or_else(|_| Err(io::Error::other("the loop ended at once")))?;
        Ok(Self {
            address,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// The address that it listens on. For port 0, this is the actual port.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // If it panicked, there is nothing left to report.
            let _ = thread.join();
        }
    }
}

async fn serve<R: Runtime>(rt: R, listener: R::TcpListener, page: Page) {
    accept_with(&rt, &listener, None, |stream| {
        let stream = TimeoutStream::new(stream, rt.clone());
        let page = page.clone();
        let service = service_fn(move |request| {
            let response = answer(&request, &page);
            async move { Ok::<_, Infallible>(response) }
        });
        let conversation = http1::Builder::new()
            .half_close(true)
            .serve_connection(HyperIo::new(stream), service);
        async move {
            // An error of the client does not concern the server.
            let _ = conversation.await;
        }
    })
    .await
}

fn answer(request: &Request<Incoming>, page: &Page) -> Response<Full<Bytes>> {
    let (status, content_type, body) = match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, path) if path == page.path => {
            (StatusCode::OK, page.content_type, (page.text)())
        }
        (&Method::GET | &Method::HEAD, _) => (
            StatusCode::NOT_FOUND,
            "text/plain; charset=utf-8",
            format!("the page is {}\n", page.path),
        ),
        _ => (
            StatusCode::METHOD_NOT_ALLOWED,
            "text/plain; charset=utf-8",
            "only GET and HEAD are answered\n".to_owned(),
        ),
    };
    let mut response = Response::builder()
        .status(status)
        .header(CONTENT_TYPE, content_type);
    if status == StatusCode::METHOD_NOT_ALLOWED {
        response = response.header(ALLOW, "GET, HEAD");
    }
    response
        .body(Full::new(Bytes::from(body)))
        .expect("status and headers are valid")
}
