//! `lab span`: shows work, span and critical path of a program, and where the time went.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::contention::Contention;
use super::critical_path::{Share, by_site, critical_path};
use super::dag::Dag;
use super::hand_over::HandOver;
use super::predict::{Costs, speed_up};
use super::recording::{Arm, is_file, read, record, run_under, slow_down_next_to_a_copy};
use super::span::{Span, span_in_task_ends};
use super::time_split::TimeSplit;
use super::waits::Waits;
use crate::cli::{RecordingArgs, SpanArgs};
use crate::environment;
use crate::error::CommandError;
use crate::output::Output;
use crate::registry::Registry;
use crate::terminal;
use crate::trace::Run;
use crate::units::duration_ns;

/// `lab span`.
///
/// # Errors
/// [`CommandError::Usage`] for unknown names and files; [`CommandError::Failed`] if the workload fails or the figures
/// can't be written.
pub(crate) fn run(registry: &Registry, arguments: &SpanArgs) -> Result<(), CommandError> {
    let output = arguments.json.as_deref();
    let output = output
        .map(|path| Output::prepare(path, "--json"))
        .transpose()?;
    let found = if is_file(&arguments.subject) {
        let trace = read(&arguments.subject, 1)?;
        let run = match &arguments.runtime {
            Some(name) => run_under(&trace, &arguments.subject, name)?,
            None => &trace.runs[0],
        };
        Found::of(&trace.workload, run, None)
    } else {
        recorded(registry, arguments)?
    };
    if let Some(output) = &output {
        let text = format!("{:#}\n", found.json());
        output.write(text.as_bytes()).map_err(|error| {
            CommandError::Failed(format!("--json: cannot be written ({error})"))
        })?;
    }
    if output != Some(Output::Standard) {
        terminal::print(&found.text(arguments.places))?;
    }
    Ok(())
}

/// How many runs are recorded: the minimum, and the maximum if time allows. The fastest run counts, because other load
/// on the machine disturbed it least.
const RUNS: std::ops::Range<usize> = 3..25;
const TIME: Duration = Duration::from_secs(3);

/// Programs that say what stealing and sleeping cost, with their sizes. They have many small tasks, so that workers
/// steal and sleep often.
const PROBES: [(&str, &str); 2] = [("fib-spawn", "16"), ("skynet-spawn", "3")];
const PROBE_RUNS: usize = 5;

fn recorded(registry: &Registry, arguments: &SpanArgs) -> Result<Found, CommandError> {
    let runtime = arguments.runtime.clone().unwrap_or_else(|| "mn".to_owned());
    let recording = &arguments.recording;
    let with = |workers| Arm {
        runtime: runtime.clone(),
        workers,
        ..Arm::default()
    };
    let record_with = |workers| record(registry, &arguments.subject, &with(workers), recording);
    let has_workers = registry
        .runtime(&runtime)
        .is_some_and(|info| !info.policies().is_empty());
    let many = recording.workers.unwrap_or_else(environment::cores);
    let (mut best, mut best_alone): (Option<Run>, Option<Run>) = (None, None);
    let begun = Instant::now();
    // Alternate, so that other load on the machine affects both.
    for run in 0..RUNS.end {
        if run >= RUNS.start && begun.elapsed() >= TIME {
            break;
        }
        keep_faster(&mut best, record_with(recording.workers)?);
        if has_workers && many > 1 {
            keep_faster(&mut best_alone, record_with(Some(1))?);
        }
    }
    let run = best.expect("it was recorded");
    let alone = best_alone.map(|run| {
        let slow_down =
            slow_down_next_to_a_copy(registry, &arguments.subject, &with(Some(1)), recording);
        let machine = Contention::measured();
        Ok(Alone {
            run,
            workers: many,
            probes: probes(registry, &arguments.subject, &with(Some(many)))?,
            contention: Contention {
                of_all_cores: slow_down.unwrap_or(machine.of_all_cores),
                ..machine
            },
        })
    });
    let alone = alone.transpose()?;
    Ok(Found::of(&arguments.subject, &run, alone.as_ref()))
}

/// Runs on several workers of a program other than the subject.
fn probes(registry: &Registry, subject: &str, arm: &Arm) -> Result<Vec<Run>, CommandError> {
    let mut of_runtime = PROBES
        .iter()
        .filter(|(name, _)| *name != subject && registry.entry(name, &arm.runtime).is_some());
    let Some((name, size)) = of_runtime.next() else {
        return Ok(Vec::new());
    };
    let recording = RecordingArgs {
        size: Some((*size).to_owned()),
        ..RecordingArgs::default()
    };
    let record = |_| record(registry, name, arm, &recording);
    (0..PROBE_RUNS).map(record).collect()
}

/// What the prediction is made from. No run of the program on several workers is part of it.
struct Alone {
    /// The run on one worker.
    run: Run,
    /// The number of workers for which the speed-up is predicted.
    workers: usize,
    /// Runs of another program on that many workers, if there is one for this runtime.
    probes: Vec<Run>,
    contention: Contention,
}

pub(super) fn keep_faster(best: &mut Option<Run>, run: Run) {
    if best.as_ref().is_none_or(|best| run.wall_ns < best.wall_ns) {
        *best = Some(run);
    }
}

/// The speed-up of several workers over one.
#[derive(Clone, Copy, Debug)]
struct SpeedUp {
    workers: usize,
    predicted: f64,
    measured: f64,
    /// How many times longer each worker computes while all of them do, on this machine.
    slow_down: f64,
}

/// All figures of one run.
struct Found {
    workload: String,
    runtime: String,
    wall_ns: u64,
    span: Span,
    task_ends: u64,
    joins_are_inferred: bool,
    speed_up: Option<SpeedUp>,
    split: TimeSplit,
    waits: Waits,
    path: Vec<Share>,
}

impl Found {
    fn of(workload: &str, run: &Run, alone: Option<&Alone>) -> Self {
        let dag = Dag::of(run);
        let speed_up = alone.map(|alone| {
            let dag = Dag::of(&alone.run);
            // A run on one worker does not show what it costs to move a task to another thread.
            let costs = Costs::of(&dag, &alone.probes, HandOver::measured());
            let (workers, contention) = (alone.workers, alone.contention);
            SpeedUp {
                workers,
                slow_down: contention.slow_down(workers),
                predicted: speed_up(&dag, costs, workers, contention),
                measured: alone.run.wall_ns as f64 / run.wall_ns.max(1) as f64,
            }
        });
        Self {
            workload: workload.to_owned(),
            runtime: run.runtime.clone(),
            wall_ns: run.wall_ns,
            span: Span::of(&dag),
            task_ends: span_in_task_ends(&dag),
            joins_are_inferred: dag.joins_are_inferred,
            speed_up,
            split: TimeSplit::of(run),
            waits: Waits::of(&dag, run),
            path: by_site(&dag, run, &critical_path(&dag)),
        }
    }

    fn text(&self, places: usize) -> String {
        let span = &self.span;
        let mut text = format!(
            "{} under {}: {} tasks, {} polls, {}\n\n",
            self.workload,
            self.runtime,
            span.tasks,
            span.polls,
            duration_ns(self.wall_ns as f64)
        );
        let mut row = |name: &str, value: String| {
            let _ = writeln!(text, "  {name:<32}{value}");
        };
        let time = |ns: u64| duration_ns(ns as f64);
        row("work", time(span.work_ns));
        row("span", time(span.span_ns));
        row("parallelism", format!("{:.2}", span.parallelism()));
        row(
            "to run on the same thread",
            time(span.burden.same_thread_ns),
        );
        row(
            "to run on another thread",
            time(span.burden.other_thread_ns),
        );
        row(
            "to wake a thread for it",
            time(span.burden.sleeping_thread_ns),
        );
        row("burdened span", time(span.burdened_span_ns));
        row(
            "burdened parallelism",
            format!("{:.2}", span.burdened_parallelism()),
        );
        row("span in task starts and ends", self.task_ends.to_string());
        if let Some(it) = self.speed_up {
            row(
                &format!("speed-up of {} workers", it.workers),
                format!("{:.2} predicted, {:.2} measured", it.predicted, it.measured),
            );
            row(
                "slow-down while all compute",
                format!("{:.2}", it.slow_down),
            );
        }
        self.add_split(&mut text);
        self.add_path(&mut text, places);
        text
    }

    fn add_split(&self, text: &mut String) {
        let split = &self.split;
        let _ = writeln!(
            text,
            "\nWhere the time went: {} of {} thread{}\n",
            duration_ns(split.total_ns as f64),
            split.threads,
            if split.threads == 1 { "" } else { "s" }
        );
        for (name, ns) in split.parts() {
            let share = share(ns, split.total_ns);
            let bar = "#".repeat((share * 40.0).round() as usize);
            let time = duration_ns(ns as f64);
            let _ = writeln!(
                text,
                "  {name:<24}{:>6.1}%  {time:>9}  {bar}",
                100.0 * share
            );
        }
        let waits = &self.waits;
        let _ = writeln!(
            text,
            "\n  Due tasks waited {} in all, {} of it while a worker slept; at most {} and {} at a time.",
            duration_ns(waits.total_ns as f64),
            duration_ns(waits.while_a_worker_slept_ns as f64),
            duration_ns(waits.longest_ns as f64),
            duration_ns(waits.longest_while_a_worker_slept_ns as f64),
        );
    }

    fn add_path(&self, text: &mut String, places: usize) {
        text.push_str("\nThe critical path, by the place of the spawn\n\n");
        for place in self.path.iter().take(places) {
            let share = 100.0 * share(place.ns, self.span.span_ns);
            let time = duration_ns(place.ns as f64);
            let _ = writeln!(
                text,
                "  {share:>5.1}%  {time:>9}  {:>6} steps  {}",
                place.steps, place.place
            );
        }
        let rest = self.path.iter().skip(places);
        let (count, ns) = rest.fold((0, 0), |(count, ns), it| (count + 1, ns + it.ns));
        if count > 0 {
            let share = 100.0 * share(ns, self.span.span_ns);
            let time = duration_ns(ns as f64);
            let _ = writeln!(text, "  {share:>5.1}%  {time:>9}  in {count} other places");
        }
    }

    fn json(&self) -> Value {
        let span = &self.span;
        let places = self.path.iter();
        let places: Vec<_> = places
            .map(|it| json!({"place": it.place, "steps": it.steps, "ns": it.ns}))
            .collect();
        let split = self.split.parts().into_iter();
        let split: Vec<_> = split
            .map(|(name, ns)| json!({"part": name, "ns": ns}))
            .collect();
        json!({
            "schema": "lab.span/1",
            "workload": self.workload,
            "runtime": self.runtime,
            "wall_ns": self.wall_ns,
            "tasks": span.tasks,
            "polls": span.polls,
            "work_ns": span.work_ns,
            "span_ns": span.span_ns,
            "parallelism": span.parallelism(),
            "same_thread_ns": span.burden.same_thread_ns,
            "other_thread_ns": span.burden.other_thread_ns,
            "sleeping_thread_ns": span.burden.sleeping_thread_ns,
            "burdened_span_ns": span.burdened_span_ns,
            "burdened_parallelism": span.burdened_parallelism(),
            "span_in_task_ends": self.task_ends,
            "joins_are_inferred": self.joins_are_inferred,
            "speed_up": self.speed_up.map(|it| json!({
                "workers": it.workers,
                "predicted": it.predicted,
                "measured": it.measured,
                "slow_down": it.slow_down,
            })),
            "threads": self.split.threads,
            "thread_ns": self.split.total_ns,
            "time": split,
            "due_ns": self.waits.total_ns,
            "due_longest_ns": self.waits.longest_ns,
            "due_while_a_worker_slept_ns": self.waits.while_a_worker_slept_ns,
            "due_longest_while_a_worker_slept_ns": self.waits.longest_while_a_worker_slept_ns,
            "critical_path": places,
        })
    }
}

fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}
