//! `idle`, `idle-timer`, `idle-socket` and `idle-stack` as green tasks: the memory that a suspended stack keeps.
//!
//! Besides the bytes per task, they report the process's mappings, the page tables, and how deep the stacks went. A
//! stack with one touched page still occupies page tables. It occupies an entry in the kernel's list of mappings only
//! if its guard page needs one.

use std::future::poll_fn;
use std::io;
use std::marker::PhantomData;
use std::net::TcpStream;
use std::pin::{Pin, pin};

use futures_lite::AsyncRead as _;
use runtime_core::green::{self, StackDepths, WaitExt as _};
use runtime_core::{JoinHandle, Runtime, TcpListener as _};

use super::memory::{mappings, page_table_bytes};
use super::style::Style;
use crate::measure::Meter;
use crate::vocabulary::{Failure, Params, Workload};
use crate::workloads::idle::{Idle, Parking};
use crate::workloads::waiting::{FOREVER, IdleSocket, IdleStack, IdleTimer, reporting, use_stack};
use crate::workloads::{Program, echo, lost};

pub(super) struct IdleTwin<S>(PhantomData<S>);
pub(super) struct IdleTimerTwin<S>(PhantomData<S>);
pub(super) struct IdleSocketTwin<S>(PhantomData<S>);
pub(super) struct IdleStackTwin<S>(PhantomData<S>);

/// Histogram of stack depths in pages: the figure's name, an exclusive lower bound, and an inclusive upper bound.
pub(crate) const DEPTHS: [(&str, usize, usize); 6] = [
    ("stacks_of_1_page", 0, 1),
    ("stacks_of_2_pages", 1, 2),
    ("stacks_of_3_to_4_pages", 2, 4),
    ("stacks_of_5_to_8_pages", 4, 8),
    ("stacks_of_9_to_16_pages", 8, 16),
    ("deeper_stacks", 16, usize::MAX - 1),
];

/// Waiting green tasks, and the memory that they keep.
struct Stacks {
    parking: Parking<JoinHandle<()>>,
    page_tables_before: Option<u64>,
    tasks: u64,
}

impl Stacks {
    async fn begin<S: Style, R: Runtime>(
        rt: &R,
        params: &Params,
        meter: &mut Meter,
    ) -> Result<Self, Failure> {
        // What a runtime allocates for its first task must not count for the others.
        S::spawn(|| ()).await.map_err(lost)?;
        let tasks = params.value("size");
        Ok(Self {
            page_tables_before: page_table_bytes(),
            parking: Parking::begin(rt, tasks, meter).await?,
            tasks,
        })
    }

    async fn end(mut self, meter: &mut Meter) -> Result<(), Failure> {
        self.parking.wait(meter).await?;
        if let (Some(before), Some(after)) = (self.page_tables_before, page_table_bytes()) {
            let page_tables = after.saturating_sub(before) as f64 / self.tasks as f64;
            meter.extra.insert("page_table_bytes_per_task", page_tables);
        }
        if let Some(mappings) = mappings() {
            meter.extra.insert("mappings", mappings as f64);
        }
        // Before the tasks end, because unwinding a stack uses more of it.
        note_depths(&green::stack_depths(), meter);
        self.parking.cancel().await
    }
}

fn note_depths(depths: &StackDepths, meter: &mut Meter) {
    for (name, above, most) in DEPTHS {
        let stacks = depths.between(above, most);
        meter.extra.insert(name, stacks as f64);
    }
    let deepest = depths.deepest_bytes();
    meter.extra.insert("deepest_stack_bytes", deepest as f64);
}

impl<S: Style> Program for IdleTwin<S> {
    const INFO: Workload = Idle::INFO;

    async fn run<R: Runtime>(rt: R, params: &Params, meter: &mut Meter) -> Result<(), Failure> {
        let mut stacks = Stacks::begin::<S, R>(&rt, params, meter).await?;
        while let Some(start_counter) = stacks.parking.next() {
            stacks.parking.keep(S::spawn(move || {
                start_counter.report();
                drop(start_counter);
                green::wait(std::future::pending::<()>());
            }));
        }
        stacks.end(meter).await
    }
}

impl<S: Style> Program for IdleTimerTwin<S> {
    const INFO: Workload = IdleTimer::INFO;

    async fn run<R: Runtime>(rt: R, params: &Params, meter: &mut Meter) -> Result<(), Failure> {
        let mut stacks = Stacks::begin::<S, R>(&rt, params, meter).await?;
        while let Some(start_counter) = stacks.parking.next() {
            stacks.parking.keep(S::spawn(move || {
                let mut sleep = pin!(runtime_core::sleep(FOREVER));
                reporting(start_counter, |cx| sleep.as_mut().poll(cx)).wait();
            }));
        }
        stacks.end(meter).await
    }
}

impl<S: Style> Program for IdleSocketTwin<S> {
    const INFO: Workload = IdleSocket::INFO;

    async fn run<R: Runtime>(rt: R, params: &Params, meter: &mut Meter) -> Result<(), Failure> {
        let listener = echo::bind(&rt).await?;
        let address = listener.local_addr().map_err(echo::crashed)?;
        let mut clients = Vec::new();
        let mut stacks = Stacks::begin::<S, R>(&rt, params, meter).await?;
        while let Some(start_counter) = stacks.parking.next() {
            // The kernel completes the connection before it is accepted, so this does not block.
            let client = TcpStream::connect(address);
            let refused =
                |what: &'static str| move |error: io::Error| Failure::of_system(what, &error);
            clients.push(client.map_err(refused("a connection"))?);
            let accepted = listener.accept().await;
            let (mut stream, _) = accepted.map_err(refused("an accepted connection"))?;
            stacks.parking.keep(S::spawn(move || {
                let mut byte = [0];
                // Nothing is ever written. After an error the task no longer waits, and the check reports that.
                let read = reporting(start_counter, |cx| {
                    Pin::new(&mut stream).poll_read(cx, &mut byte)
                });
                let _ = read.wait();
            }));
        }
        let outcome = stacks.end(meter).await;
        drop(clients);
        outcome
    }
}

impl<S: Style> Program for IdleStackTwin<S> {
    const INFO: Workload = IdleStack::INFO;

    async fn run<R: Runtime>(rt: R, params: &Params, meter: &mut Meter) -> Result<(), Failure> {
        let mut stacks = Stacks::begin::<S, R>(&rt, params, meter).await?;
        while let Some(start_counter) = stacks.parking.next() {
            stacks.parking.keep(S::spawn(move || {
                use_stack();
                let mut start_counter = Some(start_counter);
                // As in the other twins, the counter is not kept after the report.
                let report = poll_fn(move |_| {
                    start_counter.take().into_iter().for_each(|it| it.report());
                    std::task::Poll::<()>::Pending
                });
                report.wait();
            }));
        }
        stacks.end(meter).await
    }
}
