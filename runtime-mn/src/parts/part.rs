//! What each part provides besides its hooks, and how a part finds its own state in a list of which it does not know
//! the type.

use runtime_core::{Choice, Knob};

use crate::policy::Knobs;
use crate::scheduler::{Local, Shared};
use crate::seam::Hooks;
use crate::seam::facts::State;
use crate::seam::plan::Plan;

/// A list of parts that `T` is in.
pub(crate) trait Has<T: State>: Hooks {
    fn part(&self) -> &T;
    fn own(local: &Self::Local) -> &T::Local;
    fn seen(remote: &Self::Remote) -> &T::Remote;
}

/// How a part is set up.
pub(crate) trait Install: State {
    /// The builder's settings for it.
    type Settings: Clone + Default + std::fmt::Debug;
    /// Its name and what it does; empty for a part that was left out of the build.
    const CHOICE: &'static [Choice] = &[];
    /// Its knobs.
    const KNOBS: &'static [Knob] = &[];

    /// Applies the builder's settings to the knobs of the policy.
    fn adjust(_: &Self::Settings, _: &mut Knobs) {}

    /// Creates the part for a new runtime.
    fn new(settings: &Self::Settings, plan: &Plan) -> Self;

    /// How many workers it may want in addition to the builder's.
    fn extra_workers(_: &Self::Settings) -> usize {
        0
    }

    /// Leaves the part out of the runtime.
    fn leave_out(_: &mut Self::Settings) {}

    /// The runtime serves a harness, whose programs misbehave on purpose: nothing is printed.
    fn for_a_harness(_: &mut Self::Settings) {}

    /// Sets one of its knobs. Returns `None` if the value is invalid.
    fn turn(_: &mut Self::Settings, _knob: &str, _value: &str) -> Option<()> {
        None
    }
}

/// Replaces the part with that number, which was left out of the build. Everything is as in the plain scheduler.
#[derive(Debug)]
#[allow(dead_code, reason = "every part may be in the build")]
pub(crate) struct Absent<const PART: u8>;

impl<const PART: u8> State for Absent<PART> {
    type Local = ();
    type Remote = ();
}

impl<const PART: u8, H: Hooks> Hooks<H> for Absent<PART> {
    fn local(_: &Shared<H>, _: usize) {}
}

impl<const PART: u8> Install for Absent<PART> {
    type Settings = ();

    fn new((): &(), _: &Plan) -> Self {
        Self
    }
}

/// The part's state on the calling worker.
#[inline]
pub(crate) fn own<T: State, H: Has<T>>(local: &Local<H>) -> &T::Local {
    H::own(&local.parts)
}

/// The part's state on the calling worker that other threads see.
#[inline]
pub(crate) fn own_seen<T: State, H: Has<T>>(local: &Local<H>) -> &T::Remote {
    H::seen(&local.remote.parts)
}

/// The part's state of that worker that all threads see.
#[inline]
pub(crate) fn seen<T: State, H: Has<T>>(shared: &Shared<H>, worker: usize) -> &T::Remote {
    H::seen(&shared.remotes[worker].parts)
}

/// A whole number from `least` to `most`.
pub(crate) fn number(value: &str, least: u32, most: u32) -> Option<u32> {
    let number = value.parse().ok();
    number.filter(|number| (least..=most).contains(number))
}

/// `on` or `off`.
pub(crate) fn switch(value: &str) -> Option<bool> {
    match value {
        "on" => Some(true),
        "off" => Some(false),
        _ => None,
    }
}
