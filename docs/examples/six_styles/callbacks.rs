//! Callbacks, as in Twisted's protocols and early Node: to get a result, you pass a function.

use std::sync::{Arc, Mutex};

use runtime_core::calls::call_later;
use runtime_core::sync::oneshot;

use crate::site::{self, Outcome, URLS};

// ANCHOR: style
/// Calls `done` with the outcome, later.
fn fetch(url: &'static str, done: impl FnOnce(Outcome) + Send + 'static) {
    let (delay, outcome) = site::network(url);
    // A callback must not be called before `fetch` returns, or callers see two orders.
    drop(call_later(delay, move || done(outcome)));
}

/// The number of missing results, and the results so far. The last callback takes them.
struct Gathering {
    outcomes: Vec<Option<Outcome>>,
    missing: usize,
    done: Option<Box<dyn FnOnce(Vec<Outcome>) + Send>>,
}

fn gather(done: impl FnOnce(Vec<Outcome>) + Send + 'static) {
    let gathering = Arc::new(Mutex::new(Gathering {
        outcomes: vec![None; URLS.len()],
        missing: URLS.len(),
        done: Some(Box::new(done)),
    }));
    for (place, url) in URLS.into_iter().enumerate() {
        let gathering = Arc::clone(&gathering);
        fetch(url, move |outcome| {
            let mut state = gathering.lock().expect("no callback panics");
            state.outcomes[place] = Some(outcome);
            state.missing -= 1;
            if state.missing == 0 {
                let outcomes = state.outcomes.drain(..).flatten().collect();
                let done = state.done.take().expect("called once");
                drop(state); // a callback under a lock may come back to it
                done(outcomes);
            }
        });
    }
}
// ANCHOR_END: style

pub(crate) fn fetch_all() -> Vec<Outcome> {
    let event_loop = runtime_n1::Loop::new().expect("a loop");
    event_loop.block_on(async {
        let (tell, told) = oneshot::channel();
        gather(move |outcomes| drop(tell.send(outcomes)));
        told.await.expect("the last callback tells")
    })
}
