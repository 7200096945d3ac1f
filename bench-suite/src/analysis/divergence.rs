//! The first decision in which two runs of one program differ, and its effect.
//!
//! Tasks of the two runs are matched by name, parent, and position among the parent's children of that name. Their
//! waits are then compared one by one: for a poll, for a timer, for a lock. The answer is the first wait that is longer
//! in one run by at least a quarter of the largest difference, because later differences may follow from it.
//! [`super::cause`] finds what the scheduler did meanwhile.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::cause::{Cause, Evidence, LockTurn};
use super::critical_path::short;
use super::dag::{Dag, EdgeKind, Strand};
use crate::trace::Run;
use crate::units::duration_ns;

/// Smaller differences are noise on any machine.
const MIN_DIFFERENCE_NS: u64 = 20_000;

/// Where two runs diverge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Divergence {
    /// The run in which the task waited longer: 0 or 1.
    pub slow: usize,
    /// The task, as an index into that run's tasks.
    pub task: usize,
    /// When its wait began, in that run.
    pub since_ns: u64,
    /// How long it waited in that run.
    pub waited_ns: u64,
    /// How long the same wait took in the other run; `None` if the task did not wait for it there.
    pub other_waited_ns: Option<u64>,
    /// Why it waited.
    pub cause: Cause,
    /// The explanation, in a sentence or two.
    pub sentence: String,
}

/// The first difference between two runs; `None` if no task waited noticeably longer in one of them.
pub fn first_divergence(runs: [&Run; 2]) -> Option<Divergence> {
    let dags = runs.map(Dag::of);
    let evidence = [
        Evidence::of(runs[0], &dags[0]),
        Evidence::of(runs[1], &dags[1]),
    ];
    let mut names = Names::default();
    let waits = [0, 1].map(|it| waits(&mut names, runs[it], &dags[it], &evidence[it]));
    let excesses = [
        excesses(&waits[0], &waits[1]),
        excesses(&waits[1], &waits[0]),
    ];
    let all = || {
        excesses
            .iter()
            .zip(0..)
            .flat_map(|(list, slow)| list.iter().map(move |it| (slow, it)))
    };
    let largest = all().map(|(_, it)| it.excess_ns()).max()?;
    let least = MIN_DIFFERENCE_NS.max(largest / 4);
    let (slow, first) = all()
        .filter(|(_, it)| it.excess_ns() >= least)
        .min_by_key(|(_, it)| (it.wait.since_ns, Reverse(it.excess_ns()), it.wait.task))?;
    let wait = first.wait;
    let cause = match wait.kind {
        WaitKind::Due { strand } => evidence[slow].of_poll(strand, &evidence[1 - slow]),
        WaitKind::Timer { thread } => {
            evidence[slow].of_timer(thread, (wait.since_ns, wait.until_ns), first.excess_ns())
        }
        WaitKind::Lock { turn } => evidence[slow].of_lock(turn),
    };
    let mut found = Divergence {
        slow,
        task: wait.task,
        since_ns: wait.since_ns,
        waited_ns: wait.ns(),
        other_waited_ns: first.other_ns,
        cause,
        sentence: String::new(),
    };
    found.sentence = sentence(&found, runs);
    Some(found)
}

/// Gives the same number to a task in both runs.
#[derive(Default)]
struct Names(HashMap<(Option<usize>, String, usize), usize>);

impl Names {
    /// The number of each task of a run.
    fn of(&mut self, run: &Run) -> Vec<usize> {
        let index: HashMap<u32, usize> = run.tasks.iter().map(|task| task.id).zip(0..).collect();
        let mut numbers: Vec<Option<usize>> = vec![None; run.tasks.len()];
        let mut siblings: HashMap<(Option<usize>, String), usize> = HashMap::new();
        // A parent's events precede those of its children, so its id is smaller.
        let mut order: Vec<_> = (0..run.tasks.len()).collect();
        order.sort_by_key(|&task| run.tasks[task].id);
        for task in order {
            let it = &run.tasks[task];
            let parent = it
                .parent
                .and_then(|id| index.get(&id))
                .and_then(|&parent| numbers[parent]);
            let name = it.site.clone().unwrap_or_else(|| short(&it.name));
            let place = siblings.entry((parent, name.clone())).or_default();
            let key = (parent, name, *place);
            *place += 1;
            let next = self.0.len();
            numbers[task] = Some(*self.0.entry(key).or_insert(next));
        }
        numbers.into_iter().flatten().collect()
    }
}

/// What a task waits for.
#[derive(Clone, Copy, Debug)]
enum WaitKind {
    /// For its poll, which begins with this strand.
    Due { strand: usize },
    /// For a timer, after a poll on this thread.
    Timer { thread: u32 },
    /// For a lock.
    Lock { turn: LockTurn },
}

#[derive(Clone, Copy, Debug)]
struct Wait {
    task: usize,
    kind: WaitKind,
    since_ns: u64,
    until_ns: u64,
}

impl Wait {
    fn ns(&self) -> u64 {
        self.until_ns.saturating_sub(self.since_ns)
    }
}

/// Identifies a wait in both runs: the task's number, the kind, and its ordinal among the task's waits of that kind.
type Key = (usize, u8, usize);

fn waits(names: &mut Names, run: &Run, dag: &Dag, evidence: &Evidence<'_>) -> HashMap<Key, Wait> {
    let numbers = names.of(run);
    let mut counts: HashMap<(usize, u8), usize> = HashMap::new();
    let mut all = HashMap::new();
    let mut add = |kind: u8, wait: Wait| {
        let number = numbers[wait.task];
        let count = counts.entry((number, kind)).or_default();
        all.insert((number, kind, *count), wait);
        *count += 1;
    };
    let runs_tasks = |strand: &&Strand| !evidence.is_of_a_job(strand.thread);
    for (index, strand) in (0..).zip(&dag.strands).filter(|(_, it)| runs_tasks(it)) {
        for edge in dag.edges_into(index) {
            if edge.kind == EdgeKind::Latency(super::dag::Cause::Timer) {
                let before = &dag.strands[edge.from];
                let wait = Wait {
                    task: strand.task,
                    kind: WaitKind::Timer {
                        thread: strand.thread,
                    },
                    since_ns: before.end_ns,
                    until_ns: before.end_ns + edge.latency_ns,
                };
                add(1, wait);
            }
        }
        if strand.begins_poll {
            let wait = Wait {
                task: strand.task,
                kind: WaitKind::Due { strand: index },
                since_ns: strand.queued_ns.unwrap_or(strand.begin_ns),
                until_ns: strand.begin_ns,
            };
            add(0, wait);
        }
    }
    for turn in evidence.locks() {
        let wait = Wait {
            task: turn.task,
            kind: WaitKind::Lock { turn: *turn },
            since_ns: turn.waits_ns.unwrap_or(turn.got_ns),
            until_ns: turn.got_ns,
        };
        add(2, wait);
    }
    all
}

struct Excess {
    wait: Wait,
    other_ns: Option<u64>,
}

impl Excess {
    fn excess_ns(&self) -> u64 {
        self.wait.ns().saturating_sub(self.other_ns.unwrap_or(0))
    }
}

fn excesses(waits: &HashMap<Key, Wait>, others: &HashMap<Key, Wait>) -> Vec<Excess> {
    waits
        .iter()
        .map(|(key, wait)| Excess {
            wait: *wait,
            other_ns: others.get(key).map(Wait::ns),
        })
        .collect()
}

/// Explains the difference.
fn sentence(found: &Divergence, runs: [&Run; 2]) -> String {
    let [slow, fast] = [runs[found.slow], runs[1 - found.slow]];
    let labels = labels([slow, fast], [found.slow, 1 - found.slow]);
    let [model, other] = &labels;
    let name = |task: usize| task_name(slow, task);
    let task = name(found.task);
    let waited = duration_ns(found.waited_ns as f64);
    let did = match &found.cause {
        Cause::LifoSlot {
            behind,
            computed_ns,
        } => format!(
            "{model} put {task} in the LIFO slot behind {}, which computed {}",
            name(*behind),
            duration_ns(*computed_ns as f64)
        ),
        Cause::LifoChain { overtaken } => {
            format!(
                "{model} ran {overtaken} polls from the LIFO slot before {task}, which was due first"
            )
        }
        Cause::BlockedWorker { by, computed_ns } => format!(
            "{model} let {task} wait for a thread that ran one poll of {} for {}",
            name(*by),
            duration_ns(*computed_ns as f64)
        ),
        Cause::LateTimer { during: Some(by) } => {
            format!(
                "{model} saw the timer of {task} late, after a poll of {}",
                name(*by)
            )
        }
        Cause::LateTimer { during: None } => format!("{model} saw the timer of {task} late"),
        Cause::Herd { in_vain } => {
            format!("{model} woke a herd before {task}: {in_vain} polls found nothing to do")
        }
        Cause::Convoy { lock, hand_overs } => format!(
            "{model} had a convoy at lock {lock}: {hand_overs} hand-overs came before {task}"
        ),
        Cause::LongHolder { lock, by } => {
            format!(
                "{model} let {task} wait for lock {lock}, which {} held",
                name(*by)
            )
        }
        Cause::MissedBatch { takes, of_poller } => {
            let what = if *of_poller { "events" } else { "tasks" };
            format!("{model} took {what} one at a time, {takes} times, while {task} was due")
        }
        Cause::SleepingWorker { slept_ns } => format!(
            "{model} let a worker sleep for {} while {task} was due",
            duration_ns(*slept_ns as f64)
        ),
        Cause::Turn { polls } => format!("{model} ran {polls} other polls before {task}"),
        Cause::Kernel => format!("under {model} the kernel let the thread of {task} wait"),
    };
    let elsewhere = match found.other_waited_ns {
        Some(ns) => format!("and {} under {other}", duration_ns(ns as f64)),
        None => format!("and had no such wait under {other}"),
    };
    format!(
        "{did}; {task} waited {waited}, {elsewhere}. The run took {} under {model} and {} under {other}.",
        duration_ns(slow.wall_ns as f64),
        duration_ns(fast.wall_ns as f64),
    )
}

fn task_name(run: &Run, task: usize) -> String {
    let it = &run.tasks[task];
    let name = short(&it.name);
    match &it.site {
        Some(site) if !name.contains(':') => format!("`{name}` ({site})"),
        _ => format!("`{name}`"),
    }
}

/// Names for two runs: their models, what differs in their configurations, or their order.
fn labels(runs: [&Run; 2], order: [usize; 2]) -> [String; 2] {
    if runs[0].runtime == runs[1].runtime && runs[0].config == runs[1].config {
        return order.map(|place| ["the first run", "the second run"][place].to_owned());
    }
    let model = |run: &Run| match run.runtime.as_str() {
        "n1" => "N:1".to_owned(),
        "mn" => "M:N".to_owned(),
        "threads" => "1:1".to_owned(),
        other => other.to_owned(),
    };
    [(runs[0], runs[1]), (runs[1], runs[0])].map(|(run, other)| {
        if run.runtime != other.runtime {
            return model(run);
        }
        let differing: Vec<_> = run
            .config
            .iter()
            .filter(|(name, value)| other.config.get(*name) != Some(value))
            .map(|(name, value)| format!("{name} {}", plain(value)))
            .collect();
        if differing.is_empty() {
            return model(run);
        }
        format!("{} ({})", model(run), differing.join(", "))
    })
}

fn plain(value: &serde_json::Value) -> String {
    match value.as_str() {
        Some(text) => text.to_owned(),
        None => value.to_string(),
    }
}
