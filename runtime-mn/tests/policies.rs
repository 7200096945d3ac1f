//! The purpose of each policy, shown by orders and counts.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use runtime_core::sync::Mutex as AsyncMutex;
use runtime_core::time::Clock;
use runtime_core::{Attributes, Native as _, spawn, spawn_blocking, spawn_with, yield_now};
use runtime_mn::policy::{
    Attempt, Cpu, Deadline, Distance, GlobalQueue, GoLike, Locality, NoSteal, Place, Policy,
    Priority, SearchView, Shed, SleeperView, Topology, WorkerView,
};
use runtime_mn::{Builder, Runtime};

/// Long enough for any machine. Only a bug can make something here wait this long.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// No monitor, because it would send help to workers that are busy on purpose.
fn builder(workers: usize) -> Builder {
    Runtime::builder().workers(workers).monitor(false)
}

/// Calls `test` on a thread that is left behind if it hangs.
fn bounded(test: impl FnOnce() + Send + 'static) {
    let (sender, ended) = mpsc::channel();
    let thread = thread::spawn(move || {
        test();
        sender.send(()).unwrap();
    });
    if ended.recv_timeout(TIME_LIMIT) == Err(mpsc::RecvTimeoutError::Timeout) {
        panic!("it has not ended");
    }
    thread.join().unwrap();
}

/// The number of the worker that runs on this thread.
fn worker() -> usize {
    let thread = thread::current();
    let number = thread.name().and_then(|name| name.rsplit('-').next());
    number
        .and_then(|it| it.parse().ok())
        .expect("a worker's thread is numbered")
}

/// The order in which tasks with these tags run, on one worker for which time stands still.
fn order_of(policy: impl Policy, tags: &[u32]) -> Vec<u32> {
    let runtime = builder(1)
        .clock(Clock::simulated())
        .build_with(policy)
        .unwrap();
    let order = Arc::new(Mutex::new(Vec::new()));
    let (own, tags) = (Arc::clone(&order), tags.to_vec());
    runtime.block_on(async move {
        let tasks = tags.into_iter().map(|tag| {
            let order = Arc::clone(&own);
            spawn_with(Attributes::tagged(tag), async move {
                order.lock().unwrap().push(tag)
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.unwrap();
        }
    });
    drop(runtime);
    Arc::into_inner(order).unwrap().into_inner().unwrap()
}

/// `count` different numbers from 1 up, shuffled, and always the same.
fn shuffled(count: u32) -> Vec<u32> {
    (0..count).map(|number| number * 29 % count + 1).collect()
}

#[test]
fn under_priority_the_higher_levels_run_first() {
    let tags: Vec<_> = (0..48).map(|number| number * 5 % 8).collect();
    let mut sorted = tags.clone();
    sorted.sort_by_key(|tag| std::cmp::Reverse(*tag));
    assert_eq!(order_of(Priority::default(), &tags), sorted);
    assert_ne!(order_of(GoLike, &tags), sorted);
    assert_ne!(order_of(GlobalQueue, &tags), sorted);
}

#[test]
fn under_priority_spawns_of_other_threads_are_ranked_too() {
    let runtime = builder(1).build_with(Priority {
        ageing: Duration::from_secs(3600),
        levels: 8,
    });
    let runtime = runtime.unwrap();
    let (open, gate) = mpsc::channel();
    let (begin, begun) = mpsc::channel();
    let busy = runtime.spawn(async move {
        begin.send(()).unwrap();
        gate.recv().unwrap();
    });
    begun.recv_timeout(TIME_LIMIT).unwrap();
    let order = Arc::new(Mutex::new(Vec::new()));
    let tags = [3, 0, 7, 5, 0, 7, 1];
    let tasks = tags.map(|tag| {
        let order = Arc::clone(&order);
        let task = async move { order.lock().unwrap().push(tag) };
        runtime.handle().spawn_with(Attributes::tagged(tag), task)
    });
    open.send(()).unwrap();
    runtime.block_on(busy).unwrap();
    for task in tasks {
        runtime.block_on(task).unwrap();
    }
    assert_eq!(*order.lock().unwrap(), [7, 7, 5, 3, 1, 0, 0]);
}

/// A task of the lowest level holds a lock that a task of the highest level waits for, while tasks of a level between
/// them always have work. Returns how often those are polled until the highest one has the lock.
fn polls_of_the_middle(ageing: Duration) -> usize {
    let runtime = builder(1)
        .build_with(Priority { levels: 8, ageing })
        .unwrap();
    let polls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&polls);
    let root = runtime.spawn(async move {
        let (lock, done) = (
            Arc::new(AsyncMutex::new(())),
            Arc::new(AtomicBool::new(false)),
        );
        let holder = Arc::clone(&lock);
        let held = Arc::new(AtomicBool::new(false));
        let holds = Arc::clone(&held);
        let low = spawn_with(Attributes::tagged(0), async move {
            let guard = holder.lock().await;
            holds.store(true, SeqCst);
            for _ in 0..3 {
                yield_now().await;
            }
            drop(guard);
        });
        while !held.load(SeqCst) {
            yield_now().await;
        }
        let middle = (0..4).map(|_| {
            let (done, counted) = (Arc::clone(&done), Arc::clone(&counted));
            spawn_with(Attributes::tagged(4), async move {
                while !done.load(SeqCst) {
                    counted.fetch_add(1, SeqCst);
                    yield_now().await;
                }
            })
        });
        let middle: Vec<_> = middle.collect();
        let high = spawn_with(Attributes::tagged(7), async move {
            drop(lock.lock().await);
            done.store(true, SeqCst);
        });
        high.await.unwrap();
        low.await.unwrap();
        for task in middle {
            task.await.unwrap();
        }
    });
    runtime.block_on(root).unwrap();
    polls.load(SeqCst)
}

#[test]
fn ageing_ends_a_priority_inversion() {
    bounded(|| {
        // With immediate ageing it is a queue: each of the middle tasks is polled a few times while the lowest one is
        // polled four times. Without ageing, the middle tasks keep the lowest one from running, and thereby the
        // highest. This only ends by the turn that the oldest task has under every policy.
        let (aged, not_aged) = (
            polls_of_the_middle(Duration::ZERO),
            polls_of_the_middle(Duration::MAX),
        );
        assert!(aged < 50, "{aged} polls of the tasks in between");
        assert!(
            not_aged > 2 * 256,
            "{not_aged} polls of the tasks in between"
        );
    });
}

/// How many of 64 tasks are late on one worker, if each takes one unit of time. Their tags are their deadlines.
fn misses(policy: impl Policy) -> usize {
    // A unit is 1 s, and the clock stands still meanwhile, so that only the order counts.
    let deadlines: Vec<_> = shuffled(64)
        .into_iter()
        .map(|units| units * 1_000_000)
        .collect();
    let order = order_of(policy, &deadlines);
    assert_eq!(order.len(), 64);
    let ends = (1..).map(|units: u32| units * 1_000_000);
    order
        .into_iter()
        .zip(ends)
        .filter(|(deadline, end)| end > deadline)
        .count()
}

#[test]
fn under_deadline_no_deadline_is_missed_that_can_be_kept() {
    assert_eq!(misses(Deadline::default()), 0);
    // First come, first served: as many are late as are at a later place than their deadline.
    let late = (1..)
        .zip(shuffled(64))
        .filter(|(end, deadline)| end > deadline);
    let late = late.count();
    assert!(late > 20, "the order is too good for a test: {late}");
    assert_eq!(misses(GlobalQueue), late);
}

/// Two nodes of two cores each.
fn two_nodes() -> Topology {
    Topology::new((0..4).map(|number| Cpu {
        number,
        core: number,
        cache: number / 2,
        node: number / 2,
    }))
}

/// Workers 0, 2 and 3 are busy; 0 and 2 have 50 tasks each in their queues, and worker 1 is the only thief. Returns
/// the workers whose tasks it runs, in order.
fn robbed(policy: impl Policy) -> Vec<usize> {
    let runtime = builder(4).topology(two_nodes()).build_with(policy).unwrap();
    let (all_there, all_spawned) = (Arc::new(Barrier::new(4)), Arc::new(Barrier::new(4)));
    let order = Arc::new(Mutex::new(Vec::new()));
    let (sender, ran) = mpsc::channel();
    let opens: Vec<_> = (0..4)
        .map(|_| {
            let (there, spawned) = (Arc::clone(&all_there), Arc::clone(&all_spawned));
            let (order, sender) = (Arc::clone(&order), sender.clone());
            let (open, gate) = mpsc::channel::<()>();
            drop(runtime.spawn(async move {
                // Each of the four on its own worker.
                there.wait();
                let own = worker();
                if own.is_multiple_of(2) {
                    for _ in 0..50 {
                        let (order, sender) = (Arc::clone(&order), sender.clone());
                        drop(spawn(async move {
                            order.lock().unwrap().push(own);
                            sender.send(worker()).unwrap();
                        }));
                    }
                }
                spawned.wait();
                if own != 1 {
                    // Until the test lets it continue.
                    let _ = gate.recv();
                }
            }));
            open
        })
        .collect();
    for _ in 0..100 {
        assert_eq!(ran.recv_timeout(TIME_LIMIT), Ok(1), "the only free worker");
    }
    drop(opens);
    drop(runtime);
    Arc::into_inner(order).unwrap().into_inner().unwrap()
}

#[test]
fn under_locality_thieves_steal_from_the_nearest_worker_first() {
    let by_distance = [vec![0; 50], vec![2; 50]].concat();
    assert_eq!(robbed(Locality), by_distance);
    // A random victim first: it takes some from far away while there is work near by.
    assert_ne!(robbed(AnyVictim), by_distance);
}

/// Like the default, but one task at a time, so that many choices are seen.
struct AnyVictim;

impl Policy for AnyVictim {
    fn name(&self) -> &'static str {
        "any-victim"
    }
    fn knobs(&self) -> runtime_mn::policy::Knobs {
        let mut knobs = GoLike.knobs();
        knobs.steal = runtime_mn::policy::Steal::One;
        knobs
    }
}

/// Spawns 200 tasks from one task. Returns on how many workers they ran, and how many were stolen.
fn spread(policy: impl Policy) -> (usize, u64) {
    let runtime = builder(4).build_with(policy).unwrap();
    let ran = runtime.spawn(async {
        let tasks: Vec<_> = (0..200).map(|_| spawn(async { worker() })).collect();
        let mut ran = [0; 4];
        for task in tasks {
            ran[task.await.unwrap()] += 1;
        }
        ran
    });
    let ran: [usize; 4] = runtime.block_on(ran).unwrap();
    assert_eq!(ran.iter().sum::<usize>(), 200);
    let stolen = runtime.handle().metrics().tasks_stolen.unwrap();
    (ran.iter().filter(|count| **count > 0).count(), stolen)
}

#[test]
fn under_shed_busy_workers_push_to_idle_ones_and_none_steals() {
    assert_eq!(spread(NoSteal), (1, 0));
    let (workers, stolen) = spread(Shed::default());
    assert!(
        workers == 4 && stolen == 0,
        "{workers} workers, {stolen} stolen"
    );
}

/// Each task runs on the worker that its tag names.
struct ByTag;

impl Policy for ByTag {
    const PLACES_INJECTED: bool = true;

    fn name(&self) -> &'static str {
        "by-tag"
    }
    fn steals(&self) -> bool {
        false
    }
    fn place_spawned(&self, own: &WorkerView<'_>) -> Place {
        Place::Worker(own.task().tag() as usize)
    }
    fn place_injected(&self, own: &WorkerView<'_>) -> Place {
        self.place_spawned(own)
    }
    fn place_woken(&self, own: &WorkerView<'_>, _: runtime_mn::policy::WokenBy) -> Place {
        self.place_spawned(own)
    }
    fn search(&self, _: &SearchView<'_>) -> impl Iterator<Item = Attempt> {
        std::iter::once(Attempt::Injected)
    }
}

#[test]
fn a_task_that_is_sent_to_a_worker_runs_there_and_wakes_it() {
    bounded(|| {
        let runtime = builder(4).build_with(ByTag).unwrap();
        for round in 0..100 {
            // From outside and from a task, with idle and with busy workers.
            let root = runtime
                .handle()
                .spawn_with(Attributes::tagged(round % 4), async {
                    let tasks = (0..8).map(|number| {
                        let task = async move {
                            let before = worker();
                            yield_now().await;
                            (before, worker())
                        };
                        (
                            number,
                            spawn_with(Attributes::tagged(number as u32 % 4), task),
                        )
                    });
                    for (number, task) in tasks.collect::<Vec<_>>() {
                        assert_eq!(task.await.unwrap(), (number % 4, number % 4));
                    }
                    worker()
                });
            assert_eq!(runtime.block_on(root).unwrap(), (round % 4) as usize);
        }
    });
}

/// Wakes that worker if it sleeps, and no other. It counts how often it is asked while all sleep.
struct Wakes(usize, Arc<AtomicUsize>);

impl Policy for Wakes {
    fn name(&self) -> &'static str {
        "wakes"
    }
    fn wake(&self, sleepers: &SleeperView<'_>) -> Option<usize> {
        assert_eq!(sleepers.distance(self.0), Distance::Machine, "from outside");
        if sleepers.sleepers().count() == sleepers.workers() {
            self.1.fetch_add(1, SeqCst);
        }
        Some(self.0)
    }
}

#[test]
fn the_policy_chooses_which_worker_is_woken() {
    bounded(|| {
        for chosen in 0..4 {
            let all_slept = Arc::new(AtomicUsize::new(0));
            let policy = Wakes(chosen, Arc::clone(&all_slept));
            let runtime = builder(4).build_with(policy).unwrap();
            let (mut asked, mut hits) = (0, 0);
            while asked < 20 {
                // Until the workers sleep again: rounds in which one is still awake do not count.
                thread::sleep(Duration::from_millis(1));
                let before = all_slept.load(SeqCst);
                let ran = runtime.spawn(async { worker() });
                let ran = runtime.block_on(async { ran.await.unwrap() });
                if all_slept.load(SeqCst) > before {
                    asked += 1;
                    hits += usize::from(ran == chosen);
                }
            }
            assert!(hits > 10, "worker {chosen} ran {hits} of {asked} tasks");
        }
    });
}

#[test]
fn a_worker_that_is_pinned_stays_on_its_processor_and_others_do_not() {
    let runtime = builder(2).pin_workers(true).build().unwrap();
    let allowed = |thread: &str| {
        let status = std::fs::read_to_string(format!("/proc/{thread}/status")).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("Cpus_allowed_list"));
        line.unwrap().split_whitespace().last().unwrap().to_owned()
    };
    let of_worker = runtime.block_on(async move { allowed("thread-self") });
    assert!(of_worker.parse::<u32>().is_ok(), "{of_worker}");
    // A worker starts its thread.
    let of_blocking = runtime.block_on(async move {
        spawn_blocking(move || (allowed("thread-self"), allowed("self"))).await
    });
    let (thread, process) = of_blocking.unwrap();
    assert_eq!(thread, process);
}

#[test]
fn a_processor_that_the_process_may_not_use_is_refused() {
    let beyond = Cpu {
        number: 1 << 20,
        core: 0,
        cache: 0,
        node: 0,
    };
    let topology = Topology::new([beyond]);
    let error = builder(1)
        .topology(topology.clone())
        .pin_workers(true)
        .build()
        .unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    // Without pinning, a topology is only information.
    builder(1).topology(topology).build().unwrap();
}
