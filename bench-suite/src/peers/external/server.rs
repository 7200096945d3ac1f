//! Workloads in which the peer is the server, and the lab is the client, in a separate process.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::time::{Duration, Instant};

use super::batch::out_of_turn;
use super::conversation::{Conversation, Word};
use super::manifest::Peer;
use super::tree::{self, Usage};
use crate::costs::events::Events;
use crate::load::Protocol;
use crate::load::companion::{Companion, Role};
use crate::measure::{Meter, Sample};
use crate::vocabulary::{Failure, Params};
use crate::workloads::{client, http};

/// Generates load for the peer, as for every other server.
pub(super) fn measure(
    peer: &Peer,
    talk: &mut Conversation,
    params: &Params,
    meter: &mut Meter,
) -> Result<(), Failure> {
    let server = match talk.hear()? {
        Word::Listening { address, workers } => {
            meter.workers = workers;
            resolve(&address)?
        }
        other => return Err(out_of_turn(&other)),
    };
    let (protocol, duration) = match params.workload.as_str() {
        "http" => (Protocol::Http, Duration::from_nanos(params.budget_ns)),
        "mixed" => (
            Protocol::Echo,
            Duration::from_millis(params.value("duration_ms")),
        ),
        _ => (Protocol::Echo, Duration::from_nanos(params.budget_ns)),
    };
    let mut options = client::options(protocol, server, params, duration);
    options.body = (protocol == Protocol::Http).then(|| http::BODY.to_owned());
    let warm_up = Duration::from_millis(peer.manifest.warm_up_ms);
    if !warm_up.is_zero() {
        options.warm_up = options.warm_up.max(warm_up);
        meter
            .extra
            .insert("warm_up_ms", options.warm_up.as_secs_f64() * 1e3);
    }
    // Count the peer's threads, not those of this process.
    let counts = meter.events.take().is_some();
    let put_on = |talk: &Conversation| -> Result<_, Failure> {
        let mut companion = Companion::start(&Role::Load(options))?;
        let gone = || Failure::Crashed("ended early".to_owned());
        let before = Usage::of(talk.id()).ok_or_else(gone)?;
        let mut events = counts.then(|| Events::of_threads(&tree::threads(talk.id())));
        let begun = Instant::now();
        if let Some(events) = &mut events {
            events.start();
        }
        let report = companion.go()?;
        if let Some(events) = &mut events {
            events.stop();
        }
        let wall = begun.elapsed();
        let after = Usage::of(talk.id()).ok_or_else(gone)?;
        Ok((before, report, wall, after, events))
    };
    let put_on = put_on(talk);
    let (before, report, wall, after, events) = match put_on {
        Ok(measured) => measured,
        // If the server is gone, that explains why the client failed.
        Err(failure) => return Err(talk.has_ended().unwrap_or(failure)),
    };
    meter.samples.push(Sample::counted(
        report.requests,
        u64::try_from(wall.as_nanos()).unwrap_or(u64::MAX),
        after.cpu_ns.saturating_sub(before.cpu_ns),
        after.counters.since(before.counters),
    ));
    meter.events = events;
    meter.peak_rss_bytes = tree::peak_rss_bytes(talk.id());
    client::record(meter, report, false);
    Ok(())
}

fn resolve(address: &str) -> Result<SocketAddr, Failure> {
    let addresses = address.to_socket_addrs();
    addresses
        .ok()
        .and_then(|mut all| all.next())
        .ok_or_else(|| {
            let shown: String = address.chars().take(60).collect();
            Failure::Crashed(format!(
                "listens on `{}`, which is not an address",
                shown.escape_debug()
            ))
        })
}
