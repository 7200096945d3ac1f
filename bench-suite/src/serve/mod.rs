//! `lab serve`: a real server under any Rust runtime, for any outside client.
//!
//! It runs the servers of the workloads `echo` and `http`, optionally with CPU-bound tasks beside them. It prints
//! `listening HOST:PORT` when it is ready, and ends on SIGINT, SIGTERM or SIGHUP with code 0. With `--metrics` it also
//! answers Prometheus, on its own loop, because the counters matter most while all workers are stuck. With `--tasks` it
//! tells `lab ps` in the same way what its tasks wait for. With `--flight` it records all the time, and writes the
//! latest events when something goes wrong.

mod endpoint;
mod exposition;
mod flight;
pub(crate) mod tasks;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use runtime_core::LaunchConfig;
use signal_hook::iterator::Signals;

use crate::cli;
use crate::error::CommandError;
use crate::launch_request::LaunchRequest;
use crate::load;
use crate::registry::{Registry, RuntimeInfo};
use crate::workloads::server::{Counted, Listed, ServeError, ServeFn, Service, Session};
use crate::{stopping, terminal};

use endpoint::{Endpoint, Page};

/// The command `lab serve`.
///
/// # Errors
/// [`CommandError::Usage`] for a runtime that can't serve, an invalid address, or absurd numbers;
/// [`CommandError::Failed`] if the address is in use or the system refuses threads.
pub fn run(registry: &Registry, arguments: &cli::ServeArgs) -> Result<(), CommandError> {
    let runtime = if arguments.green {
        format!("{}-green", arguments.runtime)
    } else {
        arguments.runtime.clone()
    };
    let (info, serve) = server(registry, &runtime)?;
    if arguments.workers == Some(0) {
        return Err(CommandError::Usage(
            "--workers 0: at least one worker is needed".to_owned(),
        ));
    }
    let service = Service {
        protocol: arguments.protocol.into(),
        address: load::resolve(&arguments.addr)?,
        cpu_bound_tasks: arguments.hogs,
    };
    let metrics = arguments.metrics.as_deref().map(load::resolve);
    let metrics = metrics.transpose()?;
    let tasks = arguments.tasks.as_deref().map(load::resolve);
    let addresses = Addresses {
        metrics,
        tasks: tasks.transpose()?,
    };
    // Watch from the start, so that no wait is missed.
    let _watch = addresses.tasks.map(|_| runtime_core::task_list::watch());
    let request = LaunchRequest {
        workers: arguments.workers,
        policy: arguments.scheduler.policy.clone(),
        knobs: arguments.scheduler.knobs.clone(),
        without: arguments.scheduler.without.clone(),
    };
    let config = request.config(info.launcher)?;
    let _flight = arguments
        .flight
        .as_deref()
        .map(|folder| flight::start(folder, arguments))
        .transpose()?;
    serve_until_signal(serve, &config, service, addresses).map_err(|error| match error {
        ServeError::NoCpuBoundTasks => {
            CommandError::Usage(format!("--hogs: {}: {error}", info.name))
        }
        ServeError::Command(error) => error,
        ServeError::Start(error) if error.kind() == io::ErrorKind::InvalidInput => {
            CommandError::Usage(error.to_string())
        }
        ServeError::Metrics(error) => {
            let address = arguments.metrics.as_deref().unwrap_or_default();
            CommandError::Failed(format!("--metrics {address}: {}", ServeError::Bind(error)))
        }
        ServeError::Tasks(error) => {
            let address = arguments.tasks.as_deref().unwrap_or_default();
            CommandError::Failed(format!("--tasks {address}: {}", ServeError::Bind(error)))
        }
        error => CommandError::Failed(format!("--addr {}: {error}", arguments.addr)),
    })
}

/// The runtime called `name`, and its server.
fn server<'a>(
    registry: &'a Registry,
    name: &str,
) -> Result<(&'a RuntimeInfo, ServeFn), CommandError> {
    let known = registry.runtime(name);
    known
        .and_then(|info| Some((info, info.serve?)))
        .ok_or_else(|| {
            let servers = registry.runtimes.iter().filter(|info| info.serve.is_some());
            let servers: Vec<&str> = servers.map(|info| info.name).collect();
            CommandError::Usage(format!(
                "--runtime {}: no such server; there are {}",
                name.escape_debug(),
                servers.join(", ")
            ))
        })
}

/// Addresses of the endpoints beside the service.
#[derive(Clone, Copy, Default)]
struct Addresses {
    metrics: Option<SocketAddr>,
    tasks: Option<SocketAddr>,
}

fn serve_until_signal(
    serve: ServeFn,
    config: &LaunchConfig,
    service: Service,
    addresses: Addresses,
) -> Result<(), ServeError> {
    // Before the runtime starts, so that no signal is missed.
    let mut signals = Signals::new(stopping::signals()).map_err(ServeError::Signals)?;
    let counted = Counted::default();
    let listed = Listed::default();
    let metrics = addresses.metrics;
    let metrics = metrics
        .map(|address| start_endpoint(address, config, &counted))
        .transpose()?;
    let tasks = addresses.tasks;
    let tasks = tasks
        .map(|address| Endpoint::start(address, tasks::page(&listed)).map_err(ServeError::Tasks))
        .transpose()?;
    let addresses = Addresses {
        metrics: metrics.as_ref().map(Endpoint::address),
        tasks: tasks.as_ref().map(Endpoint::address),
    };
    let session = Session {
        ready: Box::new(move |address| announce(address, addresses)),
        counted,
        listed,
        until: Box::new(move || {
            signals.forever().next();
        }),
    };
    serve(config, service, session)
}

/// Starts the endpoint for the metrics.
fn start_endpoint(
    address: SocketAddr,
    config: &LaunchConfig,
    counted: &Counted,
) -> Result<Endpoint, ServeError> {
    let (counted, config) = (Arc::clone(counted), config.clone());
    let text = move || {
        let metrics = counted.get().map(|read| read());
        exposition::page(metrics.as_ref(), &config)
    };
    let page = Page {
        path: "/metrics",
        content_type: exposition::CONTENT_TYPE,
        text: Arc::new(text),
    };
    Endpoint::start(address, page).map_err(ServeError::Metrics)
}

/// Announces that the server is ready. The line is flushed at once, even into a pipe.
///
/// # Errors
/// If the announcement can't be written. A reader that waits for it would wait forever.
fn announce(address: SocketAddr, beside: Addresses) -> Result<(), ServeError> {
    let mut lines = format!("listening {address}\n");
    for (name, address) in [("metrics", beside.metrics), ("tasks", beside.tasks)] {
        if let Some(address) = address {
            lines += &format!("{name} {address}\n");
        }
    }
    terminal::print(&lines).map_err(ServeError::Command)
}
