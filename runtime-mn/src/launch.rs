//! M:N for a harness: start, run one root task, stop.

use std::future::Future;
use std::io;
use std::marker::PhantomData;

use runtime_core::{Choice, Knob, Launch, LaunchConfig};

use crate::knobs::KNOBS;
use crate::policy::Policy;
use crate::{Builder, Handle, Runtime};

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

/// The M:N scheduler, as [`Launch`] starts it.
#[derive(Clone, Copy, Debug)]
pub struct Mn;

impl Launch for Mn {
    type Runtime = Handle;

    const POLICIES: &'static [Choice] = POLICIES;
    const KNOBS: &'static [Knob] = KNOBS;

    fn run<F, R>(config: &LaunchConfig, root: F) -> io::Result<R::Output>
    where
        F: FnOnce(Handle) -> R + Send + 'static,
        R: Future + Send + 'static,
        R::Output: Send + 'static,
    {
        let builder = builder(config)?;
        let runtime = match &config.policy {
            Some(policy) => builder.build_by_name(policy)?,
            None => builder.build()?,
        };
        Ok(run_root(&runtime, root))
    }
}

/// The M:N scheduler under a policy of one's own, as [`Launch`] starts it.
#[derive(Clone, Copy, Debug)]
pub struct MnWith<P>(PhantomData<fn() -> P>);

impl<P: Policy + Default> Launch for MnWith<P> {
    type Runtime = Handle;

    const KNOBS: &'static [Knob] = KNOBS;

    fn run<F, R>(config: &LaunchConfig, root: F) -> io::Result<R::Output>
    where
        F: FnOnce(Handle) -> R + Send + 'static,
        R: Future + Send + 'static,
        R::Output: Send + 'static,
    {
        let policy = P::default();
        if let Some(other) = &config.policy
            && other != policy.name()
        {
            let (name, kind) = (policy.name(), io::ErrorKind::InvalidInput);
            let error = format!("this scheduler runs under `{name}` only, not under `{other}`");
            return Err(io::Error::new(kind, error));
        }
        let runtime = builder(config)?.build_with(policy)?;
        Ok(run_root(&runtime, root))
    }
}

fn builder(config: &LaunchConfig) -> io::Result<Builder> {
    let mut builder = Runtime::builder()
        .workers(config.workers)
        .reactor(config.reactor)
        // A harness counts what was stuck, and its programs are stuck on purpose.
        .warn_of_stuck(false);
    for (name, value) in &config.knobs {
        builder = builder
            .knob(name, value)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    }
    Ok(builder)
}

fn run_root<F, R>(runtime: &Runtime, root: F) -> R::Output
where
    F: FnOnce(Handle) -> R,
    R: Future + Send + 'static,
    R::Output: Send + 'static,
{
    let future = root(runtime.handle().clone());
    runtime.block_on(future)
}
