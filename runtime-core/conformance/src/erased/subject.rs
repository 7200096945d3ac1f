//! An owner whose type is forgotten.

use std::future::Future;
use std::time::Duration;

use super::maker::{self, Abilities};
use super::runtime::{AnyRuntime, Handle};
use super::task::Boxed;
use super::{AnyBox, BoxFuture, known};
use crate::{AmbientSubject, ClockSubject, ForeverSubject, Subject};
use runtime_kernel::context::EnterGuard;
use runtime_kernel::time::Clock;

/// A subject as an object.
pub(super) trait DynSubject {
    fn handle(&self) -> AnyRuntime;
    fn run(&self, root: BoxFuture<'static, AnyBox>) -> AnyBox;
    fn shutdown(self: Box<Self>, timeout: Duration) -> Vec<String>;
    fn enter(&self) -> EnterGuard;
    fn run_forever(&self);
}

/// A subject, and what it can do.
pub(super) struct Owner<S: Subject> {
    subject: S,
    abilities: Abilities<S>,
}

impl<S: Subject> Owner<S> {
    pub(super) fn new(subject: S, abilities: Abilities<S>) -> Self {
        Self { subject, abilities }
    }
}

impl<S: Subject> DynSubject for Owner<S> {
    fn handle(&self) -> AnyRuntime {
        AnyRuntime::new(Handle::<S>::new(self.subject.handle(), self.abilities.stop))
    }
    fn run(&self, root: BoxFuture<'static, AnyBox>) -> AnyBox {
        self.subject.run(root)
    }
    fn shutdown(self: Box<Self>, timeout: Duration) -> Vec<String> {
        self.subject.shutdown(timeout)
    }
    fn enter(&self) -> EnterGuard {
        let enter = self.abilities.enter.expect("a group of cases that enter");
        enter(&self.subject)
    }
    fn run_forever(&self) {
        let run = self.abilities.run_forever;
        run.expect("a group of cases that lend a thread")(&self.subject);
    }
}

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
