//! All ways in which a runtime ends or a task is dropped: each suspended stack is unwound and returned.
//!
//! This is a separate test program, because the count of stacks belongs to the process.

use std::future::Future;
use std::io::{Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use runtime_core::green::net::TcpListener;
use runtime_core::green::{self, StackStats, wait};
use runtime_core::park::block_on_current_thread;
use runtime_core::sync::{Event, Semaphore};
use runtime_core::{JoinError, JoinHandle, Native};

/// The tests take turns because they count stacks.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Counts the values on stacks, and the stacks.
struct Count {
    values: Arc<AtomicUsize>,
    begun: Arc<Semaphore>,
    before: StackStats,
}

/// A value on the stack of a suspended task.
struct Value(Arc<AtomicUsize>);

impl Value {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, SeqCst);
        Self(Arc::clone(count))
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

/// Calls a function when it is dropped.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        self.0();
    }
}

impl Count {
    fn new() -> Self {
        Self {
            values: Arc::default(),
            begun: Arc::new(Semaphore::new(0)),
            before: green::stack_stats(),
        }
    }

    /// The function of a task that waits for ever, with a value on its stack that calls `at_the_end` when it is
    /// dropped.
    fn suspended(
        &self,
        at_the_end: impl FnMut() + Send + 'static,
    ) -> impl FnOnce() + Send + 'static {
        let (values, begun) = (Arc::clone(&self.values), Arc::clone(&self.begun));
        move || {
            let _outer = Value::new(&values);
            let _end = OnDrop(at_the_end);
            let _inner = Value::new(&values);
            begun.add_permits(1);
            wait(std::future::pending::<()>());
        }
    }

    /// Starts this many of them, and waits until all are suspended.
    async fn start<R: Native>(&self, runtime: &R, tasks: usize) -> Vec<JoinHandle<()>> {
        let handles = (0..tasks)
            .map(|_| green::spawn_on(runtime, self.suspended(|| ())))
            .collect();
        self.begun.acquire_many(tasks).await.unwrap().forget();
        handles
    }

    /// Threads that have ended return their stacks a little later.
    fn nothing_is_left(&self) {
        let begun = Instant::now();
        let is_left =
            || green::stack_stats().in_use > self.before.in_use || self.values.load(SeqCst) > 0;
        while is_left() && begun.elapsed() < Duration::from_secs(20) {
            thread::sleep(Duration::from_millis(1));
        }
        let (values, after) = (self.values.load(SeqCst), green::stack_stats());
        assert_eq!((values, after.abandoned), (0, self.before.abandoned));
        assert!(after.in_use <= self.before.in_use, "{after:?}");
    }
}

fn two_workers() -> runtime_mn::Runtime {
    runtime_mn::Runtime::builder().workers(2).build().unwrap()
}

const TASKS: usize = 100;

/// From inside, the end only begins. It completes when the task that began it has left its poll.
#[test]
fn a_runtime_that_its_own_green_task_drops() {
    let _turn = turn();
    for in_place in [false, true] {
        let count = Arc::new(Count::new());
        let (runtime, inner) = (two_workers(), Arc::clone(&count));
        let handle = runtime.handle().clone();
        let task = green::spawn_on(&handle.clone(), move || {
            drop(wait(inner.start(&handle, TASKS)));
            if in_place {
                runtime_mn::block_in_place(|| drop(runtime));
            } else {
                drop(runtime);
            }
            // It is suspended once more, and ends there.
            inner.suspended(|| ())();
        });
        let error = block_on_current_thread(task).unwrap_err();
        assert!(matches!(error, JoinError::Cancelled), "{error}");
        count.nothing_is_left();
    }
    let count = Arc::new(Count::new());
    let (runtime, inner) = (runtime_threads::Runtime::new().unwrap(), Arc::clone(&count));
    let handle = runtime.handle();
    let task = green::spawn_on(&handle.clone(), move || {
        drop(wait(inner.start(&handle, TASKS / 10)));
        drop(runtime);
        inner.suspended(|| ())();
    });
    let error = block_on_current_thread(task).unwrap_err();
    assert!(matches!(error, JoinError::Cancelled), "{error}");
    count.nothing_is_left();
}

/// A runtime inside another one: a green task of the outer runtime starts, suspends and drops the inner one's tasks.
#[test]
fn a_runtime_that_another_ones_green_task_drops() {
    let _turn = turn();
    fn nested(count: &Count) {
        let runtime = two_workers();
        drop(wait(count.start(runtime.handle(), TASKS)));
        drop(runtime);
        let runtime = runtime_threads::Runtime::new().unwrap();
        drop(wait(count.start(&runtime.handle(), TASKS / 10)));
        drop(runtime);
    }
    fn in_place(count: &Count, owner: &Owner) {
        for _ in 0..TASKS {
            drop(owner.spawn(count.suspended(|| ())));
        }
        owner.until_begun(count, TASKS);
    }
    let count = Arc::new(Count::new());
    let builder = || green::Builder::new().stack_bytes(512 * 1024);

    let event_loop = runtime_n1::Loop::new().unwrap();
    let inner = Arc::clone(&count);
    event_loop.block_on(async move { builder().spawn(move || nested(&inner)).await.unwrap() });
    count.nothing_is_left();

    let (runtime, inner) = (two_workers(), Arc::clone(&count));
    runtime.block_on(async move {
        let task = builder().spawn(move || {
            nested(&inner);
            runtime_mn::block_in_place(|| {
                in_place(&inner, &Owner::N1(runtime_n1::Loop::new().unwrap()));
                in_place(&inner, &Owner::Mn(two_workers()));
            });
        });
        task.await.unwrap();
    });
    count.nothing_is_left();
}

/// The owner of a runtime of any kind. Dropping it ends the runtime.
enum Owner {
    N1(runtime_n1::Loop),
    Mn(runtime_mn::Runtime),
    Threads(runtime_threads::Runtime),
}

impl Owner {
    fn each() -> impl Iterator<Item = Self> {
        let starts: [fn() -> Self; 3] = [
            || Self::N1(runtime_n1::Loop::new().unwrap()),
            || Self::Mn(two_workers()),
            || Self::Threads(runtime_threads::Runtime::new().unwrap()),
        ];
        starts.into_iter().map(|start| {
            let owner = start();
            eprintln!("{}", owner.name());
            owner
        })
    }

    fn name(&self) -> &'static str {
        match self {
            Self::N1(_) => "N:1",
            Self::Mn(_) => "M:N",
            Self::Threads(_) => "1:1",
        }
    }

    fn spawn(&self, function: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
        match self {
            Self::N1(owner) => green::spawn_on(owner.handle(), function),
            Self::Mn(owner) => green::spawn_on(owner.handle(), function),
            Self::Threads(owner) => green::spawn_on(&owner.handle(), function),
        }
    }

    fn block_on<T: Send + 'static>(&self, root: impl Future<Output = T> + Send + 'static) -> T {
        match self {
            Self::N1(owner) => owner.block_on(root),
            Self::Mn(owner) => owner.block_on(root),
            Self::Threads(owner) => owner.block_on(root),
        }
    }

    /// Waits until this many more have begun.
    fn until_begun(&self, count: &Count, tasks: usize) {
        let begun = Arc::clone(&count.begun);
        self.block_on(async move { begun.acquire_many(tasks).await.unwrap().forget() });
    }
}

/// References to a task keep neither the task nor its stack: handles, wakers, timers, sockets.
#[test]
fn a_task_that_something_else_still_refers_to() {
    let _turn = turn();
    for owner in Owner::each() {
        let count = Count::new();
        let (wakers, event) = (
            Arc::new(Mutex::new(Vec::<Waker>::new())),
            Arc::new(Event::new()),
        );
        let mut handles: Vec<_> = (0..TASKS / 10)
            .map(|_| owner.spawn(count.suspended(|| ())))
            .collect();
        for way in 0..4 {
            let (values, begun) = (Arc::clone(&count.values), Arc::clone(&count.begun));
            let (wakers, event) = (Arc::clone(&wakers), Arc::clone(&event));
            let other = handles.pop().unwrap();
            handles.push(owner.spawn(move || {
                let _value = Value::new(&values);
                let listener = TcpListener::bind("127.0.0.1:0").unwrap();
                begun.add_permits(1);
                match way {
                    0 => wait(std::future::poll_fn(|cx| {
                        wakers.lock().unwrap().push(cx.waker().clone());
                        Poll::Pending
                    })),
                    1 => wait(event.wait()),
                    2 => _ = listener.accept(),
                    // Another task's handle, on this one's stack.
                    _ => _ = wait(other),
                }
            }));
        }
        owner.until_begun(&count, TASKS / 10 + 4);
        drop(owner);
        assert!(!wakers.lock().unwrap().is_empty());
        count.nothing_is_left();
        event.set();
        // Another thread drops the last reference to a task.
        let wakers = std::mem::take(&mut *wakers.lock().unwrap());
        thread::spawn(move || wakers.into_iter().for_each(Waker::wake))
            .join()
            .unwrap();
        for handle in handles {
            // The task that waits for another task's handle may have ended.
            if let Err(error) = block_on_current_thread(handle) {
                assert!(matches!(error, JoinError::Cancelled), "{error}");
            }
        }
        count.nothing_is_left();
    }
}

/// Tasks that hold each other's handles, and one that holds its own.
#[test]
fn tasks_that_wait_for_each_other() {
    let _turn = turn();
    for owner in Owner::each() {
        let count = Count::new();
        let places: Arc<[Mutex<Option<JoinHandle<()>>>; 3]> = Arc::default();
        for from in 0..3 {
            let (places, begun) = (Arc::clone(&places), Arc::clone(&count.begun));
            let values = Arc::clone(&count.values);
            let keeps = Arc::clone(&places);
            let handle = owner.spawn(move || {
                let _value = Value::new(&values);
                begun.add_permits(1);
                let handle = loop {
                    // The first two wait for each other, and the last one waits for itself.
                    let of = if from == 2 { 2 } else { 1 - from };
                    if let Some(handle) = places[of].lock().unwrap().take() {
                        break handle;
                    }
                    green::yield_now();
                };
                begun.add_permits(1);
                _ = wait(handle);
            });
            *keeps[from].lock().unwrap() = Some(handle);
        }
        owner.until_begun(&count, 6);
        drop(owner);
        drop(places);
        count.nothing_is_left();
    }
}

/// Tasks that have begun but are neither woken nor waiting, tasks that yield for ever, and tasks that have not begun.
#[test]
fn tasks_in_every_state() {
    let _turn = turn();
    for round in 0..20 {
        for owner in Owner::each() {
            let count = Count::new();
            let stop = Arc::new(Event::new());
            for way in 0..12 {
                let (values, stop) = (Arc::clone(&count.values), Arc::clone(&stop));
                drop(owner.spawn(move || {
                    let _value = Value::new(&values);
                    match way % 4 {
                        0 => loop {
                            green::yield_now();
                        },
                        1 => green::sleep(Duration::from_secs(3600)),
                        2 => loop {
                            green::sleep(Duration::from_micros(50));
                        },
                        _ => wait(stop.wait()),
                    }
                }));
            }
            // In some rounds, some have begun by now.
            if round % 2 == 0 {
                owner.block_on(runtime_core::yield_now());
            }
            let setter = thread::spawn(move || stop.set());
            drop(owner);
            setter.join().unwrap();
            count.nothing_is_left();
        }
    }
}

/// Destructors that spawn, abort and wake while the runtime ends.
#[test]
fn destructors_that_use_the_runtime() {
    let _turn = turn();
    for owner in Owner::each() {
        let count = Count::new();
        let handles = Arc::new(Mutex::new(Vec::<JoinHandle<()>>::new()));
        let event = Arc::new(Event::new());
        for _ in 0..TASKS / 10 {
            let (others, values) = (Arc::clone(&handles), Arc::clone(&count.values));
            let event = Arc::clone(&event);
            let task = owner.spawn(count.suspended(move || {
                let value = Value::new(&values);
                drop(green::spawn(move || {
                    let _value = value;
                    wait(std::future::pending::<()>());
                }));
                event.set();
                let other = others.lock().unwrap().pop();
                if let Some(other) = other {
                    other.abort();
                }
            }));
            handles.lock().unwrap().push(task);
        }
        owner.until_begun(&count, TASKS / 10);
        drop(owner);
        drop(handles);
        count.nothing_is_left();
    }
}

/// What the destructors of a runtime's tasks wait for while it ends, and what completes these waits.
#[derive(Clone, Copy, Debug)]
enum Serves {
    Timer,
    /// The destructors of the runtime's other tasks.
    EachOther,
    AnotherThread,
    Socket,
}

#[test]
fn the_end_serves_the_waits_of_destructors() {
    use Serves::{AnotherThread, EachOther, Socket, Timer};
    let _turn = turn();
    for serves in [Timer, EachOther, AnotherThread, Socket] {
        for owner in Owner::each() {
            eprintln!("{serves:?}");
            let count = Count::new();
            let tasks = TASKS / 5;
            let (event, others) = (Arc::new(Event::new()), Arc::new(AtomicUsize::new(0)));
            let ends = Arc::new(Mutex::new(Vec::new()));
            for _ in 0..tasks {
                let (event, others) = (Arc::clone(&event), Arc::clone(&others));
                let (begun, values) = (Arc::clone(&count.begun), Arc::clone(&count.values));
                let ends = Arc::clone(&ends);
                drop(owner.spawn(move || {
                    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
                    let address = listener.local_addr().unwrap();
                    ends.lock()
                        .unwrap()
                        .push(std::net::TcpStream::connect(address).unwrap());
                    let (stream, _) = listener.accept().unwrap();
                    let _outer = Value::new(&values);
                    let _end = OnDrop(move || match serves {
                        Timer => green::sleep(Duration::from_millis(20)),
                        EachOther => {
                            if others.fetch_add(1, SeqCst) + 1 == tasks {
                                event.set();
                            }
                            wait(event.wait());
                        }
                        AnotherThread => wait(event.wait()),
                        Socket => assert_eq!((&stream).read(&mut [0; 1]).unwrap(), 1),
                    });
                    begun.add_permits(1);
                    wait(std::future::pending::<()>());
                }));
            }
            owner.until_begun(&count, tasks);
            let server = thread::spawn(move || {
                thread::sleep(Duration::from_millis(20));
                match serves {
                    AnotherThread => event.set(),
                    Socket => ends
                        .lock()
                        .unwrap()
                        .iter_mut()
                        .for_each(|end| end.write_all(&[7]).unwrap()),
                    Timer | EachOther => {}
                }
                ends
            });
            drop(owner);
            drop(server.join().unwrap());
            count.nothing_is_left();
        }
    }
}

/// The rest of such a stack can't be unwound. It is counted, and the runtime still ends.
#[test]
fn a_destructor_whose_wait_is_never_served_is_counted() {
    const NEVER: usize = 5;
    let _turn = turn();
    // On a separate thread, because it counts as panicking from then on.
    thread::scope(|scope| {
        scope.spawn(|| {
            for owner in Owner::each() {
                let count = Count::new();
                for _ in 0..NEVER {
                    drop(owner.spawn(count.suspended(|| wait(std::future::pending::<()>()))));
                }
                for _ in 0..TASKS / 10 {
                    drop(owner.spawn(count.suspended(|| ())));
                }
                owner.until_begun(&count, TASKS / 10 + NEVER);
                drop(owner);
                let after = green::stack_stats();
                assert_eq!(after.in_use, count.before.in_use);
                assert_eq!(after.abandoned, count.before.abandoned + NEVER);
                // Below the waiting destructor. Everything else is dropped.
                assert_eq!(count.values.load(SeqCst), NEVER);
            }
        });
    });
}
