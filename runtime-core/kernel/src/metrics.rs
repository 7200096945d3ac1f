//! What a scheduler counts.

use std::time::Duration;

/// What a scheduler has counted since it started. An unknown value is `None`, never 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metrics {
    /// Tasks that were spawned and have not ended.
    pub live_tasks: Option<u64>,
    /// How often a task was polled.
    pub polls: Option<u64>,
    /// Tasks taken from another worker's queue.
    pub tasks_stolen: Option<u64>,
    /// How often a worker went to sleep.
    pub parks: Option<u64>,
    /// How often a sleeping worker was woken.
    pub unparks: Option<u64>,
    /// How often the reactor was polled.
    pub io_polls: Option<u64>,
    /// Threads of the blocking pool, busy or idle.
    pub blocking_threads: Option<u64>,
    /// How often a replacement worker took over from a worker that was stuck in a poll.
    pub hand_offs: Option<u64>,
    /// Polls that lasted too long.
    pub stuck_polls: Option<u64>,
    /// The total duration of those polls, except for those that are still running.
    pub stuck_time: Option<Duration>,
    /// Tasks in the injector, the queue that belongs to no worker.
    pub injected_depth: Option<u64>,
    /// Each worker's own counters; empty where tasks have no workers.
    pub workers: Vec<WorkerMetrics>,
    /// How long polls took, if the runtime was asked to measure it.
    pub poll_time: Option<DurationHistogram>,
    /// How long ready tasks waited for their poll, sampled, if the runtime was asked to measure it.
    pub schedule_latency: Option<DurationHistogram>,
}

/// What one worker counted since it started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerMetrics {
    /// How often it polled a task.
    pub polls: u64,
    /// How often it tried to steal from another worker's queue.
    pub steals_tried: u64,
    /// How often it found something there.
    pub steals_done: u64,
    /// Tasks that it stole; one steal can move many.
    pub tasks_stolen: u64,
    /// Tasks that it ran from its LIFO slot.
    pub lifo_hits: u64,
    /// How often it went to sleep.
    pub parks: u64,
    /// How often another thread woke it.
    pub unparks: u64,
    /// How often it polled the reactor.
    pub io_polls: u64,
    /// Tasks in its queues now.
    pub queue_depth: u64,
    /// The time during which it was not asleep.
    pub busy: Duration,
}

/// A histogram of durations, by powers of two.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DurationHistogram {
    /// `counts[n]` is the number of durations of less than `2^n` ns, and not less than `2^(n-1)` ns.
    pub counts: Vec<u64>,
    /// The sum of all durations.
    pub sum: Duration,
}

impl DurationHistogram {
    /// The number of recorded durations.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The upper end of bucket `index`, in nanoseconds.
    pub fn upper_ns(index: usize) -> u64 {
        1_u64.checked_shl(index as u32).unwrap_or(u64::MAX)
    }
}
