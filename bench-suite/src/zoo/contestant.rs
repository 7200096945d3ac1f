//! The columns of the table: Rust runtimes, in a process of this program, and the programs of `zoo/` in other
//! languages.

use std::path::Path;
use std::process::Command;

use super::pathology::Pathology;
use super::verdict::Verdict;
use crate::compare::process::own_program;
use crate::peers::external::install;
use crate::peers::external::manifest::{Peer, Placeholders};
use crate::registry::Registry;
use crate::suggest;

/// A column of the table.
#[derive(Clone, Debug)]
pub(crate) struct Contestant {
    pub(crate) name: String,
    /// True for the runtimes of this project.
    pub(crate) ours: bool,
    /// The reason why it can't be traced, if it can't.
    pub(crate) untraced: Option<&'static str>,
    how: How,
}

#[derive(Clone, Debug)]
enum How {
    Own {
        policy: Option<String>,
        knobs: Vec<String>,
        without: Vec<String>,
    },
    Foreign(&'static Peer),
}

/// The user's choices for the Rust runtimes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Choices {
    pub(crate) policy: Option<String>,
    pub(crate) knobs: Vec<String>,
    pub(crate) without: Vec<String>,
}

/// The contestants called `names`, or all of them. The Rust runtimes come first.
///
/// # Errors
/// One line, for an unknown name.
pub(crate) fn choose(
    registry: &Registry,
    foreign: &'static [Peer],
    names: &[String],
    choices: &Choices,
) -> Result<Vec<Contestant>, String> {
    let own = registry
        .runtimes
        .iter()
        .filter(|info| info.launcher.is_some());
    let mut all: Vec<Contestant> = own
        .map(|info| Contestant {
            name: info.name.to_owned(),
            ours: info.ours,
            untraced: match info.records() || info.set_followed.is_some() {
                true => None,
                false => Some("the recorder has no hooks in this runtime"),
            },
            how: How::Own {
                policy: choices.policy.clone(),
                knobs: choices.knobs.clone(),
                without: choices.without.clone(),
            },
        })
        .collect();
    all.extend(foreign.iter().map(|peer| Contestant {
        name: peer.name.to_owned(),
        ours: false,
        untraced: Some("the recorder follows runtimes in Rust only"),
        how: How::Foreign(peer),
    }));
    if names.is_empty() {
        return Ok(all);
    }
    let found = names.iter().map(|name| {
        let of_that_name = all.iter().find(|one| one.name == *name).cloned();
        of_that_name
            .ok_or_else(|| suggest::unknown("runtime", name, all.iter().map(|one| &*one.name)))
    });
    found.collect()
}

impl Contestant {
    /// The command that runs `pathology` under it.
    ///
    /// # Errors
    /// The verdict, if there is nothing to run.
    pub(crate) fn command(
        &self,
        pathology: &Pathology,
        size: u64,
        workers: usize,
    ) -> Result<Command, Verdict> {
        let cannot = |why: String| Verdict::CannotRun { why };
        match &self.how {
            How::Own {
                policy,
                knobs,
                without,
            } => {
                let mut program = own_program().map_err(|error| cannot(error.to_string()))?;
                if program == Path::new("/proc/self/exe") {
                    // By process id, because a shell may start it.
                    program = format!("/proc/{}/exe", std::process::id()).into();
                }
                let mut command = Command::new(program);
                command.args(["zoo-cell", pathology.name, &self.name]);
                command.arg(size.to_string()).arg(workers.to_string());
                command.args(policy.iter().flat_map(|policy| ["--policy", policy]));
                command.args(knobs.iter().flat_map(|knob| ["--knob", knob]));
                command.args(without.iter().flat_map(|part| ["--without", part]));
                Ok(command)
            }
            How::Foreign(peer) => foreign_command(peer, pathology.name, size, workers),
        }
    }

    /// The version of a runtime in another language, if it is installed.
    pub(crate) fn version(&self) -> Option<String> {
        match &self.how {
            How::Own { .. } => None,
            How::Foreign(peer) => install::find(peer).ok()?.version,
        }
    }
}

/// The command that runs `pathology` with a program in another language. Builds the program if necessary.
///
/// # Errors
/// The verdict, if there is nothing to run.
pub(crate) fn foreign_command(
    peer: &Peer,
    pathology: &str,
    size: u64,
    workers: usize,
) -> Result<Command, Verdict> {
    let cannot = |why: String| Verdict::CannotRun { why };
    let manifest = &peer.manifest;
    if !manifest.workloads.iter().any(|name| name == pathology) {
        return Err(cannot("its language can't express this".to_owned()));
    }
    let installed = install::prepare(peer).map_err(|failure| cannot(failure.to_string()))?;
    let workers_text = workers.to_string();
    let placeholders = Placeholders {
        dir: &installed.dir,
        build: &installed.build,
        program: &installed.program.to_string_lossy(),
        workers,
        workload: pathology,
    };
    let words = placeholders.fill(&manifest.command);
    let Some((program, arguments)) = words.split_first() else {
        return Err(cannot("its manifest has no command".to_owned()));
    };
    let mut command = Command::new(Path::new(program));
    command
        .args(arguments)
        .args([pathology, &size.to_string(), &workers_text])
        .envs(&manifest.environment)
        .current_dir(&installed.dir);
    Ok(command)
}
