//! `crawl`: fetch many pages, 50 at once, and use each as soon as it is there.
//!
//! Every page has a seeded latency, like servers far away: a task for each page waits for its turn, connects, sends
//! its request and waits. A semaphore bounds how many of them do so at once, as neither side could bear all. The root
//! gets the results through a channel in the order in which they complete. It stresses many connections in a short
//! time, many waiting tasks, a line of waiters, and hyper's client. The site runs in a process of its own, the same
//! one for all runtimes. So is the semaphore the same for all: it needs no runtime.
//!
//! One op is one page; the figure is CPU time for each, as most of the wall-clock time is the site's latency. The
//! check: every page comes once, with the body that it must have, and no more were fetched at once than may be.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use hyper::StatusCode;
use runtime_core::sync::Semaphore;
use runtime_core::{ChannelReceiver as _, ChannelSender as _, Runtime};

use super::fetch::Connection;
use super::{Program, check, lost, size};
use crate::load::companion::{Companion, Role};
use crate::load::site::SiteOptions;
use crate::measure::Meter;
use crate::repetitions::Repetitions;
use crate::vocabulary::{Failure, Group, Mode, Parameter, Params, Workload};

/// Bytes of a page.
pub(crate) const PAGE: usize = 1024;

/// Results that may wait for the root.
const RESULTS: usize = 64;

/// Many pages, some of them at once.
pub struct Crawl;

impl Program for Crawl {
    const INFO: Workload = Workload {
        name: "crawl",
        group: Group::Io,
        mode: Mode::Batch,
        about: "fetches many pages, 50 at once by a semaphore, each with a latency of its own: connections, waiting tasks",
        op: "one page",
        parameters: &[
            size("pages, a task for each", 500, 1, 9_000),
            Parameter {
                name: "latency_ms",
                about: "a page takes the site from 0 to this, in milliseconds",
                default: 20,
                min: 0,
                max: 10_000,
            },
            Parameter {
                name: "at_once",
                about: "pages that are fetched at the same time; as many as there are pages: all of them",
                default: 50,
                min: 1,
                max: 9_000,
            },
        ],
        metric: "cpu_ns_per_op",
    };

    async fn run<R: Runtime>(rt: R, params: &Params, meter: &mut Meter) -> Result<(), Failure> {
        let (pages, at_once) = (params.value("size"), params.value("at_once") as usize);
        let options = SiteOptions {
            seed: params.seed,
            max_latency: Duration::from_millis(params.value("latency_ms")),
            bytes: PAGE,
        };
        let start = move || Companion::start(&Role::Site(options));
        let site = rt.spawn_blocking(start).await.map_err(lost)??;
        if site.shares_process() {
            meter.flags.push("site_in_process");
        }
        let mut repetitions = Repetitions::new(params.budget_ns);
        let mut crawled = Ok(());
        while crawled.is_ok() && repetitions.next(meter) {
            crawled = crawl(&rt, site.address(), options, pages, at_once).await;
            repetitions.done(meter, pages);
        }
        // It blocks until the site has ended.
        rt.spawn_blocking(move || drop(site)).await.map_err(lost)?;
        crawled
    }
}

async fn crawl<R: Runtime>(
    rt: &R,
    site: SocketAddr,
    options: SiteOptions,
    pages: u64,
    at_once: usize,
) -> Result<(), Failure> {
    let (results, mut completed) = rt.channel(RESULTS);
    let turns = Arc::new(Turns {
        semaphore: Semaphore::new(at_once),
        now: AtomicUsize::new(0),
        most: AtomicUsize::new(0),
    });
    let tasks: Vec<_> = (0..pages)
        .map(|index| {
            let (rt, results, turns) = (rt.clone(), results.clone(), Arc::clone(&turns));
            rt.clone().spawn(async move {
                let page = turns.take(fetch(&rt, site, index)).await;
                // The root is gone only if another page failed.
                let _ = results.send((index, page)).await;
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
                "page {index} has another body"
            )));
        }
        if std::mem::replace(&mut seen[index as usize], true) {
            return Err(Failure::WrongAnswer(format!("page {index} came twice")));
        }
    }
    for task in tasks {
        task.await.map_err(lost)?;
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

/// So many fetch, and the others wait.
struct Turns {
    semaphore: Semaphore,
    /// Those that fetch, and the most that ever did.
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Turns {
    async fn take<T>(&self, fetch: impl Future<Output = io::Result<T>>) -> io::Result<T> {
        let _permit = self.semaphore.acquire().await.map_err(io::Error::other)?;
        let now = self.now.fetch_add(1, Ordering::Relaxed) + 1;
        self.most.fetch_max(now, Ordering::Relaxed);
        let page = fetch.await;
        self.now.fetch_sub(1, Ordering::Relaxed);
        page
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
