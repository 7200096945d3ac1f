//! `lab peers`: which peers are installed, and whether they work.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use serde_json::{Value, json};

use super::{State, find, problems, states};
use crate::cli::PeersArgs;
use crate::compare::interruption::Interruption;
use crate::compare::process;
use crate::compare::protocol::{PROTOCOL, Request};
use crate::environment;
use crate::error::CommandError;
use crate::registry::Registry;
use crate::results::Status;
use crate::suggest;
use crate::terminal;
use crate::vocabulary::Workload;

/// The time limit of one small run.
const LIMIT: Duration = Duration::from_secs(60);

/// Shows the peers. With `--check`, runs them.
///
/// # Errors
/// [`CommandError::Usage`] for an unknown peer, [`CommandError::Failed`] if an installed peer does not work or a
/// manifest is invalid, [`CommandError::Interrupted`] after a signal.
pub(crate) fn run(registry: &Registry, arguments: &PeersArgs) -> Result<(), CommandError> {
    let peers = || {
        registry
            .runtimes
            .iter()
            .filter(|runtime| find(runtime.name).is_some())
    };
    for name in &arguments.peers {
        if !peers().any(|peer| peer.name == name) {
            let names = peers().map(|peer| peer.name);
            return Err(CommandError::Usage(suggest::unknown("peer", name, names)));
        }
    }
    let mut states = states(registry);
    let chosen = |name: &str| {
        arguments.peers.is_empty() || arguments.peers.iter().any(|other| other == name)
    };
    states.retain(|name, _| chosen(name));
    let problems = problems(registry);
    let checks = if arguments.check {
        check(registry, &states)?
    } else {
        BTreeMap::new()
    };
    let shown: Vec<&str> = peers()
        .map(|peer| peer.name)
        .filter(|name| states.contains_key(name))
        .collect();
    let text = if arguments.json {
        let peers: Vec<Value> = shown
            .iter()
            .map(|name| as_json(name, &states[name], checks.get(name)))
            .collect();
        format!("{:#}\n", json!({"peers": peers, "problems": problems}))
    } else {
        let mut text = String::new();
        for name in shown {
            as_text(&mut text, name, &states[name], checks.get(name));
        }
        text
    };
    let printed = terminal::print(&text);
    for problem in &problems {
        terminal::say(problem);
    }
    let failed: Vec<String> = checks
        .iter()
        .flat_map(|(peer, checks)| {
            checks
                .iter()
                .map(move |(workload, outcome)| (peer, workload, outcome))
        })
        .filter_map(|(peer, workload, outcome)| {
            let (status, error) = outcome.as_ref().err()?;
            Some(format!(
                "{workload} under {peer}: {}: {error}",
                status.describe()
            ))
        })
        .collect();
    match (failed.first(), problems.first()) {
        (Some(first), _) => Err(CommandError::Failed(match failed.len() {
            1 => first.clone(),
            count => format!("{first}; and {} more failed checks", count - 1),
        })),
        (None, Some(_)) if arguments.check => {
            Err(CommandError::Failed("a manifest can't be used".to_owned()))
        }
        _ => printed,
    }
}

type Checks = Vec<(&'static str, Result<(), (Status, String)>)>;

/// Runs each workload of each installed peer once.
fn check(
    registry: &Registry,
    states: &BTreeMap<&'static str, State>,
) -> Result<BTreeMap<&'static str, Checks>, CommandError> {
    let system = |error: io::Error| CommandError::Failed(format!("cannot start a check: {error}"));
    let interruption = Interruption::listen().map_err(system)?;
    let program = process::own_program().map_err(system)?;
    let mut checks = BTreeMap::new();
    for (&name, _) in states.iter().filter(|(_, state)| state.installed()) {
        super::prepare([name].into_iter(), terminal::say);
        let mut of_peer = Vec::new();
        for workload in &registry.workloads {
            if registry.entry(workload.name, name).is_none() {
                continue;
            }
            let request = Request {
                protocol: PROTOCOL.to_owned(),
                workload: workload.name.to_owned(),
                runtime: name.to_owned(),
                workers: environment::cores(),
                policy: None,
                knobs: BTreeMap::new(),
                without: BTreeSet::new(),
                reactor: None,
                budget_ns: 20_000_000,
                seed: 1,
                params: small(workload),
                slowdown: None,
                aside: None,
            };
            let outcome = process::measure(&program, &request, LIMIT, &interruption).map(drop);
            if interruption.requested() {
                return Err(CommandError::Interrupted("interrupted".to_owned()));
            }
            of_peer.push((workload.name, outcome));
        }
        checks.insert(name, of_peer);
    }
    Ok(checks)
}

/// Parameters with which a workload is done in a moment.
fn small(workload: &Workload) -> BTreeMap<String, u64> {
    let small = |name: &str, default: u64| match (workload.name, name) {
        ("fib-spawn", "size") => 8,
        ("skynet-spawn", "size") => 2,
        ("idle" | "timers" | "download", "size") => 100,
        ("crawl", "size") => 20,
        (_, "size") => default.min(200),
        (_, "yields") => 10,
        (_, "connections") => 4,
        (_, "span_ms") => 20,
        (_, "duration_ms") => 500,
        (_, "hogs") => 1,
        _ => default,
    };
    let parameters = workload.parameters.iter();
    parameters
        .map(|parameter| {
            let value = small(parameter.name, parameter.default);
            (
                parameter.name.to_owned(),
                value.clamp(parameter.min, parameter.max),
            )
        })
        .collect()
}

fn as_text(text: &mut String, name: &str, state: &State, checks: Option<&Checks>) {
    let Some(peer) = find(name) else { return };
    let _ = writeln!(text, "{name:<10} {}", peer.about);
    let _ = writeln!(text, "{:10} {}", "", state.in_words());
    let Some(checks) = checks else {
        let _ = writeln!(
            text,
            "{:10} workloads: {}",
            "",
            peer.manifest.workloads.join(", ")
        );
        return;
    };
    for (workload, outcome) in checks {
        let outcome = match outcome {
            Ok(()) => "ok".to_owned(),
            Err((status, error)) => format!("{}: {error}", status.describe()),
        };
        let _ = writeln!(text, "{:10} {workload:<16} {outcome}", "");
    }
}

fn as_json(name: &str, state: &State, checks: Option<&Checks>) -> Value {
    let Some(peer) = find(name) else {
        return Value::Null;
    };
    let checks: Option<BTreeMap<&str, Value>> = checks.map(|checks| {
        let outcome = |outcome: &Result<(), (Status, String)>| match outcome {
            Ok(()) => json!({"status": Status::Ok, "error": null}),
            Err((status, error)) => json!({"status": status, "error": error}),
        };
        checks
            .iter()
            .map(|(workload, answer)| (*workload, outcome(answer)))
            .collect()
    });
    json!({
        "name": name, "language": peer.manifest.language, "about": peer.about, "installed": state.installed(),
        "version": state.version(), "program": state.0.as_ref().ok().map(|installed| &installed.program),
        "reason": state.0.as_ref().err().map(ToString::to_string), "install": peer.manifest.install,
        "workloads": peer.manifest.workloads, "limits": peer.manifest.limits, "checks": checks,
    })
}
