//! A small load test of a web server. It sends a number of requests, at most 50 at once, and prints how many there were
//! per second and what the answers were.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use runtime_core::combine::as_completed;
use runtime_core::spawn;
use runtime_core::sync::Semaphore;

use crate::client::{StatusCode, get};
use crate::site::Site;

const AT_ONCE: usize = 50;

/// Takes the URL and the number of requests. The default is the URL of its own page.
pub async fn run(arguments: Vec<String>) -> io::Result<()> {
    let requests = match arguments.get(1) {
        Some(number) => number.parse().map_err(io::Error::other)?,
        None => 500,
    };
    match arguments.first() {
        Some(url) => load(url, requests).await,
        None => {
            let site = Site::open().await?;
            load(&site.url("/image/1")?, requests).await
        }
    }
}

// ANCHOR: program
async fn request(url: Arc<str>, semaphore: Arc<Semaphore>) -> io::Result<StatusCode> {
    let _permit = semaphore.acquire().await.map_err(io::Error::other)?;
    Ok(get(&url).await?.status)
}

async fn load(url: &str, requests: usize) -> io::Result<()> {
    let begun = Instant::now();
    let (url, semaphore) = (Arc::from(url), Arc::new(Semaphore::new(AT_ONCE)));
    let tasks = (0..requests).map(|_| spawn(request(Arc::clone(&url), semaphore.clone())));

    let mut answers: BTreeMap<String, usize> = BTreeMap::new();
    let mut completed = as_completed(tasks);
    while let Some((_, answer)) = completed.next().await {
        let kind = match answer.map_err(io::Error::other)? {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        *answers.entry(kind).or_default() += 1;
    }

    let seconds = begun.elapsed().as_secs_f64();
    let rate = requests as f64 / seconds;
    println!("{requests} requests in {seconds:.3} s: {rate:.0} a second");
    for (kind, number) in answers {
        println!("{number:>8} {kind}");
    }
    Ok(())
}
// ANCHOR_END: program
