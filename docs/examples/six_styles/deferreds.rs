//! Deferreds, as in Twisted: a result that does not exist yet is a value, and callbacks are chained to it.

use std::sync::{Arc, Mutex};

use runtime_core::calls::call_later;
use runtime_core::sync::oneshot;

use crate::site::{self, Outcome, URLS};

// ANCHOR: deferred
/// A result that comes later, and what to do with it.
pub(crate) struct Deferred<T>(Arc<Mutex<State<T>>>);

enum State<T> {
    Empty,
    Fired(T),
    Chained(Box<dyn FnOnce(T) + Send>),
    Used,
}

impl<T: Send + 'static> Deferred<T> {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(State::Empty)))
    }

    /// The side that fires it.
    pub(crate) fn again(&self) -> Self {
        Self(Arc::clone(&self.0))
    }

    /// Sets the result, and calls whatever is chained. This is Twisted's `callback` and `errback` in one, because `T`
    /// is a `Result` if something can fail.
    pub(crate) fn fire(&self, value: T) {
        self.settle(State::Fired(value));
    }

    /// Chains `next`: the new deferred gets its result. Twisted's `addCallback`.
    pub(crate) fn then<U: Send + 'static>(
        self,
        next: impl FnOnce(T) -> U + Send + 'static,
    ) -> Deferred<U> {
        let result = Deferred::new();
        let fires = result.again();
        self.settle(State::Chained(Box::new(move |value| {
            fires.fire(next(value))
        })));
        result
    }

    /// The first half to arrive waits here, and the second one meets it.
    fn settle(&self, half: State<T>) {
        let before = std::mem::replace(&mut *self.0.lock().expect("no panics"), State::Used);
        match (before, half) {
            (State::Empty, half) => *self.0.lock().expect("no panics") = half,
            (State::Fired(value), State::Chained(next)) => next(value),
            (State::Chained(next), State::Fired(value)) => next(value),
            _ => panic!("a deferred is fired once, and chained once"),
        }
    }
}

/// Twisted's `gatherResults`.
pub(crate) fn gather<T: Send + 'static>(deferreds: Vec<Deferred<T>>) -> Deferred<Vec<T>> {
    let mut all = Deferred::new();
    all.fire(Vec::new());
    for one in deferreds {
        let both = Deferred::new();
        let fires = both.again();
        drop(all.then(move |mut values: Vec<T>| {
            one.then(move |value| {
                values.push(value);
                fires.fire(values);
            })
        }));
        all = both;
    }
    all
}
// ANCHOR_END: deferred

// ANCHOR: style
fn fetch(url: &'static str) -> Deferred<Outcome> {
    let deferred = Deferred::new();
    let (fires, (delay, outcome)) = (deferred.again(), site::network(url));
    drop(call_later(delay, move || fires.fire(outcome)));
    deferred
}

fn fetch_five() -> Deferred<Vec<Outcome>> {
    gather(URLS.map(fetch).into())
}
// ANCHOR_END: style

pub(crate) fn fetch_all() -> Vec<Outcome> {
    let event_loop = runtime_n1::Loop::new().expect("a loop");
    event_loop.block_on(async {
        let (tell, told) = oneshot::channel();
        drop(fetch_five().then(move |outcomes| drop(tell.send(outcomes))));
        told.await.expect("the last deferred fires")
    })
}
