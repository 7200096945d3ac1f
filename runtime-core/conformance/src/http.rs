//! hyper under a scheduler: uses only the [`Runtime`] trait.

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::time::Duration;

use hyper::body::{Body, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};

use runtime_library::hyper_rt::{HyperIo, HyperTimer};
use runtime_library::runtime::{Runtime, TcpListener};

async fn text(mut body: Incoming) -> String {
    let mut all = Vec::new();
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        if let Ok(data) = frame.expect("a frame").into_data() {
            all.extend_from_slice(&data);
        }
    }
    String::from_utf8(all).expect("text")
}

/// A client and a server exchange small and large requests over one connection that is kept alive.
pub async fn requests_over_one_connection<R: Runtime>(rt: R) {
    let listener = rt
        .bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
        .await
        .expect("bind");
    let address = listener.local_addr().expect("address");
    let server = {
        let timer = HyperTimer::new(rt.clone());
        rt.spawn(async move {
            let (stream, _) = listener.accept().await.expect("accept");
            let service = service_fn(|request: Request<Incoming>| async {
                let path = request.uri().path().to_owned();
                let answer = format!("{path}: {}", text(request.into_body()).await);
                Ok::<_, Infallible>(Response::new(answer))
            });
            hyper::server::conn::http1::Builder::new()
                .timer(timer)
                .header_read_timeout(Duration::from_secs(60))
                .serve_connection(HyperIo::new(stream), service)
                .await
        })
    };
    let stream = rt.connect(address).await.expect("connect");
    let (mut sender, connection) = hyper::client::conn::http1::handshake(HyperIo::vectored(stream))
        .await
        .expect("handshake");
    let connection = rt.spawn(connection);
    for (path, size) in [("/small", 10), ("/large", 3 << 20), ("/none", 0)] {
        let request = Request::post(path)
            .header("host", "here")
            .body("x".repeat(size))
            .expect("a request");
        sender.ready().await.expect("kept alive");
        let response = sender.send_request(request).await.expect("a response");
        assert_eq!(response.status(), StatusCode::OK);
        let expected = format!("{path}: {}", "x".repeat(size));
        assert!(
            text(response.into_body()).await == expected,
            "the answer to {path}"
        );
    }
    drop(sender);
    connection
        .await
        .expect("the client's task")
        .expect("the client's side");
    server
        .await
        .expect("the server's task")
        .expect("the server's side");
}
