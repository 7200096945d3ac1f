//! Clause 13 for wakers: whenever a waker is cloned, woken or dropped, it may use the object that is waited for, and
//! may panic.
//!
//! `SCENES` is the table of everything that a task can wait for; `scenes` and `queues` have its entries. Each new
//! future of this crate must be in the table, or in the list of futures that wait for nothing themselves. The suite's
//! own tests check this against the sources.

mod queues;
mod scenes;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;
use std::time::Duration;

use self::queues::*;
use self::scenes::*;
use super::AmbientSubject;
use super::hostile::{Deed, Hostile, Moment};
use runtime_kernel::time::sleep;
use runtime_kernel::yield_now;
use runtime_library::sync::{Fifo, Lifo, Smallest};

const MS: Duration = Duration::from_millis(1);

/// Something that a number of futures can wait for: its name, and the futures of this crate that it covers.
struct Entry {
    name: &'static str,
    futures: &'static [&'static str],
    waiters: usize,
    make: fn(usize) -> Scene,
}

const SCENES: &[Entry] = &[
    entry("mutex", &["Lock", "Take"], 4, mutex),
    entry("semaphore", &["Acquire"], 4, semaphore),
    entry("event", &["WaitSet"], 4, event),
    entry("signal", &["Wait"], 4, signal),
    entry("condition", &["WaitNotified"], 4, condition),
    entry("barrier, complete", &["WaitAll"], 4, barrier),
    entry("barrier, reset", &["WaitAll"], 4, reset_barrier),
    entry("queue, get", &["Get"], 4, get::<Fifo<u8>>),
    entry("LIFO queue, get", &["Get"], 4, get::<Lifo<u8>>),
    entry("priority queue, get", &["Get"], 4, get::<Smallest<u8>>),
    entry("queue, put", &["Put"], 4, put::<Fifo<u8>>),
    entry("priority queue, put", &["Put"], 4, put::<Smallest<u8>>),
    entry("queue, closed", &["Get", "Put"], 4, closed_queue),
    entry("queue, join", &["Join"], 4, join),
    entry("channel", &["Get"], 4, received),
    entry("oneshot, received", &["Receiver"], 1, oneshot_received),
    entry("oneshot, closed", &[], 1, oneshot_closed),
    entry("promise", &["Promised"], 4, promise),
    entry("cancellation", &["Cancelled"], 4, cancellation),
    entry("task", &["JoinHandle", "CallHandle"], 4, task),
    entry("shared task", &["Promised"], 4, shared_task),
    entry("blocking job", &["JoinHandle"], 4, blocking_job),
    entry("scope", &["RunScope", "ScopedHandle"], 4, scoped),
    entry("join_all", &["Gather"], 4, joined),
    entry("gather", &["Gather"], 4, gathered),
    entry("wait", &["Wait"], 4, waited),
    entry("as_completed", &["AsCompleted"], 4, completed),
    entry("shield", &["Shield"], 4, shielded),
    entry("sleep", &["Sleep"], 4, sleeping),
    entry("interval", &["Interval"], 4, ticking),
    entry("timeout", &["Timeout"], 4, timed_out),
    entry("socket", &["Ready", "Io"], 4, socket),
];

/// Futures that keep no waker themselves, or whose wakers are kept by another one in the table.
const OTHERS: &[&str] = &[
    // They poll an inner future, for the same task.
    "Unconstrained",
    "Scoped",
    "Followed",
    "SyncSleep",
    // Polled once, on a thread of its own.
    "BlockingJob",
    // A handle of a blocking job.
    "Job",
    "OwnedJob",
    // It is woken at once.
    "YieldNow",
    // A socket.
    "SignalStream",
    // A oneshot's receiver: a call to another process.
    "Call",
];

const fn entry(
    name: &'static str,
    futures: &'static [&'static str],
    waiters: usize,
    make: fn(usize) -> Scene,
) -> Entry {
    Entry {
        name,
        futures,
        waiters,
        make,
    }
}

/// Whether the future of this name is in the table, or known to keep no waker. For the suite's own tests.
pub fn is_known(future: &str) -> bool {
    let mut listed = SCENES.iter().flat_map(|entry| entry.futures);
    listed.any(|known| *known == future) || OTHERS.contains(&future)
}

/// A waiter.
struct Waiter {
    future: Waiting,
    wakers: Vec<Hostile>,
    hostile: bool,
}

/// One entry of the table with wakers that misbehave in one way.
struct Case<'a> {
    entry: &'a Entry,
    moment: Moment,
    deed: Deed,
}

impl Case<'_> {
    fn hostile(&self, scene: &Scene) -> Hostile {
        Hostile::new(self.moment, self.deed, &scene.touch)
    }

    /// The waiters: every second one has wakers that misbehave; it is polled with two of them in turn.
    fn line(&self, scene: &Scene, text: &str) -> Vec<Waiter> {
        let mut line = Vec::new();
        for place in 0..self.entry.waiters {
            let hostile = place % 2 == 0;
            let mut future = (scene.wait)();
            let mut wakers = Vec::new();
            for _ in 0..2 {
                let waker = if hostile {
                    self.hostile(scene)
                } else {
                    Hostile::harmless()
                };
                let polled = waker.poll(&mut future);
                if polled.is_err() {
                    // A panic while its own waker is cloned belongs to the poll; all others are contained.
                    let own = hostile && self.moment == Moment::Clone && self.deed == Deed::Panics;
                    assert!(own, "{text}: a poll panics");
                    assert!(waker.deeds() > 0, "{text}");
                    break;
                }
                assert_eq!(polled, Ok(Poll::Pending), "{text}: it does not wait");
                wakers.push(waker);
            }
            let refused = wakers.is_empty();
            line.push(Waiter {
                future,
                wakers,
                hostile,
            });
            if refused {
                // Its future was left in the middle of a poll: drop it. It must leave nothing behind.
                drop(line.pop());
            }
        }
        line
    }

    fn text(&self) -> String {
        format!("{}, {:?} {:?}", self.entry.name, self.moment, self.deed)
    }

    /// All are served, and those with good wakers are woken, whatever the other wakers do.
    async fn served(&self) {
        let text = self.text();
        let scene = (self.entry.make)(self.entry.waiters);
        let line = self.line(&scene, &text);
        let served = catch_unwind(AssertUnwindSafe(|| (scene.serve)()));
        assert!(served.is_ok(), "{text}: the server gets a waker's panic");
        finish(line, &text).await;
    }

    /// Those with bad wakers leave, and the others are served.
    async fn left(&self) {
        let text = self.text();
        let scene = (self.entry.make)(self.entry.waiters);
        let (leave, stay): (Vec<_>, Vec<_>) = self
            .line(&scene, &text)
            .into_iter()
            .partition(|waiter| waiter.hostile);
        for Waiter { future, wakers, .. } in leave {
            let left = catch_unwind(AssertUnwindSafe(|| drop(future)));
            assert!(left.is_ok(), "{text}: one who leaves gets a waker's panic");
            drop(wakers);
        }
        let served = catch_unwind(AssertUnwindSafe(|| (scene.serve)()));
        assert!(served.is_ok(), "{text}: the server gets a waker's panic");
        finish(stay, &text).await;
    }
}

/// Polls those that were woken until all have completed. Those whose wakers misbehave are polled in any case.
async fn finish(line: Vec<Waiter>, text: &str) {
    let good = Hostile::harmless();
    let mut line: Vec<_> = line.into_iter().map(|waiter| (waiter, 0)).collect();
    while !line.is_empty() {
        line.retain_mut(|(waiter, seen)| {
            let waker = waiter.wakers.last().expect("it has been polled");
            // Read once: otherwise a wake between two reads could be missed.
            let wakes = waker.wakes();
            let woken = wakes > *seen;
            *seen = wakes;
            if !woken && !waiter.hostile {
                return true;
            }
            let waker = if waiter.hostile { &good } else { waker };
            let polled = waker.poll(&mut waiter.future);
            let polled = polled.unwrap_or_else(|()| panic!("{text}: a poll panics"));
            polled.is_pending()
        });
        // Some are served by tasks and threads, or by the clock.
        yield_now().await;
        sleep(MS).await;
    }
}

/// Every entry of the table, with wakers that misbehave in one way.
async fn all(moments: &[Moment], deed: Deed) {
    for entry in SCENES {
        for moment in moments {
            let case = Case {
                entry,
                moment: *moment,
                deed,
            };
            // In case one hangs: the watchdog names only the whole test.
            eprintln!("{}", case.text());
            case.served().await;
            case.left().await;
        }
    }
}

/// 13: a waker may use what it waits for whenever it is cloned, woken or dropped: no lock is held then.
pub fn c13_wakers_may_use_what_they_wait_for<S: AmbientSubject>() {
    S::start().run(all(&Moment::ALL, Deed::UsesIt));
}

/// 13: if a waker panics when it is woken or dropped, the panic is contained there, and the others are served.
pub fn c13_a_wakers_panic_keeps_nobody_from_being_woken<S: AmbientSubject>() {
    S::start().run(all(&[Moment::Wake, Moment::Drop], Deed::Panics));
}

/// 13: a waker whose clone panics is in no wait queue afterwards, and nobody else is affected.
pub fn c13_a_waker_that_cannot_be_cloned_leaves_nothing_behind<S: AmbientSubject>() {
    S::start().run(all(&[Moment::Clone], Deed::Panics));
}
