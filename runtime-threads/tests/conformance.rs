//! The conformance cases, clause by clause.

use std::future::Future;
use std::time::Duration;

use runtime_core::context::EnterGuard;
use runtime_core::testing::{AmbientSubject, ClockSubject, ForeverSubject, Subject, executors};
use runtime_core::time::Clock;
use runtime_threads::{Handle, Runtime};

struct Threads(Runtime);

impl Subject for Threads {
    type Runtime = Handle;

    fn start() -> Self {
        Self(Runtime::new().expect("a runtime"))
    }

    fn handle(&self) -> Handle {
        self.0.handle()
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

impl AmbientSubject for Threads {
    fn enter(&self) -> EnterGuard {
        self.0.handle().enter()
    }
}

impl ForeverSubject for Threads {
    fn run_forever(&self) {
        self.0.run_forever();
    }
    fn stop(runtime: &Handle) {
        runtime.stop();
    }
}

impl ClockSubject for Threads {
    fn start_with(clock: Clock) -> Self {
        Self(Runtime::builder().clock(clock).build().expect("a runtime"))
    }
}

runtime_core::conformance!(Threads, ambient, forever, simulated, send_owner);

#[test]
fn the_builders_executor_is_the_default_and_ends_with_the_runtime() {
    executors::the_builders_executor_is_the_default_and_ends_with_the_runtime(|executor| {
        Threads(
            Runtime::builder()
                .default_executor(executor)
                .build()
                .expect("a runtime"),
        )
    });
}

#[test]
fn hyper_serves_and_asks() {
    let runtime = Runtime::new().expect("a runtime");
    let handle = runtime.handle();
    runtime.block_on(runtime_core::testing::http::requests_over_one_connection(
        handle,
    ));
}
