#![doc = include_str!("README.md")]

mod access;
mod measuring;
mod routes;
mod stored;
mod stream;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use futures_lite::future;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use runtime_core::hyper_rt::HyperIo;
use runtime_core::signal::{SignalKind, signal};
use runtime_core::{Launch as _, LaunchConfig, Runtime};
use runtime_n1::N1;

use crate::cli::UiArgs;
use crate::error::CommandError;
use crate::output::ensure_folder;
use crate::registry::Registry;
use crate::workloads::echo::accept_with;
use crate::workloads::slow_clients::TimeoutStream;
use crate::{load, terminal};

pub(crate) use measuring::end_with_parent_if_asked;

use access::Access;
use measuring::Measuring;
use routes::Site;

/// The command `lab ui`: serves until a signal arrives, then stops its measurement and ends with code 0.
///
/// # Errors
/// [`CommandError::Usage`] for an invalid address or a folder that can't be written to; [`CommandError::Failed`] if the
/// port is in use or the system refuses a resource.
pub(crate) fn run(registry: &Registry, arguments: &UiArgs) -> Result<(), CommandError> {
    let address = load::resolve(&arguments.addr)?;
    ensure_folder(&arguments.out, "--out")?;
    let failed = |what: &str, error: io::Error| {
        CommandError::Failed(format!("--addr {}: {what}{error}", arguments.addr))
    };
    let access = Access::new().map_err(|error| failed("no random numbers: ", error))?;
    let measuring = Measuring::new(arguments.out.clone());
    let site = Arc::new(Site::new(registry, access, Arc::clone(&measuring)));
    // On this thread, because the measured process ends with the thread that started it.
    let served = N1::run(&LaunchConfig::default(), move |rt| async move {
        serve(rt, address, site, measuring).await
    });
    served
        .and_then(|outcome| outcome)
        .map_err(|error| match error.kind() {
            io::ErrorKind::AddrInUse => CommandError::Failed(format!(
                "--addr {}: the port is in use: end what listens there, or take another (0: a free one)",
                arguments.addr
            )),
            _ => failed("", error),
        })
}

async fn serve<R: Runtime>(
    rt: R,
    address: SocketAddr,
    site: Arc<Site>,
    measuring: Arc<Measuring>,
) -> io::Result<()> {
    // Before the page announces that it is ready.
    let mut interrupt = signal(SignalKind::INTERRUPT)?;
    let mut terminate = signal(SignalKind::TERMINATE)?;
    let listener = rt.bind(address).await?;
    let address = listener_address::<R>(&listener)?;
    let said = format!(
        "listening {address}\nopen http://{address}{}\n",
        site.access().prefix()
    );
    terminal::print(&said).map_err(|error| io::Error::other(error.to_string()))?;
    drop(rt.spawn(accept(rt.clone(), listener, site)));
    future::or(interrupt.recv(), terminate.recv()).await;
    measuring.end(&rt).await;
    Ok(())
}

fn listener_address<R: Runtime>(listener: &R::TcpListener) -> io::Result<SocketAddr> {
    use runtime_core::TcpListener as _;
    listener.local_addr()
}

async fn accept<R: Runtime>(rt: R, listener: R::TcpListener, site: Arc<Site>) {
    accept_with(&rt, &listener, None, |stream| {
        let stream = TimeoutStream::new(stream, rt.clone());
        let (site, rt) = (Arc::clone(&site), rt.clone());
        let service = service_fn(move |request| {
            let (site, rt) = (Arc::clone(&site), rt.clone());
            async move { site.answer(&rt, request).await }
        });
        let conversation = http1::Builder::new().serve_connection(HyperIo::new(stream), service);
        async move {
            // A browser that leaves ends only its own conversation.
            let _ = conversation.await;
        }
    })
    .await
}
