//! The arms of a workload: the runtimes, with each requested policy, knob and number of workers.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::Duration;

use runtime_core::LaunchConfig;

use super::parts::Parts;
use super::protocol::{PROTOCOL, Request};
use crate::comparisons::{Against, ArmKey, Baseline};
use crate::error::{CommandError, usage};
use crate::parts;
use crate::registry::{Registry, RuntimeInfo};
use crate::results::{Config, Role};
use crate::suggest;

/// The most arms of one workload. Nobody can read more.
const MAX_ARMS: usize = 200;

/// One arm. Each measured process runs one arm, once per round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Arm {
    pub(crate) runtime: &'static str,
    /// The policy's name, also for the default; `None` if the runtime has no policies.
    pub(crate) policy: Option<String>,
    /// The requested knobs.
    pub(crate) knobs: BTreeMap<String, String>,
    /// Parts that are left out.
    pub(crate) without: BTreeSet<String>,
    /// The requested number of workers.
    pub(crate) workers: usize,
    /// The name of the other build that it runs in; `None` for this build.
    pub(crate) binary: Option<String>,
    pub(crate) role: Role,
}

impl Arm {
    /// The part of its configuration that is known before it runs.
    pub(crate) fn config(&self) -> Config {
        Config {
            workers: None,
            workers_asked: Some(self.workers as u64),
            policy: self.policy.clone(),
            knobs: self.knobs.clone(),
            binary: self.binary.clone(),
            without: self.without.clone(),
            reactor: None,
            allocator: None,
        }
    }

    pub(crate) fn key(&self) -> ArmKey {
        ArmKey::new(self.runtime, &self.config(), self.role)
    }

    /// The request to a process of this arm.
    pub(crate) fn request(
        &self,
        workload: &str,
        params: &BTreeMap<String, u64>,
        budget: Duration,
        seed: u64,
    ) -> Request {
        Request {
            protocol: PROTOCOL.to_owned(),
            workload: workload.to_owned(),
            runtime: self.runtime.to_owned(),
            workers: self.workers,
            policy: self.policy.clone(),
            knobs: self.knobs.clone(),
            without: self.without.clone(),
            reactor: None,
            budget_ns: u64::try_from(budget.as_nanos()).unwrap_or(u64::MAX),
            seed,
            params: params.clone(),
            slowdown: None,
            aside: None,
        }
    }

    /// The choices that make up the arm, by name.
    fn choices(&self) -> impl Iterator<Item = (&str, String)> {
        let policy = self.policy.iter().map(|name| ("policy", name.clone()));
        let knobs = self.knobs.iter();
        let parts: Vec<&str> = self.without.iter().map(String::as_str).collect();
        let without = (!parts.is_empty()).then(|| ("without", parts.join(",")));
        policy
            .chain(knobs.map(|(name, value)| (name.as_str(), value.clone())))
            .chain(without)
    }
}

/// The requested choices, with their names checked. Every combination is an arm.
#[derive(Clone, Debug)]
pub(super) struct Choices {
    policies: Vec<String>,
    knobs: Vec<(String, Vec<String>)>,
    workers: Vec<usize>,
    parts: Parts,
}

impl Choices {
    /// # Errors
    /// [`CommandError::Usage`] for a policy or knob that none of `runtimes` has.
    pub(super) fn new(
        registry: &Registry,
        runtimes: &[&'static str],
        policies: &[String],
        knobs: &[String],
        workers: Vec<usize>,
        parts: Parts,
    ) -> Result<Self, CommandError> {
        let mut choices = Self {
            policies: Vec::new(),
            knobs: Vec::new(),
            workers,
            parts,
        };
        for name in policies {
            let names = |info: &RuntimeInfo| info.policies().iter().map(|policy| policy.name);
            known(registry, runtimes, "policy", name, names)?;
            if !choices.policies.contains(name) {
                choices.policies.push(name.clone());
            }
        }
        for knob in knobs {
            let (name, values) = knob.split_once('=').unwrap_or((knob, ""));
            let name = name.trim();
            let renamed = |info: &RuntimeInfo| info.knob_formerly(name);
            let name = registry.runtimes.iter().find_map(renamed).unwrap_or(name);
            let names = |info: &RuntimeInfo| info.knobs().iter().map(|knob| knob.name);
            known(registry, runtimes, "knob", name, names)?;
            if choices.knobs.iter().any(|(other, _)| other == name) {
                return Err(usage(format!(
                    "--knob {name} is given twice; write all of its values in one, as NAME=V1,V2"
                )));
            }
            let mut distinct: Vec<String> = Vec::new();
            for value in values.split(',').map(str::trim) {
                if value.is_empty() {
                    return Err(usage(format!(
                        "--knob {name} lacks a value; write NAME=V1,V2{}",
                        accepted(registry, name)
                    )));
                }
                if !distinct.iter().any(|other| other == value) {
                    distinct.push(value.to_owned());
                }
            }
            choices.knobs.push((name.to_owned(), distinct));
        }
        Ok(choices)
    }

    /// The dimensions with several values, for a matrix.
    pub(super) fn varied(&self, runtimes: &[&RuntimeInfo]) -> Vec<(String, Vec<String>)> {
        let mut varied = Vec::new();
        if !self.policies.is_empty() {
            varied.push(("policy".to_owned(), self.policies.clone()));
        }
        varied.extend(self.knobs.iter().cloned());
        if self.workers.len() > 1 {
            let workers = self.workers.iter().map(usize::to_string).collect();
            varied.push(("workers".to_owned(), workers));
        }
        varied.extend(
            self.parts
                .rows(runtimes)
                .map(|rows| (parts::DIMENSION.to_owned(), rows)),
        );
        varied
    }

    /// The arms of one runtime, its own baseline first, and a note on each combination that it refuses.
    ///
    /// # Errors
    /// [`CommandError::Usage`] if every combination with some value is refused.
    pub(super) fn arms(
        &self,
        registry: &Registry,
        info: &RuntimeInfo,
    ) -> Result<(Vec<Arm>, Vec<String>), CommandError> {
        let mut arms: Vec<Arm> = Vec::new();
        let mut refused: Vec<(Arm, io::Error)> = Vec::new();
        let mut seen = BTreeSet::new();
        let combinations = self.combinations(info);
        if combinations.len() > MAX_ARMS {
            return Err(usage(format!(
                "{} combinations are requested of {}, but the limit is {MAX_ARMS}; give fewer values",
                combinations.len(),
                info.name
            )));
        }
        for arm in combinations {
            match self.workers_of(info, &arm) {
                Ok(workers) => {
                    // N:1 has one worker whatever the request, so different requests may give the same arm.
                    let same = (
                        arm.policy.clone(),
                        arm.knobs.clone(),
                        arm.without.clone(),
                        workers,
                    );
                    if seen.insert(same) {
                        arms.push(arm);
                    }
                }
                Err(error) => refused.push((arm, error)),
            }
        }
        for (arm, error) in &refused {
            let taken = |name: &str, value: &str| {
                arms.iter()
                    .flat_map(Arm::choices)
                    .any(|(other, taken)| other == name && taken == value)
            };
            if let Some((name, value)) = arm.choices().find(|(name, value)| !taken(name, value)) {
                return Err(usage(format!(
                    "{name}={}: {error}{}",
                    value.escape_debug(),
                    accepted(registry, name)
                )));
            }
        }
        let notes = refused
            .iter()
            .map(|(arm, error)| {
                let choices: Vec<String> = arm
                    .choices()
                    .map(|(name, value)| format!("{name}={value}"))
                    .collect();
                format!(
                    "{} with {} is left out: {error}",
                    info.name,
                    choices.join(", ")
                )
            })
            .collect();
        Ok((arms, notes))
    }

    fn combinations(&self, info: &RuntimeInfo) -> Vec<Arm> {
        let own = |name: &str| info.policies().iter().any(|policy| policy.name == name);
        let default = info.policies().first().map(|policy| policy.name);
        let mut policies: Vec<Option<String>> = self
            .policies
            .iter()
            .filter(|name| own(name))
            .map(|name| Some(name.clone()))
            .collect();
        // The default is the baseline, wherever the user named it.
        policies.sort_by_key(|name| name.as_deref() != default);
        if policies.is_empty() {
            policies.push(default.map(str::to_owned));
        }
        let mut all = Vec::new();
        for policy in policies {
            for &workers in &self.workers {
                all.push(Arm {
                    runtime: info.name,
                    policy: policy.clone(),
                    knobs: BTreeMap::new(),
                    without: BTreeSet::new(),
                    workers,
                    binary: None,
                    role: Role::Arm,
                });
            }
        }
        for (name, values) in &self.knobs {
            if info.knobs().iter().any(|knob| knob.name == name) {
                all = all
                    .iter()
                    .flat_map(|arm| {
                        values.iter().map(|value| {
                            let mut arm = arm.clone();
                            arm.knobs.insert(name.clone(), value.clone());
                            arm
                        })
                    })
                    // The caller reports an excess. This limit only keeps an absurd product from being built.
                    .take(MAX_ARMS * MAX_ARMS)
                    .collect();
            }
        }
        let without = self.parts.of(info);
        all.iter()
            .flat_map(|arm| {
                without.iter().map(|parts| Arm {
                    without: parts.clone(),
                    ..arm.clone()
                })
            })
            .collect()
    }

    /// The number of workers that the scheduler says the arm would have. The scheduler is asked only if there was a
    /// choice.
    ///
    /// # Errors
    /// The scheduler's objection to the choices.
    fn workers_of(&self, info: &RuntimeInfo, arm: &Arm) -> io::Result<Option<usize>> {
        let chosen = !self.policies.is_empty()
            || !arm.knobs.is_empty()
            || !arm.without.is_empty()
            || self.workers.len() > 1;
        let Some(launcher) = info.launcher.filter(|_| chosen) else {
            return Ok(Some(arm.workers));
        };
        let mut config = LaunchConfig::default();
        config.workers = arm.workers;
        config.policy.clone_from(&arm.policy);
        config.knobs.clone_from(&arm.knobs);
        config.without.clone_from(&arm.without);
        match launcher.probe(&config) {
            Ok(capabilities) => Ok(capabilities.workers),
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Err(error),
            // The measured process reports a lack of threads or descriptors.
            Err(_) => Ok(Some(arm.workers)),
        }
    }
}

/// The baselines of a cell with these arms: the first arm for all, and the first arm of each other runtime with choices
/// for that runtime. Adds an A/A arm for each of them.
pub(super) fn baselines(arms: &mut Vec<Arm>) -> Vec<Baseline> {
    let mut firsts: Vec<Arm> = Vec::new();
    for arm in arms.iter() {
        let several = arms.iter().filter(|other| other.runtime == arm.runtime);
        if firsts.is_empty()
            || (firsts.iter().all(|first| first.runtime != arm.runtime) && several.count() > 1)
        {
            firsts.push(arm.clone());
        }
    }
    arms.extend(firsts.iter().map(|first| Arm {
        role: Role::Repeat,
        ..first.clone()
    }));
    firsts
        .iter()
        .enumerate()
        .map(|(index, first)| Baseline {
            key: first.key(),
            of: if index == 0 {
                Against::All
            } else {
                Against::OwnRuntime
            },
        })
        .collect()
}

/// Checks that at least one of the chosen runtimes has the policy or knob called `name`.
fn known<I>(
    registry: &Registry,
    runtimes: &[&'static str],
    kind: &str,
    name: &str,
    names: impl Fn(&RuntimeInfo) -> I,
) -> Result<(), CommandError>
where
    I: Iterator<Item = &'static str>,
{
    let all: BTreeSet<&str> = registry.runtimes.iter().flat_map(&names).collect();
    if !all.contains(name) {
        return Err(usage(suggest::unknown(kind, name, all)));
    }
    let has = |info: &&RuntimeInfo| runtimes.contains(&info.name);
    let mut chosen = registry.runtimes.iter().filter(has);
    if chosen.any(|info| names(info).any(|own| own == name)) {
        return Ok(());
    }
    Err(usage(format!(
        "none of the chosen runtimes has the {kind} `{name}`; `lab list` shows which runtimes have it"
    )))
}

/// The values that a knob accepts, as the end of a sentence.
fn accepted(registry: &Registry, name: &str) -> String {
    registry
        .runtimes
        .iter()
        .flat_map(|info| info.knobs())
        .find(|knob| knob.name == name)
        .map_or_else(String::new, |knob| {
            format!("; `{name}` takes {}", knob.values)
        })
}
