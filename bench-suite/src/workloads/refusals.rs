//! What the system refuses a server while it is measured.
//!
//! A server without a thread or a descriptor for a connection closes it, and its client sees a broken connection.
//! That is no crash: the size is more than this system gives. The server notes the first refusal, and the run's
//! failure names it.

use std::io;
use std::sync::{Arc, OnceLock};

use crate::vocabulary::Failure;

/// Notes the first refusal. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Refusals(Arc<OnceLock<String>>);

impl Refusals {
    /// The system refused what a connection needs.
    pub(crate) fn note(&self, error: &io::Error) {
        // The first one is the cause; the others follow from it.
        let _ = self.0.set(error.to_string());
    }

    /// The outcome of a run: a run that failed after a refusal was refused.
    ///
    /// # Errors
    /// Those of `outcome`.
    pub(crate) fn explain(&self, outcome: Result<(), Failure>) -> Result<(), Failure> {
        match (outcome, self.0.get()) {
            (Err(_), Some(why)) => Err(Failure::Refused(format!(
                "the system gave the server nothing for a connection: {why}"
            ))),
            (outcome, _) => outcome,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_after_a_refusal_is_that_refusal() {
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
