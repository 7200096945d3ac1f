//! `crawl` as green tasks.

use std::marker::PhantomData;

use runtime_core::green::{self, WaitExt as _};
use runtime_core::{ChannelSender as _, Runtime};

use super::fetch::Connection;
use super::style::Style;
use crate::measure::Meter;
use crate::vocabulary::{Failure, Params, Workload};
use crate::workloads::Program;
use crate::workloads::crawl::{Crawl, Page, measured};

pub(super) struct CrawlTwin<S>(PhantomData<S>);

impl<S: Style> Program for CrawlTwin<S> {
    const INFO: Workload = Crawl::INFO;

    async fn run<R: Runtime>(rt: R, params: &Params, meter: &mut Meter) -> Result<(), Failure> {
        let start = |page: Page<R>| {
            S::spawn(move || {
                let fetch = || {
                    let _turn = page.turns.take().wait()?;
                    Connection::open(page.site)?.get(&format!("/{}", page.index), None)
                };
                let fetched = fetch();
                green::wait(page.results.send((page.index, fetched)))
            })
        };
        measured(&rt, params, meter, start).await
    }
}
