//! Records what the system refuses a server during a measurement.
//!
//! A server that gets no thread or descriptor for a connection closes it, and the client sees a broken connection. This
//! is not a crash: the size exceeds what this system provides. The server records the first refusal, and the run's
//! failure names it.

use std::io;
use std::sync::{Arc, OnceLock};

use crate::vocabulary::Failure;

/// Records the first refusal. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Refusals(Arc<OnceLock<String>>);

impl Refusals {
    /// Records that the system refused a resource for a connection.
    pub(crate) fn note(&self, error: &io::Error) {
        // The first one is the cause, and the others follow from it.
        let _ = self.0.set(error.to_string());
    }

    /// The outcome of a run. A run that failed after a refusal counts as refused.
    ///
    /// # Errors
    /// Those of `outcome`.
    pub(crate) fn explain(&self, outcome: Result<(), Failure>) -> Result<(), Failure> {
        match (outcome, self.0.get()) {
            (Err(_), Some(why)) => Err(Failure::Refused(format!(
                "the system refused the server a resource for a connection: {why}"
            ))),
            (outcome, _) => outcome,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_after_a_refusal_is_reported_as_the_refusal() {
        let crashed = || Err(Failure::Crashed("closed".into()));
        let refusals = Refusals::default();
        assert_eq!(refusals.explain(crashed()), crashed());
        refusals.clone().note(&io::Error::other("no threads"));
        assert_eq!(refusals.explain(Ok(())), Ok(()));
        assert!(
            matches!(refusals.explain(crashed()), Err(Failure::Refused(why)) if why.contains("no threads"))
        );
    }
}
