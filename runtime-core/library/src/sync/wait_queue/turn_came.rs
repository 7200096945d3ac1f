//! How long a waiter whose turn has come has been overtaken.

use std::time::Instant;

use runtime_kernel::capabilities::OVERTAKEN_FOR;

/// Since when a waiter could have had what it waits for, but for those who overtook it.
#[derive(Debug, Default)]
pub(super) struct TurnCame(Option<Instant>);

impl TurnCame {
    /// Notes the call, if it is the first. True if it may be called again.
    pub(super) fn may_be_called(&mut self) -> bool {
        // A model checker has no time: there one call is all.
        if cfg!(any(lab_loom, lab_shuttle)) && self.0.is_some() {
            return false;
        }
        let now = Instant::now();
        now.duration_since(*self.0.get_or_insert(now)) < OVERTAKEN_FOR
    }
}
