//! The zoo as a time machine: documented faults of other projects, and the released versions in which they came and
//! went.
//!
//! Each folder of `zoo/versions` contains a program, the versions to build it with, a lock file per version if the
//! language has lock files, and build instructions. A version is built when it is first needed, in the peers' cache
//! folder.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::contestant::foreign_command;
use super::faults::{self, Fault};
use super::process::{self, Cell, MEMORY_BYTES, TIME};
use super::results::write;
use super::verdict::Verdict;
use crate::cli::ZooArgs;
use crate::compare::interruption::Interruption;
use crate::error::CommandError;
use crate::output::Output;
use crate::peers::external;
use crate::peers::external::manifest::{Manifest, Peer, Place};
use crate::{suggest, terminal};

/// The value of [`History::schema`].
const SCHEMA: &str = "lab.zoo-versions/1";

/// A folder's `versions.json`.
#[derive(Clone, Debug, Deserialize)]
struct Family {
    family: String,
    /// Oldest first.
    versions: Vec<String>,
    /// A peer's manifest, with `{version}` as a placeholder.
    manifest: Value,
}

/// The findings.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct History {
    schema: String,
    faults: Vec<FaultHistory>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct FaultHistory {
    name: String,
    family: String,
    measured: String,
    bound: String,
    unit: String,
    issue: String,
    /// Oldest first.
    versions: Vec<Version>,
    /// In words: the versions in which the fault was fixed and came back.
    found: String,
    /// The same, according to the documentation.
    documented: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Version {
    version: String,
    verdict: Verdict,
}

/// Runs the requested faults at every version.
///
/// # Errors
/// [`CommandError::Usage`] for an unknown name, [`CommandError::Failed`] if the result differs from the documentation,
/// [`CommandError::Interrupted`] after a signal.
pub(crate) fn run(
    arguments: &ZooArgs,
    json: Option<Output>,
    markdown: Option<Output>,
    interruption: &Interruption,
) -> Result<(), CommandError> {
    let chosen = chosen(arguments)?;
    let mut history = History {
        schema: SCHEMA.to_owned(),
        faults: Vec::new(),
    };
    for fault in chosen {
        if interruption.requested() {
            break;
        }
        history.faults.push(of(fault, arguments, interruption)?);
    }
    write(
        json,
        &serde_json::to_vec_pretty(&history).unwrap_or_default(),
    )?;
    let text = markdown_of(&history);
    write(markdown, text.as_bytes())?;
    terminal::print(&text)?;
    if interruption.requested() {
        let line = "interrupted; the table has what was done until then";
        return Err(CommandError::Interrupted(line.to_owned()));
    }
    let other: Vec<_> = history
        .faults
        .iter()
        .filter(|fault| fault.found != fault.documented)
        .map(|fault| format!("{} of {}: {}", fault.name, fault.family, fault.found))
        .collect();
    if other.is_empty() {
        return Ok(());
    }
    let list = other.join("; ");
    Err(CommandError::Failed(format!("not as documented: {list}")))
}

fn chosen(arguments: &ZooArgs) -> Result<Vec<&'static Fault>, CommandError> {
    for name in &arguments.only {
        if faults::ALL.iter().all(|fault| fault.name != name) {
            let known = faults::ALL.iter().map(|fault| fault.name);
            return Err(CommandError::Usage(suggest::unknown("fault", name, known)));
        }
    }
    let named = |names: &[String], name| names.is_empty() || names.iter().any(|one| one == name);
    let both = |fault: &&Fault| {
        named(&arguments.only, fault.name) && named(&arguments.runtimes, fault.family)
    };
    Ok(faults::ALL.iter().filter(both).collect())
}

fn of(
    fault: &Fault,
    arguments: &ZooArgs,
    interruption: &Interruption,
) -> Result<FaultHistory, CommandError> {
    let mut versions = Vec::new();
    for (version, peer) in peers(fault.family).map_err(CommandError::Failed)? {
        if interruption.requested() {
            break;
        }
        let workers = arguments.workers.unwrap_or(2).max(1);
        let verdict = match foreign_command(&peer, fault.name, fault.size, workers) {
            Ok(command) => {
                let cell = Cell {
                    bound: fault.bound,
                    drive: None,
                    size: fault.size,
                    workers,
                    time: TIME,
                    memory_bytes: MEMORY_BYTES,
                };
                process::run(command, cell, interruption)
            }
            Err(verdict) => verdict,
        };
        if !arguments.no_progress {
            let words = verdict.words(fault.bound.unit());
            let (name, family, mark) = (fault.name, fault.family, verdict.mark());
            terminal::say(&format!(
                "zoo: {name} under {family} {version}: {mark}, {words}"
            ));
        }
        versions.push(Version { version, verdict });
    }
    let documented = fault
        .documented
        .iter()
        .map(|change| (change.version, change.gone));
    Ok(FaultHistory {
        name: fault.name.to_owned(),
        family: fault.family.to_owned(),
        measured: fault.measured.to_owned(),
        bound: fault.bound.words(fault.size),
        unit: fault.bound.unit().to_owned(),
        issue: fault.issue.to_owned(),
        found: changes_in_words(changes(&versions).into_iter()),
        documented: changes_in_words(documented),
        versions,
    })
}

/// The versions of a family, each as a peer.
fn peers(family: &str) -> Result<Vec<(String, Peer)>, String> {
    let folder = format!("zoo/versions/{family}");
    let text = external::embedded_file(&format!("{folder}/versions.json"))
        .ok_or_else(|| format!("{folder} has no versions"))?;
    let family: Family =
        serde_json::from_str(text).map_err(|error| format!("{folder}: {error}"))?;
    let peer = |version: &String| {
        let manifest = family.manifest.to_string().replace("{version}", version);
        let manifest = Manifest::parse(&manifest);
        let manifest = manifest.map_err(|error| format!("{}: {error}", family.family))?;
        let place = Place::Embedded(folder.clone().leak());
        Ok((version.clone(), Peer::new(manifest, place)))
    };
    family.versions.iter().map(peer).collect()
}

/// The versions whose verdict differs from that of the version before. Versions that could not run are skipped.
fn changes(versions: &[Version]) -> Vec<(&str, bool)> {
    let mut changes = Vec::new();
    let mut before = None;
    for Version { version, verdict } in versions {
        let gone = match verdict {
            Verdict::Survives { .. } => true,
            Verdict::Fails { .. } => false,
            Verdict::CannotRun { .. } => continue,
        };
        if before.is_some_and(|before| before != gone) {
            changes.push((version.as_str(), gone));
        }
        before = Some(gone);
    }
    changes
}

fn changes_in_words<'a>(changes: impl Iterator<Item = (&'a str, bool)>) -> String {
    let words: Vec<_> = changes
        .map(|(version, gone)| format!("{} in {version}", if gone { "gone" } else { "back" }))
        .collect();
    match words.is_empty() {
        true => "no change".to_owned(),
        false => words.join(", "),
    }
}

fn markdown_of(history: &History) -> String {
    let mut text = String::new();
    for fault in &history.faults {
        let _ = writeln!(
            text,
            "**{} of {}**: {}.",
            fault.name, fault.family, fault.measured
        );
        let _ = writeln!(text, "Bound: {}. From <{}>.\n", fault.bound, fault.issue);
        let row = |cells: Vec<String>| format!("| {} |", cells.join(" | "));
        let mut versions = Vec::new();
        let mut figures = BTreeMap::new();
        for (place, Version { version, verdict }) in fault.versions.iter().enumerate() {
            versions.push(version.clone());
            let words = verdict.words(&fault.unit).replace('|', "\\|");
            figures.insert(place, format!("{}: {words}", verdict.mark()));
        }
        let columns = "---|".repeat(versions.len());
        let _ = writeln!(text, "{}\n|{columns}", row(versions));
        let _ = writeln!(text, "{}\n", row(figures.into_values().collect()));
        let _ = writeln!(
            text,
            "Found: {}. Documented: {}.\n",
            fault.found, fault.documented
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(name: &str, verdict: Verdict) -> Version {
        Version {
            version: name.to_owned(),
            verdict,
        }
    }

    #[test]
    fn a_fault_that_disappears_and_returns_is_found_in_its_versions() {
        let (fails, holds) = (Verdict::failed("x"), Verdict::Survives { value: 1.0 });
        let why = "not there".to_owned();
        let versions = [
            version("1.0", fails.clone()),
            version("1.1", Verdict::CannotRun { why }),
            version("1.2", holds.clone()),
            version("1.3", holds),
            version("1.4", fails),
        ];
        let found = changes(&versions);
        assert_eq!(found, [("1.2", true), ("1.4", false)]);
        assert_eq!(
            changes_in_words(found.into_iter()),
            "gone in 1.2, back in 1.4"
        );
        assert_eq!(
            changes_in_words(changes(&versions[2..4]).into_iter()),
            "no change"
        );
    }

    #[test]
    fn every_fault_has_its_program_its_versions_and_a_lock_file_for_each_in_rust() {
        for fault in faults::ALL {
            let peers = peers(fault.family).unwrap();
            assert!(peers.len() > 1, "{}", fault.family);
            for change in fault.documented {
                let tried = |(version, _): &(String, Peer)| version == change.version;
                assert!(
                    peers.iter().skip(1).any(tried),
                    "{} {}",
                    fault.family,
                    change.version
                );
            }
            for (version, peer) in &peers {
                assert!(
                    peer.manifest
                        .workloads
                        .iter()
                        .any(|name| name == fault.name)
                );
                let lock = format!("zoo/versions/{}/{version}.lock", fault.family);
                let locked = external::embedded_file(&lock);
                let in_rust = peer.manifest.language == "Rust";
                assert!(
                    !in_rust || locked.is_some_and(|text| text.contains(version)),
                    "{lock}"
                );
            }
        }
    }
}
