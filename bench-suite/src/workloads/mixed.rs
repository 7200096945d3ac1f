//! `mixed`: the echo server beside CPU-bound tasks.
//!
//! Each CPU-bound task repeatedly computes for 100 ms without a pause and sleeps for 10 ms. A cooperative scheduler
//! can't take a worker from such a task. The workload shows how this affects everyone else's latency, and what a
//! monitor, replacement workers or the kernel's preemption are worth. In the closed loop few requests are stuck at any
//! time, and the many fast ones hide them. The open loop, by default at 200 requests per second, measures every request
//! from when it was due.
//!
//! One op is one request. The figure is the 99th percentile of latency. The client checks that every byte comes back.
//! `hog_cores` is the CPU time that the CPU-bound tasks got: a scheduler can always be fast by not running them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use runtime_core::{Runtime, TaskHandle, TcpListener as _};

use super::refusals::Refusals;
use super::{Program, client, echo, lost};
use crate::load::Protocol;
use crate::measure::Meter;
use crate::vocabulary::{Failure, Group, Mode, Parameter, Params, Workload};

/// How long a CPU-bound task computes without a pause.
const COMPUTE: Duration = Duration::from_millis(100);

/// How long it then sleeps.
pub(crate) const SLEEP: Duration = Duration::from_millis(10);

/// An echo server beside CPU-bound tasks.
pub struct Mixed;

impl Program for Mixed {
    const INFO: Workload = Workload {
        name: "mixed",
        group: Group::Io,
        mode: Mode::Open,
        about: "an echo server beside CPU-bound tasks: latency under bad neighbours",
        op: "one request there and back",
        parameters: &[
            client::CONNECTIONS,
            client::BYTES,
            client::rate(200),
            Parameter {
                name: "hogs",
                about: "tasks that repeatedly compute for 100 ms without a pause and sleep for 10 ms",
                default: 4,
                min: 0,
                max: 1_000,
            },
            Parameter {
                name: "duration_ms",
                about: "how long the load lasts, in milliseconds",
                default: 3_000,
                min: 100,
                max: 600_000,
            },
        ],
        metric: "latency_p99_ns",
    };

    async fn run<R: Runtime>(rt: R, params: &Params, meter: &mut Meter) -> Result<(), Failure> {
        let listener = echo::bind(&rt).await?;
        let server = listener.local_addr().map_err(echo::crashed)?;
        let refusals = Refusals::default();
        let accepting = rt.spawn(echo::serve_noting(rt.clone(), listener, refusals.clone()));
        let start = |computed_ns| rt.spawn(cpu_bound_task(rt.clone(), computed_ns));
        let measured = beside(&rt, server, params, meter, start).await;
        accepting.abort();
        refusals.explain(measured)
    }
}

/// Measures the server beside CPU-bound tasks. `start` starts a task; they are aborted at the end.
pub(crate) async fn beside<R: Runtime, H: TaskHandle<()>>(
    rt: &R,
    server: SocketAddr,
    params: &Params,
    meter: &mut Meter,
    start: impl Fn(Arc<AtomicU64>) -> H,
) -> Result<(), Failure> {
    let computed_ns = Arc::new(AtomicU64::new(0));
    let mut cpu_bound = Vec::new();
    for _ in 0..params.value("hogs") {
        let task = start(Arc::clone(&computed_ns));
        // A task that got no thread is already finished. Without its neighbours, a server would be fast for the wrong
        // reason.
        if task.is_finished() {
            task.await.map_err(lost)?;
        } else {
            cpu_bound.push(task);
        }
    }
    let begun = Instant::now();
    let duration = Duration::from_millis(params.value("duration_ms"));
    let options = client::options(Protocol::Echo, server, params, duration);
    let measured = client::measure(rt, options, meter).await;
    let hog_cores = computed_ns.load(Ordering::Relaxed) as f64 / begun.elapsed().as_nanos() as f64;
    meter.extra.insert("hog_cores", hog_cores);
    for task in cpu_bound {
        task.abort();
    }
    measured
}

/// Computes and sleeps until it is aborted. Adds its CPU time to `computed_ns`.
pub async fn cpu_bound_task<R: Runtime>(rt: R, computed_ns: Arc<AtomicU64>) {
    loop {
        compute_and_count(&computed_ns);
        rt.sleep(SLEEP).await;
    }
}

/// Computes once without a pause, and adds its CPU time.
pub(crate) fn compute_and_count(computed_ns: &AtomicU64) {
    let cpu = compute(COMPUTE);
    // Relaxed is enough for a statistic.
    computed_ns.fetch_add(cpu.as_nanos() as u64, Ordering::Relaxed);
}

/// The former name of [`cpu_bound_task`].
#[deprecated(note = "it is called `cpu_bound_task`")]
pub async fn hog<R: Runtime>(rt: R, computed_ns: Arc<AtomicU64>) {
    cpu_bound_task(rt, computed_ns).await
}

/// Keeps the processor busy for `duration` of wall time. Returns the CPU time that this thread actually got.
fn compute(duration: Duration) -> Duration {
    let cpu = thread_cpu_time();
    let begun = Instant::now();
    let mut state = 0_u64;
    while begun.elapsed() < duration {
        for _ in 0..1000 {
            state = std::hint::black_box(state.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1));
        }
    }
    thread_cpu_time().saturating_sub(cpu)
}

fn thread_cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
