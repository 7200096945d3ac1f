//! What no policy can do: starve a task, or overlook work for good.

use runtime_core::task::Task;

use super::{GoLike, Policy, Source};
use crate::scheduler::Local;
use crate::scheduler::steal::Found;
use crate::seam::Hooks;
use crate::seam::facts::Pick;

/// The number of ticks after which one of the worker's own queues has its turn, whatever the policy chooses.
const OWN_TURN: u32 = 32;

impl<H: Hooks> Local<H> {
    /// Every 32nd tick: takes a task from one of the worker's own queues in turn, so that no policy starves a task.
    /// Every other turn goes to the oldest LIFO task, because most policies run the newest first.
    #[inline]
    pub(crate) fn take_in_turn(&self) -> Option<Task> {
        let tick = self.queues.tick.get();
        if !tick.is_multiple_of(OWN_TURN) {
            return None;
        }
        // The oldest one, not the first, so that no rank starves a task.
        let oldest_ranked = || H::take(&self.shared, self.index(), Pick::Oldest);
        match tick / OWN_TURN % 8 {
            0 | 2 | 4 | 6 => self.take(Source::Oldest),
            1 => self.take(Source::Front),
            3 => self.take(Source::Slot),
            5 => oldest_ranked().or_else(|| self.take(Source::Front)),
            _ => self.take(Source::Inbox).or_else(|| self.take(Source::Slot)),
        }
    }

    /// Searches where the policy says. If it overlooked something when the worker was about to sleep, the worker first
    /// looks everywhere. That work may be gone by now, so the policy is still asked before each sleep.
    pub(crate) fn search_as_policy_says<P: Policy>(&self, policy: &P) -> Option<Found> {
        let look = |attempt| self.attempt(attempt);
        let everywhere = || self.ask_where_to_look(&GoLike, look);
        let has_overlooked = self.has_overlooked.replace(false);
        let found = has_overlooked.then(everywhere).flatten();
        found.or_else(|| self.ask_where_to_look(policy, look))
    }
}
