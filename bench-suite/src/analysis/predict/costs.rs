//! What scheduling costs: from runs that are known, and from the machine.

use std::collections::HashMap;

use crate::analysis::dag::{Dag, Strand};
use crate::analysis::hand_over::HandOver;
use crate::analysis::span::{Burden, median};
use crate::trace::{Kind, Run};

/// How many tasks an M:N worker steals at a time at most.
const STEAL_LIMIT: usize = 32;
/// M:N's default wake delay.
const WAKE_DELAY_NS: u64 = 50_000;
/// M:N's monitor finds waiting work at one close look, and wakes a sleeper for it at the next one.
const GUARD_NS: u64 = 400_000;

/// What scheduling costs in a replay, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Costs {
    /// The cost of a poll, by where its task became due.
    pub burden: Burden,
    /// How long a worker without work looks for some before it sleeps.
    pub awake_ns: u64,
    /// How long the thread that wakes a sleeper is busy with that.
    pub waking_ns: u64,
    /// How long data takes to arrive that another core wrote last.
    pub transfer_ns: u64,
    /// How long data takes to arrive if it was written while this core fetched and used other data from there: it is
    /// read in a row with that, and a core fetches such data side by side.
    pub stream_ns: u64,
    /// How many tasks a thief takes at a time at most. It takes no more than half of a queue.
    pub steal_limit: usize,
    /// A wake-up does not pay if the waker has nothing left to do so soon after it. 0: workers don't learn from that.
    pub wake_delay_ns: u64,
    /// After this time, the monitor wakes a sleeper for work that waits behind a poll.
    pub guard_ns: u64,
}

impl From<Burden> for Costs {
    /// Only the costs of polls. A worker looks for work for as long as it takes to wake it, and steals one task at a
    /// time.
    fn from(burden: Burden) -> Self {
        Self {
            burden,
            awake_ns: burden.sleeping_thread_ns,
            steal_limit: 1,
            ..Self::default()
        }
    }
}

impl Costs {
    /// The costs for a program, of which only a run on one worker is known. The polls of that run say what a poll costs
    /// on the same thread. What a steal costs, and when a worker goes to sleep, comes from `others`: runs of another
    /// program on several workers of the same runtime. The machine has the rest.
    pub fn of(alone: &Dag, others: &[Run], machine: HandOver) -> Self {
        let same_thread_ns = Burden::of(alone).same_thread_ns;
        let mut steals: Vec<_> = others.iter().flat_map(steal_times).collect();
        let mut awake: Vec<_> = others.iter().flat_map(awake_times).collect();
        Self {
            burden: Burden {
                same_thread_ns,
                other_thread_ns: median(&mut steals).unwrap_or(same_thread_ns),
                sleeping_thread_ns: machine.awake_after_ns,
            },
            awake_ns: median(&mut awake).unwrap_or(0),
            waking_ns: machine.waking_ns,
            transfer_ns: machine.transfer_ns,
            stream_ns: machine.stream_ns,
            steal_limit: STEAL_LIMIT,
            wake_delay_ns: WAKE_DELAY_NS,
            guard_ns: GUARD_NS,
        }
    }
}

/// For each steal by a thread that was awake: from the moment when the thread was free and the task was due until the
/// task ran.
fn steal_times(run: &Run) -> Vec<u64> {
    let dag = Dag::of(run);
    let stolen = dag.strands.iter();
    let stolen = stolen.filter(|it| it.begins_poll && it.after_steal && !it.after_sleep);
    let waited = |it: &Strand| {
        let free_ns = it.queued_ns?.max(it.thread_free_ns);
        Some(it.begin_ns.saturating_sub(free_ns))
    };
    stolen.filter_map(waited).collect()
}

/// The times from the end of a poll to the sleep of its thread.
fn awake_times(run: &Run) -> Vec<u64> {
    let mut free_since = HashMap::new();
    let mut lasted = Vec::new();
    for event in run.events.iter() {
        match event.kind {
            Kind::PollEnd => {
                free_since.insert(event.thread, event.t_ns);
            }
            Kind::PollBegin => {
                free_since.remove(&event.thread);
            }
            Kind::Park => {
                let since = free_since.remove(&event.thread);
                lasted.extend(since.map(|since| event.t_ns - since));
            }
            _ => {}
        }
    }
    lasted
}
