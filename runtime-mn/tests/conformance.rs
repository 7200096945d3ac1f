//! The conformance cases on the M:N scheduler with two workers, under one policy: the default, or the one that the
//! environment variable `LAB_POLICY` names. The tests in `policies` run this program again under each of the others.
//!
//! The scheduler has the parts of the build, except those that `LAB_WITHOUT` names, separated by commas (`all` for
//! every one). A case that needs a missing part is skipped, and says so.

use std::future::Future;
use std::time::Duration;

use runtime_core::Launch;
use runtime_core::context::EnterGuard;
use runtime_core::testing::{
    self, AmbientSubject, ClockSubject, ForeverSubject, Subject, executors,
};
use runtime_core::time::Clock;
use runtime_mn::{Handle, Mn, Runtime};

struct Conforming(Runtime);

/// The part that the case on this thread needs, if it is not among `parts`.
fn missing(parts: &[&str], is_simulated: bool) -> Option<&'static str> {
    let thread = std::thread::current();
    let is_about = |prefix: &str| thread.name().is_some_and(|case| case.starts_with(prefix));
    let needs = [
        ("simulated-time", is_simulated),
        // The monitor finds tasks that wait behind a long poll without the sleepers' knowledge.
        ("monitor", is_about("c15_")),
        // The timer of a worker in a long poll.
        ("monitor", is_about("c12_a_limit_over_a_handle")),
    ];
    let missing = |(part, needed): &(&'static str, bool)| *needed && !parts.contains(part);
    needs.into_iter().find(missing).map(|(part, _)| part)
}

impl Subject for Conforming {
    type Runtime = Handle;

    fn start() -> Self {
        Self::start_with(Clock::real())
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

impl AmbientSubject for Conforming {
    fn enter(&self) -> EnterGuard {
        self.0.enter()
    }
}

impl ForeverSubject for Conforming {
    fn run_forever(&self) {
        self.0.run_forever();
    }
    fn stop(runtime: &Handle) {
        runtime.stop();
    }
}

impl ClockSubject for Conforming {
    fn start_with(clock: Clock) -> Self {
        let policy = std::env::var("LAB_POLICY").unwrap_or_else(|_| "go-like".into());
        let without = std::env::var("LAB_WITHOUT").unwrap_or_default();
        let mut parts: Vec<_> = Mn::PARTS.iter().map(|part| part.name).collect();
        let mut builder = Runtime::builder().workers(2);
        for part in Mn::PARTS {
            if without == "all" || without.split(',').any(|name| name == part.name) {
                builder = builder.without(part.name).expect("a part");
                parts.retain(|name| *name != part.name);
            }
        }
        if let Some(part) = missing(&parts, clock.is_simulated()) {
            testing::skip(&format!("it needs the part `{part}`"));
        }
        let runtime = builder.clock(clock).build_by_name(&policy);
        Self(runtime.expect("a runtime"))
    }
}

runtime_core::conformance!(Conforming, ambient, forever, simulated, send_owner);

#[test]
fn the_builders_executor_is_the_default_and_ends_with_the_runtime() {
    executors::the_builders_executor_is_the_default_and_ends_with_the_runtime(|executor| {
        let builder = Runtime::builder().workers(2);
        Conforming(
            builder
                .default_executor(executor)
                .build()
                .expect("a runtime"),
        )
    });
}

mod policies {
    use std::process::Command;
    use std::sync::Mutex;

    /// One at a time, because each run uses all processors itself.
    static TURN: Mutex<()> = Mutex::new(());

    fn check(policy: &str) {
        if std::env::var_os("LAB_POLICY").is_some() || std::env::var_os("LAB_WITHOUT").is_some() {
            // Inside such a run, or inside a run about parts.
            return;
        }
        let _turn = TURN
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let program = std::env::current_exe().unwrap();
        let run = Command::new(program)
            .env("LAB_POLICY", policy)
            .args(["--skip", "policies::"])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&run.stdout);
        assert!(run.status.success(), "under {policy}:\n{said}");
        let passed = said.lines().filter(|line| line.ends_with("... ok")).count();
        assert!(passed >= 100, "only {passed} cases ran under {policy}");
    }

    #[test]
    fn tokio_like() {
        check("tokio-like");
    }
    #[test]
    fn global_queue() {
        check("global-queue");
    }
    #[test]
    fn no_steal() {
        check("no-steal");
    }
    #[test]
    fn random_steal() {
        check("random-steal");
    }
    #[test]
    fn priority() {
        check("priority");
    }
    #[test]
    fn deadline() {
        check("deadline");
    }
    #[test]
    fn locality() {
        check("locality");
    }
    #[test]
    fn shed() {
        check("shed");
    }
}
