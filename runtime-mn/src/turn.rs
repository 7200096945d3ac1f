//! Knobs by name: the scheduler's own, and those of the parts.

use runtime_core::Knob;
use runtime_core::reactor::ReactorKind;

use crate::builder::Builder;
use crate::knobs::{concat, count};
use crate::parts::list::KNOBS_BY_PART;
use crate::parts::part::number;
use crate::policy::{LifoSlot, Steal};

/// The knobs of the scheduler proper.
const OWN: &[Knob] = &[
    knob("steal", "how much a thief takes at once", "half, one"),
    knob(
        "lifo-slot",
        "whether a task that another one woke is next to run, and whether a thief may take it",
        "on, off, not-stealable",
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
        "reactor",
        "how readiness is asked of the kernel",
        "epoll, polling",
    ),
    knob(
        "pin-workers",
        "whether each worker stays on one processor",
        "on, off",
    ),
];

/// All knobs.
pub(crate) const KNOBS: &[Knob] = &concat::<Knob, { count(&BY_OWNER) }>(&BY_OWNER, OWN[0]);
const BY_OWNER: [&[Knob]; 2] = [OWN, OF_PARTS];
const OF_PARTS: &[Knob] = &concat::<Knob, { count(&KNOBS_BY_PART) }>(&KNOBS_BY_PART, OWN[0]);

/// Former names of knobs, which are still accepted.
pub(crate) const FORMER_NAMES: &[(&str, &str)] = &[
    ("patience", "wake-delay"),
    ("socket-help", "io-sharing"),
    ("batch-nice", "cpu-pool-nice"),
];

const fn knob(name: &'static str, about: &'static str, values: &'static str) -> Knob {
    Knob {
        name,
        about,
        values,
    }
}

impl Builder {
    /// Sets one knob by its name in [`Launch::KNOBS`](runtime_core::Launch::KNOBS).
    ///
    /// # Errors
    /// One line that lists the valid names or values.
    pub fn knob(mut self, name: &str, value: &str) -> Result<Self, String> {
        let former = FORMER_NAMES.iter().find(|former| former.0 == name);
        let name = former.map_or(name, |former| former.1);
        let Some(knob) = KNOBS.iter().find(|knob| knob.name == name) else {
            let names: Vec<_> = KNOBS.iter().map(|knob| knob.name).collect();
            return Err(format!(
                "mn has no knob `{name}`: it has {}",
                names.join(", ")
            ));
        };
        let of_part = self.parts.turn(name, value);
        let turned = of_part.unwrap_or_else(|| self.turn_own(name, value));
        match turned {
            Some(()) => Ok(self),
            None => Err(format!(
                "`{name}` can't be `{value}`: it can be {}",
                knob.values
            )),
        }
    }

    /// Sets a knob of the scheduler proper. Returns `None` if the value is invalid.
    fn turn_own(&mut self, name: &str, value: &str) -> Option<()> {
        match name {
            "steal" => {
                self.knobs.steal = Some(match value {
                    "half" => Steal::Half,
                    "one" => Steal::One,
                    _ => return None,
                });
            }
            "lifo-slot" => {
                self.knobs.lifo_slot = Some(match value {
                    "on" => LifoSlot::On,
                    "off" => LifoSlot::Off,
                    "not-stealable" => LifoSlot::NotStealable,
                    _ => return None,
                });
            }
            "injector-tick" => self.knobs.injector_tick = Some(number(value, 1, 65_536)?),
            "poll-tick" => self.knobs.poll_tick = Some(number(value, 1, 65_536)?),
            "reactor" => {
                self.reactor = match value {
                    "epoll" => ReactorKind::Epoll,
                    "polling" => ReactorKind::Polling,
                    _ => return None,
                };
            }
            "pin-workers" => {
                self.pins_workers = match value {
                    "on" => true,
                    "off" => false,
                    _ => return None,
                };
            }
            _ => unreachable!("every knob of the table has its arm"),
        }
        Some(())
    }
}

#[cfg(all(test, not(lab_loom)))]
mod tests {
    use super::*;
    use crate::knobs::KnobChanges;
    use crate::policy::Knobs;

    /// Every name in the table is accepted with each of its values, and with no other.
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
    fn unset_knobs_have_the_policys_values() {
        let mut policy = Knobs::default();
        (policy.poll_tick, policy.steal) = (7, Steal::One);
        let changes = KnobChanges {
            steal: Some(Steal::Half),
            ..KnobChanges::default()
        };
        let knobs = changes.apply(policy);
        assert_eq!((knobs.poll_tick, knobs.steal), (7, Steal::Half));
    }
}
