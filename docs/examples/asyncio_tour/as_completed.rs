//! Four URLs, each handled as soon as its answer arrives, whatever the order of the requests.

use std::io;
use std::time::Instant;

use runtime_core::combine::as_completed;
use runtime_core::spawn;

use crate::client::get;
use crate::site::Site;

// ANCHOR: program
pub async fn run() -> io::Result<()> {
    let site = Site::open().await?;
    let begun = Instant::now();
    let mut tasks = Vec::new();
    for ms in [300, 100, 400, 200] {
        let url = site.url(&format!("/after/{ms}"))?;
        tasks.push(spawn(async move { get(&url).await }));
    }
    let mut completed = as_completed(tasks);
    while let Some((index, answer)) = completed.next().await {
        let answer = answer.map_err(io::Error::other)??;
        let text = String::from_utf8_lossy(&answer.body);
        println!(
            "URL {index} after {} ms: {text}",
            begun.elapsed().as_millis()
        );
    }
    Ok(())
}
// ANCHOR_END: program
