//! `pingpong` as two green tasks.

use std::marker::PhantomData;

use runtime_core::green::WaitExt as _;
use runtime_core::{ChannelReceiver, ChannelSender, Runtime};

use super::style::Style;
use crate::foreign::Foreign;
use crate::measure::Meter;
use crate::repetitions::Repetitions;
use crate::vocabulary::{Failure, Params, Workload};
use crate::workloads::pingpong::PingPong;
use crate::workloads::{Program, lost};

pub(super) struct PingPongTwin<S>(PhantomData<S>);

impl<S: Style> Program for PingPongTwin<S> {
    const INFO: Workload = PingPong::INFO;

    async fn run<R: Runtime>(rt: R, params: &Params, meter: &mut Meter) -> Result<(), Failure> {
        let round_trips = params.value("size");
        let same_channel = params.value("same_channel") == 1;
        let mut repetitions = Repetitions::new(params.budget_ns);
        while repetitions.next(meter) {
            if same_channel {
                let (there, back) = (async_channel::bounded(1), async_channel::bounded(1));
                let there = (Foreign(there.0), Foreign(there.1));
                let back = (Foreign(back.0), Foreign(back.1));
                rally::<S, _, _>(there, back, round_trips).await?;
            } else {
                rally::<S, _, _>(rt.channel(1), rt.channel(1), round_trips).await?;
            }
            repetitions.done(meter, round_trips);
        }
        Ok(())
    }
}

async fn rally<Y, S, T>(there: (S, T), back: (S, T), round_trips: u64) -> Result<(), Failure>
where
    Y: Style,
    S: ChannelSender<u64>,
    T: ChannelReceiver<u64>,
{
    let (to_pong, mut from_ping) = there;
    let (to_ping, mut from_pong) = back;
    let pong = Y::spawn(move || {
        while let Some(number) = from_ping.recv().wait() {
            if to_ping.send(number + 1).wait().is_err() {
                break;
            }
        }
    });
    let ping = Y::spawn(move || {
        for number in 0..round_trips {
            if to_pong.send(number).wait().is_err() {
                let message = format!("the channel closed at {number}");
                return Err(Failure::WrongAnswer(message));
            }
            let answer = from_pong.recv().wait();
            if answer != Some(number + 1) {
                let message = format!("the answer to {number} is {answer:?}");
                return Err(Failure::WrongAnswer(message));
            }
        }
        Ok(())
    });
    let outcome = ping.await.map_err(lost)?;
    pong.await.map_err(lost)?;
    outcome
}
