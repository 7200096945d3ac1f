//! Clause 14: a policy can't lose a task, whatever it returns, and whatever it does when it is asked.

use std::iter::{self, repeat};
use std::panic::panic_any;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Barrier, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use runtime_core::sync::channel;
use runtime_core::{Attributes, sleep, spawn, spawn_with, yield_now};
use runtime_mn::policy::{
    Attempt, Knobs, Place, Policy, SearchView, SleeperView, Source, WokenBy, WorkerView,
};
use runtime_mn::{Handle, Runtime};

/// Long enough for any machine. Only a bug can make something here wait this long.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// Tasks from all sources, woken in all ways.
async fn work(handle: Handle) -> usize {
    let mut tasks: Vec<_> = (0..100)
        .map(|number| {
            spawn(async move {
                yield_now().await;
                let child = spawn(async move { number });
                yield_now().await;
                child.await.unwrap()
            })
        })
        .collect();
    tasks.extend((100..110).map(|number| {
        spawn(async move {
            sleep(Duration::from_micros(100 * (number as u64 % 3))).await;
            number
        })
    }));
    let (sender, receiver) = channel(1);
    drop(spawn(async move {
        for number in 0..20 {
            sender.send(number).await.unwrap();
        }
    }));
    let foreign = thread::spawn(move || {
        let tasks = (110..130).map(|number| handle.spawn(async move { number }));
        tasks.collect::<Vec<_>>()
    });
    let mut received = 0;
    while receiver.recv().await.is_some() {
        received += 1;
    }
    assert_eq!(received, 20);
    tasks.extend(foreign.join().unwrap());
    let mut sum = 0;
    for task in tasks {
        sum += task.await.unwrap();
    }
    sum
}

/// All work runs under the policy, and the runtime ends. If a policy makes the runtime hang, the test leaves it
/// behind.
fn check<P: Policy>(policy: P) {
    let name = policy.name();
    let (sender, ended) = mpsc::channel();
    let checking = thread::spawn(move || {
        check_here(policy);
        sender.send(()).unwrap();
    });
    if ended.recv_timeout(TIME_LIMIT) == Err(RecvTimeoutError::Timeout) {
        panic!("`{name}` has not ended");
    }
    checking.join().unwrap();
}

fn check_here<P: Policy>(policy: P) {
    let name = policy.name();
    let builder = Runtime::builder().workers(2).warn_of_stuck(false);
    let runtime = builder.build_with(policy).unwrap();
    for _ in 0..5 {
        let handle = runtime.handle().clone();
        assert_eq!(runtime.block_on(work(handle)), (0..130).sum(), "{name}");
    }
    let waiting = runtime.spawn(std::future::pending::<()>());
    assert_eq!(runtime.shutdown(TIME_LIMIT), Vec::<String>::new(), "{name}");
    assert!(waiting.is_finished(), "{name}");
}

/// Never gives an answer.
struct Silent;

impl Policy for Silent {
    fn name(&self) -> &'static str {
        "silent"
    }
    fn next(&self, _: &WorkerView<'_>) -> Option<Source> {
        None
    }
    fn search(&self, _: &SearchView<'_>) -> impl Iterator<Item = Attempt> {
        iter::empty()
    }
    fn wakes_for(&self, _: Place) -> bool {
        false
    }
}

#[test]
fn a_policy_that_gives_no_answers_loses_no_task() {
    check(Silent);
}

/// Always names each of the places in turn, whatever is there. It also names workers that do not exist, and itself,
/// and its search never ends.
#[derive(Default)]
struct Nonsense(AtomicUsize);

impl Nonsense {
    fn count(&self) -> usize {
        self.0.fetch_add(1, Relaxed)
    }

    fn place(&self) -> Place {
        let count = self.count();
        let workers = [0, 1, 2, 7, usize::MAX];
        match Place::KINDS[count % 6] {
            Place::Ranked(_) => Place::Ranked((count as u64 % 3).wrapping_sub(1)),
            Place::Worker(_) => Place::Worker(workers[count / 6 % 5]),
            other => other,
        }
    }
}

impl Policy for Nonsense {
    const PLACES_INJECTED: bool = true;

    fn name(&self) -> &'static str {
        "nonsense"
    }
    fn place_spawned(&self, own: &WorkerView<'_>) -> Place {
        own.set_state(usize::MAX, own.state(7) + own.queued(usize::MAX) as u64);
        self.place()
    }
    fn place_woken(&self, _: &WorkerView<'_>, _: WokenBy) -> Place {
        self.place()
    }
    fn place_injected(&self, _: &WorkerView<'_>) -> Place {
        self.place()
    }
    fn wake(&self, sleepers: &SleeperView<'_>) -> Option<usize> {
        let none_of_them = [usize::MAX, sleepers.workers(), 0, 1];
        Some(none_of_them[self.count() % 4])
    }
    fn next(&self, _: &WorkerView<'_>) -> Option<Source> {
        let sources = [
            Source::Oldest,
            Source::Injected,
            Source::Slot,
            Source::Front,
            Source::Newest,
            Source::Inbox,
            Source::Ranked,
        ];
        Some(sources[self.count() % 7])
    }
    fn search(&self, thief: &SearchView<'_>) -> impl Iterator<Item = Attempt> {
        let own = thief.worker();
        assert_eq!(thief.queued(usize::MAX), 0);
        let impossible = [own, usize::MAX, thief.workers(), 7].into_iter().cycle();
        impossible.flat_map(|worker| {
            let ranked = Attempt::StealRanked(worker);
            [Attempt::Steal(worker), Attempt::StealSlot(worker), ranked]
        })
    }
    fn wakes_for(&self, _: Place) -> bool {
        self.count().is_multiple_of(2)
    }
}

#[test]
fn a_policy_that_answers_nonsense_loses_no_task() {
    check(Nonsense::default());
}

/// Always names the same place.
struct Stubborn(Place, Source);

impl Policy for Stubborn {
    fn name(&self) -> &'static str {
        "stubborn"
    }
    fn place_spawned(&self, _: &WorkerView<'_>) -> Place {
        self.0
    }
    fn place_woken(&self, _: &WorkerView<'_>, _: WokenBy) -> Place {
        self.0
    }
    fn next(&self, _: &WorkerView<'_>) -> Option<Source> {
        Some(self.1)
    }
    fn search(&self, _: &SearchView<'_>) -> impl Iterator<Item = Attempt> {
        repeat(Attempt::DueTimers)
    }
}

#[test]
fn a_policy_that_always_names_one_place_starves_no_task() {
    let sources = [
        Source::Slot,
        Source::Newest,
        Source::Oldest,
        Source::Front,
        Source::Injected,
        Source::Ranked,
        Source::Inbox,
    ];
    let extremes = [
        Place::Ranked(u64::MAX),
        Place::Worker(1),
        Place::Worker(2),
        Place::Worker(usize::MAX),
    ];
    for place in Place::KINDS.into_iter().chain(extremes) {
        for source in sources {
            check(Stubborn(place, source));
        }
    }
}

/// A payload that panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        if !thread::panicking() {
            panic!("a payload's destructor, part of the test");
        }
    }
}

/// Panics at every `n`th question, in every method, including iterators and their destructors.
struct Panicking {
    every: usize,
    asked: AtomicUsize,
}

impl Panicking {
    fn maybe(&self) {
        if self.asked.fetch_add(1, Relaxed) % self.every == self.every - 1 {
            panic_any(Bomb);
        }
    }
}

struct PanickingOrder<'a>(&'a Panicking, usize);

impl Iterator for PanickingOrder<'_> {
    type Item = Attempt;
    fn next(&mut self) -> Option<Attempt> {
        self.0.maybe();
        self.1 += 1;
        Some(Attempt::Steal(self.1 % 3))
    }
}

impl Drop for PanickingOrder<'_> {
    fn drop(&mut self) {
        if !thread::panicking() {
            self.0.maybe();
        }
    }
}

impl Policy for Panicking {
    const PLACES_INJECTED: bool = true;

    fn name(&self) -> &'static str {
        "panicking"
    }
    fn place_injected(&self, _: &WorkerView<'_>) -> Place {
        self.maybe();
        Place::Ranked(0)
    }
    fn wake(&self, _: &SleeperView<'_>) -> Option<usize> {
        self.maybe();
        Some(1)
    }
    fn place_spawned(&self, _: &WorkerView<'_>) -> Place {
        self.maybe();
        Place::Slot
    }
    fn place_woken(&self, _: &WorkerView<'_>, _: WokenBy) -> Place {
        self.maybe();
        Place::Newest
    }
    fn next(&self, own: &WorkerView<'_>) -> Option<Source> {
        self.maybe();
        own.has_woken().then_some(Source::Front)
    }
    fn search(&self, _: &SearchView<'_>) -> impl Iterator<Item = Attempt> {
        self.maybe();
        PanickingOrder(self, 0)
    }
}

#[test]
fn a_policy_that_panics_loses_no_task() {
    for every in [1, 2, 3, 7, 50] {
        check(Panicking {
            every,
            asked: AtomicUsize::new(0),
        });
    }
}

#[test]
fn a_panic_of_the_policy_stays_out_of_the_task_that_spawns() {
    let runtime = Runtime::builder().workers(1).build_with(Panicking {
        every: 1,
        asked: AtomicUsize::new(0),
    });
    let runtime = runtime.unwrap();
    let child = runtime.block_on(async { spawn(async { 1 }).await });
    assert_eq!(child.unwrap(), 1);
}

/// Spawns and wakes whenever it is asked.
#[derive(Default)]
struct Recursive {
    wakers: Mutex<Vec<Waker>>,
    spawned: AtomicUsize,
}

/// A task that is woken again and again.
struct Woken(Arc<Recursive>, usize);

impl Future for Woken {
    type Output = ();
    fn poll(mut self: std::pin::Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.1 += 1;
        if self.1 > 3 {
            return Poll::Ready(());
        }
        self.0.wakers.lock().unwrap().push(cx.waker().clone());
        Poll::Pending
    }
}

#[derive(Clone, Default)]
struct RecursivePolicy(Arc<Recursive>);

impl RecursivePolicy {
    fn act(&self) {
        // The first ones may come before anything can be spawned.
        if self.0.spawned.fetch_add(1, Relaxed) < 2_000 {
            drop(spawn(Woken(Arc::clone(&self.0), 0)));
        }
        let wakers = std::mem::take(&mut *self.0.wakers.lock().unwrap());
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl Policy for RecursivePolicy {
    const PLACES_INJECTED: bool = true;

    fn name(&self) -> &'static str {
        "recursive"
    }
    fn place_injected(&self, _: &WorkerView<'_>) -> Place {
        self.act();
        Place::Worker(0)
    }
    fn wake(&self, sleepers: &SleeperView<'_>) -> Option<usize> {
        // It may be asked on any thread. A non-worker thread may have no runtime to spawn on.
        if sleepers.waking_worker().is_some() {
            self.act();
        }
        sleepers.sleepers().next()
    }
    fn place_spawned(&self, _: &WorkerView<'_>) -> Place {
        self.act();
        Place::Newest
    }
    fn place_woken(&self, _: &WorkerView<'_>, _: WokenBy) -> Place {
        self.act();
        Place::Back
    }
    fn next(&self, own: &WorkerView<'_>) -> Option<Source> {
        self.act();
        own.has_woken().then_some(Source::Front)
    }
    fn search(&self, _: &SearchView<'_>) -> impl Iterator<Item = Attempt> {
        self.act();
        iter::once_with(|| {
            self.act();
            Attempt::Injected
        })
    }
}

#[test]
fn a_policy_that_spawns_and_wakes_while_it_is_asked_loses_no_task() {
    check(RecursivePolicy::default());
}

/// Enters another runtime whenever it is asked for a place.
struct Enters(Handle);

impl Policy for Enters {
    fn name(&self) -> &'static str {
        "enters"
    }
    fn place_spawned(&self, _: &WorkerView<'_>) -> Place {
        drop(self.0.enter());
        Place::Newest
    }
    fn place_woken(&self, _: &WorkerView<'_>, _: WokenBy) -> Place {
        drop(self.0.enter());
        Place::Back
    }
}

/// While a task is started, that is refused.
#[test]
fn a_policy_that_enters_another_runtime_leaves_its_worker_where_it_is() {
    let other = Runtime::builder().workers(1).build().unwrap();
    check(Enters(other.handle().clone()));
}

/// Gives another answer each time that it is asked, and impossible values.
#[derive(Default)]
struct Fickle(AtomicUsize);

impl Policy for Fickle {
    fn name(&self) -> &'static str {
        "fickle"
    }
    fn steals(&self) -> bool {
        self.0.fetch_add(1, Relaxed).is_multiple_of(2)
    }
    fn knobs(&self) -> Knobs {
        let mut knobs = Knobs::default();
        (knobs.injector_tick, knobs.poll_tick) = (0, 0);
        knobs.wake_delay = Duration::MAX;
        knobs
    }
}

#[test]
fn a_policy_with_impossible_knobs_loses_no_task() {
    check(Fickle::default());
    check(Fickle(AtomicUsize::new(1)));
}

/// Ends its own runtime when it is asked for the hundredth time.
struct Ending(Arc<Mutex<Option<Runtime>>>, AtomicUsize);

impl Policy for Ending {
    fn name(&self) -> &'static str {
        "ending"
    }
    fn next(&self, _: &WorkerView<'_>) -> Option<Source> {
        if self.1.fetch_add(1, Relaxed) >= 100 {
            drop(self.0.lock().unwrap().take());
        }
        None
    }
}

#[test]
fn a_policy_that_drops_its_runtime_only_begins_the_shutdown() {
    let owner = Arc::new(Mutex::new(None));
    let policy = Ending(Arc::clone(&owner), AtomicUsize::new(0));
    let runtime = Runtime::builder().workers(2).build_with(policy).unwrap();
    let busy = runtime.spawn(async {
        loop {
            yield_now().await;
        }
    });
    *owner.lock().unwrap() = Some(runtime);
    let deadline = Instant::now() + TIME_LIMIT;
    while !busy.is_finished() {
        assert!(Instant::now() < deadline, "the runtime has not ended");
        thread::sleep(Duration::from_millis(1));
    }
    assert!(owner.lock().unwrap().is_none());
}

/// Does not steal, and wakes a task in the middle of a search: the task goes to a queue of the searching worker.
#[derive(Clone, Default)]
struct WakesInSearch(Arc<Mutex<Option<Waker>>>);

impl Policy for WakesInSearch {
    fn name(&self) -> &'static str {
        "wakes-in-search"
    }
    fn steals(&self) -> bool {
        false
    }
    fn search(&self, _: &SearchView<'_>) -> impl Iterator<Item = Attempt> {
        let waker = self.0.lock().unwrap().take();
        if let Some(waker) = waker {
            waker.wake();
        }
        iter::empty()
    }
}

#[test]
fn tasks_that_a_policy_wakes_in_a_search_run_before_the_worker_sleeps() {
    for monitor in [true, false] {
        let policy = WakesInSearch::default();
        let place = Arc::clone(&policy.0);
        let builder = Runtime::builder().workers(1).monitor(monitor);
        let runtime = builder.warn_of_stuck(false).build_with(policy).unwrap();
        for _ in 0..200 {
            let (place, mut woken) = (Arc::clone(&place), false);
            let task = runtime.spawn(std::future::poll_fn(move |cx: &mut Context<'_>| {
                if std::mem::replace(&mut woken, true) {
                    return Poll::Ready(());
                }
                *place.lock().unwrap() = Some(cx.waker().clone());
                Poll::Pending
            }));
            let (sender, ended) = mpsc::channel();
            task.on_complete(move |_| sender.send(()).unwrap());
            ended
                .recv_timeout(TIME_LIMIT)
                .expect("the task is never run");
        }
    }
}

/// Puts woken tasks into the slot, and lets no other worker take them from there.
struct GuardsSlot;

impl Policy for GuardsSlot {
    fn name(&self) -> &'static str {
        "guards-slot"
    }
    fn search(&self, _: &SearchView<'_>) -> impl Iterator<Item = Attempt> {
        iter::empty()
    }
}

#[test]
fn a_slot_that_no_policy_empties_is_emptied_while_its_worker_is_blocked() {
    // No replacement worker, which would take the slot over.
    let builder = Runtime::builder().workers(2).max_replacement_workers(0);
    let runtime = builder.warn_of_stuck(false).build_with(GuardsSlot);
    let runtime = runtime.unwrap();
    let (sender, ended) = mpsc::channel();
    let task = runtime.spawn(async move {
        let (answer, answered) = mpsc::channel();
        let event = Arc::new(runtime_core::sync::Event::new());
        let waits = Arc::clone(&event);
        drop(spawn(async move {
            waits.wait().await;
            answer.send(()).unwrap();
        }));
        yield_now().await;
        yield_now().await;
        event.set();
        runtime_mn::block_in_place(|| answered.recv_timeout(TIME_LIMIT)).expect("it is never run");
    });
    task.on_complete(move |outcome| sender.send(outcome.is_ok()).unwrap());
    assert_eq!(ended.recv_timeout(2 * TIME_LIMIT), Ok(true));
}

/// Sends everything to one worker, from which no other takes.
struct ToOne(usize, bool);

impl Policy for ToOne {
    fn name(&self) -> &'static str {
        "to-one"
    }
    fn steals(&self) -> bool {
        self.1
    }
    fn wakes_for(&self, _: Place) -> bool {
        false
    }
    fn place_spawned(&self, _: &WorkerView<'_>) -> Place {
        Place::Worker(self.0)
    }
    fn place_woken(&self, _: &WorkerView<'_>, _: WokenBy) -> Place {
        Place::Worker(self.0)
    }
    fn search(&self, _: &SearchView<'_>) -> impl Iterator<Item = Attempt> {
        iter::once(Attempt::Injected)
    }
}

#[test]
fn a_policy_that_sends_all_tasks_to_one_worker_loses_none() {
    for worker in [0, 1, 2] {
        for steals in [true, false] {
            check(ToOne(worker, steals));
        }
    }
}

#[test]
fn tasks_sent_to_a_blocked_worker_run_elsewhere() {
    for monitor in [true, false] {
        for worker in [0, 1] {
            let builder = Runtime::builder().workers(2).warn_of_stuck(false);
            let builder = builder.monitor(monitor);
            let runtime = builder.build_with(ToOne(worker, false)).unwrap();
            for _ in 0..50 {
                let handle = runtime.handle().clone();
                let task = runtime.spawn(async move {
                    let (answer, answered) = mpsc::channel();
                    let before = answer.clone();
                    drop(spawn(async move { before.send(()).unwrap() }));
                    runtime_mn::block_in_place(move || {
                        // A task spawns it, so that the policy is asked; it may name the worker that is away.
                        drop(handle.spawn(async move {
                            drop(spawn(async move { answer.send(()).unwrap() }));
                        }));
                        (0..2).all(|_| answered.recv_timeout(TIME_LIMIT).is_ok())
                    })
                });
                assert!(runtime.block_on(task).unwrap(), "it is never run");
            }
        }
    }
}

/// Ranks get lower and lower, except for tasks with a tag: these have the highest rank.
struct Falling(AtomicUsize);

impl Falling {
    fn place(&self, own: &WorkerView<'_>) -> Place {
        let rank = usize::MAX - 1 - self.0.fetch_add(1, Relaxed);
        Place::Ranked(if own.task().tag() == 0 {
            rank as u64
        } else {
            u64::MAX
        })
    }
}

impl Policy for Falling {
    fn name(&self) -> &'static str {
        "falling"
    }
    fn place_spawned(&self, own: &WorkerView<'_>) -> Place {
        self.place(own)
    }
    fn place_woken(&self, own: &WorkerView<'_>, _: WokenBy) -> Place {
        self.place(own)
    }
    fn next(&self, _: &WorkerView<'_>) -> Option<Source> {
        Some(Source::Ranked)
    }
}

#[test]
fn no_rank_starves_a_task() {
    check(Falling(AtomicUsize::new(0)));
    // Without help from a replacement worker.
    let builder = Runtime::builder().workers(1).monitor(false);
    let runtime = builder.build_with(Falling(AtomicUsize::new(0))).unwrap();
    let root = runtime.spawn(async {
        let ended = Arc::new(AtomicUsize::new(0));
        let end = Arc::clone(&ended);
        let last = spawn_with(Attributes::tagged(1), async move {
            for _ in 0..3 {
                yield_now().await;
            }
            end.store(1, Relaxed);
        });
        let busy = (0..3).map(|_| {
            let ended = Arc::clone(&ended);
            spawn(async move {
                while ended.load(Relaxed) == 0 {
                    yield_now().await;
                }
            })
        });
        for task in busy.collect::<Vec<_>>() {
            task.await.unwrap();
        }
        last.await.unwrap();
    });
    let (sender, ended) = mpsc::channel();
    root.on_complete(move |outcome| sender.send(outcome.is_ok()).unwrap());
    assert_eq!(ended.recv_timeout(TIME_LIMIT), Ok(true), "it starves");
}

#[test]
fn a_shutdown_cancels_the_tasks_of_all_queues() {
    for place in Place::KINDS.into_iter().chain([Place::Worker(1)]) {
        let builder = Runtime::builder().workers(2).monitor(false);
        let runtime = builder.build_with(Stubborn(place, Source::Front)).unwrap();
        let both_there = Arc::new(Barrier::new(2));
        let (sender, spawned) = mpsc::channel();
        let opens = (0..2).map(|number| {
            let (there, sender) = (Arc::clone(&both_there), sender.clone());
            let (open, gate) = mpsc::channel::<()>();
            drop(runtime.spawn(async move {
                // Each on its own worker, so that no other worker runs the spawned task.
                there.wait();
                if number == 0 {
                    let tasks = (0..20).map(|_| spawn(yield_forever()));
                    sender.send(tasks.collect::<Vec<_>>()).unwrap();
                }
                let _ = gate.recv();
            }));
            open
        });
        let opens: Vec<_> = opens.collect();
        let tasks = spawned.recv_timeout(TIME_LIMIT).unwrap();
        assert_eq!(runtime.shutdown(Duration::ZERO).len(), 2, "{place:?}");
        assert!(tasks.iter().all(|task| task.is_finished()), "{place:?}");
        drop(opens);
    }
}

async fn yield_forever() {
    loop {
        yield_now().await;
    }
}
