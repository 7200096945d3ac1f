//! A task that does what it is told and counts what happens to it.

use std::any::Any;
use std::future::Future;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::{self, ThreadId};

use super::event::Count;

/// The payload of a panic in the probe's poll.
pub const IN_POLL: &str = "the probe's poll panics on purpose";
/// The payload of a panic in the future's destructor.
pub const IN_FUTURE: &str = "the probe's destructor panics on purpose";
/// The payload of a panic in the output's destructor.
pub const IN_OUTPUT: &str = "the output's destructor panics on purpose";

/// Which destructor panics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destructors {
    /// None of them.
    Quiet,
    /// That of the task's future.
    FuturePanics,
    /// That of the task's output.
    OutputPanics,
}

/// How a poll of the probe ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// It is pending.
    Wait,
    /// It is ready with an [`Output`].
    Return,
    /// It panics with [`IN_POLL`].
    Panic,
}

/// The test's side of a probe. Clones share it.
///
/// A new probe waits. [`tell`](Probe::tell) sets what its next poll does, and wakes it.
#[derive(Clone, Debug)]
pub struct Probe(Arc<Record>);

#[derive(Debug)]
struct Record {
    destructors: Destructors,
    keeps_wakers: bool,
    polls: Count,
    futures_dropped: Count,
    outputs_made: Count,
    outputs_dropped: Count,
    inside: Mutex<Inside>,
}

struct Inside {
    act: Option<Box<dyn FnOnce() + Send>>,
    then: Then,
    /// `tell` wakes and takes it, so that no waker outlives the task unless wakers should be kept.
    waker: Option<Waker>,
    kept: Vec<Waker>,
    dropped_on: Option<ThreadId>,
}

impl std::fmt::Debug for Inside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inside")
            .field("then", &self.then)
            .finish_non_exhaustive()
    }
}

impl Probe {
    /// A probe whose destructors don't panic, and that keeps no waker.
    pub fn new() -> Self {
        Self::with(Destructors::Quiet, false)
    }

    /// A probe that panics in `destructors`. It keeps a clone of each poll's waker if `keeps_wakers`.
    pub fn with(destructors: Destructors, keeps_wakers: bool) -> Self {
        Self(Arc::new(Record {
            destructors,
            keeps_wakers,
            polls: Count::new(),
            futures_dropped: Count::new(),
            outputs_made: Count::new(),
            outputs_dropped: Count::new(),
            inside: Mutex::new(Inside {
                act: None,
                then: Then::Wait,
                waker: None,
                kept: Vec::new(),
                dropped_on: None,
            }),
        }))
    }

    /// The future to spawn. Call this once.
    pub fn future(&self) -> Probed {
        Probed {
            probe: self.clone(),
            _gone: FutureGone(self.clone()),
        }
    }

    /// Sets what the next poll does, and wakes the task if it was polled before. The polls after that one wait.
    pub fn tell(&self, then: Then) {
        self.instruct(None, then);
    }

    /// Like [`tell`](Probe::tell); the next poll calls `act` before it ends.
    pub fn tell_to_run(&self, act: impl FnOnce() + Send + 'static, then: Then) {
        self.instruct(Some(Box::new(act)), then);
    }

    fn instruct(&self, act: Option<Box<dyn FnOnce() + Send>>, then: Then) {
        let waker = {
            let mut inside = self.inside();
            inside.act = act;
            inside.then = then;
            inside.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// How often the future was polled.
    pub fn polls(&self) -> &Count {
        &self.0.polls
    }

    /// How often the future was dropped, including drops in which its destructor panicked.
    pub fn futures_dropped(&self) -> &Count {
        &self.0.futures_dropped
    }

    /// How many outputs the future returned.
    pub fn outputs_made(&self) -> &Count {
        &self.0.outputs_made
    }

    /// How many outputs were dropped.
    pub fn outputs_dropped(&self) -> &Count {
        &self.0.outputs_dropped
    }

    /// The thread on which the future was dropped.
    pub fn dropped_on(&self) -> Option<ThreadId> {
        self.inside().dropped_on
    }

    /// The waker of the latest poll, unless `tell` has used it.
    pub fn take_waker(&self) -> Option<Waker> {
        self.inside().waker.take()
    }

    /// The wakers that were kept so far.
    pub fn take_kept(&self) -> Vec<Waker> {
        std::mem::take(&mut self.inside().kept)
    }

    /// Asserts that the future was dropped once, and that every output was dropped once.
    #[track_caller]
    pub fn assert_nothing_left(&self, of: &dyn std::fmt::Debug) {
        assert_eq!(
            self.futures_dropped().get(),
            1,
            "{of:?}: times that the future was dropped"
        );
        let (made, dropped) = (self.outputs_made().get(), self.outputs_dropped().get());
        assert_eq!(made, dropped, "{of:?}: outputs made, and dropped");
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.0.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Probe {
    fn default() -> Self {
        Self::new()
    }
}

/// The task's side of a [`Probe`].
#[derive(Debug)]
pub struct Probed {
    probe: Probe,
    // Dropped after the destructor's body, even if that panics: only then is the future gone.
    _gone: FutureGone,
}

impl Future for Probed {
    type Output = Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Output> {
        let probe = &self.probe;
        let (act, then) = {
            let mut inside = probe.inside();
            if probe.0.keeps_wakers {
                inside.kept.push(cx.waker().clone());
            }
            // A poll that ends the task needs no waker: a stored one would outlive the task.
            let waits = inside.then == Then::Wait;
            inside.waker = waits.then(|| cx.waker().clone());
            (
                inside.act.take(),
                std::mem::replace(&mut inside.then, Then::Wait),
            )
        };
        probe.polls().add();
        if let Some(act) = act {
            act();
        }
        match then {
            Then::Wait => Poll::Pending,
            Then::Return => Poll::Ready(Output::new(probe.clone())),
            // Not `panic!`: the panic is intended and needs no message on standard error.
            Then::Panic => resume_unwind(Box::new(IN_POLL)),
        }
    }
}

impl Drop for Probed {
    fn drop(&mut self) {
        self.probe.inside().dropped_on = Some(thread::current().id());
        if self.probe.0.destructors == Destructors::FuturePanics && !thread::panicking() {
            resume_unwind(Box::new(IN_FUTURE));
        }
    }
}

#[derive(Debug)]
struct FutureGone(Probe);

impl Drop for FutureGone {
    fn drop(&mut self) {
        self.0.futures_dropped().add();
    }
}

/// A probe's output.
#[derive(Debug)]
pub struct Output {
    probe: Probe,
    _gone: OutputGone,
}

impl Output {
    fn new(probe: Probe) -> Self {
        probe.outputs_made().add();
        Self {
            _gone: OutputGone(probe.clone()),
            probe,
        }
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if self.probe.0.destructors == Destructors::OutputPanics && !thread::panicking() {
            resume_unwind(Box::new(IN_OUTPUT));
        }
    }
}

#[derive(Debug)]
struct OutputGone(Probe);

impl Drop for OutputGone {
    fn drop(&mut self) {
        self.0.outputs_dropped().add();
    }
}

/// The text of a panic's payload.
pub fn text_of(payload: &(dyn Any + Send)) -> &str {
    payload
        .downcast_ref::<&'static str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a payload that is no text")
}
