//! Single decisions that can be changed by value, whatever the policy.

use std::str::FromStr;
use std::time::Duration;

use runtime_core::Knob;
use runtime_core::reactor::ReactorKind;

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
pub enum SocketHelp {
    /// As long as more is served with its help; the scheduler measures that. And for a moment when more is ready than
    /// is taken from the kernel at once, several times in a row. Counts as `Always` if the monitor is off, or if there
    /// is no [`patience`](Knobs::patience).
    Measured,
    /// It does.
    Always,
    /// Only if the tasks run for longer than a wake-up takes.
    Never,
}

/// The values that a scheduler runs with: a policy's own, or what the [`Builder`](crate::Builder) was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Knobs {
    /// How much a thief takes at once.
    pub steal: Steal,
    /// The LIFO slot.
    pub lifo_slot: LifoSlot,
    /// How many more times a worker searches before it goes to sleep.
    pub spin: u32,
    /// Every how many ticks a worker looks at the injector before its own queues.
    pub injector_tick: u32,
    /// Every how many ticks a busy worker looks at its timers and asks the reactor; for the latter up to four times as
    /// many, while tasks that are due already fill that time.
    pub poll_tick: u32,
    /// How long a worker whose work has lately been done sooner keeps new work to itself before it wakes another
    /// worker; zero: it wakes one at once. Counts only if the monitor is on.
    pub patience: Duration,
    /// Whether a second worker helps with what sockets have woken.
    pub socket_help: SocketHelp,
}

impl Default for Knobs {
    fn default() -> Self {
        Self {
            steal: Steal::Half,
            lifo_slot: LifoSlot::On,
            spin: 0,
            injector_tick: 61,
            poll_tick: 61,
            patience: Duration::from_micros(50),
            socket_help: SocketHelp::Measured,
        }
    }
}

/// Longer ones count as this: it is for ever here, and can be multiplied.
const LONGEST: Duration = Duration::from_secs(3600);

/// More count as this: meanwhile a worker does not look at its timers.
const MOST_SPINS: u32 = 10_000;

/// What the builder was told: `None` leaves the decision to the policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct KnobChanges {
    pub(crate) steal: Option<Steal>,
    pub(crate) lifo_slot: Option<LifoSlot>,
    pub(crate) spin: Option<u32>,
    pub(crate) injector_tick: Option<u32>,
    pub(crate) poll_tick: Option<u32>,
    pub(crate) patience: Option<Duration>,
    pub(crate) socket_help: Option<SocketHelp>,
}

impl KnobChanges {
    pub(crate) fn apply(self, policy: Knobs) -> Knobs {
        Knobs {
            steal: self.steal.unwrap_or(policy.steal),
            lifo_slot: self.lifo_slot.unwrap_or(policy.lifo_slot),
            spin: self.spin.unwrap_or(policy.spin).min(MOST_SPINS),
            injector_tick: self.injector_tick.unwrap_or(policy.injector_tick).max(1),
            poll_tick: self.poll_tick.unwrap_or(policy.poll_tick).max(1),
            patience: self.patience.unwrap_or(policy.patience).min(LONGEST),
            socket_help: self.socket_help.unwrap_or(policy.socket_help),
        }
    }
}

/// The knobs by name.
pub(crate) const KNOBS: &[Knob] = &[
    knob("steal", "how much a thief takes at once", "half, one"),
    knob(
        "lifo-slot",
        "whether a task that another one woke is next to run, and whether a thief may take it",
        "on, off, not-stealable",
    ),
    knob(
        "spin",
        "how many more times a worker searches before it sleeps",
        "0 to 10000",
    ),
    knob(
        "injector-tick",
        "every how many ticks the injector comes first",
        "1 to 65536",
    ),
    knob(
        "poll-tick",
        "every how many ticks a busy worker asks for sockets and timers",
        "1 to 65536",
    ),
    knob(
        "patience",
        "how many microseconds a worker keeps work to itself if that has lately been enough",
        "0 to 100000",
    ),
    knob(
        "socket-help",
        "whether a second worker helps with much that sockets have woken",
        "measured, always, never",
    ),
    knob(
        "monitor",
        "whether a worker that is stuck in a poll is relieved by a spare one",
        "on, off",
    ),
    knob(
        "batch-nice",
        "how much less than the workers those threads get that run tasks which hog",
        "0 to 19",
    ),
    knob(
        "reactor",
        "how readiness is asked of the kernel",
        "epoll, polling",
    ),
];

const fn knob(name: &'static str, about: &'static str, values: &'static str) -> Knob {
    Knob {
        name,
        about,
        values,
    }
}

impl crate::Builder {
    /// Turns one knob by its name in [`Launch::KNOBS`](runtime_core::Launch::KNOBS).
    ///
    /// # Errors
    /// One line that says which names or values there are.
    pub fn knob(mut self, name: &str, value: &str) -> Result<Self, String> {
        let Some(knob) = KNOBS.iter().find(|knob| knob.name == name) else {
            let names: Vec<_> = KNOBS.iter().map(|knob| knob.name).collect();
            return Err(format!(
                "mn has no knob `{name}`: it has {}",
                names.join(", ")
            ));
        };
        let refuse = || format!("`{name}` can't be `{value}`: it can be {}", knob.values);
        match name {
            "steal" => {
                self.knobs.steal = Some(match value {
                    "half" => Steal::Half,
                    "one" => Steal::One,
                    _ => return Err(refuse()),
                });
            }
            "lifo-slot" => {
                self.knobs.lifo_slot = Some(match value {
                    "on" => LifoSlot::On,
                    "off" => LifoSlot::Off,
                    "not-stealable" => LifoSlot::NotStealable,
                    _ => return Err(refuse()),
                });
            }
            "spin" => self.knobs.spin = Some(number(value, 0, MOST_SPINS).ok_or_else(refuse)?),
            "injector-tick" => {
                self.knobs.injector_tick = Some(number(value, 1, 65_536).ok_or_else(refuse)?);
            }
            "poll-tick" => {
                self.knobs.poll_tick = Some(number(value, 1, 65_536).ok_or_else(refuse)?);
            }
            "patience" => {
                let micros = number(value, 0, 100_000).ok_or_else(refuse)?;
                self.knobs.patience = Some(Duration::from_micros(micros.into()));
            }
            "socket-help" => {
                self.knobs.socket_help = Some(match value {
                    "measured" => SocketHelp::Measured,
                    "always" => SocketHelp::Always,
                    "never" => SocketHelp::Never,
                    _ => return Err(refuse()),
                });
            }
            "monitor" => self.monitor.enabled = switch(value).ok_or_else(refuse)?,
            "batch-nice" => {
                let nice = number(value, 0, 19).ok_or_else(refuse)?;
                self.monitor.batch_nice = nice.cast_signed();
            }
            "reactor" => {
                self.reactor = match value {
                    "epoll" => ReactorKind::Epoll,
                    "polling" => ReactorKind::Polling,
                    _ => return Err(refuse()),
                };
            }
            _ => unreachable!("every knob of the table has its arm"),
        }
        Ok(self)
    }
}

fn number(value: &str, least: u32, most: u32) -> Option<u32> {
    u32::from_str(value)
        .ok()
        .filter(|number| (least..=most).contains(number))
}

fn switch(value: &str) -> Option<bool> {
    match value {
        "on" => Some(true),
        "off" => Some(false),
        _ => None,
    }
}

#[cfg(all(test, not(lab_loom)))]
mod tests {
    use super::*;
    use crate::Builder;

    /// Every name of the table is understood with each of its values, and with no other.
    #[test]
    fn every_knob_takes_the_values_that_it_names() {
        for knob in KNOBS {
            let values: Vec<&str> = if knob.values.contains(" to ") {
                knob.values.split(" to ").collect()
            } else {
                knob.values.split(", ").collect()
            };
            for value in values {
                assert!(Builder::new().knob(knob.name, value).is_ok(), "{knob:?}");
            }
            let error = Builder::new().knob(knob.name, "sideways").unwrap_err();
            assert!(
                error.contains(knob.name) && error.contains(knob.values),
                "{error}"
            );
        }
        let error = Builder::new().knob("steel", "one").unwrap_err();
        assert!(
            error.contains("`steel`") && error.contains("steal"),
            "{error}"
        );
    }

    #[test]
    #[cfg(not(lab_shuttle))]
    fn absurd_durations_mean_for_ever() {
        let builder = Builder::new().workers(2);
        let builder = builder.patience(Duration::MAX);
        let runtime = builder.build().unwrap();
        let sum = runtime.block_on(async {
            let tasks: Vec<_> = (0..10_000_u64)
                .map(|number| runtime_core::spawn(async move { number }))
                .collect();
            let mut sum = 0;
            for task in tasks {
                sum += task.await.unwrap();
            }
            sum
        });
        assert_eq!(sum, 49_995_000);
    }

    #[test]
    fn what_is_not_turned_is_the_policys() {
        let policy = Knobs {
            spin: 7,
            steal: Steal::One,
            ..Knobs::default()
        };
        let changes = KnobChanges {
            steal: Some(Steal::Half),
            ..KnobChanges::default()
        };
        let knobs = changes.apply(policy);
        assert_eq!((knobs.spin, knobs.steal), (7, Steal::Half));
    }
}
