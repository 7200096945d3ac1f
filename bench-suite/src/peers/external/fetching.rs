//! The site that a peer fetches from in `crawl` and `download`, and the check of what it fetched.

use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use super::conversation::Done;
use crate::load::companion::{Companion, Role};
use crate::load::site::SiteOptions;
use crate::vocabulary::{Failure, Params};
use crate::workloads::download::List;
use crate::workloads::{crawl, download, scratch};

/// A running site, and what is to be fetched from it.
pub(super) struct Site {
    companion: Companion,
    options: SiteOptions,
    task: Task,
}

enum Task {
    Crawl { pages: u64, at_once: u64 },
    Download(List),
}

impl Site {
    /// The site that the workload needs, if it needs one.
    pub(super) fn start(params: &Params) -> Result<Option<Self>, Failure> {
        let options = match params.workload.as_str() {
            "crawl" => SiteOptions {
                seed: params.seed,
                max_latency: Duration::from_millis(params.value("latency_ms")),
                bytes: crawl::PAGE,
            },
            "download" => download::site_options(params),
            _ => return Ok(None),
        };
        let companion = Companion::start(&Role::Site(options))?;
        let task = match params.workload.as_str() {
            "crawl" => Task::Crawl {
                pages: params.value("size"),
                at_once: params.value("at_once"),
            },
            _ => Task::Download(List {
                site: companion.address(),
                urls: params.value("size"),
            }),
        };
        Ok(Some(Self {
            companion,
            options,
            task,
        }))
    }

    /// The site's address.
    pub(super) fn address(&self) -> String {
        self.companion.address().to_string()
    }

    /// Runs before an order and is not measured. For `download`, creates a folder with the files that already exist.
    pub(super) fn prepare(&self) -> Result<Option<TempDir>, Failure> {
        let Task::Download(list) = &self.task else {
            return Ok(None);
        };
        let folder = scratch::folder(list.bytes()).map_err(download::disk)?;
        list.write_old_files(folder.path())
            .map_err(download::disk)?;
        Ok(Some(folder))
    }

    /// Runs after an order.
    pub(super) fn check(
        &self,
        done: &Done,
        repetitions: u64,
        folder: Option<&Path>,
    ) -> Result<(), Failure> {
        match &self.task {
            Task::Crawl { pages, at_once } => {
                let answer = (0..*pages).map(|page| self.checksum(page)).sum();
                super::answers::check(done, (*pages, answer), repetitions)?;
                match done.most_at_once {
                    Some(most) if most > *at_once => Err(Failure::WrongAnswer(format!(
                        "{most} pages were fetched at once, and at most {at_once} may be"
                    ))),
                    _ => Ok(()),
                }
            }
            Task::Download(list) => {
                let expected = list.expected();
                super::answers::check(done, (list.urls, expected.saved), repetitions)?;
                if let Some(bad) = done.bad
                    && bad != expected.bad
                {
                    return Err(Failure::WrongAnswer(format!(
                        "{bad} bad URLs were reported, but there should be {}",
                        expected.bad
                    )));
                }
                folder.map_or(Ok(()), |folder| list.verify(folder, self.options))
            }
        }
    }

    /// The checksum of a page: the sum of its bytes times its number plus one.
    fn checksum(&self, page: u64) -> u64 {
        let bytes = self.options.body(page);
        bytes.into_iter().map(u64::from).sum::<u64>() * (page + 1)
    }
}
