//! The conformance cases on the N:1 loop.

use std::future::Future;
use std::time::Duration;

use runtime_core::context::EnterGuard;
use runtime_core::testing::{AmbientSubject, ClockSubject, ForeverSubject, Subject, executors};
use runtime_core::time::Clock;
use runtime_n1::{Handle, Loop};

struct N1(Loop);

impl Subject for N1 {
    type Runtime = Handle;

    fn start() -> Self {
        Self(Loop::new().expect("a loop"))
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

impl AmbientSubject for N1 {
    fn enter(&self) -> EnterGuard {
        self.0.enter()
    }
}

impl ForeverSubject for N1 {
    fn run_forever(&self) {
        self.0.run_forever();
    }
    fn stop(runtime: &Handle) {
        runtime.stop();
    }
}

impl ClockSubject for N1 {
    fn start_with(clock: Clock) -> Self {
        Self(Loop::builder().clock(clock).build().expect("a loop"))
    }
}

runtime_core::conformance!(N1, ambient, forever, simulated);

#[test]
fn the_builders_executor_is_the_default_and_ends_with_the_runtime() {
    executors::the_builders_executor_is_the_default_and_ends_with_the_runtime(|executor| {
        N1(Loop::builder()
            .default_executor(executor)
            .build()
            .expect("a loop"))
    });
}
