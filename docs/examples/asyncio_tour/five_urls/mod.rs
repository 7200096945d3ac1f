//! Fetches five URLs at once, and prints the cost of each and the total, in three styles in historical order.
//!
//! The site answers only after all five requests have arrived, so the program ends only if it really fetches them at
//! once.

pub mod async_await;
pub mod callbacks;
pub mod deferred;
pub mod state_machine;

use std::io;
use std::time::Duration;

use super::client::{Answer, StatusCode};
use super::site::Site;

/// The pages, named after the milliseconds that each takes.
const PAGES: [u64; 5] = [100, 20, 60, 40, 80];

fn urls(site: &Site) -> io::Result<Vec<String>> {
    let url = |ms| site.url(&format!("/after/{ms}"));
    PAGES.into_iter().map(url).collect()
}

/// Any answer other than a page is an error.
fn expect_page(answer: Answer) -> io::Result<()> {
    match answer.status {
        StatusCode::OK => Ok(()),
        status => Err(io::Error::other(status.to_string())),
    }
}

fn print_costs(costs: &[Duration], total: Duration, site: &Site) {
    for (number, cost) in costs.iter().enumerate() {
        println!("page {number} cost {} ms", cost.as_millis());
    }
    println!(
        "total {} ms, {} at once",
        total.as_millis(),
        site.most_at_once()
    );
}
