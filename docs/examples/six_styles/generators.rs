//! Generators by hand, as in Tornado: a function stops at each `yield`, and receives the result when it continues. Rust
//! has no `yield`, so the work of Python's compiler is written out: the function is an enum of the places where it
//! stops. `async fn` does exactly this.

use std::sync::{Arc, Mutex};

use runtime_core::sync::oneshot;

use crate::deferreds::{Deferred, gather};
use crate::site::{self, Outcome, URLS};

// ANCHOR: generator
/// What a generator returns when it stops.
enum Step<T> {
    /// It waits for this, and wants to receive the result.
    Yielded(Deferred<Sent>),
    Returned(T),
}

/// What a generator receives when it continues.
enum Sent {
    /// The first call.
    Nothing,
    /// The delay is over.
    Slept,
    Outcomes(Vec<Outcome>),
}

trait Generator: Send + 'static {
    type Return: Send + 'static;
    fn send(&mut self, sent: Sent) -> Step<Self::Return>;
}

/// Drives a generator: chains its next step to whatever it yields. Tornado's `coroutine` decorator.
fn run<G: Generator>(mut generator: G) -> Deferred<G::Return> {
    let result = Deferred::new();
    let fires = result.again();
    step(&mut generator, Sent::Nothing).map_or_else(
        |yielded| go_on(generator, yielded, fires),
        |returned| result.fire(returned),
    );
    result
}

fn go_on<G: Generator>(mut generator: G, yielded: Deferred<Sent>, fires: Deferred<G::Return>) {
    drop(yielded.then(move |sent| match step(&mut generator, sent) {
        Ok(returned) => fires.fire(returned),
        Err(yielded) => go_on(generator, yielded, fires),
    }));
}

fn step<G: Generator>(generator: &mut G, sent: Sent) -> Result<G::Return, Deferred<Sent>> {
    match generator.send(sent) {
        Step::Returned(value) => Ok(value),
        Step::Yielded(yielded) => Err(yielded),
    }
}
// ANCHOR_END: generator

// ANCHOR: style
/// `def fetch(url): yield sleep(cost); return page`
enum Fetch {
    Begin(&'static str),
    Sleeping(Outcome),
    Done,
}

impl Generator for Fetch {
    type Return = Outcome;

    fn send(&mut self, sent: Sent) -> Step<Outcome> {
        match (std::mem::replace(self, Self::Done), sent) {
            (Self::Begin(url), Sent::Nothing) => {
                let (delay, outcome) = site::network(url);
                *self = Self::Sleeping(outcome);
                Step::Yielded(sleep(delay))
            }
            (Self::Sleeping(outcome), Sent::Slept) => Step::Returned(outcome),
            _ => unreachable!("it is sent what it waits for"),
        }
    }
}

/// `def fetch_five(): return (yield gather(map(fetch, urls)))`
enum FetchFive {
    Begin,
    Gathering,
}

impl Generator for FetchFive {
    type Return = Vec<Outcome>;

    fn send(&mut self, sent: Sent) -> Step<Vec<Outcome>> {
        match (std::mem::replace(self, Self::Gathering), sent) {
            (Self::Begin, Sent::Nothing) => {
                let fetches = URLS.map(|url| run(Fetch::Begin(url)));
                Step::Yielded(gather(fetches.into()).then(Sent::Outcomes))
            }
            (Self::Gathering, Sent::Outcomes(outcomes)) => Step::Returned(outcomes),
            _ => unreachable!("it is sent what it waits for"),
        }
    }
}
// ANCHOR_END: style

// ANCHOR: yield_from
/// `def both(): result = yield from inner; ...`: the outer generator passes on what it receives, and yields what the
/// inner one yields, until that returns. No deferred is needed in between. `.await` does the same.
struct YieldFrom<G: Generator, F> {
    inner: G,
    and_then: Option<F>,
}

impl<G, F, T> Generator for YieldFrom<G, F>
where
    G: Generator,
    F: FnOnce(G::Return) -> T + Send + 'static,
    T: Send + 'static,
{
    type Return = T;

    fn send(&mut self, sent: Sent) -> Step<T> {
        match self.inner.send(sent) {
            Step::Yielded(yielded) => Step::Yielded(yielded),
            Step::Returned(value) => {
                let and_then = self.and_then.take().expect("it returns once");
                Step::Returned(and_then(value))
            }
        }
    }
}
// ANCHOR_END: yield_from

fn sleep(delay: std::time::Duration) -> Deferred<Sent> {
    let deferred = Deferred::new();
    let fires = deferred.again();
    drop(runtime_core::calls::call_later(delay, move || {
        fires.fire(Sent::Slept);
    }));
    deferred
}

pub(crate) fn fetch_all() -> Vec<Outcome> {
    let event_loop = runtime_n1::Loop::new().expect("a loop");
    event_loop.block_on(async {
        let (tell, told) = oneshot::channel();
        let tell = Arc::new(Mutex::new(Some(tell)));
        let tells = YieldFrom {
            inner: FetchFive::Begin,
            and_then: Some(move |outcomes| {
                let tell = tell.lock().expect("no panics").take();
                drop(tell.expect("told once").send(outcomes));
            }),
        };
        drop(run(tells));
        told.await.expect("the generator returns")
    })
}
