//! With callbacks and deferreds, as in Twisted: nothing ever waits. Each function registers what to call with its
//! result, and returns at once. Data that is needed later moves into the callbacks.

use std::io;
use std::time::{Duration, Instant};

use runtime_core::spawn;
use runtime_core::sync::oneshot;

use super::deferred::{Deferred, deferred, gather_results};
use super::{expect_page, print_costs, urls};
use crate::client::{Answer, get};
use crate::site::Site;

/// Twisted's function of that name, as the library would provide it.
fn get_page(url: String) -> Deferred<Answer> {
    let (trigger, answer) = deferred();
    spawn(async move { get(&url).await }).on_complete(|outcome| {
        trigger.fire(outcome.unwrap_or_else(|lost| Err(io::Error::other(lost))))
    });
    answer
}

// ANCHOR: program
fn cost(url: String) -> Deferred<Duration> {
    let begun = Instant::now();
    get_page(url)
        .add_callback(expect_page)
        .add_callback(move |()| Ok(begun.elapsed()))
}

pub async fn run() -> io::Result<()> {
    let site = Site::for_groups_of(5).await?;
    let (stop, stopped) = oneshot::channel();
    let begun = Instant::now();
    let costs = urls(&site)?.into_iter().map(cost).collect();
    gather_results(costs)
        .add_callback(move |costs| {
            print_costs(&costs, begun.elapsed(), &site);
            Ok(Ok(()))
        })
        .add_errback(|error| Ok(Err(error))) // all errors, from wherever in the chains
        .add_callback(|outcome| {
            let _ = stop.send(outcome); // Twisted's `reactor.stop()`
            Ok(())
        });
    stopped.await.map_err(io::Error::other)? // and `reactor.run()`
}
// ANCHOR_END: program
