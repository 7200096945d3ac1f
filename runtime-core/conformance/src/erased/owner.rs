//! An owner with an erased type.

use std::time::Duration;

use super::abilities::Abilities;
use super::boxed::{AnyBox, BoxFuture};
use super::runtime::{AnyRuntime, Handle};
use crate::Subject;
use runtime_kernel::context::EnterGuard;

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
