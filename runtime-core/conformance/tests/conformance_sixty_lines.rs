//! The suite on the scheduler of sixty lines with which the book begins. It fails some clauses, and the suite says
//! which.

mod sixty_lines;

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle as Thread};
use std::time::Duration;

use runtime_core::context::{self, Ambient};
use runtime_core::park::block_on_current_thread;
use runtime_core::testing::{self, Subject};
use runtime_core::{Capabilities, Metrics, Native, spawn_on};

use sixty_lines::SixtyLines;

// ANCHOR: handle
/// What users get.
#[derive(Clone)]
struct Handle(Arc<SixtyLines>, Arc<dyn Ambient>);

impl Native for Handle {
    const NAME: &'static str = "sixty-lines";

    fn ambient(&self) -> &Arc<dyn Ambient> {
        &self.1
    }
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            workers: Some(1),
            parallel: false,
            preemptive: false,
            migrates_tasks: false,
        }
    }
    fn metrics(&self) -> Metrics {
        Metrics::default()
    }
}
// ANCHOR_END: handle

/// The owner. A case counts as hung after this many seconds.
struct Owner<const SECONDS: u64>(Handle, Option<Thread<()>>);

impl<const SECONDS: u64> Subject for Owner<SECONDS> {
    type Runtime = Handle;

    const PATIENCE: Duration = Duration::from_secs(SECONDS);

    fn start() -> Self {
        let runtime = SixtyLines::new();
        let thread = thread::spawn({
            let runtime = Arc::clone(&runtime);
            move || runtime.run()
        });
        let ambient = Arc::clone(&runtime) as Arc<dyn Ambient>;
        Self(Handle(runtime, ambient), Some(thread))
    }
    fn handle(&self) -> Handle {
        self.0.clone()
    }
    fn run<F>(&self, root: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Self::block_on(&self.0, root)
    }
    fn block_on<F>(runtime: &Handle, future: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        context::assert_may_block("block_on", "await the future");
        match block_on_current_thread(spawn_on(&*runtime.0, future)) {
            Ok(output) => output,
            Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
            Err(error) => panic!("the root of `block_on` gave no value: {error}"),
        }
    }
    fn shutdown(mut self, _: Duration) -> Vec<String> {
        self.end();
        Vec::new()
    }
}

impl<const SECONDS: u64> Owner<SECONDS> {
    fn end(&mut self) {
        self.0.0.end();
        if let Some(thread) = self.1.take() {
            thread.join().expect("the loop");
        }
    }
}

impl<const SECONDS: u64> Drop for Owner<SECONDS> {
    fn drop(&mut self) {
        self.end();
    }
}

/// Runs these cases, each with this many seconds. Returns the names of those that fail.
macro_rules! failing {
    ($seconds:literal: $($module:ident::$case:ident)*) => {{
        let mut failing = Vec::new();
        $(
            let case = || {
                let run = testing::$module::$case::<Owner<$seconds>>;
                testing::run::<Owner<$seconds>>(stringify!($case), run);
            };
            if catch_unwind(AssertUnwindSafe(case)).is_err() {
                failing.push(stringify!($case));
            }
        )*
        failing
    }};
}

/// Some cases of each clause that it keeps.
#[test]
fn sixty_lines_pass_the_clauses_about_live_tasks() {
    let failing = failing! { 60:
        lifecycle::c01_a_task_that_returns
        lifecycle::c02_a_task_aborted_while_parked
        lifecycle::c03_a_task_that_panics
        waiting::c01_deep_chains_of_awaits_end
        blocking_entry::c05_block_on_inside_a_task_panics
        blocking_entry::c05_block_on_works_from_many_threads
        wakers::c06_a_foreign_thread_wakes_a_task
        wakers::c06_wakes_during_a_poll_coalesce
        channel::c08_channel_keeps_the_order
    };
    assert_eq!(failing, [""; 0]);
}

// ANCHOR: fails
/// Nobody drops the waiting tasks, and nobody refuses new ones.
#[test]
fn the_suite_finds_that_sixty_lines_do_not_end_their_tasks() {
    let failing = failing! { 3:
        shutdown::c04_shutdown_drops_waiting_tasks
        shutdown::c04_dropping_the_owner_drops_waiting_tasks
        shutdown::c04_a_thread_that_awaits_a_task_is_woken
        shutdown::c04_spawning_after_shutdown_reports_cancelled
        shutdown_waits::c04_shutdown_waits_for_a_blocking_job
    };
    assert_eq!(
        failing,
        [
            "c04_shutdown_drops_waiting_tasks",
            "c04_dropping_the_owner_drops_waiting_tasks",
            "c04_a_thread_that_awaits_a_task_is_woken",
            "c04_spawning_after_shutdown_reports_cancelled",
            "c04_shutdown_waits_for_a_blocking_job",
        ]
    );
}
// ANCHOR_END: fails
