//! `lab serve`: a real server under any Rust runtime, for any client from outside.
//!
//! It is the servers of the workloads [`echo`] and [`http`], with hogs beside them if asked for. It prints
//! `listening HOST:PORT` when it is ready, and ends on SIGINT, SIGTERM or SIGHUP with code 0. With `--metrics` it also
//! answers Prometheus, on a loop of its own: what the runtime counts is of most interest while all of its workers are
//! stuck.

mod endpoint;
mod exposition;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};

use runtime_core::{
    JoinError, Launch, LaunchConfig, Metrics, Runtime, TaskHandle as _, TcpListener as _,
};
use signal_hook::iterator::Signals;

use crate::cli;
use crate::error::CommandError;
use crate::launcher::{Asked, Launcher};
use crate::load::{self, Protocol};
use crate::many_loops::processes::ProcessLoops;
use crate::many_loops::threads::ThreadLoops;
use crate::many_loops::{Loops, servers};
use crate::peers::std_blocking;
use crate::registry::{Failure, Params, Registry, RuntimeInfo};
use crate::workloads::{echo, http, mixed};
use crate::{stopping, terminal};

use endpoint::Endpoint;

/// What to serve, where, and how.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    protocol: Protocol,
    address: SocketAddr,
    runtime: Asked,
    hogs: usize,
    metrics: Option<SocketAddr>,
}

/// What the served runtime counts, once it runs.
type Counted = Arc<OnceLock<Box<dyn Fn() -> Metrics + Send + Sync>>>;

type ServeFn = fn(&Service) -> Result<(), ServeError>;

/// The servers that are not started by a launcher.
const OTHERS: &[(&str, ServeFn)] = &[
    ("n1xP", on_many_loops::<ThreadLoops>),
    ("n1xProc", on_many_loops::<ProcessLoops>),
    ("std-blocking", blocking),
];

/// Why a server did not serve.
#[derive(Debug)]
pub(crate) enum ServeError {
    Command(CommandError),
    Start(io::Error),
    Bind(io::Error),
    Metrics(io::Error),
    Signals(io::Error),
    Hog(io::Error),
    /// Only threads: where the kernel schedules, a hog is a thread like any other program's.
    NoHogs,
}

/// The command `lab serve`.
///
/// # Errors
/// [`CommandError::Usage`] for a runtime that can't serve, an address that is none, or absurd numbers;
/// [`CommandError::Failed`] when the address is in use or the system refuses threads.
pub fn run(registry: &Registry, arguments: &cli::ServeArgs) -> Result<(), CommandError> {
    let name = arguments.runtime.as_str();
    let other = |name: &str| OTHERS.iter().find(|(other, _)| *other == name);
    let launcher = registry.runtime(name).and_then(|info| info.launcher);
    let serve = match (launcher, other(name)) {
        (Some(launcher), _) => launcher.serve,
        (None, Some((_, serve))) => *serve,
        (None, None) => {
            let can_serve =
                |info: &&RuntimeInfo| info.launcher.is_some() || other(info.name).is_some();
            let servers: Vec<&str> = registry
                .runtimes
                .iter()
                .filter(can_serve)
                .map(|info| info.name)
                .collect();
            return Err(CommandError::Usage(format!(
                "--runtime {}: no such server; there are {}",
                name.escape_debug(),
                servers.join(", ")
            )));
        }
    };
    if arguments.workers == Some(0) {
        return Err(CommandError::Usage(
            "--workers 0: at least one worker is needed".to_owned(),
        ));
    }
    let service = Service {
        protocol: arguments.protocol.into(),
        address: load::resolve(&arguments.addr)?,
        runtime: Asked {
            workers: arguments.workers,
            policy: arguments.policy.clone(),
            knobs: arguments.knobs.clone(),
        },
        hogs: arguments.hogs,
        metrics: arguments
            .metrics
            .as_deref()
            .map(load::resolve)
            .transpose()?,
    };
    serve(&service).map_err(|error| match error {
        ServeError::NoHogs => CommandError::Usage(format!("--hogs: {name} has no tasks to hog")),
        ServeError::Command(error) => error,
        ServeError::Start(error) if error.kind() == io::ErrorKind::InvalidInput => {
            CommandError::Usage(error.to_string())
        }
        ServeError::Metrics(error) => {
            let address = arguments.metrics.as_deref().unwrap_or_default();
            CommandError::Failed(format!("--metrics {address}: {}", ServeError::Bind(error)))
        }
        error => CommandError::Failed(format!("--addr {}: {error}", arguments.addr)),
    })
}

impl fmt::Display for ServeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(error) => write!(f, "the runtime did not start: {error}"),
            Self::Bind(error) if error.kind() == io::ErrorKind::AddrInUse => {
                write!(
                    f,
                    "the port is in use: end what listens there, or take another (0: a free one)"
                )
            }
            Self::Bind(error) | Self::Metrics(error) => write!(f, "can't listen there: {error}"),
            Self::Command(error) => error.fmt(f),
            Self::Signals(error) => write!(f, "can't wait for signals: {error}"),
            Self::Hog(error) => write!(f, "a hog did not start: {error}"),
            Self::NoHogs => f.write_str("no tasks to hog"),
        }
    }
}

/// Serves under one runtime until a signal comes.
///
/// # Errors
/// Why it did not.
pub(crate) fn under<L: Launch>(service: &Service) -> Result<(), ServeError> {
    let config = service
        .runtime
        .config(Launcher::of::<L>())
        .map_err(ServeError::Command)?;
    // Before the runtime starts, so that no signal is missed in between.
    let signals = signals()?;
    let counted = Counted::default();
    let endpoint = metrics(service, &config, &counted)?;
    let metrics = endpoint.as_ref().map(Endpoint::address);
    let service = service.clone();
    L::run(&config, move |rt| {
        serve(rt, service, counted, metrics, signals)
    })
    .map_err(ServeError::Start)?
}

/// Starts the endpoint of the metrics, if one is asked for.
fn metrics(
    service: &Service,
    config: &LaunchConfig,
    counted: &Counted,
) -> Result<Option<Endpoint>, ServeError> {
    let Some(address) = service.metrics else {
        return Ok(None);
    };
    let (counted, config) = (Arc::clone(counted), config.clone());
    let page = move || {
        let metrics = counted.get().map(|read| read());
        exposition::page(metrics.as_ref(), &config)
    };
    Endpoint::start(address, Arc::new(page))
        .map(Some)
        .map_err(ServeError::Metrics)
}

async fn serve<R: Runtime>(
    rt: R,
    service: Service,
    counted: Counted,
    metrics: Option<SocketAddr>,
    signals: Signals,
) -> Result<(), ServeError> {
    let read = rt.clone();
    // Nobody else fills it.
    let _ = counted.set(Box::new(move || read.metrics()));
    let listener = rt.bind(service.address).await.map_err(ServeError::Bind)?;
    let address = listener.local_addr().map_err(ServeError::Bind)?;
    let accepting = match service.protocol {
        Protocol::Echo => rt.spawn(echo::serve(rt.clone(), listener)),
        Protocol::Http => rt.spawn(http::serve(rt.clone(), listener)),
    };
    for _ in 0..service.hogs {
        let hog = rt.spawn(mixed::hog(rt.clone(), Arc::new(AtomicU64::new(0))));
        // One that was given no thread.
        if hog.is_finished()
            && let Err(JoinError::SpawnFailed(error)) = hog.await
        {
            return Err(ServeError::Hog(error));
        }
    }
    announce(address, metrics)?;
    // Connections are dropped with the runtime when the root task returns.
    drop(accepting);
    let waited = rt.spawn_blocking(move || wait_for(signals)).await;
    waited.map_err(|error| ServeError::Signals(io::Error::other(error)))
}

/// A loop on each thread or in each process, which share the port.
fn on_many_loops<L: Loops>(service: &Service) -> Result<(), ServeError> {
    service
        .runtime
        .expect_no_choices()
        .map_err(ServeError::Command)?;
    let mut config = LaunchConfig::default();
    if let Some(workers) = service.runtime.workers {
        config.workers = workers;
    }
    let signals = signals()?;
    // There is no one scheduler whose counters could be told.
    let endpoint = metrics(service, &config, &Counted::default())?;
    let start = |failure: Failure| ServeError::Start(io::Error::other(failure));
    let loops = L::start(&config).map_err(start)?;
    let address =
        servers::listen_on(&loops, service.protocol, service.address).map_err(ServeError::Bind)?;
    let hogs = service.hogs as u64;
    loops
        .each::<servers::Hogs>(&Params::default(), &hogs)
        .map_err(start)?;
    announce(address, endpoint.as_ref().map(Endpoint::address))?;
    wait_for(signals);
    Ok(())
}

fn blocking(service: &Service) -> Result<(), ServeError> {
    if service.hogs > 0 {
        return Err(ServeError::NoHogs);
    }
    service
        .runtime
        .expect_no_choices()
        .map_err(ServeError::Command)?;
    let signals = signals()?;
    // There is no scheduler: what remains is the process.
    let endpoint = metrics(service, &LaunchConfig::default(), &Counted::default())?;
    let server =
        std_blocking::Server::start(service.protocol, service.address).map_err(ServeError::Bind)?;
    announce(server.address, endpoint.as_ref().map(Endpoint::address))?;
    wait_for(signals);
    Ok(())
}

/// Says that the server is ready, at once, also into a pipe.
///
/// # Errors
/// When that can't be said. Nobody need listen; but whoever waits for it would wait for ever.
fn announce(address: SocketAddr, metrics: Option<SocketAddr>) -> Result<(), ServeError> {
    let mut lines = format!("listening {address}\n");
    if let Some(address) = metrics {
        lines += &format!("metrics {address}\n");
    }
    terminal::print(&lines).map_err(ServeError::Command)
}

fn signals() -> Result<Signals, ServeError> {
    Signals::new(stopping::signals()).map_err(ServeError::Signals)
}

/// Blocks until one of the signals comes.
fn wait_for(mut signals: Signals) {
    signals.forever().next();
}
