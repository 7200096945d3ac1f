//! `echo`, `http` and `mixed` as green tasks, and the servers for outside clients. This is the code of `std-blocking`
//! over sockets that suspend the task. httparse parses HTTP.

use std::io;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use runtime_core::green::net::{TcpListener, TcpStream};
use runtime_core::{JoinError, JoinHandle, Launch, LaunchConfig, Runtime, green, net};

use super::style::Style;
use crate::load::Protocol;
use crate::measure::Meter;
use crate::peers::std_blocking::{Source, converse_echo, converse_http};
use crate::vocabulary::{Failure, Params, Workload, is_refusal};
use crate::workloads::echo::{Echo, crashed};
use crate::workloads::http::{BODY, Http};
use crate::workloads::mixed::{self, Mixed};
use crate::workloads::refusals::Refusals;
use crate::workloads::server::{ServeError, Service, Session};
use crate::workloads::{Program, client};

pub(super) struct EchoTwin<S>(PhantomData<S>);
pub(super) struct HttpTwin<S>(PhantomData<S>);
pub(super) struct MixedTwin<S>(PhantomData<S>);

/// httparse's headers and a buffer are on the stack.
const STACK_BYTES: usize = 64 * 1024;

impl<S: Style> Program for EchoTwin<S> {
    const INFO: Workload = Echo::INFO;

    async fn run<R: Runtime>(rt: R, params: &Params, meter: &mut Meter) -> Result<(), Failure> {
        measured::<S, R>(&rt, Protocol::Echo, params, meter).await
    }
}

impl<S: Style> Program for HttpTwin<S> {
    const INFO: Workload = Http::INFO;

    async fn run<R: Runtime>(rt: R, params: &Params, meter: &mut Meter) -> Result<(), Failure> {
        measured::<S, R>(&rt, Protocol::Http, params, meter).await
    }
}

impl<S: Style> Program for MixedTwin<S> {
    const INFO: Workload = Mixed::INFO;

    async fn run<R: Runtime>(rt: R, params: &Params, meter: &mut Meter) -> Result<(), Failure> {
        let refusals = Refusals::default();
        let address = client::loopback();
        let started = start::<S>(Protocol::Echo, address, Some(refusals.clone())).await;
        let (server, accepting) = started.map_err(crashed)?;
        let measured = mixed::beside(&rt, server, params, meter, start_cpu_bound_task::<S>).await;
        accepting.abort();
        refusals.explain(measured)
    }
}

/// A task that computes and sleeps until it is aborted.
fn start_cpu_bound_task<S: Style>(computed_ns: Arc<AtomicU64>) -> JoinHandle<()> {
    S::spawn(move || {
        loop {
            mixed::compute_and_count(&computed_ns);
            green::sleep(mixed::SLEEP);
        }
    })
}

async fn measured<S: Style, R: Runtime>(
    rt: &R,
    protocol: Protocol,
    params: &Params,
    meter: &mut Meter,
) -> Result<(), Failure> {
    let refusals = Refusals::default();
    let started = start::<S>(protocol, client::loopback(), Some(refusals.clone())).await;
    let (server, accepting) = started.map_err(crashed)?;
    let duration = Duration::from_nanos(params.budget_ns);
    let mut options = client::options(protocol, server, params, duration);
    if protocol == Protocol::Http {
        options.body = Some(BODY.to_owned());
    }
    let measured = client::measure(rt, options, meter).await;
    accepting.abort();
    refusals.explain(measured)
}

/// Listens, and serves connections in green tasks until the returned task is aborted.
async fn start<S: Style>(
    protocol: Protocol,
    address: SocketAddr,
    refusals: Option<Refusals>,
) -> io::Result<(SocketAddr, JoinHandle<()>)> {
    let listener = net::TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    let listener = TcpListener::from(listener);
    let accepting = S::spawn(move || accept::<S>(protocol, &listener, refusals.as_ref()));
    Ok((address, accepting))
}

fn accept<S: Style>(protocol: Protocol, listener: &TcpListener, refusals: Option<&Refusals>) {
    /// When out of descriptors, it is useless to retry at once.
    const PAUSE: Duration = Duration::from_millis(10);
    loop {
        match listener.accept() {
            // An error of the client does not concern the server.
            Ok((stream, _)) => {
                drop(
                    S::builder()
                        .stack_bytes(STACK_BYTES)
                        .spawn(move || match protocol {
                            Protocol::Echo => converse_echo(stream),
                            Protocol::Http => converse_http(stream),
                        }),
                )
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => match refusals.filter(|_| is_refusal(&error)) {
                Some(refusals) => return refusals.note(&error),
                None => green::sleep(PAUSE),
            },
        }
    }
}

impl Source for TcpStream {
    fn limit(&self, limit: Option<Duration>) -> io::Result<()> {
        self.set_read_timeout(limit)
    }
}

/// Serves outside clients until the session ends.
pub(super) fn serve<S: Style, L: Launch>(
    config: &LaunchConfig,
    service: Service,
    session: Session,
) -> Result<(), ServeError> {
    let root = move |rt: L::Runtime| async move {
        let read = rt.clone();
        // Only this line sets it, so it can't fail.
        let _ = session.counted.set(Box::new(move || read.metrics()));
        let read = rt.clone();
        let _ = session.listed.set(Box::new(move || read.tasks()));
        let started = start::<S>(service.protocol, service.address, None).await;
        let (address, accepting) = started.map_err(ServeError::Bind)?;
        for _ in 0..service.cpu_bound_tasks {
            let task = start_cpu_bound_task::<S>(Arc::default());
            // A task that got no thread is already finished.
            if task.is_finished()
                && let Err(JoinError::SpawnFailed(error)) = task.await
            {
                return Err(ServeError::CpuBoundTask(error));
            }
        }
        (session.ready)(address)?;
        // The runtime drops the connections when the root task returns.
        drop(accepting);
        let waited = rt.spawn_blocking(session.until).await;
        waited.map_err(|error| ServeError::Signals(io::Error::other(error)))
    };
    L::run(config, root).map_err(ServeError::Start)?
}
