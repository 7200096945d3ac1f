//! With async functions, as in asyncio: code that waits looks like code that does not, and errors are handled as
//! usual.

use std::io;
use std::time::{Duration, Instant};

use runtime_core::combine::try_gather;
use runtime_core::spawn;

use super::{expect_page, print_costs, urls};
use crate::client::get;
use crate::site::Site;

// ANCHOR: program
async fn cost(url: String) -> io::Result<Duration> {
    let begun = Instant::now();
    let answer = get(&url).await?;
    expect_page(answer)?;
    Ok(begun.elapsed())
}

pub async fn run() -> io::Result<()> {
    let site = Site::for_groups_of(5).await?;
    let begun = Instant::now();
    let tasks = urls(&site)?.into_iter().map(|url| spawn(cost(url)));
    let costs = try_gather(tasks).await.map_err(io::Error::other)?;
    print_costs(&costs, begun.elapsed(), &site);
    Ok(())
}
// ANCHOR_END: program
