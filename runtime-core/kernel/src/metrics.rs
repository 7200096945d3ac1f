//! What a scheduler counts.

use std::time::Duration;

/// What a scheduler counted since it started. Unknown is `None`, never 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metrics {
    /// Tasks that have been spawned and have not ended.
    pub live_tasks: Option<u64>,
    /// Times that some task was polled.
    pub polls: Option<u64>,
    /// Tasks taken from another worker's queue.
    pub tasks_stolen: Option<u64>,
    /// Times that a worker went to sleep.
    pub parks: Option<u64>,
    /// Times that a sleeping worker was woken.
    pub unparks: Option<u64>,
    /// Times that the reactor was asked for readiness.
    pub io_polls: Option<u64>,
    /// Threads of the blocking pool, busy or idle.
    pub blocking_threads: Option<u64>,
    /// Times that a spare worker took over from one that was stuck in a poll.
    pub hand_offs: Option<u64>,
    /// Times that a poll was caught that lasted too long.
    pub stuck_polls: Option<u64>,
    /// How long those polls lasted in all, but for those that still do.
    pub stuck_time: Option<Duration>,
    /// Tasks that stand in a queue which belongs to no worker.
    pub injected_depth: Option<u64>,
    /// Each worker's own counters; empty where tasks have no workers.
    pub workers: Vec<WorkerMetrics>,
    /// How long polls took, if the runtime was asked to measure it.
    pub poll_time: Option<DurationHistogram>,
    /// How long tasks that were due waited for their poll, sampled, if the runtime was asked to measure it.
    pub schedule_latency: Option<DurationHistogram>,
}

/// What one worker counted since it started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerMetrics {
    /// Times that it polled a task.
    pub polls: u64,
    /// Times that it looked into another worker's queue.
    pub steals_tried: u64,
    /// Times that it found something there.
    pub steals_done: u64,
    /// Tasks that it took there; one steal can move many.
    pub tasks_stolen: u64,
    /// Tasks that it ran out of its LIFO slot.
    pub lifo_hits: u64,
    /// Times that it went to sleep.
    pub parks: u64,
    /// Times that it was woken by another thread.
    pub unparks: u64,
    /// Times that it asked the reactor for readiness.
    pub io_polls: u64,
    /// Tasks that stand in its queues now.
    pub queue_depth: u64,
    /// Time that it was not asleep.
    pub busy: Duration,
}

/// How often durations of which length were seen, by powers of two.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DurationHistogram {
    /// `counts[n]` durations took less than `2^n` ns, and not less than `2^(n-1)` ns.
    pub counts: Vec<u64>,
    /// The sum of all durations.
    pub sum: Duration,
}

impl DurationHistogram {
    /// How many durations were seen.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The upper end of bucket `index`, in nanoseconds.
    pub fn upper_ns(index: usize) -> u64 {
        1_u64.checked_shl(index as u32).unwrap_or(u64::MAX)
    }
}
