//! `download` as green tasks. Files are written in the blocking pool, because a file blocks its thread in any style of
//! code.

use std::io;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use hyper::StatusCode;
use runtime_core::green::WaitExt as _;
use runtime_core::{ChannelSender as _, Runtime};

use super::fetch::Connection;
use super::style::Style;
use crate::measure::Meter;
use crate::vocabulary::{Failure, Params, Workload};
use crate::workloads::Program;
use crate::workloads::download::{BATCH, Download, List, Outcome, Task, measured, parse, save};

pub(super) struct DownloadTwin<S>(PhantomData<S>);

impl<S: Style> Program for DownloadTwin<S> {
    const INFO: Workload = Download::INFO;

    async fn run<R: Runtime>(rt: R, params: &Params, meter: &mut Meter) -> Result<(), Failure> {
        let produce = |task: Task<R>, list, folder| S::spawn(move || produce(task, list, folder));
        let work = |task: Task<R>, limit| S::spawn(move || work(task, limit));
        measured(&rt, params, meter, produce, work).await
    }
}

fn produce<R: Runtime>(task: Task<R>, list: List, folder: PathBuf) -> io::Result<()> {
    let Task { rt, queue, reports } = task;
    for begun in (0..list.urls).step_by(BATCH as usize) {
        let look = list.look(begun, folder.clone());
        let jobs = rt.spawn_blocking(look).wait().map_err(io::Error::other)??;
        for job in jobs {
            match job {
                // Both fail only after the other side has failed, which reports it.
                Some(job) => drop(queue.put(job).wait()),
                None => drop(reports.send(Outcome::AlreadyThere).wait()),
            }
        }
    }
    queue.close();
    Ok(())
}

fn work<R: Runtime>(task: Task<R>, limit: Duration) {
    let Task { rt, queue, reports } = task;
    let mut connection = None;
    while let Some(job) = queue.get().wait() {
        let fetched = fetch(&mut connection, &job.url, limit);
        let saved = fetched.and_then(|body| save(&rt, &job.path, body).wait());
        let outcome = match saved {
            Ok(()) => Outcome::Saved,
            Err(error) => {
                // After a failed fetch, the state of the connection is unknown.
                connection = None;
                Outcome::Bad(format!("{}: {error}", job.url))
            }
        };
        if reports.send(outcome).wait().is_err() {
            return;
        }
    }
}

/// Fetches `url` on `connection`. Opens a new connection if there is none, or if it leads elsewhere.
fn fetch(
    connection: &mut Option<(SocketAddr, Connection)>,
    url: &str,
    limit: Duration,
) -> io::Result<Vec<u8>> {
    let (server, target) = parse(url)?;
    if connection
        .as_ref()
        .is_none_or(|(open_to, _)| *open_to != server)
    {
        *connection = Some((server, Connection::open(server)?));
    }
    let Some((_, connection)) = connection else {
        return Err(io::ErrorKind::NotConnected.into());
    };
    match connection.get(&target, Some(limit))? {
        (StatusCode::OK, body) => Ok(body.into()),
        (status, _) => Err(io::Error::other(status.to_string())),
    }
}
