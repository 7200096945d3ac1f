//! Coroutines are so cheap that you can start a million requests at once, which is too many for both client and
//! server. A semaphore limits how many run, and the others wait.

use std::io;
use std::sync::Arc;

use runtime_core::combine::try_gather;
use runtime_core::spawn;
use runtime_core::sync::Semaphore;

use crate::client::get;
use crate::site::Site;

const PAGES: usize = 200;
const AT_ONCE: usize = 50;

// ANCHOR: program
async fn fetch(url: String, semaphore: Arc<Semaphore>) -> io::Result<usize> {
    let _permit = semaphore.acquire().await.map_err(io::Error::other)?;
    Ok(get(&url).await?.body.len())
} // the permit is given back

pub async fn run() -> io::Result<()> {
    // The site serves groups of 50. With fewer permits, it would wait forever for the rest of a group.
    let site = Site::for_groups_of(AT_ONCE).await?;
    let semaphore = Arc::new(Semaphore::new(AT_ONCE));
    let mut tasks = Vec::new();
    for _ in 0..PAGES {
        let url = site.url("/image/7")?;
        tasks.push(spawn(fetch(url, semaphore.clone())));
    }
    let sizes = try_gather(tasks).await.map_err(io::Error::other)?;
    let bytes: usize = sizes.iter().sum();
    println!(
        "{PAGES} pages, {bytes} bytes, {} at once",
        site.most_at_once()
    );
    Ok(())
}
// ANCHOR_END: program
