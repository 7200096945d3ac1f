//! The three schedulers as their own conformance tests start them.

use std::future::Future;
use std::time::Duration;

use runtime_core::context::EnterGuard;
use runtime_core::testing::{self, AmbientSubject, ClockSubject, ForeverSubject, Subject};
use runtime_core::time::Clock;

pub(crate) struct N1(runtime_n1::Loop);
pub(crate) struct Mn(runtime_mn::Runtime);
pub(crate) struct OneWorker(runtime_mn::Runtime);
pub(crate) struct Threads(runtime_threads::Runtime);

/// Skips cases that need a task to move. Under M:N a pinned task waits for its worker, whatever that worker does.
fn skip_cases_that_move_tasks() {
    const BESIDE_ITS_WORKERS_POLL: [&str; 4] = [
        // Another worker takes it.
        "c15_",
        // Its timer fires elsewhere, and it runs there.
        "c12_a_limit_over_a_handle",
        // It is dropped while its worker is in a poll that waits for that.
        "c04_the_end_waits_for_polls",
        // The other worker continues while the system does not run the task's own worker.
        "c10_a_multiplying_set",
    ];
    let thread = std::thread::current();
    let case = thread.name().unwrap_or_default();
    if BESIDE_ITS_WORKERS_POLL
        .iter()
        .any(|prefix| case.starts_with(prefix))
    {
        testing::skip("a green task of M:N stays on its worker, and waits while that is in a poll");
    }
}

/// The common code of the three. `$handle` makes a handle from the owner.
macro_rules! subject {
    ($subject:ident, $runtime:ty, $handle:expr, $with_clock:expr) => {
        impl Subject for $subject {
            type Runtime = $runtime;

            fn start() -> Self {
                Self::start_with(Clock::real())
            }
            fn handle(&self) -> $runtime {
                $handle(self)
            }
            fn run<F>(&self, root: F) -> F::Output
            where
                F: Future + Send + 'static,
                F::Output: Send + 'static,
            {
                self.0.block_on(root)
            }
            fn block_on<F>(runtime: &$runtime, future: F) -> F::Output
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

        impl AmbientSubject for $subject {
            fn enter(&self) -> EnterGuard {
                self.handle().enter()
            }
        }

        impl ForeverSubject for $subject {
            fn run_forever(&self) {
                self.0.run_forever();
            }
            fn stop(runtime: &$runtime) {
                runtime.stop();
            }
        }

        impl ClockSubject for $subject {
            fn start_with(clock: Clock) -> Self {
                Self($with_clock(clock))
            }
        }
    };
}

subject!(
    N1,
    runtime_n1::Handle,
    |subject: &N1| subject.0.handle().clone(),
    |clock| runtime_n1::Loop::builder()
        .clock(clock)
        .build()
        .expect("a loop")
);
subject!(
    Mn,
    runtime_mn::Handle,
    |subject: &Mn| subject.0.handle().clone(),
    |clock| {
        skip_cases_that_move_tasks();
        runtime_mn::Runtime::builder()
            .workers(2)
            .clock(clock)
            .build()
            .expect("a runtime")
    }
);
subject!(
    OneWorker,
    runtime_mn::Handle,
    |subject: &OneWorker| subject.0.handle().clone(),
    |clock| runtime_mn::Runtime::builder()
        .workers(1)
        // Its replacement worker would be a second worker, while the system does not run the first one.
        .without("monitor")
        .expect("a part")
        .clock(clock)
        .build()
        .expect("a runtime")
);
subject!(
    Threads,
    runtime_threads::Handle,
    |subject: &Threads| subject.0.handle(),
    |clock| runtime_threads::Runtime::builder()
        .clock(clock)
        .build()
        .expect("a runtime")
);
