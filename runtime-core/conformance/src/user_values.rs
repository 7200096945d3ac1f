//! Clauses 8 and 13 for values: whenever they are dropped, cloned or compared, they may use the object that contains
//! them, and may panic; and waiters for items get them in their turn.

use std::cmp::Ordering;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex as StdMutex, Weak};

use futures_lite::future::poll_once;

use super::Subject;
use super::event::Count;
use super::hostile::{Deed, Touch};
use super::sync_tasks::{Tasks, on};
use runtime_kernel::promise::{Promise, Promised};
use runtime_library::sync::{
    Fifo, Lifo, LifoQueue, OrderedQueue, PriorityQueue, Queue, Smallest, Store, channel, oneshot,
};

fn panic_as_planned() -> ! {
    resume_unwind(Box::new("a value's panic, as planned"))
}

/// Counts its drops, and misbehaves in each.
struct Item {
    /// Uses the object that contains it.
    touch: Touch,
    deed: Deed,
    drops: Arc<AtomicUsize>,
    number: usize,
}

impl Drop for Item {
    fn drop(&mut self) {
        self.drops.fetch_add(1, SeqCst);
        match self.deed {
            Deed::UsesIt => (self.touch)(),
            Deed::Panics => panic_as_planned(),
        }
    }
}

impl PartialEq for Item {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}
impl Eq for Item {}
impl PartialOrd for Item {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Item {
    fn cmp(&self, other: &Self) -> Ordering {
        self.number.cmp(&other.number)
    }
}

const ITEMS: usize = 5;

/// A full queue, what is needed to make another item for it, and how many items were dropped.
struct Filled<S: Store<Item = Item>> {
    queue: Arc<OrderedQueue<S>>,
    touch: Touch,
    drops: Arc<AtomicUsize>,
    deed: Deed,
}

impl<S: Store<Item = Item> + Send + 'static> Filled<S> {
    fn new(deed: Deed) -> Self {
        let queue = Arc::new(OrderedQueue::<S>::new(ITEMS));
        let own = Arc::downgrade(&queue);
        let touch: Touch = Arc::new(move || {
            if let Some(queue) = own.upgrade() {
                queue.len();
                queue.is_full();
                _ = queue.try_get().map(std::mem::forget);
            }
        });
        let filled = Self {
            queue,
            touch,
            drops: Arc::default(),
            deed,
        };
        for number in 0..ITEMS {
            assert!(filled.queue.try_put(filled.item(number)).is_ok());
        }
        filled
    }

    fn item(&self, number: usize) -> Item {
        Item {
            touch: Arc::clone(&self.touch),
            deed: self.deed,
            drops: Arc::clone(&self.drops),
            number,
        }
    }

    fn dropped(&self) -> usize {
        self.drops.load(SeqCst)
    }
}

/// Every way in which a queue drops its items.
async fn dropped_items<S: Store<Item = Item> + Send + 'static>(deed: Deed) {
    // Drained, and then dropped.
    let filled = Filled::<S>::new(deed);
    drop(filled.queue.close_and_drain());
    assert_eq!((filled.dropped(), filled.queue.len()), (ITEMS, 0));
    filled.queue.join().await;
    // Partly drained.
    let filled = Filled::<S>::new(deed);
    let mut drained = filled.queue.close_and_drain();
    std::mem::forget(drained.next());
    drop(drained);
    assert_eq!(filled.dropped(), ITEMS - 1);
    // Dropped with the queue.
    let Filled { queue, drops, .. } = Filled::<S>::new(deed);
    drop(queue);
    assert_eq!(drops.load(SeqCst), ITEMS);
    // With a waiter for room that leaves: a panic of its own value's destructor is its own.
    let filled = Filled::<S>::new(deed);
    let mut waits = Box::pin(filled.queue.put(filled.item(ITEMS)));
    assert!(poll_once(&mut waits).await.is_none());
    let left = catch_unwind(AssertUnwindSafe(|| drop(waits)));
    assert_eq!(left.is_err(), deed == Deed::Panics);
    assert_eq!(filled.dropped(), 1);
    if deed == Deed::Panics {
        assert_eq!(filled.queue.len(), ITEMS);
    }
}

/// 13: items may use their queue when it drops them, and if one's destructor panics, the others are not affected.
pub fn c13_items_are_dropped_outside_of_locks<S: Subject>() {
    on::<S>(|_| {
        Box::pin(async {
            for deed in [Deed::UsesIt, Deed::Panics] {
                dropped_items::<Fifo<_>>(deed).await;
                dropped_items::<Lifo<_>>(deed).await;
                dropped_items::<Smallest<_>>(deed).await;
            }
        })
    });
}

/// 13: the same holds for a channel's items when its last receiver is dropped, and for a value that nobody took.
pub fn c13_values_nobody_took_are_dropped_outside_of_locks<S: Subject>() {
    type Touch = StdMutex<Option<Box<dyn Fn() + Send>>>;
    /// Uses the senders' side.
    struct Sends(Weak<Touch>, Arc<AtomicUsize>, bool);
    impl Drop for Sends {
        fn drop(&mut self) {
            self.1.fetch_add(1, SeqCst);
            let touch = self.0.upgrade();
            // Taken out, so that no lock of the test is held.
            let touch = touch.and_then(|touch| touch.lock().unwrap().take());
            if let Some(touch) = touch {
                touch();
            }
            if self.2 {
                panic_as_planned();
            }
        }
    }
    on::<S>(|_| {
        Box::pin(async {
            for panics in [false, true] {
                let drops = Arc::<AtomicUsize>::default();
                let touch = Arc::<Touch>::default();
                let value = || Sends(Arc::downgrade(&touch), Arc::clone(&drops), panics);
                let (sender, receiver) = channel(4);
                (0..4).for_each(|_| assert!(sender.try_send(value()).is_ok()));
                let uses = sender.clone();
                *touch.lock().unwrap() = Some(Box::new(move || assert!(uses.is_closed())));
                drop(receiver);
                assert_eq!(drops.load(SeqCst), 4);

                let (sender, receiver) = oneshot::channel();
                assert!(sender.send(value()).is_ok());
                let gone = catch_unwind(AssertUnwindSafe(|| drop(receiver)));
                assert_eq!((gone.is_err(), drops.load(SeqCst)), (panics, 5));

                let promise = Promise::new();
                let future = promise.future();
                promise.set_result(value());
                assert!(future.is_finished());
                let gone = catch_unwind(AssertUnwindSafe(|| drop(future)));
                assert_eq!((gone.is_err(), drops.load(SeqCst)), (panics, 6));
            }
        })
    });
}

/// 13: a clone of a promise's value may query the promise, wait for it, and panic.
pub fn c13_a_clone_may_ask_its_promise<S: Subject>() {
    struct Asks {
        promise: Arc<StdMutex<Option<Promised<Asks>>>>,
        depth: Arc<AtomicUsize>,
        panics: Arc<AtomicUsize>,
    }
    impl Clone for Asks {
        fn clone(&self) -> Self {
            let promise = self.promise.lock().unwrap().as_ref().map(Promised::clone);
            if let Some(promise) = promise
                && self.depth.fetch_add(1, SeqCst) < 3
            {
                assert!(promise.is_finished());
                assert!(promise.try_result().is_some_and(|outcome| outcome.is_ok()));
                let polled = futures_lite::future::block_on(poll_once(promise));
                assert!(polled.is_some());
            }
            if self.panics.load(SeqCst) > 0 {
                self.panics.fetch_sub(1, SeqCst);
                panic_as_planned();
            }
            Self {
                promise: Arc::clone(&self.promise),
                depth: Arc::clone(&self.depth),
                panics: Arc::clone(&self.panics),
            }
        }
    }
    on::<S>(|tasks| {
        Box::pin(async move {
            let promise = Promise::new();
            let future = promise.future();
            let asks = Asks {
                promise: Arc::new(StdMutex::new(Some(future.clone()))),
                depth: Arc::default(),
                panics: Arc::default(),
            };
            let (kept, panics, depth) = (
                Arc::clone(&asks.promise),
                Arc::clone(&asks.panics),
                Arc::clone(&asks.depth),
            );
            let waiting: Vec<_> = (0..4)
                .map(|_| {
                    let future = future.clone();
                    tasks.spawn(async move { assert!(future.await.is_ok()) })
                })
                .collect();
            tasks.yield_now().await;
            promise.set_result(asks);
            for waiter in waiting {
                waiter.returned().await;
            }
            depth.store(usize::MAX / 2, SeqCst);
            panics.store(1, SeqCst);
            let asked = catch_unwind(AssertUnwindSafe(|| future.try_result().is_some()));
            assert!(asked.is_err());
            assert!(future.clone().await.is_ok(), "it can be asked again");
            // Otherwise the value would keep itself alive.
            drop(kept.lock().unwrap().take());
        })
    });
}

/// An item whose comparison does what it is told.
struct Compared {
    number: usize,
    plan: Arc<Plan>,
}

#[derive(Default)]
struct Plan {
    queue: StdMutex<Weak<PriorityQueue<Compared>>>,
    /// Comparisons until one misbehaves; `usize::MAX`: none does.
    left: AtomicUsize,
    deed: StdMutex<Option<Deed>>,
    /// The number of items that comparisons have put.
    put: AtomicUsize,
}

impl Plan {
    fn compare(self: &Arc<Self>) {
        if self.left.load(SeqCst) == usize::MAX || self.left.fetch_sub(1, SeqCst) > 0 {
            return;
        }
        self.left.store(usize::MAX, SeqCst);
        let deed = *self.deed.lock().unwrap();
        match deed {
            Some(Deed::Panics) => panic_as_planned(),
            Some(Deed::UsesIt) => {
                let queue = self.queue.lock().unwrap().upgrade();
                let Some(queue) = queue else { return };
                let number = 100 + self.put.fetch_add(1, SeqCst);
                let item = Compared {
                    number,
                    plan: Arc::clone(self),
                };
                assert!(queue.try_put(item).is_ok());
                queue.len();
                queue.is_empty();
                // Items that are being compared are not available meanwhile.
                assert!(queue.try_get().is_err());
                let mut get = Box::pin(queue.get());
                let polled = futures_lite::future::block_on(poll_once(&mut get));
                assert!(polled.is_none());
            }
            None => {}
        }
    }
}

impl PartialEq for Compared {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for Compared {}
impl PartialOrd for Compared {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Compared {
    fn cmp(&self, other: &Self) -> Ordering {
        self.plan.compare();
        self.number.cmp(&other.number)
    }
}

/// Fills a priority queue and empties it; after `left` comparisons, one misbehaves.
async fn compared(tasks: &Tasks, deed: Deed, left: usize) {
    const ITEMS: usize = 10;
    let (queue, plan) = (
        Arc::new(PriorityQueue::unbounded()),
        Arc::new(Plan::default()),
    );
    *plan.queue.lock().unwrap() = Arc::downgrade(&queue);
    *plan.deed.lock().unwrap() = Some(deed);
    plan.left.store(left, SeqCst);
    let (mut put, mut refused, mut panics) = (0, 0, 0);
    for index in 0..ITEMS {
        let item = Compared {
            number: index * 7 % ITEMS,
            plan: Arc::clone(&plan),
        };
        // Wherever comparisons take place, an item that was put is in.
        match catch_unwind(AssertUnwindSafe(|| queue.try_put(item).is_ok())) {
            Ok(true) => put += 1,
            Ok(false) => panic!("it is open and has no bound"),
            Err(_) => refused += 1,
        }
    }
    // One getter that waits in a task, and one that does not wait.
    let got = Count::new();
    let taken: Arc<StdMutex<Vec<usize>>> = Arc::default();
    while !queue.is_empty() {
        let (own, list, count) = (Arc::clone(&queue), Arc::clone(&taken), got.clone());
        let getter = tasks.spawn(async move {
            if let Some(job) = own.get_job().await {
                list.lock().unwrap().push(job.number);
                count.add();
            }
        });
        if getter.outcome().await != super::outcome::Outcome::Returned {
            panics += 1;
        }
        let job = catch_unwind(AssertUnwindSafe(|| queue.try_get()));
        match job {
            Ok(Ok(item)) => {
                taken.lock().unwrap().push(item.number);
                got.add();
                queue.task_done();
            }
            Ok(Err(_)) => {}
            Err(_) => panics += 1,
        }
    }
    let text = format!("{deed:?} after {left}");
    let from_comparisons = plan.put.load(SeqCst);
    // A `put` whose comparison panics has put its item.
    let total = put + refused + from_comparisons;
    assert_eq!(got.get(), total, "{text}: an item is lost");
    panics += refused;
    assert!(panics <= 1, "{text}: {panics}");
    let mut taken = taken.lock().unwrap().clone();
    if panics == 0 && from_comparisons == 0 {
        assert!(taken.is_sorted(), "{text}: {taken:?}");
    }
    taken.sort_unstable();
    taken.dedup();
    assert_eq!(taken.len(), total, "{text}: twice");
    // No item is uncounted.
    queue.join().await;
}

/// 13: the comparison of a queue's items may use the queue, and may panic: no item is lost, and none is uncounted.
pub fn c13_comparisons_are_made_outside_of_locks<S: Subject>() {
    on::<S>(|tasks| {
        Box::pin(async move {
            for deed in [Deed::UsesIt, Deed::Panics] {
                for left in 0..45 {
                    compared(&tasks, deed, left).await;
                }
            }
        })
    });
}

type Getter = Pin<Box<dyn Future<Output = Option<u8>> + Send>>;

/// Three getters wait, three items are put, and the getters run in the order `order`.
async fn got_in_turn<S>(order: [usize; 3]) -> [u8; 3]
where
    S: Store<Item = u8> + Send + 'static,
{
    let queue = Arc::new(OrderedQueue::<S>::unbounded());
    let mut getters: Vec<Getter> = Vec::new();
    for _ in 0..3 {
        let own = Arc::clone(&queue);
        let mut getter: Getter = Box::pin(async move { own.get().await });
        assert!(poll_once(&mut getter).await.is_none());
        getters.push(getter);
    }
    (0..3).for_each(|item| queue.try_put(item).expect("open"));
    let mut got = [u8::MAX; 3];
    for getter in order {
        let item = poll_once(&mut getters[getter]).await;
        got[getter] = item.flatten().expect("there is one for each");
    }
    got
}

/// 8: waiters for items get them in the order in which they began to wait, in whichever order they then run. This is
/// asyncio's order.
pub fn c08_items_go_to_their_getters_in_turn<S: Subject>() {
    on::<S>(|tasks| {
        Box::pin(async move {
            for order in [
                [0, 1, 2],
                [0, 2, 1],
                [1, 0, 2],
                [1, 2, 0],
                [2, 0, 1],
                [2, 1, 0],
            ] {
                assert_eq!(got_in_turn::<Fifo<u8>>(order).await, [0, 1, 2]);
                assert_eq!(got_in_turn::<Lifo<u8>>(order).await, [2, 1, 0]);
                assert_eq!(got_in_turn::<Smallest<u8>>(order).await, [0, 1, 2]);
            }
            for _ in 0..200 {
                between_tasks(&tasks).await;
            }
        })
    });
}

/// The same with tasks, which the scheduler runs in its own order.
async fn between_tasks(tasks: &Tasks) {
    let queue = Arc::new(Queue::unbounded());
    let got: Arc<StdMutex<[u8; 3]>> = Arc::default();
    let mut getters = Vec::new();
    for place in 0..3 {
        let (own, list, waits) = (Arc::clone(&queue), Arc::clone(&got), Count::new());
        let notify = waits.clone();
        getters.push(tasks.spawn(async move {
            let mut get = Box::pin(own.get());
            assert!(poll_once(&mut get).await.is_none());
            notify.add();
            let item = get.await.expect("open");
            list.lock().unwrap()[place] = item;
        }));
        waits.reach(1).await;
    }
    (0..3).for_each(|item| queue.try_put(item).expect("open"));
    for getter in getters {
        getter.returned().await;
    }
    assert_eq!(*got.lock().unwrap(), [0, 1, 2]);
    // A newcomer does not get what waiters that were served before are about to take.
    let last = LifoQueue::unbounded();
    let mut get = Box::pin(last.get());
    assert!(poll_once(&mut get).await.is_none());
    (0..2).for_each(|item| last.try_put(item).expect("open"));
    assert_eq!(last.try_get(), Ok(0));
    assert_eq!(get.await, Some(1));
}
