//! M:N for a harness: start, run one root task, stop.

use std::future::Future;
use std::io;

use runtime_core::{Launch, LaunchConfig};

use crate::{Handle, Runtime};

/// The M:N scheduler, as [`Launch`] starts it.
#[derive(Clone, Copy, Debug)]
pub struct Mn;

impl Launch for Mn {
    type Runtime = Handle;

    fn run<F, R>(config: &LaunchConfig, root: F) -> io::Result<R::Output>
    where
        F: FnOnce(Handle) -> R + Send + 'static,
        R: Future + Send + 'static,
        R::Output: Send + 'static,
    {
        if let Some(policy) = config.policy.as_deref().filter(|name| *name != "go-like") {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("mn has no policy `{policy}`: it has `go-like`"),
            ));
        }
        let runtime = Runtime::builder()
            .workers(config.workers)
            .reactor(config.reactor)
            .build()?;
        let future = root(runtime.handle().clone());
        Ok(runtime.block_on(future))
    }
}
