//! Clause 7 with random programs: tasks acquire, give up, are aborted and release at random, and a simple model says
//! what they may observe.
//!
//! Each case runs many small programs from one seed, which it prints: `LAB_STRESS_SEED` repeats them, `LAB_STRESS`
//! makes them more. A lost wake-up, which a model can't detect, shows as a program that does not end.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex as StdMutex};

use futures_lite::future::poll_once;

use super::Subject;
use super::event::Count;
use super::outcome::Outcome;
use super::stress::{Xorshift, seed, size};
use super::sync_tasks::{Spawned, Tasks, on};
use runtime_library::sync::{
    Barrier, Condition, Event, Fifo, Lifo, Mutex, OrderedQueue, Semaphore, Smallest, Store,
};

/// How many programs each case runs.
const PROGRAMS: usize = 25;

/// Runs the programs of a case, each with its own random numbers.
async fn programs<F: Future<Output = ()>>(program: impl Fn(Xorshift) -> F) {
    let mut random = Xorshift::new(seed());
    for _ in 0..size(PROGRAMS) {
        program(Xorshift::new(random.next_u64())).await;
    }
}

/// What a task of a program has for itself.
struct Actor {
    tasks: Tasks,
    random: Xorshift,
}

impl Actor {
    fn new(tasks: &Tasks, random: &mut Xorshift) -> Self {
        Self {
            tasks: tasks.clone(),
            random: Xorshift::new(random.next_u64()),
        }
    }

    /// Lets others run, or not.
    async fn pause(&mut self) {
        for _ in 0..self.random.below(3) {
            self.tasks.yield_now().await;
        }
    }

    /// Awaits `future` to its end or, one time in two, gives it up after a few polls.
    async fn maybe<F: Future>(&mut self, future: F) -> Option<F::Output> {
        let mut future: Pin<Box<F>> = Box::pin(future);
        if self.random.once_in(2) {
            return Some(future.await);
        }
        for _ in 0..self.random.below(4) {
            if let Some(output) = poll_once(&mut future).await {
                return Some(output);
            }
            self.tasks.yield_now().await;
        }
        None
    }
}

/// Aborts some of the tasks while they run, and waits for all of them. Spares those before `kept`.
async fn disturb(tasks: &Tasks, random: &mut Xorshift, spawned: Vec<Spawned>, kept: usize) {
    let mut aborted = vec![false; spawned.len()];
    for _ in 0..random.below(2 * spawned.len() as u64) {
        for _ in 0..random.below(4) {
            tasks.yield_now().await;
        }
        let chosen = random.below(spawned.len() as u64) as usize;
        if chosen >= kept {
            spawned[chosen].abort();
            aborted[chosen] = true;
        }
    }
    for (task, aborted) in spawned.into_iter().zip(aborted) {
        let outcome = task.outcome().await;
        let right = outcome == Outcome::Returned || (aborted && outcome == Outcome::Cancelled);
        assert!(right, "aborted: {aborted}: {outcome:?}");
    }
}

/// Counts those that are inside, as long as it exists.
struct Inside<'a>(&'a AtomicUsize, usize);

impl<'a> Inside<'a> {
    fn enter(inside: &'a AtomicUsize, count: usize, bound: usize) -> Self {
        let now = inside.fetch_add(count, SeqCst) + count;
        assert!(now <= bound, "{now} are inside of {bound}");
        Self(inside, count)
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(self.1, SeqCst);
    }
}

/// 7: never more permits are held than there are, and all are back in the end.
pub fn c07_random_programs_over_a_semaphore<S: Subject>() {
    on::<S>(|tasks| Box::pin(programs(move |random| semaphore(tasks.clone(), random))));
}

async fn semaphore(tasks: Tasks, mut random: Xorshift) {
    let bound = 1 + random.below(4) as usize;
    let shared = Arc::new((Semaphore::bounded(bound), AtomicUsize::new(0)));
    let spawned = (0..10).map(|_| {
        let (mut actor, own) = (Actor::new(&tasks, &mut random), Arc::clone(&shared));
        tasks.spawn(async move {
            let (semaphore, inside) = &*own;
            for _ in 0..10 {
                let count = 1 + actor.random.below(bound as u64) as usize;
                let permit = if actor.random.once_in(5) {
                    semaphore.try_acquire_many(count).ok()
                } else {
                    let acquired = actor.maybe(semaphore.acquire_many(count)).await;
                    acquired.map(|permit| permit.expect("open"))
                };
                if let Some(permit) = permit {
                    // Dropped before the permit.
                    let _inside = Inside::enter(inside, permit.count(), bound);
                    actor.pause().await;
                }
            }
        })
    });
    let spawned = spawned.collect();
    disturb(&tasks, &mut random, spawned, 0).await;
    assert_eq!(shared.0.available_permits(), bound);
    drop(shared.0.acquire_many(bound).await.expect("all are back"));
}

/// 7: a mutex lets one in at a time, and is free in the end.
pub fn c07_random_programs_over_a_mutex<S: Subject>() {
    on::<S>(|tasks| Box::pin(programs(move |random| mutex(tasks.clone(), random))));
}

async fn mutex(tasks: Tasks, mut random: Xorshift) {
    let shared = Arc::new((Mutex::new(0_usize), AtomicUsize::new(0), Count::new()));
    let spawned = (0..10).map(|_| {
        let (mut actor, own) = (Actor::new(&tasks, &mut random), Arc::clone(&shared));
        tasks.spawn(async move {
            let (mutex, inside, counted) = &*own;
            for _ in 0..10 {
                let guard = if actor.random.once_in(5) {
                    mutex.try_lock()
                } else {
                    actor.maybe(mutex.lock()).await
                };
                if let Some(mut guard) = guard {
                    let _inside = Inside::enter(inside, 1, 1);
                    let before = *guard;
                    actor.pause().await;
                    *guard = before + 1;
                    counted.add();
                }
            }
        })
    });
    let spawned = spawned.collect();
    disturb(&tasks, &mut random, spawned, 0).await;
    let value = *shared.0.try_lock().expect("nobody has it");
    assert_eq!(value, shared.2.get());
}

/// 7: everything that was put is got, once, and in each putter's order if one getter gets it all.
pub fn c07_random_programs_over_a_queue<S: Subject>() {
    on::<S>(|tasks| {
        Box::pin(programs(move |random| {
            queue::<Fifo<_>>(tasks.clone(), random, true)
        }))
    });
}

/// 7: the same for queues that yield the last or the smallest item first.
pub fn c07_random_programs_over_queues_of_other_orders<S: Subject>() {
    on::<S>(|tasks| {
        Box::pin(async move {
            programs(|random| queue::<Lifo<_>>(tasks.clone(), random, false)).await;
            programs(|random| queue::<Smallest<_>>(tasks.clone(), random, true)).await;
        })
    });
}

/// `keeps_order`: each putter's items, which grow, come out in the order in which they went in.
async fn queue<Q>(tasks: Tasks, mut random: Xorshift, keeps_order: bool)
where
    Q: Store<Item = (usize, usize)> + Send + 'static,
{
    const PUTTERS: usize = 4;
    const ITEMS: usize = 20;
    type Items = StdMutex<Vec<(usize, usize)>>;
    let queue = Arc::new(OrderedQueue::<Q>::new(1 + random.below(4) as usize));
    // The certain ones: a `put` that is given up may have put its item before.
    let (put, got): (Arc<Items>, Arc<Items>) = Default::default();
    let getters = 1 + random.below(4) as usize;
    let mut spawned = Vec::new();
    for putter in 0..PUTTERS {
        let mut actor = Actor::new(&tasks, &mut random);
        let (queue, put) = (Arc::clone(&queue), Arc::clone(&put));
        spawned.push(tasks.spawn(async move {
            for number in 0..ITEMS {
                let item = (putter, number);
                let is_in = if actor.random.once_in(5) {
                    queue.try_put(item).is_ok()
                } else {
                    actor.maybe(queue.put(item)).await == Some(Ok(()))
                };
                if is_in {
                    put.lock().unwrap().push(item);
                }
                actor.pause().await;
            }
        }));
    }
    let getting: Vec<_> = (0..getters)
        .map(|_| {
            let mut actor = Actor::new(&tasks, &mut random);
            let (queue, got) = (Arc::clone(&queue), Arc::clone(&got));
            tasks.spawn(async move {
                loop {
                    match actor.maybe(queue.get()).await {
                        Some(Some(item)) => got.lock().unwrap().push(item),
                        Some(None) => break,
                        None => actor.pause().await,
                    }
                }
            })
        })
        .collect();
    disturb(&tasks, &mut random, spawned, 0).await;
    // The first getter stays, so that everything is got. An aborted getter may have been granted an item, which then
    // goes to another.
    for getter in getting.iter().skip(1) {
        if random.once_in(2) {
            getter.abort();
        }
    }
    queue.close();
    for getter in getting {
        getter.outcome().await;
    }
    let (mut put, mut got) = (put.lock().unwrap().clone(), got.lock().unwrap().clone());
    if keeps_order && getters == 1 {
        for putter in 0..PUTTERS {
            let numbers = got.iter().filter(|item| item.0 == putter);
            assert!(numbers.is_sorted(), "reordered: {got:?}");
        }
    }
    put.sort_unstable();
    got.sort_unstable();
    let missing = put.iter().find(|item| got.binary_search(item).is_err());
    assert_eq!(missing, None, "it was put, and lost: {got:?}");
    assert!(got.is_sorted_by(|one, next| one < next), "twice: {got:?}");
}

/// 7: each notification reaches a waiter that continues, although waiters give up and are aborted.
pub fn c07_random_programs_over_a_condition<S: Subject>() {
    on::<S>(|tasks| Box::pin(programs(move |random| condition(tasks.clone(), random))));
}

/// Goods under a lock: this many may be taken.
#[derive(Default)]
struct Goods {
    there: usize,
    taken: usize,
    closed: bool,
}

async fn condition(tasks: Tasks, mut random: Xorshift) {
    let shared = Arc::new((Mutex::new(Goods::default()), Condition::new()));
    let spawned: Vec<_> = (0..8)
        .map(|_| {
            let (mut actor, own) = (Actor::new(&tasks, &mut random), Arc::clone(&shared));
            tasks.spawn(async move {
                let (goods, more) = &*own;
                loop {
                    let mut guard = goods.lock().await;
                    while guard.there == 0 && !guard.closed {
                        guard = match actor.maybe(more.wait(guard)).await {
                            Some(guard) => guard,
                            None => goods.lock().await,
                        };
                    }
                    if guard.there == 0 {
                        break;
                    }
                    guard.there -= 1;
                    guard.taken += 1;
                }
            })
        })
        .collect();
    let (goods, more) = &*shared;
    let mut made = 0;
    for _ in 0..30 {
        let mut guard = goods.lock().await;
        let count = random.below(3) as usize;
        guard.there += count;
        made += count;
        // Exactly as many as there is work for: a lost notification leaves goods behind.
        more.notify(&guard, count);
        drop(guard);
        for _ in 0..random.below(4) {
            tasks.yield_now().await;
        }
        // The first two stay.
        let chosen = random.below(4 * spawned.len() as u64) as usize;
        if let (2.., Some(task)) = (chosen, spawned.get(chosen)) {
            task.abort();
        }
    }
    loop {
        let mut guard = goods.lock().await;
        if guard.there == 0 {
            guard.closed = true;
            more.notify_all(&guard);
            break;
        }
        drop(guard);
        tasks.yield_now().await;
    }
    for task in spawned {
        task.outcome().await;
    }
    assert_eq!(goods.lock().await.taken, made);
}

/// 7: one set releases all waiters, although it is cleared at once and some of them are aborted before and after it.
pub fn c07_random_programs_over_an_event<S: Subject>() {
    on::<S>(|tasks| Box::pin(programs(move |random| event(tasks.clone(), random))));
}

async fn event(tasks: Tasks, mut random: Xorshift) {
    const TASKS: usize = 8;
    let shared = Arc::new((Event::new(), Count::new(), AtomicBool::new(false)));
    for _ in 0..5 {
        let (event, here, may_pass) = &*shared;
        let expected = here.get() + TASKS;
        may_pass.store(false, SeqCst);
        let spawned: Vec<_> = (0..TASKS)
            .map(|_| {
                let own = Arc::clone(&shared);
                tasks.spawn(async move {
                    let (event, here, may_pass) = &*own;
                    let mut wait = Box::pin(event.wait());
                    assert!(poll_once(&mut wait).await.is_none());
                    here.add();
                    wait.await;
                    assert!(may_pass.load(SeqCst), "it was not set");
                })
            })
            .collect();
        tasks.until(|| here.get() == expected).await;
        let mut aborted = [false; TASKS];
        for number in 0..TASKS {
            if number == TASKS / 2 {
                may_pass.store(true, SeqCst);
                event.set();
                event.clear();
            }
            if random.once_in(2) {
                spawned[number].abort();
                aborted[number] = true;
            }
            if random.once_in(4) {
                tasks.yield_now().await;
            }
        }
        for (task, aborted) in spawned.into_iter().zip(aborted) {
            let outcome = task.outcome().await;
            assert!(outcome == Outcome::Returned || aborted, "{outcome:?}");
        }
    }
}

/// 7: a barrier opens for its full number, however many have come and gone before.
pub fn c07_random_programs_over_a_barrier<S: Subject>() {
    on::<S>(|tasks| Box::pin(programs(move |random| barrier(tasks.clone(), random))));
}

async fn barrier(tasks: Tasks, mut random: Xorshift) {
    let parties = 2 + random.below(4) as usize;
    let barrier = Arc::new(Barrier::new(parties));
    let arrivals: Arc<StdMutex<Vec<(usize, bool)>>> = Arc::default();
    let party = || {
        let (barrier, arrivals) = (Arc::clone(&barrier), Arc::clone(&arrivals));
        tasks.spawn(async move {
            let arrival = barrier.wait().await.expect("nobody breaks it");
            let seen = (arrival.index(), arrival.is_leader());
            arrivals.lock().unwrap().push(seen);
        })
    };
    for _ in 0..5 {
        let mut here: Vec<Spawned> = Vec::new();
        while here.len() < parties - 1 {
            here.push(party());
            if random.once_in(2) {
                // Before it has come, while it comes, or when it is there.
                if random.once_in(2) {
                    let come = here.len();
                    tasks.until(|| barrier.waiting() == come).await;
                }
                let gone = here.swap_remove(random.below(here.len() as u64) as usize);
                gone.abort();
                assert_eq!(gone.outcome().await, Outcome::Cancelled);
            }
        }
        tasks.until(|| barrier.waiting() == parties - 1).await;
        assert!(
            arrivals.lock().unwrap().is_empty(),
            "one who left was counted"
        );
        here.push(party());
        for task in here {
            task.returned().await;
        }
        let mut seen = std::mem::take(&mut *arrivals.lock().unwrap());
        assert_eq!(seen.iter().filter(|(_, leads)| *leads).count(), 1);
        seen.sort_unstable();
        assert!(seen.iter().map(|(index, _)| *index).eq(0..parties));
    }
}
