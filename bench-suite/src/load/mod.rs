//! `lab load`: puts load on an echo or HTTP server and says what it saw, its own lateness included.
//!
//! [`LoadOptions`] say what to do and [`LoadReport`] is what was seen; both are plain data, so that a workload can
//! have the generator run in a process of its own ([`companion`]).
//!
#![doc = include_str!("README.md")]

pub mod affine;
pub mod companion;
mod exchange;
mod generator;
pub mod site;
mod stop;
mod summary;

use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::os::fd::BorrowedFd;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::cli;
use crate::error::CommandError;
use crate::measure::Latency;
use crate::output::Output;
use crate::terminal;
use affine::Affine;
use generator::{Generator, Observed, Pace};
use stop::Stop;

/// The schema of [`LoadReport`] as JSON.
pub const SCHEMA: &str = "lab.load/1";

/// What the server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// Every byte comes back.
    Echo,
    /// HTTP/1.1 with keep-alive: `GET /` is answered with 200.
    Http,
}

/// What load to put on what.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LoadOptions {
    /// What the server speaks.
    pub protocol: Protocol,
    /// Where it listens.
    pub server: SocketAddr,
    /// Connections, each with at most one request in flight.
    pub connections: usize,
    /// Bytes of an echo message.
    pub bytes: usize,
    /// Requests a second over all connections, from the intended start; `None` is the closed loop.
    pub rate: Option<f64>,
    /// Closed-loop load before the measured part, which is not reported.
    pub warm_up: Duration,
    /// For how long requests are started.
    pub duration: Duration,
    /// What every HTTP body must be; `None`: all like the first.
    pub body: Option<String>,
    /// Of an echo of eight bytes or more: the first eight, a little-endian number, come back as this map's value.
    #[serde(default)]
    pub answer: Option<Affine>,
}

/// What was seen. Times are in nanoseconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LoadReport {
    /// [`SCHEMA`].
    pub schema: String,
    /// What was done.
    pub options: LoadOptions,
    /// Responses, all of them checked.
    pub requests: u64,
    /// Open loop: requests that were due and never got a free connection.
    pub unstarted: u64,
    /// Requests that were in flight when the run was interrupted.
    #[serde(default)]
    pub unanswered: u64,
    /// The run was interrupted: it is shorter than was asked for.
    #[serde(default)]
    pub interrupted: bool,
    /// From the first request's start to the last response. In the open loop it is at least the duration asked for,
    /// unless the run was interrupted.
    pub wall_ns: u64,
    /// The generator's own CPU time.
    pub client_cpu_ns: u64,
    /// From the start (closed loop) or the intended start (open loop) of a request to its whole response.
    pub latency_ns: Percentiles,
    /// Open loop: how late the generator itself was in sending what was due and had a free connection.
    pub client_late_ns: Option<Percentiles>,
    /// The latencies as a compressed HdrHistogram V2, base64.
    pub histogram_hdr_base64: Option<String>,
}

/// Percentiles of durations in nanoseconds.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Percentiles {
    /// Median.
    pub p50: u64,
    /// 90th percentile.
    pub p90: u64,
    /// 99th percentile.
    pub p99: u64,
    /// 99.9th percentile.
    pub p999: u64,
    /// The largest.
    pub max: u64,
}

impl From<&Latency> for Percentiles {
    fn from(latency: &Latency) -> Self {
        Self {
            p50: latency.p50_ns,
            p90: latency.p90_ns,
            p99: latency.p99_ns,
            p999: latency.p999_ns,
            max: latency.max_ns,
        }
    }
}

impl LoadReport {
    fn new(options: &LoadOptions, observed: &Observed) -> Self {
        let latency = Latency::from(&observed.latency);
        Self {
            schema: SCHEMA.to_owned(),
            options: options.clone(),
            requests: observed.requests,
            unstarted: observed.unstarted,
            unanswered: observed.unanswered,
            interrupted: observed.stopped,
            wall_ns: nanoseconds(observed.wall),
            client_cpu_ns: nanoseconds(observed.cpu),
            latency_ns: Percentiles::from(&latency),
            client_late_ns: observed
                .lateness
                .as_ref()
                .map(|lateness| Percentiles::from(&Latency::from(lateness))),
            histogram_hdr_base64: latency.histogram_hdr_base64,
        }
    }

    /// Whether the one thread of the generator was busy nearly all the time: then the server could perhaps do more.
    pub fn client_bound(&self) -> bool {
        self.client_cpu_ns as f64 >= 0.9 * self.wall_ns as f64
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Why there is no report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadError {
    /// A connection was not made.
    Connect {
        /// To where.
        server: SocketAddr,
        /// The how manieth.
        number: usize,
        /// Of how many.
        of: usize,
        /// What the system said.
        error: String,
    },
    /// This side has no more descriptors, ports or memory for a connection.
    Refused {
        /// The how manieth.
        number: usize,
        /// Of how many.
        of: usize,
        /// What the system said.
        error: String,
    },
    /// The server's answer is wrong.
    Wrong(String),
    /// A connection broke, or something on this side failed.
    Failed(String),
    /// Whoever wanted the report is gone.
    Abandoned,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect {
                server,
                number,
                of,
                error,
            } => write!(
                f,
                "connecting to {server} (connection {number} of {of}): {error}; is a server listening there?"
            ),
            Self::Refused { number, of, error } => write!(
                f,
                "connection {number} of {of}: {error}; ask for fewer connections, or raise the limit (`ulimit -n`)"
            ),
            Self::Wrong(why) | Self::Failed(why) => f.write_str(why),
            Self::Abandoned => f.write_str("nobody waits for the result"),
        }
    }
}

impl std::error::Error for LoadError {}

/// A generator with its connections made and warmed up.
pub struct Ready {
    generator: Generator,
    options: LoadOptions,
}

impl Ready {
    /// Opens the connections and warms them up.
    ///
    /// # Errors
    /// [`LoadError`].
    pub fn new(options: LoadOptions) -> Result<Self, LoadError> {
        let mut generator = Generator::connect(&options)?;
        if !options.warm_up.is_zero() {
            generator.run(Pace::Closed, options.warm_up)?;
        }
        Ok(Self { generator, options })
    }

    /// Makes [`run`](Ready::run) end as soon as `fd` has something to read or is hung up.
    ///
    /// # Errors
    /// [`LoadError::Failed`].
    pub fn end_with(&self, fd: BorrowedFd<'_>) -> Result<(), LoadError> {
        self.generator.end_with(fd)
    }

    /// Makes [`run`](Ready::run) end with a report of what it has seen as soon as `fd` has something to read.
    ///
    /// # Errors
    /// [`LoadError::Failed`].
    pub fn stop_with(&self, fd: BorrowedFd<'_>) -> Result<(), LoadError> {
        self.generator.stop_with(fd)
    }

    /// Puts the load on.
    ///
    /// # Errors
    /// [`LoadError`].
    pub fn run(&mut self) -> Result<LoadReport, LoadError> {
        let pace = self.options.rate.map_or(Pace::Closed, Pace::Open);
        let observed = self.generator.run(pace, self.options.duration)?;
        Ok(LoadReport::new(&self.options, &observed))
    }
}

/// The command `lab load`.
///
/// # Errors
/// [`CommandError::Usage`] for values that make no sense, [`CommandError::Failed`] when a connection is refused or
/// breaks, an answer is wrong, or the report can't be written; [`CommandError::Interrupted`] after a signal, with what
/// was seen until then reported.
pub fn run(arguments: &cli::LoadArgs) -> Result<(), CommandError> {
    let options = options(arguments)?;
    let json = arguments.json.as_deref();
    let json = json
        .map(|path| Ok((path, Output::prepare(path, "--json")?)))
        .transpose()?;
    let failed = |error: LoadError| CommandError::Failed(error.to_string());
    let stop = Stop::listen()
        .map_err(|error| CommandError::Failed(format!("cannot listen for signals: {error}")))?;
    let mut ready = Ready::new(options).map_err(failed)?;
    ready.stop_with(stop.when_asked()).map_err(failed)?;
    let report = ready.run().map_err(failed)?;
    if report.interrupted && report.requests == 0 {
        return Err(CommandError::Interrupted(
            "interrupted before any answer had come; nothing was written".to_owned(),
        ));
    }
    // Before anything is printed, as nobody may read that.
    let written = json.as_ref().map_or(Ok(()), |(path, output)| {
        output
            .write(to_json(&report).as_bytes())
            .map_err(|error| CommandError::Failed(format!("--json {}: {error}", path.display())))
    });
    let printed = match json {
        Some((_, Output::Standard)) => Ok(()),
        _ => terminal::print(&summary::of(&report, terminal::width())),
    };
    written?;
    if report.interrupted {
        return Err(CommandError::Interrupted(format!(
            "interrupted after {:.1} s of {:.1} s; what was measured is reported",
            report.wall_ns as f64 / 1e9,
            report.options.duration.as_secs_f64(),
        )));
    }
    printed
}

fn options(arguments: &cli::LoadArgs) -> Result<LoadOptions, CommandError> {
    let usage = |message: String| Err(CommandError::Usage(message));
    let server = resolve(&arguments.addr)?;
    if arguments.connections == 0 {
        return usage("--connections 0: at least one connection is needed".to_owned());
    }
    if arguments.bytes == 0 || arguments.bytes > 16 << 20 {
        return usage(format!(
            "--bytes {}: from 1 to 16777216 bytes",
            arguments.bytes
        ));
    }
    if let Some(rate) = arguments.rate
        && !(rate > 0.0 && rate <= 10e6)
    {
        return usage(format!(
            "--rate {rate}: more than 0 and at most 10 million requests per second"
        ));
    }
    Ok(LoadOptions {
        protocol: arguments.protocol.into(),
        server,
        connections: arguments.connections,
        bytes: arguments.bytes,
        rate: arguments.rate,
        warm_up: Duration::ZERO,
        duration: arguments.duration,
        body: None,
        answer: None,
    })
}

impl From<cli::Protocol> for Protocol {
    fn from(protocol: cli::Protocol) -> Self {
        match protocol {
            cli::Protocol::Echo => Self::Echo,
            cli::Protocol::Http => Self::Http,
        }
    }
}

/// `HOST:PORT` as an address.
pub(crate) fn resolve(address: &str) -> Result<SocketAddr, CommandError> {
    if !address.contains(':') {
        return Err(CommandError::Usage(format!(
            "--addr {address}: expected HOST:PORT, such as 127.0.0.1:8080"
        )));
    }
    address
        .to_socket_addrs()
        .ok()
        .and_then(|mut addresses| addresses.next())
        .ok_or_else(|| {
            CommandError::Usage(format!(
                "--addr {address}: no such host or port; expected HOST:PORT"
            ))
        })
}

fn to_json(report: &LoadReport) -> String {
    let mut text =
        serde_json::to_string_pretty(report).expect("a report has only numbers and strings");
    text.push('\n');
    text
}

#[cfg(test)]
mod tests;
