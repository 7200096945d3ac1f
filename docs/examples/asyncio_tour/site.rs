//! A small web site inside this process, for the examples that fetch.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, Uri};
use runtime_core::hyper_rt::HyperIo;
use runtime_core::net::{Server, TcpListener, TcpStream, start_server};
use runtime_core::sleep;
use runtime_core::sync::Barrier;

/// A site on a free port of this machine:
///
/// * `/after/MS` answers after that many milliseconds,
/// * `/image/NUMBER` answers with a few bytes, and with its query,
/// * `/never` does not answer,
/// * everything else is not found.
///
/// It ends when it is dropped.
pub struct Site {
    server: Server<TcpListener>,
    visitors: Arc<Visitors>,
}

/// The site's current requests.
struct Visitors {
    /// Requests are served in groups of this size.
    groups: Barrier,
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Site {
    /// Opens a site that serves every request at once.
    pub async fn open() -> io::Result<Self> {
        Self::for_groups_of(1).await
    }

    /// Opens a site that serves no request before that many have arrived. A client that fetches pages one by one waits
    /// forever.
    pub async fn for_groups_of(visitors: usize) -> io::Result<Self> {
        let visitors = Arc::new(Visitors {
            groups: Barrier::new(visitors),
            now: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
        });
        let own = Arc::clone(&visitors);
        let server =
            start_server("127.0.0.1:0", move |stream, _| serve(stream, own.clone())).await?;
        Ok(Self { server, visitors })
    }

    /// The URL of a page.
    pub fn url(&self, path: &str) -> io::Result<String> {
        Ok(format!("http://{}{path}", self.server.local_addr()?))
    }

    /// The highest number of simultaneous requests.
    pub fn most_at_once(&self) -> usize {
        self.visitors.most.load(Ordering::Relaxed)
    }
}

/// Serves one connection.
async fn serve(stream: TcpStream, visitors: Arc<Visitors>) -> hyper::Result<()> {
    let service = service_fn(move |request: Request<_>| {
        let visitors = visitors.clone();
        async move {
            let _here = Visit::begin(&visitors);
            // Only a broken barrier is an error, and nothing breaks this one.
            let _ = visitors.groups.wait().await;
            Ok::<_, Infallible>(answer(request.uri()).await)
        }
    });
    http1::Builder::new()
        .serve_connection(HyperIo::vectored(stream), service)
        .await
}

async fn answer(url: &Uri) -> Response<Full<Bytes>> {
    let path = &url.path()[1..];
    let (kind, number) = path.split_once('/').unwrap_or((path, ""));
    let body = match (kind, number.parse()) {
        ("after", Ok(ms)) => {
            sleep(Duration::from_millis(ms)).await;
            format!("here I am, after {ms} ms")
        }
        ("image", Ok(number)) => match url.query() {
            Some(query) => format!("image {number}, {query}"),
            None => format!("image {number}"),
        },
        ("never", _) => std::future::pending().await,
        _ => {
            let mut response = Response::new(Full::default());
            *response.status_mut() = StatusCode::NOT_FOUND;
            return response;
        }
    };
    Response::new(Full::from(body))
}

/// Counts as long as it lives.
struct Visit<'a>(&'a Visitors);

impl<'a> Visit<'a> {
    fn begin(visitors: &'a Visitors) -> Self {
        let now = visitors.now.fetch_add(1, Ordering::Relaxed) + 1;
        visitors.most.fetch_max(now, Ordering::Relaxed);
        Self(visitors)
    }
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::Relaxed);
    }
}
