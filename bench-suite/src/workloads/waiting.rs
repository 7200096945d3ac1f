//! `idle-timer`, `idle-socket`, `idle-stack`: the memory of a task that waits for something, or that has used its
//! stack.
//!
//! Like `idle`, which describes the measurement, but each task
//!
//! - sleeps for an hour; or
//! - holds an accepted connection and waits for its first byte. The other end is in the same process, so the kernel's
//!   part includes both ends; or
//! - has used a kilobyte of stack before it waits. A task that is a future has given the memory back; a task with its
//!   own stack keeps the pages.

use std::future::poll_fn;
use std::hint::black_box;
use std::net::TcpStream;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_lite::AsyncReadExt as _;
use runtime_core::{Runtime, TcpListener as _};

use super::idle::{Parking, StartCounter};
use super::{Program, echo, size};
use crate::measure::Meter;
use crate::vocabulary::{Failure, Group, Mode, Parameter, Params, Workload};

/// Longer than any run.
pub(crate) const FOREVER: Duration = Duration::from_secs(3600);

const fn info(
    name: &'static str,
    about: &'static str,
    op: &'static str,
    parameters: &'static [Parameter],
) -> Workload {
    Workload {
        name,
        group: Group::Scheduling,
        mode: Mode::Batch,
        about,
        op,
        parameters,
        metric: "bytes_per_task",
    }
}

const TASKS: &[Parameter] = &[size("tasks", 10_000, 1, 100_000_000)];
/// Each task takes two descriptors and a port.
const SOCKETS: &[Parameter] = &[size("tasks", 1_000, 1, 25_000)];

/// Tasks that sleep.
pub struct IdleTimer;

impl Program for IdleTimer {
    const INFO: Workload = info(
        "idle-timer",
        "tasks that sleep for an hour: the memory that each keeps",
        "one task spawned and asleep",
        TASKS,
    );

    async fn run<R: Runtime>(rt: R, params: &Params, meter: &mut Meter) -> Result<(), Failure> {
        let mut parking = Parking::begin(&rt, params.value("size"), meter).await?;
        while let Some(start_counter) = parking.next() {
            let sleep = rt.sleep(FOREVER);
            parking.spawn(&rt, async move {
                let mut sleep = pin!(sleep);
                reporting(start_counter, |cx| sleep.as_mut().poll(cx)).await;
            });
        }
        parking.end(meter).await
    }
}

/// Polls the future, and reports after the first poll. By then the wait has been set up.
pub(crate) async fn reporting<T>(
    start_counter: Arc<StartCounter>,
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> T {
    let mut start_counter = Some(start_counter);
    poll_fn(move |cx| {
        let polled = poll(cx);
        if let Some(start_counter) = start_counter.take() {
            start_counter.report();
        }
        polled
    })
    .await
}

/// Tasks that wait for a byte.
pub struct IdleSocket;

impl Program for IdleSocket {
    const INFO: Workload = info(
        "idle-socket",
        "tasks that wait for a connection's first byte: the memory that each keeps",
        "one task spawned and waiting",
        SOCKETS,
    );

    async fn run<R: Runtime>(rt: R, params: &Params, meter: &mut Meter) -> Result<(), Failure> {
        let listener = echo::bind(&rt).await?;
        let address = listener.local_addr().map_err(echo::crashed)?;
        let tasks = params.value("size");
        let mut clients: Vec<TcpStream> =
            Vec::with_capacity(usize::try_from(tasks).unwrap_or(usize::MAX));
        let mut parking = Parking::begin(&rt, tasks, meter).await?;
        while let Some(start_counter) = parking.next() {
            // The kernel completes the connection before it is accepted, so this does not block.
            let client = TcpStream::connect(address);
            clients.push(client.map_err(|error| Failure::of_system("a connection", &error))?);
            let accepted = listener.accept().await;
            let (mut stream, _) =
                accepted.map_err(|error| Failure::of_system("an accepted connection", &error))?;
            parking.spawn(&rt, async move {
                let mut byte = [0];
                let mut read = stream.read(&mut byte);
                // Nothing is ever written. After an error the task no longer waits, and the check reports that.
                let _ = reporting(start_counter, |cx| Pin::new(&mut read).poll(cx)).await;
            });
        }
        let outcome = parking.end(meter).await;
        drop(clients);
        outcome
    }
}

/// Tasks that have used their stack.
pub struct IdleStack;

impl Program for IdleStack {
    const INFO: Workload = info(
        "idle-stack",
        "tasks that have used a kilobyte of stack and wait: the memory that each keeps",
        "one task spawned and parked",
        TASKS,
    );

    async fn run<R: Runtime>(rt: R, params: &Params, meter: &mut Meter) -> Result<(), Failure> {
        let mut parking = Parking::begin(&rt, params.value("size"), meter).await?;
        while let Some(start_counter) = parking.next() {
            parking.spawn(&rt, async move {
                use_stack();
                start_counter.report();
                drop(start_counter);
                std::future::pending::<()>().await;
            });
        }
        parking.end(meter).await
    }
}

/// Writes to a kilobyte of stack.
#[inline(never)]
pub(crate) fn use_stack() {
    let mut kilobyte = [0_u8; 1024];
    black_box(&mut kilobyte).fill(1);
    black_box(&kilobyte);
}
