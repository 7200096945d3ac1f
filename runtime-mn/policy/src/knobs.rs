//! Single decisions that can be changed by value, whatever the policy.

use core::time::Duration;

/// How much a thief takes from a queue at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Steal {
    /// Half of what is there, at most 32. Flat work is spread in few steals.
    Half,
    /// The oldest one. Of a tree of tasks that is the largest part.
    One,
}

/// How the LIFO slot is used, where a task that another task woke is next to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LifoSlot {
    /// It is used, and a thief may take from it if its worker is stuck in a poll.
    On,
    /// Woken tasks go to the back of the queue.
    Off,
    /// It is used, and nobody but its worker takes from it (but for the monitor, which rescues what stands there).
    NotStealable,
}

/// Whether a second worker helps with what sockets have woken, while that is much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IoSharing {
    /// As long as more is served with its help; the scheduler measures that. Counts as `Always` if the monitor is off,
    /// or if there is no [`wake_delay`](Knobs::wake_delay).
    Measured,
    /// It does.
    Always,
    /// Only if the tasks run for longer than a wake-up takes.
    Never,
}

/// The values that a scheduler runs with: a policy's own, or what its builder was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Knobs {
    /// How much a thief takes at once.
    pub steal: Steal,
    /// The LIFO slot.
    pub lifo_slot: LifoSlot,
    /// Every how many ticks a worker looks at the injector before its own queues.
    pub injector_tick: u32,
    /// Every how many ticks a busy worker looks at its timers and asks the reactor; for the latter up to four times as
    /// many, while tasks that are due already fill that time.
    pub poll_tick: u32,
    /// How long a worker whose work has lately been done sooner keeps new work to itself before it wakes another
    /// worker; zero: it wakes one at once. Counts only if the monitor is on.
    pub wake_delay: Duration,
    /// Whether a second worker helps with what sockets have woken.
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
