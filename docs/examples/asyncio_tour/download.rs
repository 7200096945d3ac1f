//! A bulk downloader. It puts a file of addresses of any length into a queue, a few lines at a time, and ten workers
//! fetch and save.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_lite::io::BufReader;
use futures_lite::{AsyncBufReadExt as _, StreamExt as _};
use runtime_core::combine::gather;
use runtime_core::fs::{self, File};
use runtime_core::sync::Queue;
use runtime_core::{spawn, timeout};

use crate::client::{StatusCode, get};
use crate::site::Site;

/// Takes a file of addresses, one per line, and the folder to save to. Without arguments, it uses its own addresses.
pub async fn run(arguments: Vec<String>) -> io::Result<()> {
    match &arguments[..] {
        [] => download_from_our_site().await,
        [list, folder] => download(list, folder, Duration::from_secs(5)).await,
        _ => Err(io::Error::other("it takes a list and a folder, or neither")),
    }
}

// ANCHOR: program
/// Addresses that wait for a worker.
const QUEUE: usize = 1000;
const WORKERS: usize = 10;

struct Image {
    address: String,
    path: PathBuf,
}

async fn download(
    list: impl AsRef<Path>,
    folder: impl AsRef<Path>,
    limit: Duration,
) -> io::Result<()> {
    let images = Arc::new(Queue::new(QUEUE));
    let file = File::open(list).await?;
    fs::create_dir_all(&folder).await?;
    let workers: Vec<_> = (0..WORKERS)
        .map(|_| spawn(work(images.clone(), limit)))
        .collect();
    let read = read_list(file, folder.as_ref(), &images).await;
    images.close(); // the workers end when it is empty
    let saved = gather(workers).await.map_err(io::Error::other)?;
    println!("{} saved, {} were there", saved.iter().sum::<u64>(), read?);
    Ok(())
}

/// Puts addresses whose files do not exist yet into the queue; returns how many files exist.
async fn read_list(file: File, folder: &Path, images: &Queue<Image>) -> io::Result<u64> {
    let mut already_there = 0;
    let mut lines = BufReader::new(file).lines();
    while let Some(address) = lines.next().await {
        let address = address?;
        let Some(name) = file_name(&address) else {
            println!("{address}: no name to save it by");
            continue;
        };
        let path = folder.join(name);
        if fs::try_exists(&path).await? {
            already_there += 1;
        } else {
            let _ = images.put(Image { address, path }).await; // waits while the queue is full
        }
    }
    Ok(already_there)
}

/// The part of the path after the last `/`.
fn file_name(address: &str) -> Option<&str> {
    let path = address.split(['?', '#']).next()?;
    let name = path.rsplit('/').next()?;
    (!["", ".", ".."].contains(&name)).then_some(name)
}

/// Fetches and saves until the queue is empty; returns how many it has saved.
async fn work(images: Arc<Queue<Image>>, limit: Duration) -> u64 {
    let mut saved = 0;
    while let Some(Image { address, path }) = images.get().await {
        match timeout(limit, fetch_and_save(&address, &path)).await {
            Ok(Ok(())) => saved += 1,
            Ok(Err(error)) => println!("{address}: {error}"), // and goes on
            Err(_elapsed) => println!("{address}: no answer in time"),
        }
    }
    saved
}

async fn fetch_and_save(address: &str, path: &Path) -> io::Result<()> {
    let answer = get(address).await?;
    if answer.status != StatusCode::OK {
        return Err(io::Error::other(answer.status.to_string()));
    }
    // Renamed when it is complete, so a file with its final name need not be fetched again.
    let partial = path.with_added_extension("partial");
    fs::write(&partial, answer.body).await?;
    fs::rename(&partial, path).await
}
// ANCHOR_END: program

/// Thirty images, three of which exist already, another one with a query, and four addresses that are bad in four
/// different ways.
async fn download_from_our_site() -> io::Result<()> {
    let site = Site::open().await?;
    let folder = tempfile::tempdir()?;
    let mut list = String::new();
    for number in 0..30 {
        list += &format!("{}\n", site.url(&format!("/image/{number}"))?);
    }
    for number in [7, 17, 27] {
        fs::write(folder.path().join(number.to_string()), "was there").await?;
    }
    for other in [
        site.url("/image/30?size=large")?,
        site.url("/image/")?,
        site.url("/missing")?,
        site.url("/never")?,
        "image 31".to_owned(),
    ] {
        list += &format!("{other}\n");
    }
    let path = folder.path().join("list.txt");
    fs::write(&path, list).await?;
    // A test should not wait 5 s for `/never`.
    download(&path, &folder, Duration::from_secs(1)).await?;
    assert_eq!(fs::read(folder.path().join("7")).await?, b"was there");
    assert_eq!(fs::read(folder.path().join("29")).await?, b"image 29");
    let large = fs::read(folder.path().join("30")).await?;
    assert_eq!(large, b"image 30, size=large");
    Ok(())
}
