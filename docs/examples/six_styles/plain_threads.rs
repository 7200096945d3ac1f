//! Plain threads: the kernel does what the program does in the other styles.

use std::thread;

use crate::site::{self, Outcome, URLS};

// ANCHOR: style
fn fetch(url: &'static str) -> Outcome {
    let (delay, outcome) = site::network(url);
    thread::sleep(delay);
    outcome
}

fn fetch_five() -> Vec<Outcome> {
    thread::scope(|scope| {
        let threads = URLS.map(|url| scope.spawn(move || fetch(url)));
        threads
            .map(|thread| thread.join().expect("no fetch panics"))
            .into()
    })
}
// ANCHOR_END: style

pub(crate) fn fetch_all() -> Vec<Outcome> {
    fetch_five()
}
