//! What a group of cases needs of a subject.

use crate::Subject;
use runtime_kernel::context::EnterGuard;
use runtime_kernel::time::Clock;

/// What a subject can do beyond a [`Subject`]; `None` where the case's group does not need it.
pub(super) struct Abilities<S: Subject> {
    pub(super) enter: Option<fn(&S) -> EnterGuard>,
    pub(super) run_forever: Option<fn(&S)>,
    pub(super) stop: Option<fn(&S::Runtime)>,
    pub(super) start_with: Option<fn(Clock) -> S>,
}

impl<S: Subject> Clone for Abilities<S> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<S: Subject> Copy for Abilities<S> {}
