//! `async fn`, as in asyncio: the compiler writes the generator, and `.await` is `yield from`.

use runtime_core::combine::gather;
use runtime_core::{sleep, spawn};

use crate::site::{self, Outcome, URLS};

// ANCHOR: style
async fn fetch(url: &'static str) -> Outcome {
    let (delay, outcome) = site::network(url);
    sleep(delay).await;
    outcome
}

async fn fetch_five() -> Vec<Outcome> {
    let tasks = URLS.map(|url| spawn(fetch(url)));
    gather(tasks).await.expect("no fetch panics")
}
// ANCHOR_END: style

pub(crate) fn fetch_all() -> Vec<Outcome> {
    let event_loop = runtime_n1::Loop::new().expect("a loop");
    event_loop.block_on(fetch_five())
}
