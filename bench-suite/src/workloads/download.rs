//! `download`: saves a list of URLs that is far too long to hold in memory.
//!
//! A producer walks the list and puts each URL whose file does not exist yet into a queue with room for 1000. Ten
//! workers take from the queue. Each keeps one connection, gives a fetch 5 s, writes the body through the runtime's
//! file functions, and continues. A bad URL (malformed, refused, not found) is reported and skipped. Most batch
//! programs have this shape: back-pressure, time-outs, blocking work, and errors that must not end the program.
//!
//! A file is written under another name and renamed when it is complete. A file with its final name is therefore always
//! complete, and a later run may skip it. If possible, the folder is in memory (`scratch.rs`), so that the figure
//! depends on the runtime and not on the file system. The queue and the number of workers limit the program's memory,
//! however long the list is.
//!
//! One op is one URL. The figure is CPU time per URL. The check: the file of each good URL has the correct content,
//! existing files are unchanged, and every bad URL was reported. The site runs in its own process.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hyper::http::uri::PathAndQuery;
use hyper::{StatusCode, Uri};
use runtime_core::sync::Queue;
use runtime_core::{ChannelReceiver as _, ChannelSender as _, JoinError, Runtime};

use super::fetch::Connection;
use super::{Program, check, lost, scratch, size};
use crate::load::companion::{Companion, Role};
use crate::load::site::SiteOptions;
use crate::measure::Meter;
use crate::repetitions::Repetitions;
use crate::vocabulary::{Failure, Group, Mode, Parameter, Params, Workload};

/// The queue's capacity.
const QUEUE: usize = 1000;

/// The number of tasks that fetch.
const WORKERS: usize = 10;

/// The number of URLs for which the disk is asked at once whether their files exist.
pub(crate) const BATCH: u64 = 100;

/// The bytes of a file.
const FILE: usize = 4096;

/// How many reports of bad URLs are kept for the user. The others are only counted.
const MAX_REPORTS: usize = 10;

/// The content of the files that exist already.
const OLD: &[u8] = b"was here before";

/// A long list of URLs.
pub struct Download;

impl Program for Download {
    const INFO: Workload = Workload {
        name: "download",
        group: Group::Io,
        mode: Mode::Batch,
        about: "saves a long list of URLs: a bounded queue, ten workers, time-outs, files, bad URLs",
        op: "one URL",
        parameters: &[
            size("URLs", 1_000, 1, 1_000_000),
            Parameter {
                name: "timeout_ms",
                about: "how long a fetch may take, in milliseconds",
                default: 5_000,
                min: 1,
                max: 600_000,
            },
        ],
        metric: "cpu_ns_per_op",
    };

    async fn run<R: Runtime>(rt: R, params: &Params, meter: &mut Meter) -> Result<(), Failure> {
        let produce = |task: Task<R>, list, folder| {
            let rt = task.rt.clone();
            rt.spawn(produce(task, list, folder))
        };
        let work = |task: Task<R>, timeout| {
            let rt = task.rt.clone();
            rt.spawn(work(task, timeout))
        };
        measured(&rt, params, meter, produce, work).await
    }
}

/// The context of each task of the workload.
pub(crate) struct Task<R: Runtime> {
    pub(crate) rt: R,
    pub(crate) queue: Arc<Queue<Job>>,
    pub(crate) reports: R::Sender<Outcome>,
}

/// Runs the workload. `produce` starts the task that fills and closes the queue. `work` starts a task that fetches,
/// with a time limit per fetch.
pub(crate) async fn measured<R, P, W>(
    rt: &R,
    params: &Params,
    meter: &mut Meter,
    produce: impl Fn(Task<R>, List, PathBuf) -> P + Send + Sync,
    work: impl Fn(Task<R>, Duration) -> W + Send + Sync,
) -> Result<(), Failure>
where
    R: Runtime,
    P: Future<Output = Result<io::Result<()>, JoinError>> + Send,
    W: Future<Output = Result<(), JoinError>> + Send,
{
    let options = site_options(params);
    let start = move || Companion::start(&Role::Site(options));
    let site = rt.spawn_blocking(start).await.map_err(lost)??;
    if site.shares_process() {
        meter.flags.push("site_in_process");
    }
    let timeout = Duration::from_millis(params.value("timeout_ms"));
    let start = |list, folder, queue, reports: R::Sender<Outcome>| {
        let queue: Arc<Queue<Job>> = queue;
        let task = || Task {
            rt: rt.clone(),
            queue: Arc::clone(&queue),
            reports: reports.clone(),
        };
        let workers = (0..WORKERS).map(|_| work(task(), timeout)).collect();
        (produce(task(), list, folder), workers)
    };
    let outcome = repeat(rt, site.address(), options, params, meter, start).await;
    // Dropping it blocks until the site has ended.
    rt.spawn_blocking(move || drop(site)).await.map_err(lost)?;
    outcome
}

/// The settings of the site for the files.
pub(crate) fn site_options(params: &Params) -> SiteOptions {
    SiteOptions {
        seed: params.seed,
        max_latency: Duration::from_millis(1),
        bytes: FILE,
    }
}

async fn repeat<R, P, W>(
    rt: &R,
    site: SocketAddr,
    options: SiteOptions,
    params: &Params,
    meter: &mut Meter,
    start: impl Fn(List, PathBuf, Arc<Queue<Job>>, R::Sender<Outcome>) -> (P, Vec<W>),
) -> Result<(), Failure>
where
    R: Runtime,
    P: Future<Output = Result<io::Result<()>, JoinError>>,
    W: Future<Output = Result<(), JoinError>>,
{
    let mut repetitions = Repetitions::each(params.budget_ns);
    while repetitions.more(meter) {
        // Creating the existing files, the check and the removal are not measured.
        let list = List {
            site,
            urls: params.value("size"),
        };
        let folder = scratch::folder(list.bytes()).map_err(disk)?;
        scratch::flag(folder.path(), meter);
        let path = folder.path().to_owned();
        let fill = move || list.write_old_files(&path);
        rt.spawn_blocking(fill).await.map_err(lost)?.map_err(disk)?;

        repetitions.next(meter);
        let queue = Arc::new(Queue::new(QUEUE));
        let (reports, reported) = rt.channel(QUEUE);
        let (producer, workers) = start(list, folder.path().to_owned(), queue, reports);
        let (summary, reports) = download::<R, _, _>(producer, workers, reported).await?;
        repetitions.done(meter, list.urls);

        if summary != list.expected() {
            return Err(Failure::WrongAnswer(format!(
                "what was done is {summary:?} but should be {:?}; the first reports: {reports:?}",
                list.expected()
            )));
        }
        // This also removes the folder.
        let verify = move || list.verify(folder.path(), options);
        rt.spawn_blocking(verify).await.map_err(lost)??;
    }
    Ok(())
}

/// The results for all URLs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) saved: u64,
    already_there: u64,
    pub(crate) bad: u64,
}

/// The result for one URL.
pub(crate) enum Outcome {
    Saved,
    AlreadyThere,
    /// A report for the user.
    Bad(String),
}

/// A URL to fetch and where to save it.
pub(crate) struct Job {
    pub(crate) url: String,
    pub(crate) path: PathBuf,
}

/// Adds up the reports of producer and workers, and keeps the first of them.
async fn download<R, P, W>(
    producer: P,
    workers: Vec<W>,
    mut reported: R::Receiver<Outcome>,
) -> Result<(Summary, Vec<String>), Failure>
where
    R: Runtime,
    P: Future<Output = Result<io::Result<()>, JoinError>>,
    W: Future<Output = Result<(), JoinError>>,
{
    let mut summary = Summary::default();
    let mut first_reports = Vec::new();
    while let Some(outcome) = reported.recv().await {
        match outcome {
            Outcome::Saved => summary.saved += 1,
            Outcome::AlreadyThere => summary.already_there += 1,
            Outcome::Bad(report) => {
                summary.bad += 1;
                if first_reports.len() < MAX_REPORTS {
                    first_reports.push(report);
                }
            }
        }
    }
    producer.await.map_err(lost)?.map_err(disk)?;
    for worker in workers {
        worker.await.map_err(lost)?;
    }
    Ok((summary, first_reports))
}

/// Puts the URLs whose files are missing into the queue, and closes it at the end.
async fn produce<R: Runtime>(task: Task<R>, list: List, folder: PathBuf) -> io::Result<()> {
    let Task { rt, queue, reports } = task;
    for begun in (0..list.urls).step_by(BATCH as usize) {
        let look = list.look(begun, folder.clone());
        let jobs = rt.spawn_blocking(look).await.map_err(io::Error::other)??;
        for job in jobs {
            match job {
                // Both fail only after the other side has failed, which reports it.
                Some(job) => drop(queue.put(job).await),
                None => drop(reports.send(Outcome::AlreadyThere).await),
            }
        }
    }
    queue.close();
    Ok(())
}

/// Fetches and saves until the queue is closed and empty.
async fn work<R: Runtime>(task: Task<R>, timeout: Duration) {
    let Task { rt, queue, reports } = task;
    let mut connection = None;
    while let Some(job) = queue.get().await {
        let saved = match rt
            .timeout(timeout, fetch(&rt, &mut connection, &job.url))
            .await
        {
            Ok(Ok(body)) => save(&rt, &job.path, body).await,
            Ok(Err(error)) => Err(error),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        };
        let outcome = match saved {
            Ok(()) => Outcome::Saved,
            Err(error) => {
                // After a failed or aborted fetch, the state of the connection is unknown.
                connection = None;
                Outcome::Bad(format!("{}: {error}", job.url))
            }
        };
        if reports.send(outcome).await.is_err() {
            return;
        }
    }
}

/// Fetches `url` on `connection`. Opens a new connection if there is none, or if it leads elsewhere.
async fn fetch<R: Runtime>(
    rt: &R,
    connection: &mut Option<(SocketAddr, Connection<R>)>,
    url: &str,
) -> io::Result<Vec<u8>> {
    let (server, target) = parse(url)?;
    if connection
        .as_ref()
        .is_none_or(|(open_to, _)| *open_to != server)
    {
        *connection = Some((server, Connection::open(rt, server).await?));
    }
    let Some((_, connection)) = connection else {
        return Err(io::ErrorKind::NotConnected.into());
    };
    match connection.get(&target).await? {
        (StatusCode::OK, body) => Ok(body.into()),
        (status, _) => Err(io::Error::other(status.to_string())),
    }
}

/// The server's address, and the path on it.
pub(crate) fn parse(url: &str) -> io::Result<(SocketAddr, String)> {
    let url: Uri = url.parse().map_err(invalid)?;
    let authority = url.authority().ok_or_else(|| invalid("no host"))?;
    let server = authority.as_str().parse().map_err(invalid)?;
    let target = url.path_and_query().map_or("/", PathAndQuery::as_str);
    Ok((server, target.to_owned()))
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, error)
}

/// Writes to a temporary name and renames.
pub(crate) async fn save<R: Runtime>(rt: &R, path: &Path, body: Vec<u8>) -> io::Result<()> {
    let beside = path.with_added_extension("partial");
    write(rt, beside.clone(), body).await?;
    let path = path.to_owned();
    let rename = rt.spawn_blocking(move || std::fs::rename(beside, path));
    rename.await.map_err(io::Error::other)?
}

/// Writes a file as fits the model: a task with its own thread blocks it, and others hand the job to a thread where it
/// delays nobody.
async fn write<R: Runtime>(rt: &R, path: PathBuf, body: Vec<u8>) -> io::Result<()> {
    if rt.capabilities().workers.is_none() {
        return std::fs::write(path, body);
    }
    let job = rt.spawn_blocking(move || std::fs::write(path, body));
    job.await.map_err(io::Error::other)?
}

pub(crate) fn disk(error: io::Error) -> Failure {
    Failure::Crashed(format!("the download folder: {error}"))
}

/// The list of URLs. It is never in memory: URL `index` is generated on demand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct List {
    pub(crate) site: SocketAddr,
    pub(crate) urls: u64,
}

/// The kind of URL at an index.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Good,
    AlreadyThere,
    NoUrl,
    Refused,
    NotFound,
}

impl List {
    /// An upper bound for the total size of the files.
    pub(crate) fn bytes(&self) -> u64 {
        self.urls.saturating_mul(FILE as u64)
    }

    /// One in ten has a file already. Three in a hundred are bad, in three different ways.
    fn kind(index: u64) -> Kind {
        match index % 100 {
            13 => Kind::NoUrl,
            57 => Kind::Refused,
            83 => Kind::NotFound,
            rest if rest % 10 == 4 => Kind::AlreadyThere,
            _ => Kind::Good,
        }
    }

    fn url(&self, index: u64) -> String {
        match Self::kind(index) {
            Kind::Good | Kind::AlreadyThere => format!("http://{}/{index}", self.site),
            Kind::NoUrl => format!("http:/{index}"),
            // Nothing listens on port 1 (tcpmux).
            Kind::Refused => format!("http://127.0.0.1:1/{index}"),
            Kind::NotFound => format!("http://{}/missing/{index}", self.site),
        }
    }

    /// Checks which of the [`BATCH`] URLs from `begun` on already have files. Blocks.
    pub(crate) fn look(
        self,
        begun: u64,
        folder: PathBuf,
    ) -> impl FnOnce() -> io::Result<Vec<Option<Job>>> + Send + 'static {
        move || {
            (begun..self.urls.min(begun + BATCH))
                .map(|index| {
                    let path = folder.join(index.to_string());
                    let there = path.try_exists()?;
                    Ok((!there).then(|| Job {
                        url: self.url(index),
                        path,
                    }))
                })
                .collect()
        }
    }

    pub(crate) fn expected(&self) -> Summary {
        let mut summary = Summary::default();
        for index in 0..self.urls {
            match Self::kind(index) {
                Kind::Good => summary.saved += 1,
                Kind::AlreadyThere => summary.already_there += 1,
                _ => summary.bad += 1,
            }
        }
        summary
    }

    pub(crate) fn write_old_files(&self, folder: &Path) -> io::Result<()> {
        (0..self.urls)
            .filter(|&index| Self::kind(index) == Kind::AlreadyThere)
            .try_for_each(|index| std::fs::write(folder.join(index.to_string()), OLD))
    }

    /// Checks every file.
    pub(crate) fn verify(&self, folder: &Path, options: SiteOptions) -> Result<(), Failure> {
        for index in 0..self.urls {
            let found = std::fs::read(folder.join(index.to_string())).ok();
            let expected = match Self::kind(index) {
                Kind::Good => Some(options.body(index)),
                Kind::AlreadyThere => Some(OLD.to_vec()),
                _ => None,
            };
            if found != expected {
                return Err(Failure::WrongAnswer(format!(
                    "file {index} is not as it should be"
                )));
            }
        }
        let files = std::fs::read_dir(folder).map_err(disk)?.count() as u64;
        let expected = self.expected();
        check(
            "the number of files",
            files,
            expected.saved + expected.already_there,
        )
    }
}
