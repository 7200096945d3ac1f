//! N:1 for a test or benchmark harness: start, run one root task, stop.

use std::future::Future;
use std::io;

use runtime_library::{Launch, LaunchConfig};

use crate::{Handle, Loop};

/// The N:1 scheduler, as [`Launch`] starts it: one loop on the calling thread, whatever the number of workers is.
#[derive(Clone, Copy, Debug)]
pub struct N1;

impl Launch for N1 {
    type Runtime = Handle;

    fn run<F, R>(config: &LaunchConfig, root: F) -> io::Result<R::Output>
    where
        F: FnOnce(Handle) -> R + Send + 'static,
        R: Future + Send + 'static,
        R::Output: Send + 'static,
    {
        config.check_names::<Self>("n1")?;
        let event_loop = Loop::builder().reactor(config.reactor).build()?;
        let future = root(event_loop.handle().clone());
        Ok(event_loop.block_on(future))
    }
}
