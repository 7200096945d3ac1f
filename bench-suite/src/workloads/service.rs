//! `service`: a server whose requests wait, compute, block and are answered, in a mix that you choose.
//!
//! A connection is a task. A request first waits (`wait_us`, as for another service, without holding anything up), then
//! computes (`cpu_us`), and a share of the requests (`block_percent`) blocks (`block_us`, like a library that is not
//! async). The task computes in place, as in typical programs. Blocking work goes to the runtime's threads for it,
//! unless each task has its own thread; in that case the task blocks in place.
//!
//! One op is one request. The answer is the request's number after as many steps of a linear map as fit into `cpu_us`
//! on this machine. The client computes the result in another way and checks it.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use futures_lite::{AsyncReadExt as _, AsyncWriteExt as _};
use runtime_core::{Runtime, TaskHandle as _, TcpListener as _};

use super::refusals::Refusals;
use super::{Program, client, echo, random};
use crate::load::Protocol;
use crate::load::affine::{Affine, walk};
use crate::measure::Meter;
use crate::vocabulary::{Failure, Group, Mode, Parameter, Params, Workload};

/// The bytes of a request and of its answer: a number and padding.
const BYTES: usize = 64;

/// A server with a chosen mix.
pub struct Service;

const fn microseconds(name: &'static str, about: &'static str, default: u64) -> Parameter {
    Parameter {
        name,
        about,
        default,
        min: 0,
        max: 10_000_000,
    }
}

impl Program for Service {
    const INFO: Workload = Workload {
        name: "service",
        group: Group::Io,
        mode: Mode::Closed,
        about: "a server whose requests wait, compute and block in a chosen mix: for `lab advise`",
        op: "one request answered",
        parameters: &[
            client::CONNECTIONS,
            client::rate(0),
            microseconds(
                "wait_us",
                "how long a request waits without holding up others, in microseconds",
                500,
            ),
            microseconds(
                "cpu_us",
                "how long a request computes, in microseconds of CPU time",
                50,
            ),
            Parameter {
                name: "block_percent",
                about: "the number of requests in a hundred that block",
                default: 0,
                min: 0,
                max: 100,
            },
            microseconds(
                "block_us",
                "how long a blocking request blocks, in microseconds",
                1_000,
            ),
        ],
        metric: "cpu_ns_per_op",
    };

    async fn run<R: Runtime>(rt: R, params: &Params, meter: &mut Meter) -> Result<(), Failure> {
        let micros = |name| Duration::from_micros(params.value(name));
        let steps = (params.value("cpu_us") as f64 * steps_per_us()).round() as u64;
        let mix = Arc::new(Mix {
            wait: micros("wait_us"),
            steps,
            block: micros("block_us"),
            block_percent: params.value("block_percent"),
            // If the kernel schedules, a task that blocks holds up no other.
            in_place: rt.capabilities().preemptive,
        });
        let listener = echo::bind(&rt).await?;
        let server = listener.local_addr().map_err(echo::crashed)?;
        let refusals = Refusals::default();
        let (own, noted) = (rt.clone(), refusals.clone());
        let accepting = rt.spawn(async move {
            let converse = |stream| converse(own.clone(), stream, Arc::clone(&mix));
            echo::accept_with(&own, &listener, Some(&noted), converse).await
        });
        let duration = Duration::from_nanos(params.budget_ns);
        let mut options = client::options(Protocol::Echo, server, params, duration);
        options.bytes = BYTES;
        options.answer = Some(Affine::of_steps(steps));
        let measured = client::measure(&rt, options, meter).await;
        accepting.abort();
        refusals.explain(measured)
    }
}

/// The work of a request.
struct Mix {
    wait: Duration,
    steps: u64,
    block: Duration,
    block_percent: u64,
    in_place: bool,
}

impl Mix {
    /// Whether the request with this number blocks: the same requests for every runtime, without a pattern.
    fn blocks(&self, number: u64) -> bool {
        !self.block.is_zero() && random::at(0, number) % 100 < self.block_percent
    }
}

async fn converse<R: Runtime>(rt: R, mut stream: R::TcpStream, mix: Arc<Mix>) {
    // A client that resets its connection is not a failure of the server.
    let _ = answers(&rt, &mut stream, &mix).await;
}

async fn answers<R: Runtime>(rt: &R, stream: &mut R::TcpStream, mix: &Mix) -> io::Result<()> {
    let mut message = [0; BYTES];
    loop {
        match stream.read_exact(&mut message).await {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return stream.close().await;
            }
            Err(error) => return Err(error),
        }
        let number = u64::from_le_bytes(message[..8].try_into().map_err(io::Error::other)?);
        if !mix.wait.is_zero() {
            rt.sleep(mix.wait).await;
        }
        let answer = walk(number, mix.steps);
        if mix.blocks(number) {
            let block = mix.block;
            if mix.in_place {
                thread::sleep(block);
            } else {
                let blocked = rt.spawn_blocking(move || thread::sleep(block)).await;
                blocked.map_err(io::Error::other)?;
            }
        }
        message[..8].copy_from_slice(&answer.to_le_bytes());
        stream.write_all(&message).await?;
    }
}

/// The number of steps per microsecond on this machine: the best of many short attempts, so that other load does not
/// matter.
fn steps_per_us() -> f64 {
    const STEPS: u64 = 20_000;
    const TRIES: usize = 30;
    let shortest = (0..TRIES)
        .map(|number| {
            let begun = Instant::now();
            std::hint::black_box(walk(number as u64, STEPS));
            begun.elapsed()
        })
        .min();
    STEPS as f64 / (shortest.unwrap_or_default().as_nanos().max(1) as f64 / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_that_blocks_is_the_one_that_was_asked_for() {
        let mix = |block_percent, block_us| Mix {
            wait: Duration::ZERO,
            steps: 0,
            block: Duration::from_micros(block_us),
            block_percent,
            in_place: false,
        };
        let count = |mix: Mix| (1..=10_000).filter(|&number| mix.blocks(number)).count();
        assert!((900..1100).contains(&count(mix(10, 1000))));
        assert_eq!((count(mix(0, 1000)), count(mix(100, 1000))), (0, 10_000));
        assert_eq!(count(mix(100, 0)), 0, "no time is no blocking");
    }
}
