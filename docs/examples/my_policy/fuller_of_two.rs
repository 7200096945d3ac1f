//! A policy in a crate of its own.
// ANCHOR: policy
use runtime_mn::policy::{Found, Policy, Thief};

/// As the default, but a thief draws two victims and robs the one that has more: the power of two choices.
///
/// Source: Mitzenmacher, "The power of two choices in randomized load balancing", 2001.
#[derive(Debug, Default)]
pub(crate) struct FullerOfTwo;

impl Policy for FullerOfTwo {
    fn name(&self) -> &'static str {
        "fuller-of-two"
    }

    fn search(&self, thief: &Thief<'_>) -> Option<Found> {
        let fuller = || {
            let (one, other) = (thief.random_victim()?, thief.random_victim()?);
            let fuller = if one.queued() < other.queued() {
                other
            } else {
                one
            };
            fuller.steal()
        };
        thief
            .injected()
            .or_else(fuller)
            .or_else(|| thief.due_timers())
            // Neither had anything: before a worker sleeps, it must have looked at all.
            .or_else(|| thief.victims().find_map(|victim| victim.steal()))
            .or_else(|| thief.victims().find_map(|victim| victim.steal_slot()))
    }
}
// ANCHOR_END: policy
