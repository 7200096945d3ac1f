//! The lives that a task can have while its runtime lives, and what its handle reports at the end of each.

use super::outcome::Outcome;
use super::probe::{Destructors, IN_FUTURE, IN_POLL, Then};

/// How the task ends while its runtime lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Returns,
    Panics,
    AbortedAtOnce,
    AbortedWhileParked,
    AbortedInItsPoll(Then),
    AbortedInItsPollByAThread(Then),
    AbortedAfterwards,
}

/// What is done with the handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// It is polled before the task ends, then awaited.
    AwaitedFromTheStart,
    /// It is first polled when the task has ended.
    AwaitedAfterTheEnd,
    /// It is dropped as soon as the task was spawned (and aborted, if the task ends that way).
    DroppedAtOnce,
    /// It is polled once, and then dropped before the task ends.
    PolledAndDropped,
    /// It is dropped inside the task's own last poll.
    DroppedInThePoll,
    /// It is dropped when the task has ended.
    DroppedAfterTheEnd,
    /// It is dropped when the runtime is gone.
    NeverPolled,
}

const USES: [Use; 7] = [
    Use::AwaitedFromTheStart,
    Use::AwaitedAfterTheEnd,
    Use::DroppedAtOnce,
    Use::PolledAndDropped,
    Use::DroppedInThePoll,
    Use::DroppedAfterTheEnd,
    Use::NeverPolled,
];

const DESTRUCTORS: [Destructors; 3] = [
    Destructors::Quiet,
    Destructors::FuturePanics,
    Destructors::OutputPanics,
];

#[derive(Clone, Copy, Debug)]
pub(super) struct Life {
    pub(super) ending: Ending,
    pub(super) handle: Use,
    pub(super) destructors: Destructors,
    pub(super) wakers_outlive: bool,
}

impl Life {
    /// All possible lives that end in `ending`.
    pub(super) fn all(ending: Ending) -> impl Iterator<Item = Life> {
        USES.into_iter()
            .flat_map(move |handle| {
                DESTRUCTORS.into_iter().flat_map(move |destructors| {
                    [false, true].map(|wakers_outlive| Life {
                        ending,
                        handle,
                        destructors,
                        wakers_outlive,
                    })
                })
            })
            .filter(Life::can_be)
    }

    fn can_be(&self) -> bool {
        match (self.ending, self.handle) {
            // Aborting needs the handle, and a finished task will not be polled again.
            (Ending::AbortedAfterwards, handle) => !matches!(
                handle,
                Use::DroppedAtOnce | Use::PolledAndDropped | Use::DroppedInThePoll
            ),
            // It is not certain that such a task is polled at all.
            (Ending::AbortedAtOnce | Ending::AbortedWhileParked, handle) => {
                handle != Use::DroppedInThePoll
            }
            // The poll needs the handle.
            (Ending::AbortedInItsPoll(_) | Ending::AbortedInItsPollByAThread(_), handle) => {
                !matches!(handle, Use::DroppedAtOnce | Use::PolledAndDropped)
            }
            (Ending::Returns | Ending::Panics, _) => true,
        }
    }

    /// The outcome of the task's own behaviour, without its future's destructor.
    fn undisturbed(&self) -> Outcome {
        match self.ending {
            Ending::Returns | Ending::AbortedAfterwards => Outcome::Returned,
            Ending::Panics => Outcome::Panicked(IN_POLL.to_owned()),
            Ending::AbortedAtOnce | Ending::AbortedWhileParked => Outcome::Cancelled,
            Ending::AbortedInItsPoll(then) | Ending::AbortedInItsPollByAThread(then) => {
                match then {
                    Then::Wait => Outcome::Cancelled,
                    Then::Return => Outcome::Returned,
                    Then::Panic => Outcome::Panicked(IN_POLL.to_owned()),
                }
            }
        }
    }

    #[track_caller]
    pub(super) fn check(&self, outcome: &Outcome) {
        let undisturbed = self.undisturbed();
        let disturbed = Outcome::Panicked(IN_FUTURE.to_owned());
        let right = if self.destructors != Destructors::FuturePanics {
            *outcome == undisturbed
        } else if matches!(undisturbed, Outcome::Panicked(_)) {
            // Two panics, one handle: it may report either payload.
            *outcome == undisturbed || *outcome == disturbed
        } else {
            *outcome == disturbed
        };
        assert!(right, "{self:?}: the handle reports {outcome:?}");
    }
}
