//! `lab serve`: a real server under any Rust runtime, for any client from outside.
//!
//! It is the servers of the workloads [`echo`] and [`http`], with hogs beside
//! them if asked for. It prints `listening HOST:PORT` when it is ready, and ends on SIGINT or SIGTERM with code 0.

use std::fmt;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use runtime_core::{Launch, LaunchConfig, Runtime, TcpListener as _};
use runtime_mn::Mn;
use runtime_n1::N1;
use runtime_threads::Threads;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::cli;
use crate::error::CommandError;
use crate::load::{self, Protocol};
use crate::many_loops::processes::ProcessLoops;
use crate::many_loops::threads::ThreadLoops;
use crate::many_loops::{Loops, servers};
use crate::peers::smol::Smol;
use crate::peers::std_blocking;
use crate::peers::tokio::{TokioCt, TokioMt};
use crate::registry::{Failure, Params};
use crate::workloads::{echo, http, mixed};

/// What to serve, where, and how.
#[derive(Clone, Debug)]
struct Service {
    protocol: Protocol,
    address: SocketAddr,
    workers: Option<usize>,
    hogs: usize,
}

/// Serves under one runtime until a signal comes.
type ServeFn = fn(&Service) -> Result<(), ServeError>;

/// The runtimes that can serve.
const SERVERS: &[(&str, ServeFn)] = &[
    ("n1", under::<N1>),
    ("mn", under::<Mn>),
    ("threads", under::<Threads>),
    ("n1xP", on_many_loops::<ThreadLoops>),
    ("n1xProc", on_many_loops::<ProcessLoops>),
    ("std-blocking", blocking),
    ("tokio-mt", under::<TokioMt>),
    ("tokio-ct", under::<TokioCt>),
    ("smol", under::<Smol>),
];

/// Why a server did not serve.
#[derive(Debug)]
enum ServeError {
    Start(io::Error),
    Bind(io::Error),
    Signals(io::Error),
    /// Only threads: where the kernel schedules, a hog is a thread like any other program's.
    NoHogs,
}

/// The command `lab serve`.
///
/// # Errors
/// [`CommandError::Usage`] for a runtime that can't serve, an address that is none, or absurd numbers;
/// [`CommandError::Failed`] when the address is in use or the system refuses threads.
pub fn run(arguments: &cli::ServeArgs) -> Result<(), CommandError> {
    let name = arguments.runtime.as_str();
    let Some((_, serve)) = SERVERS.iter().find(|(runtime, _)| *runtime == name) else {
        let known: Vec<&str> = SERVERS.iter().map(|(runtime, _)| *runtime).collect();
        return Err(CommandError::Usage(format!(
            "--runtime {name}: no such server; there are {}",
            known.join(", ")
        )));
    };
    if arguments.workers == Some(0) {
        return Err(CommandError::Usage(
            "--workers 0: at least one worker is needed".to_owned(),
        ));
    }
    let service = Service {
        protocol: arguments.protocol.into(),
        address: load::resolve(&arguments.addr)?,
        workers: arguments.workers,
        hogs: arguments.hogs,
    };
    serve(&service).map_err(|error| match error {
        ServeError::NoHogs => CommandError::Usage(format!("--hogs: {name} has no tasks to hog")),
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
            Self::Bind(error) => write!(f, "can't listen there: {error}"),
            Self::Signals(error) => write!(f, "can't wait for signals: {error}"),
            Self::NoHogs => f.write_str("no tasks to hog"),
        }
    }
}

fn under<L: Launch>(service: &Service) -> Result<(), ServeError> {
    let mut config = LaunchConfig::default();
    if let Some(workers) = service.workers {
        config.workers = workers;
    }
    // Before the runtime starts, so that no signal is missed in between.
    let signals = signals()?;
    let service = service.clone();
    L::run(&config, move |rt| serve(rt, service, signals)).map_err(ServeError::Start)?
}

async fn serve<R: Runtime>(rt: R, service: Service, signals: Signals) -> Result<(), ServeError> {
    let listener = rt.bind(service.address).await.map_err(ServeError::Bind)?;
    let address = listener.local_addr().map_err(ServeError::Bind)?;
    let accepting = match service.protocol {
        Protocol::Echo => rt.spawn(echo::serve(rt.clone(), listener)),
        Protocol::Http => rt.spawn(http::serve(rt.clone(), listener)),
    };
    for _ in 0..service.hogs {
        drop(rt.spawn(mixed::hog(rt.clone(), Arc::new(AtomicU64::new(0)))));
    }
    announce(address);
    // Connections are dropped with the runtime when the root task returns.
    drop(accepting);
    let waited = rt.spawn_blocking(move || wait_for(signals)).await;
    waited.map_err(|error| ServeError::Signals(io::Error::other(error)))
}

fn on_many_loops<L: Loops>(service: &Service) -> Result<(), ServeError> {
    let mut config = LaunchConfig::default();
    if let Some(workers) = service.workers {
        config.workers = workers;
    }
    let signals = signals()?;
    let start = |failure: Failure| ServeError::Start(io::Error::other(failure));
    let loops = L::start(&config).map_err(start)?;
    let address =
        servers::listen_on(&loops, service.protocol, service.address).map_err(ServeError::Bind)?;
    let hogs = service.hogs as u64;
    loops
        .each::<servers::Hogs>(&Params::default(), &hogs)
        .map_err(start)?;
    announce(address);
    wait_for(signals);
    Ok(())
}

fn blocking(service: &Service) -> Result<(), ServeError> {
    if service.hogs > 0 {
        return Err(ServeError::NoHogs);
    }
    let signals = signals()?;
    let server =
        std_blocking::Server::start(service.protocol, service.address).map_err(ServeError::Bind)?;
    announce(server.address);
    wait_for(signals);
    Ok(())
}

/// Says that the server is ready, at once, also into a pipe.
fn announce(address: SocketAddr) {
    let mut output = io::stdout().lock();
    // Nobody need listen.
    let _ = writeln!(output, "listening {address}").and_then(|()| output.flush());
}

fn signals() -> Result<Signals, ServeError> {
    Signals::new([SIGINT, SIGTERM]).map_err(ServeError::Signals)
}

/// Blocks until one of the signals comes.
fn wait_for(mut signals: Signals) {
    signals.forever().next();
}
