//! The conformance cases for tasks, with green tasks under each scheduler: every task that a case spawns is a green
//! one.

use std::future::{Future, poll_fn};
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use runtime_core::context::{Ambient, EnterGuard};
use runtime_core::green::{self, wait};
use runtime_core::testing::{AmbientSubject, ClockSubject, ForeverSubject, Subject, fairness};
use runtime_core::time::Clock;
use runtime_core::{Attributes, Capabilities, JoinHandle, Metrics, Native};

/// How a case's future is awaited in a green task.
trait Style: Send + Sync + Copy + 'static {
    fn run<F: Future>(future: F) -> F::Output;
}

/// The stack waits for the whole future.
#[derive(Clone, Copy)]
struct Waits;

impl Style for Waits {
    fn run<F: Future>(future: F) -> F::Output {
        wait(future)
    }
}

/// The future is polled on the green task's stack, which is suspended whenever it is pending.
#[derive(Clone, Copy)]
struct Switches;

impl Style for Switches {
    fn run<F: Future>(future: F) -> F::Output {
        let mut future = Box::pin(future);
        loop {
            let waker = wait(poll_fn(|cx| Poll::Ready(cx.waker().clone())));
            let polled = future.as_mut().poll(&mut Context::from_waker(&waker));
            if let Poll::Ready(output) = polled {
                // Before the output is returned: a destructor that panics would leak it.
                drop(future);
                return output;
            }
            drop(waker);
            // An abort unwinds from here. The future must not be dropped during the unwinding, as if the task waited
            // for it.
            if let Err(cancelled) = catch_unwind(AssertUnwindSafe(until_woken)) {
                drop(future);
                resume_unwind(cancelled);
            }
        }
    }
}

fn until_woken() {
    let mut is_first = true;
    wait(poll_fn(|_| {
        if std::mem::replace(&mut is_first, false) {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    }));
}

/// A handle that spawns green tasks.
#[derive(Clone)]
struct GreenHandle<H, W>(H, PhantomData<W>);

impl<H: Native, W: Style> Native for GreenHandle<H, W> {
    const NAME: &'static str = H::NAME;

    fn ambient(&self) -> &Arc<dyn Ambient> {
        self.0.ambient()
    }
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }
    fn metrics(&self) -> Metrics {
        self.0.metrics()
    }
    fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Native::spawn_with(self, Attributes::default(), future)
    }
    fn spawn_with<F>(&self, attributes: Attributes, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        // Unoptimised cases have large frames.
        let builder = green::Builder::new().stack_bytes(1 << 20);
        let future: Pin<Box<F>> = Box::pin(future);
        builder
            .attributes(attributes)
            .spawn_on(&self.0, move || W::run(future))
    }
}

/// A subject whose tasks are green.
struct Green<S, W>(S, PhantomData<W>);

impl<S, W> Subject for Green<S, W>
where
    S: Subject<Runtime: Native>,
    W: Style,
{
    type Runtime = GreenHandle<S::Runtime, W>;
    const PATIENCE: Duration = S::PATIENCE;

    fn start() -> Self {
        Self(S::start(), PhantomData)
    }
    fn handle(&self) -> Self::Runtime {
        GreenHandle(self.0.handle(), PhantomData)
    }
    fn run<F>(&self, root: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let handle = self.handle();
        settle(
            self.0
                .run(async move { Native::spawn(&handle, root).await }),
        )
    }
    fn block_on<F>(runtime: &Self::Runtime, future: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        S::block_on(&runtime.0, future)
    }
    fn shutdown(self, timeout: Duration) -> Vec<String> {
        self.0.shutdown(timeout)
    }
}

fn settle<T>(result: Result<T, runtime_core::JoinError>) -> T {
    match result {
        Ok(output) => output,
        Err(error) => match error.try_into_panic() {
            Ok(payload) => resume_unwind(payload),
            Err(error) => panic!("the root gave no value: {error}"),
        },
    }
}

impl<S, W> AmbientSubject for Green<S, W>
where
    S: AmbientSubject<Runtime: Native>,
    W: Style,
{
    fn enter(&self) -> EnterGuard {
        self.0.enter()
    }
}

impl<S, W> ForeverSubject for Green<S, W>
where
    S: ForeverSubject<Runtime: Native>,
    W: Style,
{
    fn run_forever(&self) {
        self.0.run_forever();
    }
    fn stop(runtime: &Self::Runtime) {
        S::stop(&runtime.0);
    }
}

impl<S, W> ClockSubject for Green<S, W>
where
    S: ClockSubject<Runtime: Native>,
    W: Style,
{
    fn start_with(clock: Clock) -> Self {
        Self(S::start_with(clock), PhantomData)
    }
}

mod subjects;
use subjects::{Mn, N1, OneWorker, Threads};

mod n1 {
    use super::*;
    runtime_core::conformance!(Green<N1, Switches>, ambient, forever, simulated);
}

mod mn {
    use super::*;
    runtime_core::conformance!(Green<Mn, Switches>, ambient, forever, simulated);
}

mod threads {
    use super::*;
    runtime_core::conformance!(Green<Threads, Switches>, ambient, forever, simulated);
}

mod mn_waits {
    use super::*;
    runtime_core::conformance!(Green<Mn, Waits>, ambient, forever, simulated);
}

/// Clause 10. On one worker, so that the system can't delay the turn of the pinned task.
#[test]
fn a_multiplying_set_of_green_tasks_starves_no_task() {
    const MAX_TASKS: usize = 100_000;
    let tasks = fairness::tasks_of_a_multiplying_set::<Green<OneWorker, Switches>>(3, MAX_TASKS);
    assert!(
        tasks.is_some_and(|tasks| tasks < 1000),
        "{tasks:?} tasks ran first"
    );
}
