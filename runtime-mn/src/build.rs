//! Starting what the builder has been told, under a policy.

use std::io;

use runtime_core::Choice;

use crate::builder::Builder;
use crate::policy::{GlobalQueue, GoLike, NoSteal, Policy, RandomSteal, TokioLike};
use crate::runtime::Runtime;

/// The policies by name, the default first.
pub(crate) const POLICIES: &[Choice] = &[
    choice(
        "go-like",
        "a deque for each worker, newest first, a LIFO slot that is stolen from stuck workers only, batch steals",
    ),
    choice(
        "tokio-like",
        "one bounded queue for each worker, first come, first served, behind a LIFO slot that is not stolen",
    ),
    choice(
        "global-queue",
        "one queue for all workers, first come, first served",
    ),
    choice(
        "no-steal",
        "a task stays with the worker that spawned or woke it",
    ),
    choice(
        "random-steal",
        "Cilk's: newest first, and a thief takes the oldest one of a random victim",
    ),
];

const fn choice(name: &'static str, about: &'static str) -> Choice {
    Choice { name, about }
}

impl Builder {
    /// Starts the workers, under the default policy, [`GoLike`].
    ///
    /// # Errors
    /// When the system gives no threads or no descriptors.
    pub fn build(self) -> io::Result<Runtime> {
        self.build_with(GoLike)
    }

    /// Starts the workers under a policy of one's own choice.
    ///
    /// # Errors
    /// As [`build`](Builder::build).
    pub fn build_with<P: Policy>(self, policy: P) -> io::Result<Runtime> {
        Runtime::with(&self, policy)
    }

    /// Starts the workers under the policy of that name in [`Launch::POLICIES`](runtime_core::Launch::POLICIES).
    ///
    /// # Errors
    /// As [`build`](Builder::build); of kind [`InvalidInput`](io::ErrorKind::InvalidInput) if there is none of that
    /// name.
    pub fn build_by_name(self, policy: &str) -> io::Result<Runtime> {
        match policy {
            "go-like" => self.build_with(GoLike),
            "tokio-like" => self.build_with(TokioLike),
            "global-queue" => self.build_with(GlobalQueue),
            "no-steal" => self.build_with(NoSteal),
            "random-steal" => self.build_with(RandomSteal),
            _ => {
                let names: Vec<_> = POLICIES.iter().map(|policy| policy.name).collect();
                Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    format!("mn has no policy `{policy}`: it has {}", names.join(", ")),
                ))
            }
        }
    }
}
