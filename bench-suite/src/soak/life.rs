//! One life of a runtime, from its start to its end.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use runtime_core::{JoinError, LaunchConfig, Runtime};

use super::activities;
use super::ledger::Ledger;
use super::world::{Faults, Tally, World};
use crate::launcher::Launcher;

/// Activities that run at the same time.
const AT_ONCE: usize = 8;

/// The settings of a life.
#[derive(Clone)]
pub(super) struct Orders {
    /// The seed of its activities and their order.
    pub(super) seed: u64,
    /// How long new activities are started.
    pub(super) duration: Duration,
    /// Whether it ends when all activities have ended, or in the middle of them.
    pub(super) orderly: bool,
    /// Whether this project's shutdown contract applies.
    pub(super) contract: bool,
    pub(super) ledger: &'static Ledger,
    pub(super) tally: Arc<Tally>,
    pub(super) faults: Arc<Faults>,
}

/// Starts a runtime, keeps it busy and ends it. Returns the runtime's own count of live tasks, if it has one.
///
/// # Errors
/// If the runtime does not start.
pub(super) fn run(
    launcher: &Launcher,
    config: &LaunchConfig,
    orders: Orders,
) -> io::Result<Option<u64>> {
    let lived = orders.clone();
    let rt = launcher.run(config, move |rt| async move {
        live(&rt, lived).await;
        rt
    })?;
    if orders.contract {
        spawn_after_the_end(rt.clone(), &orders);
    }
    Ok(rt.metrics().live_tasks)
}

async fn live<R: Runtime>(rt: &R, orders: Orders) {
    let world = World {
        rt: rt.clone(),
        ledger: orders.ledger,
        tally: orders.tally,
        faults: orders.faults,
        ending: Arc::default(),
        many: match rt.capabilities().workers {
            Some(_) => 1000,
            None => 30,
        },
    };
    let mut random = fastrand::Rng::with_seed(orders.seed);
    let deadline = Instant::now() + orders.duration;
    let mut running = Vec::new();
    while Instant::now() < deadline && !world.ledger.is_full() {
        let activity = activities::run(
            random.usize(..activities::COUNT),
            world.clone(),
            random.fork(),
        );
        running.push(world.spawn(activity));
        if running.len() == AT_ONCE {
            let ended = running.swap_remove(random.usize(..AT_ONCE));
            world.value(ended).await;
        }
        if random.u8(..16) == 0 {
            rt.sleep(Duration::from_micros(random.u64(..2000))).await;
        }
    }
    if orders.orderly {
        for activity in running {
            world.value(activity).await;
        }
    }
    world.ending.store(true, Relaxed);
}

/// Checks that a task spawned on an ended runtime is cancelled at once and does not run.
fn spawn_after_the_end<R: Runtime>(rt: R, orders: &Orders) {
    let token = orders.ledger.token();
    let faults = Arc::clone(&orders.faults);
    let mut handle = rt.spawn(async move {
        let _token = token;
        faults.add("a task ran after its runtime had ended".to_owned());
    });
    let polled = std::pin::Pin::new(&mut handle).poll(&mut Context::from_waker(Waker::noop()));
    if !matches!(polled, Poll::Ready(Err(JoinError::Cancelled))) {
        let what = format!("a task spawned after the end is {polled:?} and not cancelled");
        orders.faults.add(what);
    }
}
