//! The subject that the cases are compiled for.

use std::future::Future;
use std::time::Duration;

use super::boxed::known;
use super::maker;
use super::owner::DynSubject;
use super::runtime::AnyRuntime;
use super::task::Boxed;
use crate::{AmbientSubject, ClockSubject, ForeverSubject, Subject};
use runtime_kernel::context::EnterGuard;
use runtime_kernel::time::Clock;

/// The scheduler that the case is run for.
pub struct AnySubject(Box<dyn DynSubject>);

impl Subject for AnySubject {
    type Runtime = AnyRuntime;

    fn start() -> Self {
        Self(maker::current().start())
    }
    fn handle(&self) -> AnyRuntime {
        self.0.handle()
    }
    fn run<F>(&self, root: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        known(self.0.run(Box::pin(Boxed::new(root))))
    }
    fn block_on<F>(runtime: &AnyRuntime, future: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        known(runtime.block_on(Box::pin(Boxed::new(future))))
    }
    fn shutdown(self, timeout: Duration) -> Vec<String> {
        self.0.shutdown(timeout)
    }
}

impl AmbientSubject for AnySubject {
    fn enter(&self) -> EnterGuard {
        self.0.enter()
    }
}

impl ForeverSubject for AnySubject {
    fn run_forever(&self) {
        self.0.run_forever();
    }
    fn stop(runtime: &AnyRuntime) {
        runtime.stop();
    }
}

impl ClockSubject for AnySubject {
    fn start_with(clock: Clock) -> Self {
        Self(maker::current().start_with(clock))
    }
}
