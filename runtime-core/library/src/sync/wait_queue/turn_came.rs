//! For how long a waiter whose turn has come has been overtaken.

use std::time::Instant;

use runtime_kernel::capabilities::OVERTAKEN_FOR;

/// When a waiter could first have got what it waits for, if nobody had overtaken it.
#[derive(Debug, Default)]
pub(super) struct TurnCame(Option<Instant>);

impl TurnCame {
    /// Notes the call, if it is the first. True if the waiter may be called again.
    pub(super) fn may_be_called(&mut self) -> bool {
        // A model checker has no time: there, a waiter is called once.
        if cfg!(any(lab_loom, lab_shuttle)) && self.0.is_some() {
            return false;
        }
        let now = Instant::now();
        now.duration_since(*self.0.get_or_insert(now)) < OVERTAKEN_FOR
    }
}
