//! M:N for a test or benchmark harness: start, run one root task, stop.

use std::future::Future;
use std::io;
use std::marker::PhantomData;

use runtime_core::{Choice, Knob, Launch, LaunchConfig};

use crate::build::POLICIES;
use crate::builder::Builder;
use crate::handle::Handle;
use crate::parts::list::PARTS;
use crate::policy::Policy;
use crate::runtime::Runtime;
use crate::turn::{FORMER_NAMES, KNOBS};

/// The M:N scheduler, as [`Launch`] starts it.
#[derive(Clone, Copy, Debug)]
pub struct Mn;

impl Launch for Mn {
    type Runtime = Handle;

    const POLICIES: &'static [Choice] = POLICIES;
    const KNOBS: &'static [Knob] = KNOBS;
    const FORMER_KNOBS: &'static [(&'static str, &'static str)] = FORMER_NAMES;
    const PARTS: &'static [Choice] = PARTS;

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

/// The M:N scheduler under a policy of your own, as [`Launch`] starts it.
#[derive(Clone, Copy, Debug)]
pub struct MnWith<P>(PhantomData<fn() -> P>);

impl<P: Policy + Default> Launch for MnWith<P> {
    type Runtime = Handle;

    const KNOBS: &'static [Knob] = KNOBS;
    const FORMER_KNOBS: &'static [(&'static str, &'static str)] = FORMER_NAMES;
    const PARTS: &'static [Choice] = PARTS;

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
    let refuse = |error| io::Error::new(io::ErrorKind::InvalidInput, error);
    let mut builder = Runtime::builder()
        .workers(config.workers)
        .reactor(config.reactor);
    builder.parts.for_a_harness();
    for (name, value) in &config.knobs {
        builder = builder.knob(name, value).map_err(refuse)?;
    }
    for part in &config.without {
        builder = builder.without(part).map_err(refuse)?;
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
