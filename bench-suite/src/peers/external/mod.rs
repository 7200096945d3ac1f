#![doc = include_str!("README.md")]

mod answers;
mod batch;
pub(crate) mod command;
mod conversation;
mod fetching;
pub(crate) mod install;
pub(crate) mod manifest;
mod own_figures;
mod server;
mod sources;
pub(crate) mod tree;

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde_json::json;

use conversation::{Conversation, Word};
use fetching::Site;
use manifest::Peer;

use crate::compare::protocol::PROTOCOL;
use crate::measure::Meter;
use crate::registry::{Entry, Registry, RuntimeInfo};
use crate::vocabulary::{Failure, Params};

/// Names of the peers in the tables: those whose manifests are valid.
static REGISTERED: OnceLock<Vec<&'static str>> = OnceLock::new();

/// Adds the peers, including those in the user's folders, to the registry.
pub(crate) fn register(registry: &mut Registry) {
    let mut registered = Vec::new();
    for peer in &sources::found().peers {
        if registry.runtime(peer.name).is_some() || peer.misfit(&registry.workloads).is_some() {
            continue;
        }
        registered.push(peer.name);
        let mut info = RuntimeInfo::new(peer.name, peer.about);
        info.external = true;
        registry.runtimes.push(info);
        for workload in &registry.workloads {
            if peer
                .manifest
                .workloads
                .iter()
                .any(|name| name == workload.name)
            {
                registry.entries.push(Entry {
                    workload: workload.name,
                    runtime: peer.name,
                    run,
                });
            }
        }
    }
    // A second call would set the same value: the manifests are read once, and the lab's own tables do not change.
    let _ = REGISTERED.set(registered);
}

/// The zoo's programs in other languages, in the order of its table.
pub(crate) fn zoo_programs() -> &'static [Peer] {
    static PROGRAMS: OnceLock<Vec<Peer>> = OnceLock::new();
    PROGRAMS.get_or_init(|| sources::embedded(".zoo.json"))
}

/// A file from the sources of the peers or of the zoo, by its path in this program.
pub(crate) fn embedded_file(path: &str) -> Option<&'static str> {
    sources::file(path)
}

/// What is wrong with the manifests, one line each.
pub(crate) fn problems(registry: &Registry) -> Vec<String> {
    let found = sources::found();
    let mut problems = found.problems.clone();
    for peer in found.peers.iter().filter(|peer| find(peer.name).is_none()) {
        let taken = || "a runtime of the lab has that name".to_owned();
        let problem = peer.misfit(&registry.workloads).unwrap_or_else(taken);
        problems.push(format!("the peer `{}` is left out: {problem}", peer.name));
    }
    problems
}

/// The peer called `name`.
pub(crate) fn find(name: &str) -> Option<&'static Peer> {
    let registered = REGISTERED.get()?;
    let mut peers = sources::found().peers.iter();
    peers.find(|peer| peer.name == name && registered.contains(&peer.name))
}

/// Whether a peer is installed.
pub(crate) struct State(pub(crate) Result<install::Installed, Failure>);

impl State {
    pub(crate) fn installed(&self) -> bool {
        self.0.is_ok()
    }

    pub(crate) fn version(&self) -> Option<&str> {
        self.0.as_ref().ok()?.version.as_deref()
    }

    pub(crate) fn in_words(&self) -> String {
        match (&self.0, self.version()) {
            (Ok(_), Some(version)) => format!("installed, {version}"),
            (Ok(_), None) => "installed".to_owned(),
            (Err(failure), _) => failure.to_string(),
        }
    }
}

/// The state of every peer in `registry`. Runs in parallel, because each peer asks a program for its version.
pub(crate) fn states(registry: &Registry) -> BTreeMap<&'static str, State> {
    let peers = registry
        .runtimes
        .iter()
        .filter_map(|runtime| find(runtime.name));
    std::thread::scope(|scope| {
        let asked: Vec<_> = peers
            .map(|peer| (peer, scope.spawn(|| install::find(peer))))
            .collect();
        let crashed = |_| Err(Failure::Crashed("looking for it failed".to_owned()));
        asked
            .into_iter()
            .map(|(peer, found)| (peer.name, State(found.join().unwrap_or_else(crashed))))
            .collect()
    })
}

/// Builds the peers among `runtimes` before anything is measured, and returns the versions of those that are installed.
/// A failure is reported by the peer's own runs.
pub(crate) fn prepare<'a>(
    runtimes: impl Iterator<Item = &'a str>,
    mut say: impl FnMut(&str),
) -> BTreeMap<String, String> {
    let mut versions = BTreeMap::new();
    for peer in runtimes.filter_map(find) {
        if versions.contains_key(peer.name) {
            continue;
        }
        if !peer.manifest.build.is_empty() && install::find(peer).is_ok() {
            say(&format!("building {}, if it is not built yet", peer.name));
        }
        if let Ok(installed) = install::prepare(peer)
            && let Some(version) = installed.version
        {
            versions.insert(peer.name.to_owned(), version);
        }
    }
    versions
}

/// Runs one workload under the peer named in `params`. The registry has this function for every such pair.
fn run(params: &Params, meter: &mut Meter) -> Result<(), Failure> {
    let peer = find(&params.runtime).ok_or_else(|| {
        let why = format!("there is no peer `{}` here", params.runtime);
        Failure::NotInstalled(why)
    })?;
    let installed = install::prepare(peer)?;
    let mut params = params.clone();
    for smaller in peer.carries(&params.workload.clone(), &mut params.values) {
        meter.flags.push(smaller.leak());
    }
    let known = tree::adopt();
    let outcome = measure(peer, &installed, &params, meter);
    // In any case, no process may keep running beside the next measurement.
    let left = tree::left_behind(&known);
    let named = |why: String| format!("{}: {why}", peer.name);
    match outcome {
        Ok(()) if !left.is_empty() => Err(Failure::Crashed(named(format!(
            "left processes behind, which were killed: {}",
            left.join(", ")
        )))),
        Ok(()) => Ok(()),
        Err(Failure::WrongAnswer(why)) => Err(Failure::WrongAnswer(named(why))),
        Err(Failure::Crashed(why)) => Err(Failure::Crashed(named(why))),
        Err(Failure::Refused(why)) => Err(Failure::Refused(named(why))),
        Err(failure) => Err(failure),
    }
}

fn measure(
    peer: &Peer,
    installed: &install::Installed,
    params: &Params,
    meter: &mut Meter,
) -> Result<(), Failure> {
    let site = Site::start(params)?;
    let request = json!({
        "protocol": PROTOCOL, "workload": params.workload, "runtime": params.runtime, "workers": params.workers,
        "policy": null, "knobs": {}, "reactor": null, "budget_ns": params.budget_ns,
        // As many bits as every language represents exactly.
        "seed": params.seed & ((1 << 53) - 1),
        "params": params.values, "site": site.as_ref().map(Site::address),
    });
    let mut talk = Conversation::start(peer, installed, params, &request)?;
    if manifest::is_server(&params.workload) {
        server::measure(peer, &mut talk, params, meter)?;
    } else {
        batch::measure(peer, &mut talk, params, site.as_ref(), meter)?;
    }
    if let Some(Word::Result { extra, .. }) = talk.end()? {
        own_figures::keep(extra, meter);
    }
    Ok(())
}
