//! The scheduler under test, as the thread of a case knows it.

use std::cell::Cell;
use std::marker::PhantomData;

use super::abilities::Abilities;
use super::owner::{DynSubject, Owner};
use crate::{AmbientSubject, ClockSubject, ForeverSubject, Subject};
use runtime_kernel::time::Clock;

/// Starts the scheduler under test.
pub(super) trait Make: Sync {
    fn start(&self) -> Box<dyn DynSubject>;
    fn start_with(&self, clock: Clock) -> Box<dyn DynSubject>;
}

impl<S: Subject> Make for Abilities<S> {
    fn start(&self) -> Box<dyn DynSubject> {
        Box::new(Owner::new(S::start(), *self))
    }
    fn start_with(&self, clock: Clock) -> Box<dyn DynSubject> {
        let start_with = self.start_with.expect("a group of cases with clocks");
        Box::new(Owner::new(start_with(clock), *self))
    }
}

thread_local! {
    /// It has no destructor, so a case may start the scheduler in the destructor of another thread-local.
    static CURRENT: Cell<Option<&'static dyn Make>> = const { Cell::new(None) };
}

/// A scheduler under test.
pub struct Maker<S: Subject>(&'static Abilities<S>, PhantomData<fn() -> S>);

impl<S: Subject> Maker<S> {
    fn of(abilities: &'static Abilities<S>) -> Self {
        Self(abilities, PhantomData)
    }

    /// Runs a case on the calling thread, for this scheduler.
    pub fn run(self, case: fn()) {
        Inherited(Some(self.0)).here();
        case();
    }
}

/// The scheduler under test, to be passed to another thread of the same case.
#[derive(Clone, Copy)]
pub(crate) struct Inherited(Option<&'static dyn Make>);

impl Inherited {
    /// The calling thread's scheduler.
    pub(crate) fn of_this_thread() -> Self {
        Self(CURRENT.get())
    }

    /// Makes it the calling thread's scheduler.
    pub(crate) fn here(self) {
        CURRENT.set(self.0);
    }
}

/// The calling thread's scheduler.
///
/// # Panics
/// If it has none: if a case starts a thread that starts the scheduler itself, the case must pass its own to that
/// thread.
pub(super) fn current() -> &'static dyn Make {
    CURRENT
        .get()
        .expect("a case's own thread, or one that has inherited its scheduler")
}

/// For cases of the contract.
pub fn contract<S: Subject>() -> Maker<S> {
    Maker::of(
        const {
            &Abilities {
                enter: None,
                run_forever: None,
                stop: None,
                start_with: None,
            }
        },
    )
}

/// For cases that enter the runtime.
pub fn ambient<S: AmbientSubject>() -> Maker<S> {
    Maker::of(
        const {
            &Abilities {
                enter: Some(S::enter),
                run_forever: None,
                stop: None,
                start_with: None,
            }
        },
    )
}

/// For cases that lend it a thread.
pub fn forever<S: ForeverSubject>() -> Maker<S> {
    Maker::of(
        const {
            &Abilities {
                enter: Some(S::enter),
                run_forever: Some(S::run_forever),
                stop: Some(S::stop),
                start_with: None,
            }
        },
    )
}

/// For cases that give it a clock.
pub fn simulated<S: ClockSubject>() -> Maker<S> {
    Maker::of(
        const {
            &Abilities {
                enter: Some(S::enter),
                run_forever: None,
                stop: None,
                start_with: Some(S::start_with),
            }
        },
    )
}
