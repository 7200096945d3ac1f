//! `mixed`: the echo server beside CPU-bound tasks.
//!
//! Each of them computes 100 ms without a pause, sleeps 10 ms, and again. A cooperative scheduler can't take a worker
//! from such a task. The workload shows what that does to everybody else's latency, and what a monitor, replacement
//! workers or the kernel's preemption are worth. In the closed loop few requests are stuck at any time, and the many fast
//! ones hide them. The open loop, 200 requests a second by default, counts every request from when it was due.
//!
//! One op is one request; the figure is the 99th percentile of the latency. The client checks that every byte comes
//! back. `hog_cores` is what was left to the CPU-bound tasks: a scheduler can always be fast by not letting them run.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use runtime_core::{Runtime, TaskHandle as _, TcpListener as _};

use super::refusals::Refusals;
use super::{Program, client, echo, lost};
use crate::load::Protocol;
use crate::measure::Meter;
use crate::vocabulary::{Failure, Group, Mode, Parameter, Params, Workload};

/// How long a CPU-bound task computes without a pause.
const COMPUTE: Duration = Duration::from_millis(100);

/// How long it then sleeps.
const SLEEP: Duration = Duration::from_millis(10);

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
                about: "tasks that compute 100 ms without a pause, sleep 10 ms, and again",
                default: 4,
                min: 0,
                max: 1_000,
            },
            Parameter {
                name: "duration_ms",
                about: "how long load is put on, in milliseconds",
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
        let computed_ns = Arc::new(AtomicU64::new(0));
        let mut cpu_bound = Vec::new();
        for _ in 0..params.value("hogs") {
            let task = rt.spawn(cpu_bound_task(rt.clone(), Arc::clone(&computed_ns)));
            // One that was given no thread: without its neighbours, a server is fast for no merit of its own.
            if task.is_finished() {
                task.await.map_err(lost)?;
            } else {
                cpu_bound.push(task);
            }
        }
        let begun = Instant::now();
        let duration = Duration::from_millis(params.value("duration_ms"));
        let options = client::options(Protocol::Echo, server, params, duration);
        let measured = client::measure(&rt, options, meter).await;
        let hog_cores =
            computed_ns.load(Ordering::Relaxed) as f64 / begun.elapsed().as_nanos() as f64;
        meter.extra.insert("hog_cores", hog_cores);
        accepting.abort();
        for task in cpu_bound {
            task.abort();
        }
        refusals.explain(measured)
    }
}

/// Computes and sleeps until it is aborted; adds the CPU time that it got to `computed_ns`.
pub async fn cpu_bound_task<R: Runtime>(rt: R, computed_ns: Arc<AtomicU64>) {
    loop {
        let cpu = compute(COMPUTE);
        // Relaxed: a statistic.
        computed_ns.fetch_add(cpu.as_nanos() as u64, Ordering::Relaxed);
        rt.sleep(SLEEP).await;
    }
}

/// The former name of [`cpu_bound_task`].
#[deprecated(note = "it is called `cpu_bound_task`")]
pub async fn hog<R: Runtime>(rt: R, computed_ns: Arc<AtomicU64>) {
    cpu_bound_task(rt, computed_ns).await
}

/// Keeps the processor busy for `duration` on the clock on the wall; returns the CPU time that this thread really got.
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
