//! Clause 13 over wakers: a waker may use what it wakes for, and may panic, whenever it is cloned, woken or dropped.
//!
//! `SCENES` is the table of all that can be waited for. A new future of this crate has to be in it, or in the list
//! of those that wait for nothing themselves: the suite's own tests look for it in the sources.

use std::convert::Infallible;
use std::future::Future;
use std::net::UdpSocket as StdUdpSocket;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex as StdMutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_core::Stream;

use super::AmbientSubject;
use super::hostile::{Deed, Hostile, Moment, Touch};
use runtime_kernel::promise::Promise;
use runtime_kernel::time::{interval_at, now, sleep, timeout};
use runtime_kernel::{spawn, spawn_blocking, yield_now};
use runtime_library::cancellation::CancellationToken;
use runtime_library::combine::{as_completed, gather, join_all, shield, wait};
use runtime_library::net::UdpSocket;
use runtime_library::sync::{
    Barrier, Condition, Event, Fifo, Lifo, Mutex, OrderedQueue, Semaphore, Signal, Smallest, Store,
    channel, oneshot,
};
use runtime_library::task_scope::scope;

const MS: Duration = Duration::from_millis(1);

type Waiting = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Something that can be waited for.
struct Scene {
    /// Waits until it is served.
    wait: Box<dyn Fn() -> Waiting + Send>,
    /// Serves all who wait, at once if that is possible.
    serve: Box<dyn Fn() + Send>,
    /// Uses it, and does not wait.
    touch: Touch,
}

/// One that can be waited for by a number of futures; what it is called, and which futures of this crate it is about.
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

/// Futures that keep no waker themselves, or whose wakers are another's in the table.
const OTHERS: &[&str] = &[
    // They poll what they were given, for the same task.
    "Unconstrained",
    "Scoped",
    "SyncSleep",
    // A thread's own, polled once.
    "BlockingJob",
    // A blocking job's handle.
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

/// Polls a future once, for nobody, and drops it.
fn poll_once<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

fn scene(
    wait: impl Fn() -> Waiting + Send + 'static,
    serve: impl Fn() + Send + 'static,
    touch: impl Fn() + Send + Sync + 'static,
) -> Scene {
    Scene {
        wait: Box::new(wait),
        serve: Box::new(serve),
        touch: Arc::new(touch),
    }
}

fn mutex(_: usize) -> Scene {
    let mutex = Arc::new(Mutex::new(0));
    let held = StdMutex::new(Arc::clone(&mutex).try_lock_owned());
    let (waits, touched) = (Arc::clone(&mutex), mutex);
    scene(
        move || {
            let mutex = Arc::clone(&waits);
            Box::pin(async move { *mutex.lock().await += 1 })
        },
        move || drop(held.lock().unwrap().take()),
        move || {
            drop(touched.try_lock());
            drop(poll_once(touched.lock()));
        },
    )
}

fn semaphore(waiters: usize) -> Scene {
    let semaphore = Arc::new(Semaphore::new(0));
    let (waits, touched) = (Arc::clone(&semaphore), Arc::clone(&semaphore));
    scene(
        move || {
            let semaphore = Arc::clone(&waits);
            Box::pin(async move { semaphore.acquire().await.expect("open").forget() })
        },
        move || semaphore.add_permits(waiters),
        move || {
            drop(touched.try_acquire());
            drop(poll_once(touched.acquire()));
        },
    )
}

fn event(_: usize) -> Scene {
    let event = Arc::new(Event::new());
    let (waits, touched) = (Arc::clone(&event), Arc::clone(&event));
    scene(
        move || {
            let event = Arc::clone(&waits);
            Box::pin(async move { event.wait().await })
        },
        move || event.set(),
        move || {
            poll_once(touched.wait());
            // Takes the lock, and changes nothing but what is not set.
            if !touched.is_set() {
                touched.clear();
            }
        },
    )
}

fn signal(_: usize) -> Scene {
    let signal = Arc::new(Signal::new());
    let (waits, touched) = (Arc::clone(&signal), Arc::clone(&signal));
    scene(
        move || {
            let signal = Arc::clone(&waits);
            Box::pin(async move { signal.wait().await })
        },
        move || _ = signal.notify_all(),
        move || {
            touched.waiters();
            poll_once(touched.wait());
        },
    )
}

fn condition(_: usize) -> Scene {
    let shared = Arc::new((Mutex::new(()), Condition::new()));
    let (waits, touched) = (Arc::clone(&shared), Arc::clone(&shared));
    scene(
        move || {
            let shared = Arc::clone(&waits);
            Box::pin(async move {
                let guard = shared.0.lock().await;
                drop(shared.1.wait(guard).await);
            })
        },
        move || {
            let guard = shared.0.try_lock().expect("nobody holds it");
            shared.1.notify_all(&guard);
        },
        move || {
            touched.1.waiters();
            if let Some(guard) = touched.0.try_lock() {
                drop(poll_once(touched.1.wait(guard)));
            }
        },
    )
}

fn barrier(waiters: usize) -> Scene {
    let barrier = Arc::new(Barrier::new(waiters + 1));
    let (waits, touched) = (Arc::clone(&barrier), Arc::clone(&barrier));
    scene(
        move || {
            let barrier = Arc::clone(&waits);
            Box::pin(async move { _ = barrier.wait().await })
        },
        move || {
            // In the place of those who have left, too.
            let mut line = Vec::new();
            loop {
                let mut arrives = Box::pin(barrier.wait());
                let mut cx = Context::from_waker(Waker::noop());
                if arrives.as_mut().poll(&mut cx).is_ready() {
                    break;
                }
                line.push(arrives);
            }
        },
        move || {
            touched.waiting();
            touched.is_broken();
        },
    )
}

fn reset_barrier(waiters: usize) -> Scene {
    let barrier = Arc::new(Barrier::new(2 * waiters));
    let (waits, touched) = (Arc::clone(&barrier), Arc::clone(&barrier));
    scene(
        move || {
            let barrier = Arc::clone(&waits);
            Box::pin(async move { _ = barrier.wait().await })
        },
        move || barrier.reset(),
        move || {
            touched.waiting();
            poll_once(touched.wait());
        },
    )
}

fn touch_queue<S: Store<Item = u8> + Send + 'static>(queue: &Arc<OrderedQueue<S>>) -> Touch {
    let queue = Arc::clone(queue);
    Arc::new(move || {
        queue.len();
        queue.is_closed();
        // What is got here is put again: it is somebody else's.
        if let Ok(item) = queue.try_get() {
            _ = queue.try_put(item);
        }
        if let Some(Some(item)) = poll_once(queue.get()) {
            _ = queue.try_put(item);
        }
        poll_once(queue.join());
    })
}

fn get<S: Store<Item = u8> + Send + 'static>(waiters: usize) -> Scene {
    let queue = Arc::new(OrderedQueue::<S>::unbounded());
    let (waits, touch) = (Arc::clone(&queue), touch_queue(&queue));
    let mut got = scene(
        move || {
            let queue = Arc::clone(&waits);
            Box::pin(async move { _ = queue.get().await })
        },
        move || (0..waiters).for_each(|_| queue.try_put(7).expect("open")),
        || {},
    );
    got.touch = touch;
    got
}

fn put<S: Store<Item = u8> + Send + 'static>(waiters: usize) -> Scene {
    let queue = Arc::new(OrderedQueue::<S>::new(waiters));
    (0..waiters).for_each(|_| queue.try_put(7).expect("there is room"));
    let (waits, touched) = (Arc::clone(&queue), Arc::clone(&queue));
    scene(
        move || {
            let queue = Arc::clone(&waits);
            Box::pin(async move { queue.put(8).await.expect("open") })
        },
        move || (0..waiters).for_each(|_| _ = queue.try_get().expect("it is full")),
        move || {
            touched.len();
            touched.is_full();
            poll_once(touched.join());
        },
    )
}

fn closed_queue(_: usize) -> Scene {
    let queue = Arc::new(OrderedQueue::<Fifo<u8>>::unbounded());
    let (waits, touch) = (Arc::clone(&queue), touch_queue(&queue));
    let mut closed = scene(
        move || {
            let queue = Arc::clone(&waits);
            Box::pin(async move { assert_eq!(queue.get().await, None) })
        },
        move || queue.close(),
        || {},
    );
    closed.touch = touch;
    closed
}

fn join(_: usize) -> Scene {
    let queue = Arc::new(OrderedQueue::<Fifo<u8>>::unbounded());
    queue.try_put(7).expect("open");
    let (waits, touched) = (Arc::clone(&queue), Arc::clone(&queue));
    scene(
        move || {
            let queue = Arc::clone(&waits);
            Box::pin(async move { queue.join().await })
        },
        move || {
            queue.try_get().expect("it was put");
            queue.task_done();
        },
        move || {
            touched.len();
            poll_once(touched.join());
        },
    )
}

fn received(waiters: usize) -> Scene {
    let (sender, receiver) = channel::<u8>(waiters);
    let receiver = Arc::new(receiver);
    let (waits, touched) = (Arc::clone(&receiver), receiver);
    scene(
        move || {
            let receiver = Arc::clone(&waits);
            Box::pin(async move { _ = receiver.recv().await })
        },
        move || (0..waiters).for_each(|_| sender.try_send(7).expect("there is room")),
        move || {
            touched.len();
            // It gets nothing, or others would miss it: they wait already.
            if touched.is_empty() {
                poll_once(touched.recv());
            }
        },
    )
}

fn oneshot_received(_: usize) -> Scene {
    type Ends = (
        Option<oneshot::Sender<u8>>,
        Option<Arc<StdMutex<oneshot::Receiver<u8>>>>,
    );
    let ends: Arc<StdMutex<Ends>> = Arc::default();
    let (waits, touched) = (Arc::clone(&ends), Arc::clone(&ends));
    scene(
        move || {
            let (sender, receiver) = oneshot::channel();
            *waits.lock().unwrap() = (Some(sender), None);
            Box::pin(async move { _ = receiver.await })
        },
        move || {
            let sender = ends.lock().unwrap().0.take();
            _ = sender.map(|sender| sender.send(7));
        },
        move || {
            // Taken out, as the table's own lock is not to be held.
            let Some(sender) = touched.lock().unwrap().0.take() else {
                return;
            };
            sender.is_closed();
            touched.lock().unwrap().0 = Some(sender);
        },
    )
}

fn oneshot_closed(_: usize) -> Scene {
    let receiver: Arc<StdMutex<Option<oneshot::Receiver<u8>>>> = Arc::default();
    let (waits, touched) = (Arc::clone(&receiver), Arc::clone(&receiver));
    scene(
        move || {
            let (mut sender, receiver) = oneshot::channel();
            *waits.lock().unwrap() = Some(receiver);
            Box::pin(async move { sender.closed().await })
        },
        move || {
            let receiver = receiver.lock().unwrap().take();
            drop(receiver);
        },
        move || {
            let Some(mut receiver) = touched.lock().unwrap().take() else {
                return;
            };
            receiver.is_finished();
            _ = receiver.try_recv();
            *touched.lock().unwrap() = Some(receiver);
        },
    )
}

fn promise(_: usize) -> Scene {
    let promise = Promise::<u8>::new();
    let future = promise.future();
    let (promise, touched) = (StdMutex::new(Some(promise)), future.clone());
    scene(
        move || {
            let future = future.clone();
            Box::pin(async move { assert_eq!(future.await, Ok(7)) })
        },
        move || {
            let promise = promise.lock().unwrap().take();
            promise.expect("kept once").set_result(7);
        },
        move || {
            touched.try_result();
            poll_once(touched.clone());
        },
    )
}

fn cancellation(_: usize) -> Scene {
    let token = CancellationToken::new();
    let (waits, touched) = (token.child_token(), token.clone());
    scene(
        move || Box::pin(waits.cancelled_owned()),
        move || token.cancel(),
        move || {
            touched.child_token();
            poll_once(touched.cancelled());
        },
    )
}

/// Tasks that end when they are told to.
fn tasks<F>(wait: impl Fn(Arc<Event>) -> F + Send + 'static) -> Scene
where
    F: Future<Output = ()> + Send + 'static,
{
    let go = Arc::new(Event::new());
    let (waits, touched) = (Arc::clone(&go), Arc::clone(&go));
    scene(
        move || Box::pin(wait(Arc::clone(&waits))),
        move || go.set(),
        move || {
            touched.is_set();
            poll_once(touched.wait());
        },
    )
}

async fn until_set(event: Arc<Event>) {
    event.wait().await;
}

fn task(_: usize) -> Scene {
    tasks(|go| {
        let task = spawn(until_set(go));
        async move { task.await.expect("it returns") }
    })
}

fn shared_task(_: usize) -> Scene {
    tasks(|go| {
        let task = spawn(until_set(go)).shared();
        async move { assert!(task.await.is_ok_and(|outcome| outcome.is_ok())) }
    })
}

fn blocking_job(_: usize) -> Scene {
    tasks(|go| {
        let job = spawn_blocking(move || go.blocking_wait());
        async move { job.await.expect("it returns") }
    })
}

fn scoped(_: usize) -> Scene {
    tasks(|go| async move {
        let body = |children: runtime_library::task_scope::TaskScope<Infallible>| async move {
            let child = children.spawn(async move {
                until_set(go).await;
                Ok(())
            });
            drop(child.await);
            Ok(())
        };
        scope(body).await.expect("none fails");
    })
}

fn joined(_: usize) -> Scene {
    tasks(|go| async move { drop(join_all([until_set(Arc::clone(&go)), until_set(go)]).await) })
}

fn gathered(_: usize) -> Scene {
    tasks(|go| {
        let tasks = [spawn(until_set(Arc::clone(&go))), spawn(until_set(go))];
        async move { drop(gather(tasks).await.expect("they return")) }
    })
}

fn waited(_: usize) -> Scene {
    tasks(|go| async move {
        let futures = [until_set(Arc::clone(&go)), until_set(go)].map(Box::pin);
        assert!(wait(futures).await.pending.is_empty());
    })
}

fn completed(_: usize) -> Scene {
    tasks(|go| async move {
        let mut futures = as_completed([until_set(Arc::clone(&go)), until_set(go)].map(Box::pin));
        while futures.next().await.is_some() {}
        let mut cx = Context::from_waker(Waker::noop());
        assert_eq!(Pin::new(&mut futures).poll_next(&mut cx), Poll::Ready(None));
    })
}

fn shielded(_: usize) -> Scene {
    tasks(|go| {
        let task = spawn(until_set(go));
        async move { shield(task).await.expect("it returns") }
    })
}

fn timer<F>(wait: impl Fn() -> F + Send + 'static) -> Scene
where
    F: Future<Output = ()> + Send + 'static,
{
    scene(
        move || Box::pin(wait()),
        || {},
        // Wherever it is called: a timer needs a runtime.
        || {
            if runtime_kernel::context::try_with(|_| ()).is_some() {
                poll_once(sleep(20 * MS));
            }
        },
    )
}

fn sleeping(_: usize) -> Scene {
    timer(|| sleep(10 * MS))
}

fn ticking(_: usize) -> Scene {
    timer(|| async {
        let start = now() + 10 * MS;
        interval_at(start, MS).tick().await;
    })
}

fn timed_out(_: usize) -> Scene {
    timer(|| async {
        let outcome = timeout(10 * MS, std::future::pending::<()>()).await;
        assert!(outcome.is_err());
    })
}

fn socket(waiters: usize) -> Scene {
    let peer = StdUdpSocket::bind("127.0.0.1:0").expect("a socket");
    let socket = StdUdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket
        .connect(peer.local_addr().expect("bound"))
        .expect("connected");
    peer.connect(socket.local_addr().expect("bound"))
        .expect("connected");
    let socket = Arc::new(UdpSocket::from_std(socket).expect("registered"));
    let (waits, touched) = (Arc::clone(&socket), socket);
    scene(
        move || {
            let socket = Arc::clone(&waits);
            Box::pin(async move { _ = socket.recv(&mut [0; 8]).await.expect("a datagram") })
        },
        // One for each of those who wait, and some that a touch may take.
        move || (0..8 * waiters).for_each(|_| _ = peer.send(b"x").expect("sent")),
        move || drop(poll_once(touched.recv(&mut [0; 8]))),
    )
}

/// One who waits.
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

    /// Those who wait: every other one has wakers that misbehave, each of them two, one after the other.
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
                    // That of its own waker's clone is the poll's own; all else is contained.
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
                // Its future was left in the middle of a poll: it goes, and leaves nothing behind.
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

/// Polls those who have been woken until all have gone on. Those whose wakers misbehave are polled anyhow.
async fn finish(line: Vec<Waiter>, text: &str) {
    let good = Hostile::harmless();
    let mut line: Vec<_> = line.into_iter().map(|waiter| (waiter, 0)).collect();
    while !line.is_empty() {
        line.retain_mut(|(waiter, seen)| {
            let waker = waiter.wakers.last().expect("it has been polled");
            // Read once: a wake between two reads would be seen by neither round.
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
            // For one that hangs, which the watchdog calls by the name of the whole only.
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

/// 13: the panic of a waker that is woken or dropped is contained there, and the others are served.
pub fn c13_a_wakers_panic_keeps_nobody_from_being_woken<S: AmbientSubject>() {
    S::start().run(all(&[Moment::Wake, Moment::Drop], Deed::Panics));
}

/// 13: a waker whose clone panics is in no line afterwards, and nobody else is concerned.
pub fn c13_a_waker_that_cannot_be_cloned_leaves_nothing_behind<S: AmbientSubject>() {
    S::start().run(all(&[Moment::Clone], Deed::Panics));
}
