//! Servers under measurement: the client is a companion process, and the figure is the server's own cost.

use std::net::SocketAddr;
use std::time::Duration;

use runtime_core::Runtime;

use super::lost;
use crate::load::companion::{Companion, Role};
use crate::load::{LoadOptions, LoadReport, Protocol};
use crate::measure::{Latency, Meter};
use crate::vocabulary::{Failure, Parameter, Params};

/// Parameter: the client's connections, each with one request in flight.
pub(crate) const CONNECTIONS: Parameter = Parameter {
    name: "connections",
    about: "connections, each with at most one request in flight",
    default: 64,
    min: 1,
    max: 16_000,
};

/// Parameter: the bytes of an echo message.
pub(crate) const BYTES: Parameter = Parameter {
    name: "bytes",
    about: "bytes of a message",
    default: 64,
    min: 1,
    max: 16 << 20,
};

/// Parameter: the open loop's rate.
pub(crate) const fn rate(default: u64) -> Parameter {
    Parameter {
        name: "rate",
        about: "requests per second, timed from their intended start (open loop); 0 is the closed loop",
        default,
        min: 0,
        max: 10_000_000,
    }
}

/// The client's settings for the duration of the budget, with a tenth of it for warm-up.
pub(crate) fn options(
    protocol: Protocol,
    server: SocketAddr,
    params: &Params,
    duration: Duration,
) -> LoadOptions {
    let rate = params.value("rate");
    LoadOptions {
        protocol,
        server,
        connections: params.value("connections") as usize,
        bytes: params
            .values
            .get("bytes")
            .map_or(1, |&bytes| bytes as usize),
        rate: (rate > 0).then_some(rate as f64),
        warm_up: duration / 10,
        duration,
        body: None,
        answer: None,
    }
}

/// Starts the client and its load. Measures this process from the end of the client's warm-up to its last response.
pub(crate) async fn measure<R: Runtime>(
    rt: &R,
    options: LoadOptions,
    meter: &mut Meter,
) -> Result<(), Failure> {
    let start = move || Companion::start(&Role::Load(options));
    let mut client = rt.spawn_blocking(start).await.map_err(lost)??;
    meter.start();
    let go = move || (client.go(), client);
    let (report, client) = rt.spawn_blocking(go).await.map_err(lost)?;
    let report = report?;
    meter.stop(report.requests);
    record(meter, report, client.shares_process());
    // Dropping it blocks until the client has ended.
    rt.spawn_blocking(move || drop(client)).await.map_err(lost)
}

/// [`measure`] for servers without tasks.
pub(crate) fn measure_blocking(options: LoadOptions, meter: &mut Meter) -> Result<(), Failure> {
    let mut client = Companion::start(&Role::Load(options))?;
    meter.start();
    let report = client.go()?;
    meter.stop(report.requests);
    record(meter, report, client.shares_process());
    Ok(())
}

pub(crate) fn record(meter: &mut Meter, report: LoadReport, shares_process: bool) {
    if let Some(sample) = meter.samples.last_mut() {
        if shares_process {
            sample.cpu_ns = sample.cpu_ns.saturating_sub(report.client_cpu_ns);
        }
        // Use the client's clock, from the first intended start. The rate then includes late responses, and excludes
        // the time until the report arrives.
        if report.options.rate.is_some() && report.wall_ns > 0 {
            sample.wall_ns = report.wall_ns;
        }
    }
    if report.options.server.ip().is_loopback() {
        meter.flags.push("shares_cores");
    }
    if report.client_bound() {
        meter.flags.push("client_bound");
    }
    if report.unstarted > 0 {
        meter
            .extra
            .insert("unstarted_requests", report.unstarted as f64);
    }
    meter.client_cpu_ns = Some(report.client_cpu_ns);
    meter.client_late_ns = report.client_late_ns.map(|late| (late.p50, late.p99));
    meter.latency = Some(Latency {
        p50_ns: report.latency_ns.p50,
        p90_ns: report.latency_ns.p90,
        p99_ns: report.latency_ns.p99,
        p999_ns: report.latency_ns.p999,
        max_ns: report.latency_ns.max,
        histogram_hdr_base64: report.histogram_hdr_base64,
    });
}

/// A free port on the loopback interface.
pub(crate) fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}
