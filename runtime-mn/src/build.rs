//! Starts a runtime from the builder's settings, with a policy.

use std::io;

use runtime_core::Choice;

use crate::builder::Builder;
use crate::policy::{
    Deadline, GlobalQueue, GoLike, Locality, NoSteal, Policy, Priority, RandomSteal, Shed,
    TokioLike,
};
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
    choice(
        "priority",
        "8 levels by the task's tag, the highest first; who waits for 10 ms counts as one level higher",
    ),
    choice(
        "deadline",
        "the earliest deadline first; a task's tag is its relative deadline in microseconds",
    ),
    choice(
        "locality",
        "like go-like, but a thief steals from the nearest victim first: on its core, its cache, its node",
    ),
    choice(
        "shed",
        "work sharing: a worker with two tasks sends further ones to workers with fewer; no worker steals",
    ),
];

const fn choice(name: &'static str, about: &'static str) -> Choice {
    Choice { name, about }
}

impl Builder {
    /// Starts the workers, under the default policy, [`GoLike`].
    ///
    /// # Errors
    /// If the system refuses threads or descriptors.
    pub fn build(self) -> io::Result<Runtime> {
        self.build_with(GoLike)
    }

    /// Starts the workers under the given policy.
    ///
    /// # Errors
    /// Like [`build`](Builder::build).
    pub fn build_with<P: Policy>(self, policy: P) -> io::Result<Runtime> {
        Runtime::with(&self, policy)
    }

    /// Starts the workers under the policy of that name in [`Launch::POLICIES`](runtime_core::Launch::POLICIES).
    ///
    /// # Errors
    /// Like [`build`](Builder::build). Also of kind [`InvalidInput`](io::ErrorKind::InvalidInput) if there is no
    /// policy of that name.
    pub fn build_by_name(self, policy: &str) -> io::Result<Runtime> {
        match policy {
            "go-like" => self.build_with(GoLike),
            "tokio-like" => self.build_with(TokioLike),
            "global-queue" => self.build_with(GlobalQueue),
            "no-steal" => self.build_with(NoSteal),
            "random-steal" => self.build_with(RandomSteal),
            "priority" => self.build_with(Priority::default()),
            "deadline" => self.build_with(Deadline::default()),
            "locality" => self.build_with(Locality),
            "shed" => self.build_with(Shed::default()),
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
