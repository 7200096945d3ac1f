//! 1:1 for a test or benchmark harness: start, run one root task, stop.

use std::future::Future;
use std::io;

use runtime_library::{Launch, LaunchConfig};

use crate::{Handle, Runtime};

/// The 1:1 scheduler, as [`Launch`] starts it: a thread per task, whatever the number of workers is.
#[derive(Clone, Copy, Debug)]
pub struct Threads;

impl Launch for Threads {
    type Runtime = Handle;

    fn run<F, R>(config: &LaunchConfig, root: F) -> io::Result<R::Output>
    where
        F: FnOnce(Handle) -> R + Send + 'static,
        R: Future + Send + 'static,
        R::Output: Send + 'static,
    {
        config.check_names::<Self>("threads")?;
        let mut builder = Runtime::builder();
        if let Some(bytes) = config.stack_bytes {
            builder = builder.stack_bytes(bytes);
        }
        let runtime = builder.build()?;
        let handle = runtime.handle();
        let future = root(handle.clone());
        Ok(handle.run_root("Launch::run", future)?)
    }
}
