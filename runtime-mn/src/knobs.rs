//! The builder's knobs, and the lists of choices, which are combined from those of the parts.

use runtime_core::Choice;

use crate::policy::{Knobs, LifoSlot, Steal};

/// The builder's settings: `None` leaves the decision to the policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct KnobChanges {
    pub(crate) steal: Option<Steal>,
    pub(crate) lifo_slot: Option<LifoSlot>,
    pub(crate) injector_tick: Option<u32>,
    pub(crate) poll_tick: Option<u32>,
}

impl KnobChanges {
    pub(crate) fn apply(self, policy: Knobs) -> Knobs {
        let mut knobs = policy;
        knobs.steal = self.steal.unwrap_or(policy.steal);
        knobs.lifo_slot = self.lifo_slot.unwrap_or(policy.lifo_slot);
        knobs.injector_tick = self.injector_tick.unwrap_or(policy.injector_tick).max(1);
        knobs.poll_tick = self.poll_tick.unwrap_or(policy.poll_tick).max(1);
        knobs
    }
}

/// The filler of [`concat`]'s array, until all choices are copied.
pub(crate) const NO_CHOICE: Choice = Choice {
    name: "",
    about: "",
};

/// The number of elements in all lists.
pub(crate) const fn count<T>(lists: &[&[T]]) -> usize {
    let (mut count, mut list) = (0, 0);
    while list < lists.len() {
        count += lists[list].len();
        list += 1;
    }
    count
}

/// The elements of all lists, one list after the other.
pub(crate) const fn concat<T: Copy, const COUNT: usize>(lists: &[&[T]], filler: T) -> [T; COUNT] {
    let mut all = [filler; COUNT];
    let (mut at, mut list) = (0, 0);
    while list < lists.len() {
        let mut item = 0;
        while item < lists[list].len() {
            all[at] = lists[list][item];
            at += 1;
            item += 1;
        }
        list += 1;
    }
    all
}
