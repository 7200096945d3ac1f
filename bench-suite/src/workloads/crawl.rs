//! `crawl`: fetches many pages, 50 at once, and uses each as soon as it arrives.
//!
//! Every page has a seeded latency, like a remote server. One task per page waits for its turn, connects, sends its
//! request and waits. A semaphore limits how many do so at once, because neither side could handle all. The root
//! receives the results through a channel, in the order in which they complete. The workload stresses many connections
//! in a short time, many waiting tasks, a queue of waiters, and hyper's client. The site runs in its own process and is
//! the same for all runtimes. So is the semaphore, which needs no runtime.
//!
//! One op is one page. The figure is CPU time per page, because most of the wall time is the site's latency. The check:
//! each page arrives once with the correct body, and no more pages were fetched at once than allowed.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use hyper::StatusCode;
use runtime_core::sync::{Permit, Semaphore};
use runtime_core::{ChannelReceiver as _, ChannelSender as _, JoinError, Runtime};

use super::fetch::Connection;
use super::{Program, check, lost, size};
use crate::load::companion::{Companion, Role};
use crate::load::site::SiteOptions;
use crate::measure::Meter;
use crate::repetitions::Repetitions;
use crate::vocabulary::{Failure, Group, Mode, Parameter, Params, Workload};

/// The bytes of a page.
pub(crate) const PAGE: usize = 1024;

/// The capacity of the channel to the root.
const RESULTS: usize = 64;

/// Many pages, fetched a limited number at a time.
pub struct Crawl;

impl Program for Crawl {
    const INFO: Workload = Workload {
        name: "crawl",
        group: Group::Io,
        mode: Mode::Batch,
        about: "fetches many pages, 50 at once by a semaphore, each with its own latency: connections, waiting tasks",
        op: "one page",
        parameters: &[
            size("pages, a task for each", 500, 1, 9_000),
            Parameter {
                name: "latency_ms",
                about: "the maximum time that the site takes for a page, in milliseconds",
                default: 20,
                min: 0,
                max: 10_000,
            },
            Parameter {
                name: "at_once",
                about: "pages that are fetched at the same time; the number of pages means all of them",
                default: 50,
                min: 1,
                max: 9_000,
            },
        ],
        metric: "cpu_ns_per_op",
    };

    async fn run<R: Runtime>(rt: R, params: &Params, meter: &mut Meter) -> Result<(), Failure> {
        let start = |page: Page<R>| {
            let rt = page.rt.clone();
            rt.spawn(async move {
                let fetched = async {
                    let _turn = page.turns.take().await?;
                    fetch(&page.rt, page.site, page.index).await
                };
                page.results.clone().send((page.index, fetched.await)).await
            })
        };
        measured(&rt, params, meter, start).await
    }
}

/// Runs the workload. `start` starts the task for each page.
pub(crate) async fn measured<R, H>(
    rt: &R,
    params: &Params,
    meter: &mut Meter,
    start: impl Fn(Page<R>) -> H + Send + Sync,
) -> Result<(), Failure>
where
    R: Runtime,
    H: Future<Output = Result<Sent, JoinError>> + Send,
{
    let (pages, at_once) = (params.value("size"), params.value("at_once") as usize);
    let options = SiteOptions {
        seed: params.seed,
        max_latency: Duration::from_millis(params.value("latency_ms")),
        bytes: PAGE,
    };
    let companion = move || Companion::start(&Role::Site(options));
    let site = rt.spawn_blocking(companion).await.map_err(lost)??;
    if site.shares_process() {
        meter.flags.push("site_in_process");
    }
    let mut repetitions = Repetitions::new(params.budget_ns);
    let mut crawled = Ok(());
    while crawled.is_ok() && repetitions.next(meter) {
        crawled = crawl(rt, site.address(), options, pages, at_once, &start).await;
        repetitions.done(meter, pages);
    }
    // Dropping it blocks until the site has ended.
    rt.spawn_blocking(move || drop(site)).await.map_err(lost)?;
    crawled
}

/// A page's number, and the result.
type Fetched = (u64, io::Result<(StatusCode, Bytes)>);

/// The result of sending it. The root is gone only if another page failed.
pub(crate) type Sent = Result<(), Fetched>;

/// The context of the task for one page.
pub(crate) struct Page<R: Runtime> {
    pub(crate) rt: R,
    pub(crate) site: SocketAddr,
    pub(crate) index: u64,
    pub(crate) turns: Arc<Turns>,
    pub(crate) results: R::Sender<Fetched>,
}

async fn crawl<R, H>(
    rt: &R,
    site: SocketAddr,
    options: SiteOptions,
    pages: u64,
    at_once: usize,
    start: impl Fn(Page<R>) -> H,
) -> Result<(), Failure>
where
    R: Runtime,
    H: Future<Output = Result<Sent, JoinError>>,
{
    let (results, mut completed) = rt.channel(RESULTS);
    let turns = Arc::new(Turns {
        semaphore: Semaphore::new(at_once),
        now: AtomicUsize::new(0),
        most: AtomicUsize::new(0),
    });
    let tasks: Vec<_> = (0..pages)
        .map(|index| {
            start(Page {
                rt: rt.clone(),
                site,
                index,
                turns: Arc::clone(&turns),
                results: results.clone(),
            })
        })
        .collect();
    drop(results);

    let mut seen = vec![false; pages as usize];
    while let Some((index, page)) = completed.recv().await {
        let (status, body) =
            page.map_err(|error| Failure::Crashed(format!("page {index}: {error}")))?;
        check("the status", status, StatusCode::OK)?;
        if body != options.body(index) {
            return Err(Failure::WrongAnswer(format!(
                "page {index} has the wrong body"
            )));
        }
        if std::mem::replace(&mut seen[index as usize], true) {
            return Err(Failure::WrongAnswer(format!("page {index} came twice")));
        }
    }
    for task in tasks {
        // All results have arrived by now.
        let _ = task.await.map_err(lost)?;
    }
    let most = turns.most.load(Ordering::Relaxed);
    if most > at_once {
        return Err(Failure::WrongAnswer(format!(
            "{most} pages were fetched at once, and at most {at_once} may be"
        )));
    }
    let complete = seen.iter().filter(|&&seen| seen).count() as u64;
    check("the number of pages", complete, pages)
}

/// Limits how many tasks fetch at once.
pub(crate) struct Turns {
    semaphore: Semaphore,
    /// How many are fetching now.
    now: AtomicUsize,
    most: AtomicUsize,
}

/// The right to fetch.
pub(crate) struct Turn<'a> {
    turns: &'a Turns,
    _permit: Permit<'a>,
}

impl Turns {
    /// Waits for a turn, which lasts until the value is dropped.
    pub(crate) async fn take(&self) -> io::Result<Turn<'_>> {
        let permit = self.semaphore.acquire().await.map_err(io::Error::other)?;
        let now = self.now.fetch_add(1, Ordering::Relaxed) + 1;
        self.most.fetch_max(now, Ordering::Relaxed);
        Ok(Turn {
            turns: self,
            _permit: permit,
        })
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.turns.now.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn fetch<R: Runtime>(
    rt: &R,
    site: SocketAddr,
    index: u64,
) -> io::Result<(StatusCode, Bytes)> {
    let mut connection = Connection::open(rt, site).await?;
    connection.get(&format!("/{index}")).await
}
