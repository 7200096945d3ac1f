//! Knobs: single decisions that you can change by value, whatever the policy.

use core::time::Duration;

/// How much a thief takes from a queue at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Steal {
    /// Half of the queue, at most 32 tasks. This spreads flat work with few steals.
    Half,
    /// Only the oldest task. In a tree of tasks that is the largest part.
    One,
}

/// How the LIFO slot is used, in which a task that another task woke runs next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LifoSlot {
    /// It is used, and a thief may take from it if its worker is stuck in a poll.
    On,
    /// Woken tasks go to the back of the queue.
    Off,
    /// It is used, and only its worker takes from it (except for the monitor, which rescues a task from there).
    NotStealable,
}

/// Whether a second worker shares the tasks that sockets have woken, if there are many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IoSharing {
    /// If sharing increases the throughput, which the scheduler measures. Counts as `Always` if the monitor is off, or
    /// if there is no [`wake_delay`](Knobs::wake_delay).
    Measured,
    /// Always.
    Always,
    /// Only if the tasks run for longer than a wake-up takes.
    Never,
}

/// The values that a scheduler runs with: those of its policy, unless the builder overrides them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Knobs {
    /// How much a thief takes at once.
    pub steal: Steal,
    /// The LIFO slot.
    pub lifo_slot: LifoSlot,
    /// The number of ticks after which a worker checks the injector before its own queues.
    pub injector_tick: u32,
    /// The number of ticks after which a busy worker checks its timers and polls the reactor; for the reactor up to
    /// four times as many, while ready tasks already fill that time.
    pub poll_tick: u32,
    /// How long a throttled worker keeps new work to itself before it wakes another worker. If zero, it always wakes
    /// one at once. Has an effect only if the monitor is on.
    pub wake_delay: Duration,
    /// Whether a second worker shares the tasks that sockets have woken.
    pub io_sharing: IoSharing,
}

impl Default for Knobs {
    fn default() -> Self {
        Self {
            steal: Steal::Half,
            lifo_slot: LifoSlot::On,
            injector_tick: 61,
            poll_tick: 61,
            wake_delay: Duration::from_micros(50),
            io_sharing: IoSharing::Measured,
        }
    }
}
