//! The contract, checked on the M:N scheduler with two workers, under one policy: the default, or the one that the
//! environment variable `LAB_POLICY` names. The tests in `policies` run this program again under each of the others.

use std::future::Future;
use std::time::Duration;

use runtime_core::context::EnterGuard;
use runtime_core::testing::{AmbientSubject, ClockSubject, ForeverSubject, Subject, executors};
use runtime_core::time::Clock;
use runtime_mn::{Handle, Runtime};

struct Mn(Runtime);

impl Subject for Mn {
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

impl AmbientSubject for Mn {
    fn enter(&self) -> EnterGuard {
        self.0.enter()
    }
}

impl ForeverSubject for Mn {
    fn run_forever(&self) {
        self.0.run_forever();
    }
    fn stop(runtime: &Handle) {
        runtime.stop();
    }
}

impl ClockSubject for Mn {
    fn start_with(clock: Clock) -> Self {
        let policy = std::env::var("LAB_POLICY").unwrap_or_else(|_| "go-like".into());
        let builder = Runtime::builder().workers(2).warn_of_stuck(false);
        let runtime = builder.clock(clock).build_by_name(&policy);
        Self(runtime.expect("a runtime"))
    }
}

runtime_core::conformance!(Mn, ambient, forever, simulated, send_owner);

#[test]
fn the_builders_executor_is_the_default_and_ends_with_the_runtime() {
    executors::the_builders_executor_is_the_default_and_ends_with_the_runtime(|executor| {
        let builder = Runtime::builder().workers(2);
        Mn(builder
            .default_executor(executor)
            .build()
            .expect("a runtime"))
    });
}

mod policies {
    use std::process::Command;
    use std::sync::Mutex;

    /// One at a time: each run uses all processors itself.
    static TURN: Mutex<()> = Mutex::new(());

    fn check(policy: &str) {
        if std::env::var_os("LAB_POLICY").is_some() {
            // Inside of such a run.
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
