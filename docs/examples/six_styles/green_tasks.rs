//! Green tasks, as in gevent and Go: plain functions, each on its own stack.

use runtime_core::green::{self, WaitExt as _};

use crate::site::{self, Outcome, URLS};

// ANCHOR: style
fn fetch(url: &'static str) -> Outcome {
    let (delay, outcome) = site::network(url);
    green::sleep(delay);
    outcome
}

fn fetch_five() -> Vec<Outcome> {
    let tasks = URLS.map(|url| green::spawn(move || fetch(url)));
    tasks
        .map(|task| task.wait().expect("no fetch panics"))
        .into()
}
// ANCHOR_END: style

pub(crate) fn fetch_all() -> Vec<Outcome> {
    let event_loop = runtime_n1::Loop::new().expect("a loop");
    event_loop.block_on(async { green::spawn(fetch_five).await.expect("it does not panic") })
}
