//! A peer's description of itself: one JSON file beside its sources.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::vocabulary::Workload;

/// A peer's manifest, as written. `{dir}`, `{build}`, `{program}`, `{workers}` and `{workload}` stand for the
/// manifest's folder, the build's output folder, the program that was found, and the requested workers and workload.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    /// The name in commands and results.
    pub(crate) name: String,
    /// The language that it is written in.
    pub(crate) language: String,
    /// A one-line description.
    pub(crate) about: String,
    /// Where the interpreter or compiler may be: names to look up on the path, or paths with `$VARIABLE` and one `*`.
    /// The first one with a sufficient version is used. The default is the first word of `command`.
    #[serde(default)]
    pub(crate) program: Vec<String>,
    /// The command that prints the version. The version is the first number with a dot in its output, or else the first
    /// number. Without this field, the version is unknown.
    #[serde(default)]
    pub(crate) version: Vec<String>,
    /// The oldest version that works.
    #[serde(default)]
    pub(crate) at_least: Option<String>,
    /// The commands that build it in the manifest's folder, once per version of the sources and of the program.
    #[serde(default)]
    pub(crate) build: Vec<Vec<String>>,
    /// The command that runs it: a program that speaks `lab.child/1`.
    #[serde(default)]
    pub(crate) command: Vec<String>,
    /// The command that runs it as a server, for `echo`, `http` and `mixed`: a program that prints `listening
    /// HOST:PORT` and serves until it gets SIGTERM. Without this field, `command` serves.
    #[serde(default)]
    pub(crate) serve: Vec<String>,
    /// How to get what it needs, in one line.
    pub(crate) install: String,
    /// The warm-up in milliseconds; at least one repetition.
    #[serde(default)]
    pub(crate) warm_up_ms: u64,
    /// How early its timers may fire, in nanoseconds (exclusive).
    #[serde(default)]
    pub(crate) timer_grain_ns: u64,
    /// The workloads that it can run.
    pub(crate) workloads: Vec<String>,
    /// The largest values that it supports, by workload and parameter. A run that asks for more uses these values, and
    /// says so.
    #[serde(default)]
    pub(crate) limits: BTreeMap<String, BTreeMap<String, u64>>,
    /// Environment variables for running and building it.
    #[serde(default)]
    pub(crate) environment: BTreeMap<String, String>,
}

impl Manifest {
    /// Reads a manifest.
    ///
    /// # Errors
    /// One line that says what is wrong.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let manifest: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let name = &manifest.name;
        let plain =
            |character: char| character.is_ascii_alphanumeric() || "-_.".contains(character);
        if name.is_empty() || name.len() > 40 || !name.chars().all(plain) {
            return Err("`name` must be 1 to 40 letters, digits, `-`, `_` or `.`".to_owned());
        }
        if manifest.command.is_empty() && manifest.serve.is_empty() {
            return Err("neither `command` nor `serve` says what to run".to_owned());
        }
        let commands = manifest
            .build
            .iter()
            .chain([&manifest.command, &manifest.serve]);
        if commands.flatten().any(|word| word.contains('\0')) {
            return Err("a command holds a zero byte".to_owned());
        }
        if manifest.workloads.is_empty() {
            return Err("`workloads` is empty: it could run nothing".to_owned());
        }
        for text in [&manifest.language, &manifest.about, &manifest.install] {
            if text.is_empty() || text.chars().any(char::is_control) {
                return Err("`language`, `about` and `install` must be one line each".to_owned());
            }
        }
        if let Some(least) = &manifest.at_least
            && numbers(least).is_empty()
        {
            return Err("`at_least` is not a version".to_owned());
        }
        Ok(manifest)
    }

    /// The command that runs `workload`, or `None`.
    pub(crate) fn command_for(&self, workload: &str) -> Option<(&[String], Style)> {
        if is_server(workload) && !self.serve.is_empty() {
            return Some((&self.serve, Style::Plain));
        }
        (!self.command.is_empty()).then_some((&self.command[..], Style::Protocol))
    }
}

/// How the lab talks to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// In lines of JSON.
    Protocol,
    /// It prints its address, and SIGTERM ends it.
    Plain,
}

/// Whether the peer is only the server in `workload`, and the lab is the client.
pub(crate) fn is_server(workload: &str) -> bool {
    matches!(workload, "echo" | "http" | "mixed")
}

/// A peer: its manifest, and where that is.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    /// The name, with the lifetime that the tables need.
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) manifest: Manifest,
    /// Where the manifest was found.
    pub(crate) place: Place,
}

/// Where a peer's files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In this program, in the folder of this name.
    Embedded(&'static str),
    /// On disk.
    Folder(PathBuf),
}

impl Peer {
    /// Creates a peer from its manifest. Strings for the tables are leaked, once per peer.
    pub(crate) fn new(manifest: Manifest, place: Place) -> Self {
        let about = format!("{}: {}", manifest.language, manifest.about);
        Self {
            name: manifest.name.clone().leak(),
            about: about.leak(),
            manifest,
            place,
        }
    }

    /// The workloads that both exist and are in its manifest, with the largest values that it supports.
    pub(crate) fn carries(
        &self,
        workload: &str,
        values: &mut BTreeMap<String, u64>,
    ) -> Vec<String> {
        let mut smaller = Vec::new();
        for (name, &most) in self.manifest.limits.get(workload).into_iter().flatten() {
            if let Some(value) = values.get_mut(name).filter(|value| **value > most) {
                *value = most;
                smaller.push(format!("{} ran {name}={most}", self.name));
            }
        }
        smaller
    }

    /// How the manifest does not fit the existing workloads.
    pub(crate) fn misfit(&self, workloads: &[Workload]) -> Option<String> {
        let known = |name: &String| workloads.iter().find(|workload| workload.name == *name);
        for name in self
            .manifest
            .workloads
            .iter()
            .chain(self.manifest.limits.keys())
        {
            let Some(workload) = known(name) else {
                return Some(format!("there is no workload `{}`", name.escape_debug()));
            };
            if self.manifest.command_for(name).is_none() {
                return Some(format!("`serve` can't run `{name}`: it needs a `command`"));
            }
            for (parameter, value) in self.manifest.limits.get(name).into_iter().flatten() {
                let Some(range) = workload
                    .parameters
                    .iter()
                    .find(|known| known.name == *parameter)
                else {
                    let parameter = parameter.escape_debug();
                    return Some(format!("`{name}` has no parameter `{parameter}` to limit"));
                };
                if !(range.min..=range.max).contains(value) {
                    return Some(format!(
                        "the limit {parameter}={value} of `{name}` is out of range"
                    ));
                }
            }
        }
        None
    }
}

/// Replaces the placeholders in the words of a command.
pub(crate) struct Placeholders<'a> {
    pub(crate) dir: &'a Path,
    pub(crate) build: &'a Path,
    pub(crate) program: &'a str,
    pub(crate) workers: usize,
    pub(crate) workload: &'a str,
}

impl Placeholders<'_> {
    pub(crate) fn fill(&self, words: &[String]) -> Vec<String> {
        let fill = |word: &String| {
            word.replace("{dir}", &self.dir.to_string_lossy())
                .replace("{build}", &self.build.to_string_lossy())
                .replace("{program}", self.program)
                .replace("{workers}", &self.workers.to_string())
                .replace("{workload}", self.workload)
        };
        words.iter().map(fill).collect()
    }
}

/// The numbers of the first version in `text`: of the first word like `1.22.3`, or else of the first whole number.
pub(crate) fn numbers(text: &str) -> Vec<u64> {
    version_in(text)
        .map(|version| {
            version
                .split('.')
                .filter_map(|part| part.parse().ok())
                .collect()
        })
        .unwrap_or_default()
}

/// The first version in `text`, such as `1.22.3`.
pub(crate) fn version_in(text: &str) -> Option<String> {
    let runs: Vec<&str> = text
        .split(|character: char| !(character.is_ascii_digit() || character == '.'))
        .map(|run| run.trim_matches('.'))
        .filter(|run| !run.is_empty())
        .collect();
    let dotted = runs.iter().find(|run| run.contains('.'));
    dotted.or(runs.first()).map(|run| (*run).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = r#"{"name": "x", "language": "X", "about": "a", "command": ["x"],
        "install": "get x", "workloads": ["spawn"]}"#;

    #[test]
    fn a_small_manifest_is_enough() {
        let manifest = Manifest::parse(WHOLE).unwrap();
        assert_eq!(manifest.warm_up_ms, 0);
        assert_eq!(manifest.command_for("echo").unwrap().1, Style::Protocol);
    }

    #[test]
    fn a_wrong_manifest_is_reported_in_one_line() {
        for (from, to) in [
            ("\"x\", \"language\"", "\"x y\", \"language\""),
            ("[\"spawn\"]", "[]"),
            ("[\"x\"]", "[]"),
            ("\"about\": \"a\"", "\"about\": \"a\\nb\""),
            ("\"about\"", "\"abuot\""),
            ("}", ""),
        ] {
            let error = Manifest::parse(&WHOLE.replace(from, to)).unwrap_err();
            assert!(!error.is_empty() && !error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn versions_are_found_in_the_output_of_programs() {
        for (text, version) in [
            ("go version go1.22.3 linux/amd64", "1.22.3"),
            ("Python 3.11.7", "3.11.7"),
            ("v20.20.2", "20.20.2"),
            ("openjdk version \"25.0.3\" 2026-04-21 LTS", "25.0.3"),
            ("25", "25"),
        ] {
            assert_eq!(version_in(text).unwrap(), version);
        }
        assert_eq!(version_in("none"), None);
        assert!(numbers("1.22.10") > numbers("1.22.9") && numbers("21") > numbers("17.0.15"));
    }

    #[test]
    fn limits_are_applied_and_reported() {
        let text = WHOLE.replace(
            "[\"spawn\"]",
            "[\"spawn\"], \"limits\": {\"spawn\": {\"size\": 9}}",
        );
        let peer = Peer::new(Manifest::parse(&text).unwrap(), Place::Embedded("x"));
        let mut values = BTreeMap::from([("size".to_owned(), 10)]);
        assert_eq!(peer.carries("spawn", &mut values), ["x ran size=9"]);
        assert_eq!(values["size"], 9);
        assert!(peer.carries("spawn", &mut values).is_empty());
    }
}
