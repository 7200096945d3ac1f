//! Storms: threads and tasks that spawn, wake, abort, panic, detach and sleep at random; at the end the accounts must
//! balance.
//!
//! `LAB_STRESS` multiplies the size (1 takes about a second), `LAB_STRESS_SEED` repeats a storm; a failure names its
//! seed.

use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_lite::future::poll_once;

use super::Subject;
use super::event::Count;
use super::outcome::Outcome;
use super::probe::{Destructors, Probe, Then};
use runtime_kernel::TaskHandle;
use runtime_library::{ChannelReceiver, ChannelSender, Runtime};

/// Marsaglia's xorshift64: small, seeded, and good enough to shuffle a test.
#[derive(Clone, Debug)]
pub struct Xorshift(u64);

impl Xorshift {
    /// A sequence for each seed.
    pub fn new(seed: u64) -> Self {
        // Neighbouring seeds must not give neighbouring sequences, and the state must not be 0.
        Self(seed.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// The next number.
    pub fn next_u64(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        (self.next_u64() >> 11) % bound
    }

    /// True once in `times` calls on average.
    pub fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }
}

/// How often each thread of a storm acts.
pub(super) fn size(small: usize) -> usize {
    let factor = std::env::var("LAB_STRESS")
        .ok()
        .and_then(|text| text.parse::<f64>().ok());
    (small as f64 * factor.unwrap_or(1.0)).ceil() as usize
}

pub(super) fn seed() -> u64 {
    let given = std::env::var("LAB_STRESS_SEED")
        .ok()
        .and_then(|text| text.parse().ok());
    let seed = given.unwrap_or_else(|| {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(1, |since| since.as_nanos() as u64)
    });
    // Shown by the test harness if the case fails.
    println!("LAB_STRESS_SEED={seed}");
    seed
}

/// One actor of a storm: spawns a probe, disturbs it, and makes sure that it ends.
async fn act<R: Runtime>(rt: &R, random: &mut Xorshift) {
    let destructors = match random.below(8) {
        0 => Destructors::FuturePanics,
        _ => Destructors::Quiet,
    };
    let probe = Probe::with(destructors, random.once_in(2));
    let task = rt.spawn(probe.future());
    let mut task = Some(task);
    for _ in 0..random.below(6) {
        match random.below(8) {
            0 => rt.yield_now().await,
            1 => probe.polls().reach(1).await,
            2 => {
                let kept = probe.take_kept();
                // Wakes from a foreign thread, at any time, including the task's end.
                if !kept.is_empty() && random.once_in(10) {
                    drop(thread::spawn(move || {
                        kept.into_iter().for_each(std::task::Waker::wake)
                    }));
                }
            }
            3 => probe.tell(Then::Wait),
            4 => {
                if let Some(task) = &mut task
                    && let Some(result) = poll_once(&mut *task).await
                {
                    drop(result);
                    return check(&probe).await;
                }
            }
            5 if random.once_in(3) => drop(task.take()),
            6 => probe.tell(Then::Return),
            _ => rt.sleep(Duration::from_micros(random.below(300))).await,
        }
    }
    if let (Some(task), true) = (&task, random.once_in(2)) {
        task.abort();
    }
    // A detached probe, or one that was told to wait after it was told to end, ends now at the latest.
    probe.tell(if random.once_in(3) {
        Then::Panic
    } else {
        Then::Return
    });
    match task {
        Some(task) if random.once_in(2) => {
            let outcome = Outcome::of(task.await);
            assert!(!matches!(outcome, Outcome::Other(_)), "{outcome:?}");
            assert_eq!(
                probe.futures_dropped().get(),
                1,
                "reported, so it is dropped"
            );
        }
        task => drop(task),
    }
    check(&probe).await;
}

/// Waits for the probe's end, which by now is certain to come.
async fn check(probe: &Probe) {
    probe.futures_dropped().reach(1).await;
    probe
        .outputs_dropped()
        .reach(probe.outputs_made().get())
        .await;
    assert_eq!(probe.futures_dropped().get(), 1);
}

/// 1, 2, 3, 6: tasks spawn, wake, abort, panic and detach at random, from several tasks and several threads at once.
pub fn storm_of_tasks<S: Subject>() {
    let seed = seed();
    let subject = S::start();
    let rt = subject.handle();
    let each = size(if rt.capabilities().workers.is_some() {
        3_000
    } else {
        300
    });
    let done = Count::new();
    const THREADS: u64 = 2;
    const TASKS: u64 = 4;
    let threads: Vec<_> = (0..THREADS)
        .map(|number| {
            let (rt, done) = (rt.clone(), done.clone());
            let mut random = Xorshift::new(seed ^ (number << 32));
            thread::spawn(move || {
                for _ in 0..each / 4 {
                    let (own, mut inner) = (rt.clone(), Xorshift::new(random.next_u64()));
                    let task = rt.spawn(async move { act(&own, &mut inner).await });
                    futures_lite::future::block_on(task).expect("an actor of the storm");
                }
                done.add();
            })
        })
        .collect();
    subject.run(async move {
        let actors: Vec<_> = (0..TASKS)
            .map(|number| {
                let (own, mut random) = (rt.clone(), Xorshift::new(seed ^ number));
                rt.spawn(async move {
                    for _ in 0..each {
                        act(&own, &mut random).await;
                    }
                })
            })
            .collect();
        for actor in actors {
            actor
                .await
                .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        }
        done.reach(THREADS as usize).await;
    });
    for thread in threads {
        thread.join().unwrap_or_else(|_| panic!("seed {seed}"));
    }
}

/// 4: the runtime ends in the middle of a storm, again and again: every future is dropped once, every handle reports.
pub fn storm_into_a_shutdown<S: Subject>() {
    let seed = seed();
    let mut random = Xorshift::new(seed);
    for round in 0..size(30) {
        let subject = S::start();
        let rt = subject.handle();
        let probes: Vec<_> = (0..random.below(40) + 1)
            .map(|_| Probe::with(Destructors::Quiet, random.once_in(2)))
            .collect();
        let tasks: Vec<_> = probes
            .iter()
            .map(|probe| rt.spawn(probe.future()))
            .collect();
        let (pushed, mut own) = (probes.clone(), Xorshift::new(random.next_u64()));
        let pushing = thread::spawn(move || {
            for _ in 0..200 {
                let probe = &pushed[own.below(pushed.len() as u64) as usize];
                match own.below(6) {
                    0 => probe.tell(Then::Return),
                    1 => probe.tell(Then::Panic),
                    2 => probe
                        .take_kept()
                        .into_iter()
                        .for_each(std::task::Waker::wake),
                    _ => probe.tell(Then::Wait),
                }
            }
        });
        let (spawner, seen) = (rt.clone(), probes[0].clone());
        subject.run(async move {
            seen.polls().reach(1).await;
            for _ in 0..10 {
                drop(spawner.spawn(std::future::pending::<()>()));
                spawner.yield_now().await;
            }
        });
        if random.once_in(2) {
            drop(subject);
        } else {
            let running = subject.shutdown(Duration::from_secs(30));
            assert!(
                running.is_empty(),
                "seed {seed}, round {round}: still running: {running:?}"
            );
        }
        for task in tasks {
            let outcome = Outcome::of(futures_lite::future::block_on(task));
            assert!(
                !matches!(outcome, Outcome::Other(_)),
                "seed {seed}, round {round}: {outcome:?}"
            );
        }
        pushing.join().expect("wakes after the end");
        for probe in probes {
            probe.assert_nothing_left(&(seed, round));
        }
    }
}

/// 7, 8: a web of channels whose ends are dropped and aborted at random: everything sent is received or given back.
pub fn storm_of_channels<S: Subject>() {
    let seed = seed();
    let subject = S::start();
    let rt = subject.handle();
    let rounds = size(if rt.capabilities().workers.is_some() {
        300
    } else {
        60
    });
    subject.run(async move {
        let mut random = Xorshift::new(seed);
        for round in 0..rounds {
            let (sender, mut receiver) = rt.channel::<u64>(1 + random.below(4) as usize);
            let senders: Vec<_> = (0..1 + random.below(4))
                .map(|_| {
                    let (sender, items) = (sender.clone(), random.below(30));
                    rt.spawn(async move {
                        let mut accepted = 0;
                        for item in 0..items {
                            if sender.send(item).await.is_err() {
                                break;
                            }
                            accepted += 1;
                        }
                        accepted
                    })
                })
                .collect();
            drop(sender);
            let limit = random.once_in(3).then(|| random.below(40));
            let mut received = 0;
            while limit.is_none_or(|limit| received < limit) {
                if receiver.recv().await.is_none() {
                    break;
                }
                received += 1;
            }
            let whole = limit.is_none_or(|limit| received < limit);
            drop(receiver);
            let mut accepted = 0;
            for sender in senders {
                accepted += sender.await.expect("a sender");
            }
            if whole {
                assert_eq!(received, accepted, "seed {seed}, round {round}");
            } else {
                assert!(received <= accepted, "seed {seed}, round {round}");
            }
        }
    });
}
