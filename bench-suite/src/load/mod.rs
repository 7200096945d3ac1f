//! `lab load`: generates load for an echo or HTTP server and reports what it measured, including its own lateness.
//!
//! [`LoadOptions`] are the settings and [`LoadReport`] is the result. Both are plain data, so a workload can run the
//! generator in a separate process ([`companion`]).
//!
#![doc = include_str!("README.md")]

pub mod affine;
pub mod companion;
mod error;
mod exchange;
mod generator;
mod options;
mod ready;
mod report;
pub mod site;
mod stop;
mod summary;

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::time::Duration;

use crate::cli;
use crate::error::CommandError;
use crate::output::Output;
use crate::terminal;
use stop::Stop;

pub use error::LoadError;
pub use options::{LoadOptions, Protocol};
pub use ready::Ready;
pub use report::{LoadReport, Percentiles, SCHEMA};

/// The command `lab load`.
///
/// # Errors
/// [`CommandError::Usage`] for invalid values, [`CommandError::Failed`] if a connection is refused or breaks, an answer
/// is wrong, or the report can't be written; [`CommandError::Interrupted`] after a signal, once the results so far have
/// been reported.
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
    // Write before printing, because the reader of the output may be gone.
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

/// Resolves `HOST:PORT`.
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
