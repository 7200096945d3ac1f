//! The activities of a life: small programs that know their answers, and that may be dropped at any point.

use std::future::pending;
use std::panic::resume_unwind;
use std::time::{Duration, Instant};

use futures_lite::{AsyncReadExt as _, AsyncWriteExt as _};
use runtime_core::{
    ChannelReceiver as _, ChannelSender as _, JoinError, Runtime, TcpListener as _,
};

use super::ledger::Token;
use super::world::{Tally, World};
use crate::workloads::client::loopback;

/// The number of activities.
pub(super) const COUNT: usize = 11;

/// Runs activity `number`, with choices from `random`.
pub(super) async fn run<R: Runtime>(number: usize, world: World<R>, mut random: fastrand::Rng) {
    match number {
        0 => burst(world, random).await,
        1 => aborts(world, random).await,
        2 => panics(world, random).await,
        3 => panicking_destructors(world, random).await,
        4 => timers(world, random).await,
        5 => connections(world, random).await,
        6 => blocking_jobs(world, random).await,
        7 => channels(world, random).await,
        8 => detached(world, random),
        9 => {
            let levels = random.u64(3..=8);
            let leaves = tree(world.clone(), levels).await;
            world.expect("leaves of a tree", leaves, 1 << levels);
        }
        _ => spawning_destructors(world, random).await,
    }
}

/// Tasks that are all joined.
async fn burst<R: Runtime>(world: World<R>, mut random: fastrand::Rng) {
    let tasks = random.u64(1..=world.many);
    let spawned: Vec<_> = (0..tasks)
        .map(|number| {
            let (rt, yields) = (world.rt.clone(), random.u8(..4));
            world.spawn(async move {
                for _ in 0..yields {
                    rt.yield_now().await;
                }
                number
            })
        })
        .collect();
    let mut sum = 0;
    for task in spawned {
        sum += world.value(task).await.unwrap_or(0);
    }
    world.expect("the sum of a burst", sum, tasks * (tasks - 1) / 2);
}

/// Endless tasks, aborted in every state: not yet polled, in a queue, in a timer, in a channel, being polled.
async fn aborts<R: Runtime>(world: World<R>, mut random: fastrand::Rng) {
    let tasks = random.u64(1..=world.many / 4 + 1);
    let (sender, receiver) = world.rt.channel::<u64>(1);
    let mut receiver = Some(receiver);
    let mut spawned = Vec::new();
    for _ in 0..tasks {
        let (rt, kind) = (world.rt.clone(), random.u8(..4));
        let (mut receiver, sender) = match kind {
            3 => (receiver.take(), None),
            _ => (None, Some(sender.clone())),
        };
        spawned.push(world.spawn(async move {
            match (kind, &mut receiver, sender) {
                (0, ..) => pending().await,
                (1, ..) => rt.sleep(Duration::from_secs(3600)).await,
                (3, Some(receiver), _) => drop(receiver.recv().await),
                (2, _, Some(sender)) => {
                    // Full after the first message, and closed if the other end was dropped.
                    while sender.send(1).await.is_ok() {}
                }
                _ => {}
            }
            loop {
                rt.yield_now().await;
            }
        }));
        if random.u8(..8) == 0 {
            world.rt.yield_now().await;
        }
    }
    random.shuffle(&mut spawned);
    for task in &spawned {
        world.abort(task);
    }
    for task in spawned {
        match world.join(task).await {
            Err(JoinError::Cancelled) => {}
            other => world.fault(format!("an aborted task that can't end gave {other:?}")),
        }
    }
    drop((sender, receiver));
}

/// The payload of an intended panic. It is raised without calling the panic hook, which would print.
struct Planned(u64);

async fn panics<R: Runtime>(world: World<R>, mut random: fastrand::Rng) {
    for number in 0..random.u64(1..20) {
        let (rt, yields) = (world.rt.clone(), random.u8(..3));
        let task = world.spawn(async move {
            for _ in 0..yields {
                rt.yield_now().await;
            }
            resume_unwind(Box::new(Planned(number)));
        });
        Tally::count(&world.tally.panicked);
        let outcome: Result<(), JoinError> = world.join(task).await;
        world.expect("a panic's payload", payload(outcome), Some(number));
    }
}

fn payload(outcome: Result<(), JoinError>) -> Option<u64> {
    match outcome {
        Err(JoinError::Panicked(payload)) => Some(payload.downcast::<Planned>().ok()?.0),
        _ => None,
    }
}

/// Panics when it is dropped.
struct Trap(u64);

impl Drop for Trap {
    fn drop(&mut self) {
        // A second panic during unwinding would abort the process.
        if !std::thread::panicking() {
            resume_unwind(Box::new(Planned(self.0)));
        }
    }
}

async fn panicking_destructors<R: Runtime>(world: World<R>, mut random: fastrand::Rng) {
    for number in 0..random.u64(1..10) {
        let rt = world.rt.clone();
        let ends = random.bool();
        let task = world.spawn(async move {
            let _trap = Trap(number);
            rt.yield_now().await;
            if !ends {
                pending().await
            }
        });
        Tally::count(&world.tally.panicked);
        if ends {
            let outcome = world.join(task).await;
            world.expect("a destructor's payload", payload(outcome), Some(number));
        } else {
            world.abort(&task);
            // A task that is aborted before its first poll has no trap to drop.
            match world.join(task).await {
                Err(JoinError::Cancelled | JoinError::Panicked(_)) => {}
                other => world.fault(format!("an aborted task with a trap gave {other:?}")),
            }
        }
    }
}

/// Sleeps that complete, never early, and sleeps that are dropped.
async fn timers<R: Runtime>(world: World<R>, mut random: fastrand::Rng) {
    let mut spawned = Vec::new();
    for _ in 0..random.u64(1..=world.many / 4 + 1) {
        let (rt, duration) = (
            world.rt.clone(),
            Duration::from_micros(random.u64(..20_000)),
        );
        let given_up = random.bool();
        Tally::count(&world.tally.sleeps);
        spawned.push(world.spawn(async move {
            let begun = Instant::now();
            if given_up {
                let hour = rt.sleep(Duration::from_secs(3600));
                let over = rt.timeout(duration, hour).await.is_err();
                return over && begun.elapsed() >= duration;
            }
            rt.sleep(duration).await;
            begun.elapsed() >= duration
        }));
    }
    for task in spawned {
        if world.value(task).await == Some(false) {
            world.fault("a timer was early");
        }
    }
}

/// A server, clients that get their bytes back, and clients that hang up.
async fn connections<R: Runtime>(world: World<R>, mut random: fastrand::Rng) {
    let refused = |what: &str, error: std::io::Error| format!("{what}: {error}");
    let listener = match world.rt.bind(loopback()).await {
        Ok(listener) => listener,
        Err(error) => return world.fault(refused("bind", error)),
    };
    let address = match listener.local_addr() {
        Ok(address) => address,
        Err(error) => return world.fault(refused("local_addr", error)),
    };
    let serving = world.clone();
    let server = world.spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            drop(serving.spawn(async move {
                let mut buffer = [0; 512];
                while let Ok(length @ 1..) = stream.read(&mut buffer).await {
                    if stream.write_all(&buffer[..length]).await.is_err() {
                        break;
                    }
                }
            }));
        }
    });
    let mut clients = Vec::new();
    for _ in 0..random.u64(1..8) {
        Tally::count(&world.tally.connections);
        let rt = world.rt.clone();
        let mut message = vec![0; random.usize(1..2000)];
        random.fill(&mut message);
        let patient = random.u8(..4) > 0;
        clients.push(world.spawn(async move {
            let mut stream = rt.connect(address).await?;
            stream.write_all(&message).await?;
            let mut answer = vec![0; message.len()];
            if patient {
                stream.read_exact(&mut answer).await?;
            }
            Ok::<bool, std::io::Error>(!patient || answer == message)
        }));
    }
    for client in clients {
        match world.value(client).await {
            Some(Ok(true)) | None => {}
            Some(Ok(false)) => world.fault("other bytes came back than were sent"),
            Some(Err(error)) => world.fault(refused("a connection", error)),
        }
    }
    world.abort(&server);
    drop(world.join(server).await);
}

/// Jobs on blocking threads, half of them detached.
async fn blocking_jobs<R: Runtime>(world: World<R>, mut random: fastrand::Rng) {
    for number in 0..random.u64(1..6) {
        Tally::count(&world.tally.jobs);
        let (token, pause) = (
            world.ledger.token(),
            Duration::from_micros(random.u64(..3000)),
        );
        let job = world.rt.spawn_blocking(move || {
            let _token: Token = token;
            std::thread::sleep(pause);
            number
        });
        if random.bool() {
            match job.await {
                Ok(answer) => world.expect("a blocking job", answer, number),
                Err(error) => world.fault(format!("a blocking job: {error}")),
            }
        }
    }
}

/// Messages that all arrive, and senders whose receiver is dropped.
async fn channels<R: Runtime>(world: World<R>, mut random: fastrand::Rng) {
    let (producers, each) = (random.u64(1..5), random.u64(1..200));
    let (sender, mut receiver) = world.rt.channel::<u64>(random.usize(1..16));
    let mut senders = Vec::new();
    for _ in 0..producers {
        let sender = sender.clone();
        senders.push(world.spawn(async move {
            let mut sent = 0;
            for number in 0..each {
                if sender.send(number).await.is_err() {
                    break;
                }
                sent += 1;
            }
            sent
        }));
    }
    drop(sender);
    let all = producers * each;
    let wanted = if random.bool() {
        all
    } else {
        random.u64(..all)
    };
    let mut received = 0;
    while received < wanted && receiver.recv().await.is_some() {
        Tally::count(&world.tally.messages);
        received += 1;
    }
    world.expect("messages received", received, wanted);
    drop(receiver);
    let mut sent = 0;
    for task in senders {
        sent += world.value(task).await.unwrap_or(0);
    }
    if sent < wanted || (wanted == all && sent != all) {
        world.fault(format!("{sent} messages sent, {wanted} received"));
    }
}

/// Detached tasks: some end by themselves, others live until the runtime ends.
fn detached<R: Runtime>(world: World<R>, mut random: fastrand::Rng) {
    for _ in 0..random.u64(1..20) {
        let (rt, duration) = (
            world.rt.clone(),
            Duration::from_micros(random.u64(..50_000)),
        );
        let kind = random.u8(..4);
        drop(world.spawn(async move {
            match kind {
                0 => rt.yield_now().await,
                1 => rt.sleep(duration).await,
                2 => rt.sleep(Duration::from_secs(3600)).await,
                _ => pending().await,
            }
        }));
    }
}

/// The leaves of a binary tree of tasks.
fn tree<R: Runtime>(
    world: World<R>,
    levels: u64,
) -> std::pin::Pin<Box<dyn Future<Output = u64> + Send>> {
    Box::pin(async move {
        if levels == 0 {
            return 1;
        }
        let [left, right] = [(); 2].map(|()| world.spawn(tree(world.clone(), levels - 1)));
        world.value(left).await.unwrap_or(0) + world.value(right).await.unwrap_or(0)
    })
}

/// Spawns a task when it is dropped, even during a shutdown.
struct Heir<R: Runtime>(World<R>);

impl<R: Runtime> Drop for Heir<R> {
    fn drop(&mut self) {
        drop(self.0.spawn(async {}));
    }
}

async fn spawning_destructors<R: Runtime>(world: World<R>, mut random: fastrand::Rng) {
    for _ in 0..random.u64(1..10) {
        let heir = Heir(world.clone());
        let waits = random.bool();
        let task = world.spawn(async move {
            let _heir = heir;
            if waits {
                pending().await
            }
        });
        match random.u8(..3) {
            // Lives until the runtime ends.
            0 => drop(task),
            1 if !waits => drop(world.value(task).await),
            _ => {
                world.abort(&task);
                drop(world.join(task).await);
            }
        }
    }
}
