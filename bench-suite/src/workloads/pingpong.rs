//! `pingpong`: two tasks send one number back and forth through two channels that hold one item each.
//!
//! Nothing is ever parallel, so this is the latency of a wake-up. With several workers, it shows the cost of giving a
//! woken task to another core while this one becomes idle.
//!
//! With `same_channel=0`, each runtime uses its own idiomatic channel, as its users would. With `same_channel=1`, all
//! of them use `async-channel`, so that only the schedulers differ.
//!
//! One op is one round trip. The check: the answer to `n` is always `n + 1`.

use runtime_core::{ChannelReceiver, ChannelSender, Runtime};

use super::{Program, lost, size};
use crate::foreign::Foreign;
use crate::measure::Meter;
use crate::repetitions::Repetitions;
use crate::vocabulary::{Failure, Group, Mode, Parameter, Params, Workload};

/// Round trips between two tasks.
pub struct PingPong;

impl Program for PingPong {
    const INFO: Workload = Workload {
        name: "pingpong",
        group: Group::Scheduling,
        mode: Mode::Batch,
        about: "two tasks answer each other through two channels: the latency of a wake-up",
        op: "one round trip",
        parameters: &[
            size("round trips", 10_000, 1, 1_000_000_000),
            Parameter {
                name: "same_channel",
                about: "1: async-channel under every runtime instead of the runtime's own",
                default: 0,
                min: 0,
                max: 1,
            },
        ],
        metric: "wall_ns_per_op",
    };

    async fn run<R: Runtime>(rt: R, params: &Params, meter: &mut Meter) -> Result<(), Failure> {
        let round_trips = params.value("size");
        let same_channel = params.value("same_channel") == 1;
        let mut repetitions = Repetitions::new(params.budget_ns);
        while repetitions.next(meter) {
            if same_channel {
                let there = async_channel::bounded(1);
                let back = async_channel::bounded(1);
                let there = (Foreign(there.0), Foreign(there.1));
                let back = (Foreign(back.0), Foreign(back.1));
                rally(&rt, there, back, round_trips).await?;
            } else {
                rally(&rt, rt.channel(1), rt.channel(1), round_trips).await?;
            }
            repetitions.done(meter, round_trips);
        }
        Ok(())
    }
}

/// Both players are tasks; the root only waits for them.
async fn rally<R, S, T>(
    rt: &R,
    there: (S, T),
    back: (S, T),
    round_trips: u64,
) -> Result<(), Failure>
where
    R: Runtime,
    S: ChannelSender<u64>,
    T: ChannelReceiver<u64>,
{
    let (to_pong, mut from_ping) = there;
    let (to_ping, mut from_pong) = back;
    let pong = rt.spawn(async move {
        while let Some(number) = from_ping.recv().await {
            if to_ping.send(number + 1).await.is_err() {
                break;
            }
        }
    });
    let ping = rt.spawn(async move {
        for number in 0..round_trips {
            if to_pong.send(number).await.is_err() {
                return Err(Failure::WrongAnswer(format!(
                    "the channel closed at {number}"
                )));
            }
            let answer = from_pong.recv().await;
            if answer != Some(number + 1) {
                return Err(Failure::WrongAnswer(format!(
                    "the answer to {number} is {answer:?}"
                )));
            }
        }
        Ok(())
    });
    let outcome = ping.await.map_err(lost)?;
    pong.await.map_err(lost)?;
    outcome
}
