//! `download`: save a list of URLs that is far larger than what memory should hold.
//!
//! A producer walks the list and puts what is not on the disk yet into a queue that holds 1000; ten workers take from
//! it. Each keeps one connection, gives a fetch 5 s, writes the body through the runtime's files, and goes on; a URL
//! that is bad (no URL, refused, not found) is reported and skipped. It is the shape of most batch programs:
//! back-pressure, time-outs, blocking work, errors that must not end the whole.
//!
//! A file is written beside and renamed when it is whole: a file under its final name is always complete, so that a
//! later run may skip it. Memory is bounded by the queue and the workers, however long the list is.
//!
//! One op is one URL; the figure is CPU time for each. The check: every good URL's file has the content it must have,
//! files that were there are untouched, and every bad URL was reported. The site runs in a process of its own.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hyper::http::uri::PathAndQuery;
use hyper::{StatusCode, Uri};
use runtime_core::sync::Queue;
use runtime_core::{ChannelReceiver as _, ChannelSender, Runtime};

use super::fetch::Connection;
use super::{Program, check, lost, size};
use crate::load::companion::{Companion, Role};
use crate::load::site::SiteOptions;
use crate::measure::Meter;
use crate::repetitions::Repetitions;
use crate::vocabulary::{Failure, Group, Mode, Parameter, Params, Workload};

/// URLs that wait for a worker.
const QUEUE: usize = 1000;

/// Tasks that fetch.
const WORKERS: usize = 10;

/// What was there before is asked of the disk for so many URLs at a time.
const BATCH: u64 = 100;

/// Bytes of a file.
const FILE: usize = 4096;

/// Reports of bad URLs that are kept for the user; the others are counted.
const KEPT_REPORTS: usize = 10;

/// What the files hold that were there before.
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
        let options = site_options(params);
        let start = move || Companion::start(&Role::Site(options));
        let site = rt.spawn_blocking(start).await.map_err(lost)??;
        if site.shares_process() {
            meter.flags.push("site_in_process");
        }
        let outcome = repeat(&rt, site.address(), options, params, meter).await;
        // It blocks until the site has ended.
        rt.spawn_blocking(move || drop(site)).await.map_err(lost)?;
        outcome
    }
}

/// The site that the files are fetched from.
pub(crate) fn site_options(params: &Params) -> SiteOptions {
    SiteOptions {
        seed: params.seed,
        max_latency: Duration::from_millis(1),
        bytes: FILE,
    }
}

async fn repeat<R: Runtime>(
    rt: &R,
    site: SocketAddr,
    options: SiteOptions,
    params: &Params,
    meter: &mut Meter,
) -> Result<(), Failure> {
    let mut repetitions = Repetitions::each(params.budget_ns);
    while repetitions.more(meter) {
        // Not measured: what is there before, the check, and the removal.
        let list = List {
            site,
            urls: params.value("size"),
        };
        let folder = tempfile::Builder::new()
            .prefix("lab-download-")
            .tempdir()
            .map_err(disk)?;
        let path = folder.path().to_owned();
        let fill = move || list.write_old_files(&path);
        rt.spawn_blocking(fill).await.map_err(lost)?.map_err(disk)?;

        repetitions.next(meter);
        let timeout = Duration::from_millis(params.value("timeout_ms"));
        let (summary, reports) = download(rt, list, folder.path().to_owned(), timeout).await?;
        repetitions.done(meter, list.urls);

        if summary != list.expected() {
            return Err(Failure::WrongAnswer(format!(
                "what was done is {summary:?} and should be {:?}; the first reports: {reports:?}",
                list.expected()
            )));
        }
        // The folder is removed there too.
        let verify = move || list.verify(folder.path(), options);
        rt.spawn_blocking(verify).await.map_err(lost)??;
    }
    Ok(())
}

/// What became of the URLs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) saved: u64,
    already_there: u64,
    pub(crate) bad: u64,
}

/// What became of one URL.
enum Outcome {
    Saved,
    AlreadyThere,
    /// The report for the user.
    Bad(String),
}

/// A URL to fetch and where to save it.
struct Job {
    url: String,
    path: PathBuf,
}

/// Producer, queue, workers, and the reports of both to the caller, which gets the sum and the first of them.
async fn download<R: Runtime>(
    rt: &R,
    list: List,
    folder: PathBuf,
    timeout: Duration,
) -> Result<(Summary, Vec<String>), Failure> {
    let queue = Arc::new(Queue::new(QUEUE));
    let (reports, mut reported) = rt.channel(QUEUE);
    let producer = rt.spawn(produce(
        rt.clone(),
        list,
        folder,
        Arc::clone(&queue),
        reports.clone(),
    ));
    let workers: Vec<_> = (0..WORKERS)
        .map(|_| {
            let (rt, queue, reports) = (rt.clone(), Arc::clone(&queue), reports.clone());
            rt.clone().spawn(work(rt, queue, reports, timeout))
        })
        .collect();
    drop(reports);

    let mut summary = Summary::default();
    let mut first_reports = Vec::new();
    while let Some(outcome) = reported.recv().await {
        match outcome {
            Outcome::Saved => summary.saved += 1,
            Outcome::AlreadyThere => summary.already_there += 1,
            Outcome::Bad(report) => {
                summary.bad += 1;
                if first_reports.len() < KEPT_REPORTS {
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

/// Puts what is not there yet into the queue, and closes it after the last.
async fn produce<R: Runtime>(
    rt: R,
    list: List,
    folder: PathBuf,
    queue: Arc<Queue<Job>>,
    reports: impl ChannelSender<Outcome>,
) -> io::Result<()> {
    let mut begun = 0;
    while begun < list.urls {
        let end = list.urls.min(begun + BATCH);
        let folder = folder.clone();
        let look = move || -> io::Result<Vec<Option<Job>>> {
            (begun..end)
                .map(|index| {
                    let path = folder.join(index.to_string());
                    let there = path.try_exists()?;
                    Ok((!there).then(|| Job {
                        url: list.url(index),
                        path,
                    }))
                })
                .collect()
        };
        let jobs = rt.spawn_blocking(look).await.map_err(io::Error::other)??;
        for job in jobs {
            match job {
                // Both can only fail after the other side has failed, which is reported there.
                Some(job) => drop(queue.put(job).await),
                None => drop(reports.send(Outcome::AlreadyThere).await),
            }
        }
        begun = end;
    }
    queue.close();
    Ok(())
}

/// Fetches and saves until the queue is closed and empty.
async fn work<R: Runtime>(
    rt: R,
    queue: Arc<Queue<Job>>,
    reports: impl ChannelSender<Outcome>,
    timeout: Duration,
) {
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
                // What a fetch that failed or was given up left on the connection is not known.
                connection = None;
                Outcome::Bad(format!("{}: {error}", job.url))
            }
        };
        if reports.send(outcome).await.is_err() {
            return;
        }
    }
}

/// Fetches `url` on `connection`, which is opened if it is not there or goes elsewhere.
async fn fetch<R: Runtime>(
    rt: &R,
    connection: &mut Option<(SocketAddr, Connection<R>)>,
    url: &str,
) -> io::Result<Vec<u8>> {
    let url: Uri = url.parse().map_err(invalid)?;
    let authority = url.authority().ok_or_else(|| invalid("no host"))?;
    let server: SocketAddr = authority.as_str().parse().map_err(invalid)?;
    if connection
        .as_ref()
        .is_none_or(|(open_to, _)| *open_to != server)
    {
        *connection = Some((server, Connection::open(rt, server).await?));
    }
    let Some((_, connection)) = connection else {
        return Err(io::ErrorKind::NotConnected.into());
    };
    let target = url.path_and_query().map_or("/", PathAndQuery::as_str);
    match connection.get(target).await? {
        (StatusCode::OK, body) => Ok(body.into()),
        (status, _) => Err(io::Error::other(status.to_string())),
    }
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, error)
}

/// Writes beside and renames.
async fn save<R: Runtime>(rt: &R, path: &Path, body: Vec<u8>) -> io::Result<()> {
    let beside = path.with_added_extension("partial");
    write(rt, beside.clone(), body).await?;
    let path = path.to_owned();
    let rename = rt.spawn_blocking(move || std::fs::rename(beside, path));
    rename.await.map_err(io::Error::other)?
}

/// In the way in which each model treats files: a task with a thread of its own blocks that, the others hand the job to
/// a thread where it harms nobody.
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

/// The list of URLs. It is never in memory: URL `index` is made when it is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct List {
    pub(crate) site: SocketAddr,
    pub(crate) urls: u64,
}

/// What kind of URL is at an index.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Good,
    AlreadyThere,
    NoUrl,
    Refused,
    NotFound,
}

impl List {
    /// One in ten is there already; three in a hundred are bad, in three ways.
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
            // Port 1 (tcpmux) is served nowhere.
            Kind::Refused => format!("http://127.0.0.1:1/{index}"),
            Kind::NotFound => format!("http://{}/missing/{index}", self.site),
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

    /// Looks at every file.
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
