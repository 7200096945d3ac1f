//! The contract, checked on the M:N scheduler with two workers.

use std::future::Future;
use std::time::Duration;

use runtime_core::context::EnterGuard;
use runtime_core::testing::{AmbientSubject, Subject};
use runtime_mn::{Handle, Runtime};

struct Mn(Runtime);

impl Subject for Mn {
    type Runtime = Handle;

    fn start() -> Self {
        Self(Runtime::builder().workers(2).build().expect("a runtime"))
    }
    fn handle(&self) -> Handle {
        self.0.handle().clone()
    }
    fn run<F>(&self, root: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.0.block_on(root)
    }
    fn block_on<F>(runtime: &Handle, future: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        runtime.block_on(future)
    }
    fn shutdown(self, timeout: Duration) -> Vec<String> {
        self.0.shutdown(timeout)
    }
}

impl AmbientSubject for Mn {
    fn enter(&self) -> EnterGuard {
        self.0.enter()
    }
}

runtime_core::conformance!(Mn, ambient, send_owner);
