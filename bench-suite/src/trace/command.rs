//! `lab trace`: records one workload under several runtimes, on one time axis.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use runtime_core::trace::{Recorded, Recorder};
use serde_json::Value;

use super::files;
use super::format::{Run, SCHEMA, Trace};
use super::record;
use crate::cli::TraceArgs;
use crate::compare::child::panic_message;
use crate::environment;
use crate::error::{CommandError, usage};
use crate::launch_request::LaunchRequest;
use crate::measure::Meter;
use crate::output::ensure_folder;
use crate::registry::{Failure, Params, Registry, RuntimeInfo};
use crate::vocabulary::Workload;
use crate::{suggest, terminal};

/// A budget that allows one repetition after the warm-up.
const ONE_REPETITION_NS: u64 = 1;
/// The default seed. It is fixed so that two traces have the same input.
const SEED: u64 = 1;

/// The command `lab trace`: runs the workload under each runtime in turn in this process, records the first timed
/// repetition, and writes the trace in all formats.
///
/// # Errors
/// [`CommandError::Usage`] for unknown names and values, and for a folder that can't be written to;
/// [`CommandError::Failed`] if a workload fails or a file can't be written.
pub fn run(registry: &Registry, arguments: &TraceArgs) -> Result<(), CommandError> {
    let workload = workload(registry, &arguments.workload)?;
    let values = values(workload, arguments)?;
    let runtimes = runtimes(
        registry,
        workload,
        &arguments.runtimes,
        Hooks::OursOrFollowed,
    )?;
    ensure_folder(&arguments.out, "--out")?;
    let mut trace = Trace {
        schema: SCHEMA.to_owned(),
        workload: workload.name.to_owned(),
        params: as_json(&values),
        runs: Vec::new(),
    };
    for info in runtimes {
        let run = record_one(registry, workload, info, &values, arguments)?;
        terminal::print(&summary(&run))?;
        trace.runs.push(run);
    }
    write(&trace, &arguments.out)
}

/// Writes the trace's files, and prints their paths.
fn write(trace: &Trace, folder: &Path) -> Result<(), CommandError> {
    for path in files::write(trace, folder, "trace")? {
        terminal::print(&format!("trace: {}\n", path.display()))?;
    }
    Ok(())
}

fn summary(run: &Run) -> String {
    let mut line = format!(
        "{}: {} events of {} tasks on {} threads in {:.3} ms",
        run.runtime,
        run.events.len(),
        run.tasks.len(),
        run.threads.len(),
        run.wall_ns as f64 / 1e6,
    );
    if run.dropped > 0 {
        line += &format!(
            "; {} events were dropped, so the trace is incomplete: a smaller size, or a larger --records, keeps all",
            run.dropped
        );
    }
    if !run.missing.is_empty() {
        line += &format!("; not recorded: {}", run.missing.join(", "));
    }
    line + "\n"
}

pub(crate) fn workload<'a>(
    registry: &'a Registry,
    name: &str,
) -> Result<&'a Workload, CommandError> {
    let known = || registry.workloads.iter().map(|workload| workload.name);
    let found = registry.workload(name);
    found.ok_or_else(|| usage(suggest::unknown("workload", name, known())))
}

/// Which runtimes qualify, by what they report to the recorder.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Hooks {
    /// Those of this project, which report everything.
    Ours,
    /// These, and those whose tasks can be observed from outside.
    OursOrFollowed,
}

/// The requested runtimes, if they report to the recorder. The default is this project's.
pub(crate) fn runtimes<'a>(
    registry: &'a Registry,
    workload: &Workload,
    names: &[String],
    hooks: Hooks,
) -> Result<Vec<&'a RuntimeInfo>, CommandError> {
    let has_hooks = |info: &&RuntimeInfo| {
        let is_followed = hooks == Hooks::OursOrFollowed && info.set_followed.is_some();
        info.records() || info.launcher.is_some() && is_followed
    };
    let traced = || registry.runtimes.iter().filter(has_hooks);
    let mut chosen = Vec::new();
    for name in names {
        let Some(info) = traced().find(|info| info.name == name) else {
            let those: Vec<&str> = traced().map(|info| info.name).collect();
            return Err(usage(format!(
                "--runtime {}: can't be traced; {} can",
                name.escape_debug(),
                those.join(", ")
            )));
        };
        chosen.push(info);
    }
    if chosen.is_empty() {
        let has = |info: &&RuntimeInfo| registry.entry(workload.name, info.name).is_some();
        chosen.extend(traced().filter(|info| info.ours).filter(has));
    }
    Ok(chosen)
}

/// The workload's parameters: the requested values, and defaults for the others.
pub(crate) fn values(
    workload: &Workload,
    arguments: &TraceArgs,
) -> Result<BTreeMap<String, u64>, CommandError> {
    let declared = workload.parameters.iter();
    let mut values: BTreeMap<_, _> = declared
        .map(|parameter| (parameter.name.to_owned(), parameter.default))
        .collect();
    let size = arguments.size.iter().map(|size| format!("size={size}"));
    for text in size.chain(arguments.params.iter().cloned()) {
        let (key, value) = text.split_once('=').unwrap_or((&text, ""));
        let known = workload.parameters.iter().find(|it| it.name == key);
        let parameter = known.ok_or_else(|| {
            let names = workload.parameters.iter().map(|it| it.name);
            usage(suggest::unknown("parameter", key, names))
        })?;
        let value = value.replace('_', "").parse().ok();
        let in_range = value.filter(|value| (parameter.min..=parameter.max).contains(value));
        let value = in_range.ok_or_else(|| {
            usage(format!(
                "{}: expected a whole number of {} to {} ({})",
                text.escape_debug(),
                parameter.min,
                parameter.max,
                parameter.about
            ))
        })?;
        values.insert(key.to_owned(), value);
    }
    Ok(values)
}

fn as_json(values: &BTreeMap<String, u64>) -> BTreeMap<String, Value> {
    let each = values.iter();
    each.map(|(key, value)| (key.clone(), (*value).into()))
        .collect()
}

pub(crate) fn record_one(
    registry: &Registry,
    workload: &Workload,
    info: &RuntimeInfo,
    values: &BTreeMap<String, u64>,
    arguments: &TraceArgs,
) -> Result<Run, CommandError> {
    let failed = |why: String| {
        CommandError::Failed(format!(
            "trace: {} under {}: {why}",
            workload.name, info.name
        ))
    };
    let entry = registry
        .entry(workload.name, info.name)
        .ok_or_else(|| usage(format!("{} has no {}", info.name, workload.name)))?;
    let params = params(workload, info, values, arguments)?;
    let mut recorder = Recorder::new();
    if let Some(records) = arguments.records {
        recorder = recorder.records_per_thread(records as usize);
    }
    let mut meter = Meter::default();
    meter.recorder = Some(recorder);
    info.set_followed.inspect(|set| set(true));
    let ran = catch_unwind(AssertUnwindSafe(|| (entry.run)(&params, &mut meter)));
    info.set_followed.inspect(|set| set(false));
    ran.unwrap_or_else(|payload| Err(Failure::of_panic(panic_message(&*payload))))
        .map_err(|failure| failed(failure.to_string()))?;
    let recorded: Recorded = meter
        .recorded
        .take()
        .ok_or_else(|| failed("it timed nothing that could be recorded".to_owned()))?;
    let config = config(info, &params, meter.workers);
    let mut run = record::run(info.name, config, &recorded);
    run.missing = missing(info);
    Ok(run)
}

/// What the recorder does not learn about this runtime.
pub(crate) fn missing(info: &RuntimeInfo) -> Vec<String> {
    let missing: &[&str] = if info.set_followed.is_some() {
        &[
            "queues",
            "steals",
            "searches",
            "I/O polls",
            "timers",
            "what woke a task if no task did",
            "outcomes that were available before they were awaited",
        ]
    } else if info.name == "threads" && cfg!(not(target_os = "linux")) {
        &["the kernel's switches"]
    } else {
        &[]
    };
    missing.iter().map(|&what| what.to_owned()).collect()
}

/// The parameters of the run. Options that only some runtimes have are ignored for the others.
pub(crate) fn params(
    workload: &Workload,
    info: &RuntimeInfo,
    values: &BTreeMap<String, u64>,
    arguments: &TraceArgs,
) -> Result<Params, CommandError> {
    let has_policies = !info.policies().is_empty();
    let request = LaunchRequest {
        workers: arguments.workers,
        policy: arguments.policy.clone().filter(|_| has_policies),
        knobs: match info.knobs() {
            [] => Vec::new(),
            _ => arguments.knobs.clone(),
        },
        without: Vec::new(),
    };
    let config = request.config(info.launcher)?;
    if arguments.workers == Some(0) {
        return Err(usage(
            "--workers 0: at least one worker is needed".to_owned(),
        ));
    }
    Ok(Params {
        workload: workload.name.to_owned(),
        runtime: info.name.to_owned(),
        workers: arguments.workers.unwrap_or_else(environment::cores),
        policy: config.policy,
        knobs: config.knobs,
        without: config.without,
        reactor: None,
        budget_ns: ONE_REPETITION_NS,
        seed: arguments.seed.unwrap_or(SEED),
        values: values.clone(),
    })
}

fn config(info: &RuntimeInfo, params: &Params, workers: Option<u64>) -> BTreeMap<String, Value> {
    let mut config = BTreeMap::new();
    if let Some(workers) = workers {
        config.insert("workers".to_owned(), workers.into());
    }
    let default = info.policies().first().map(|policy| policy.name.to_owned());
    if let Some(policy) = params.policy.clone().or(default) {
        config.insert("policy".to_owned(), policy.into());
    }
    for (knob, value) in &params.knobs {
        config.insert(knob.clone(), value.clone().into());
    }
    config
}
