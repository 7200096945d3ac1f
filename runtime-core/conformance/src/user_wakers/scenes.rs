//! Everything that a task can wait for, except queues.

use std::convert::Infallible;
use std::future::Future;
use std::net::UdpSocket as StdUdpSocket;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex as StdMutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_core::Stream;

use crate::hostile::Touch;
use runtime_kernel::promise::Promise;
use runtime_kernel::time::{interval_at, now, sleep, timeout};
use runtime_kernel::{spawn, spawn_blocking};
use runtime_library::cancellation::CancellationToken;
use runtime_library::combine::{as_completed, gather, join_all, shield, wait};
use runtime_library::net::UdpSocket;
use runtime_library::sync::{Barrier, Condition, Event, Mutex, Semaphore, Signal, oneshot};
use runtime_library::task_scope::scope;

const MS: Duration = Duration::from_millis(1);

pub(super) type Waiting = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Something that a task can wait for.
pub(super) struct Scene {
    /// Waits until it is served.
    pub(super) wait: Box<dyn Fn() -> Waiting + Send>,
    /// Serves all waiting tasks, at once if possible.
    pub(super) serve: Box<dyn Fn() + Send>,
    /// Uses it, without waiting.
    pub(super) touch: Touch,
}

/// Polls a future once, with a waker that does nothing, and drops it.
pub(super) fn poll_once<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

pub(super) fn scene(
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

pub(super) fn mutex(_: usize) -> Scene {
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

pub(super) fn semaphore(waiters: usize) -> Scene {
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

pub(super) fn event(_: usize) -> Scene {
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
            // Takes the lock, and changes only what is not set.
            if !touched.is_set() {
                touched.clear();
            }
        },
    )
}

pub(super) fn signal(_: usize) -> Scene {
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

pub(super) fn condition(_: usize) -> Scene {
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

pub(super) fn barrier(waiters: usize) -> Scene {
    let barrier = Arc::new(Barrier::new(waiters + 1));
    let (waits, touched) = (Arc::clone(&barrier), Arc::clone(&barrier));
    scene(
        move || {
            let barrier = Arc::clone(&waits);
            Box::pin(async move { _ = barrier.wait().await })
        },
        move || {
            // Also fills the places of those that have left.
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

pub(super) fn reset_barrier(waiters: usize) -> Scene {
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

pub(super) fn oneshot_received(_: usize) -> Scene {
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
            // Taken out, so that the table's own lock is not held.
            let Some(sender) = touched.lock().unwrap().0.take() else {
                return;
            };
            sender.is_closed();
            touched.lock().unwrap().0 = Some(sender);
        },
    )
}

pub(super) fn oneshot_closed(_: usize) -> Scene {
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

pub(super) fn promise(_: usize) -> Scene {
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

pub(super) fn cancellation(_: usize) -> Scene {
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

/// Tasks that end on request.
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

pub(super) fn task(_: usize) -> Scene {
    tasks(|go| {
        let task = spawn(until_set(go));
        async move { task.await.expect("it returns") }
    })
}

pub(super) fn shared_task(_: usize) -> Scene {
    tasks(|go| {
        let task = spawn(until_set(go)).shared();
        async move { assert!(task.await.is_ok_and(|outcome| outcome.is_ok())) }
    })
}

pub(super) fn blocking_job(_: usize) -> Scene {
    tasks(|go| {
        let job = spawn_blocking(move || go.blocking_wait());
        async move { job.await.expect("it returns") }
    })
}

pub(super) fn scoped(_: usize) -> Scene {
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

pub(super) fn joined(_: usize) -> Scene {
    tasks(|go| async move { drop(join_all([until_set(Arc::clone(&go)), until_set(go)]).await) })
}

pub(super) fn gathered(_: usize) -> Scene {
    tasks(|go| {
        let tasks = [spawn(until_set(Arc::clone(&go))), spawn(until_set(go))];
        async move { drop(gather(tasks).await.expect("they return")) }
    })
}

pub(super) fn waited(_: usize) -> Scene {
    tasks(|go| async move {
        let futures = [until_set(Arc::clone(&go)), until_set(go)].map(Box::pin);
        assert!(wait(futures).await.pending.is_empty());
    })
}

pub(super) fn completed(_: usize) -> Scene {
    tasks(|go| async move {
        let mut futures = as_completed([until_set(Arc::clone(&go)), until_set(go)].map(Box::pin));
        while futures.next().await.is_some() {}
        let mut cx = Context::from_waker(Waker::noop());
        assert_eq!(Pin::new(&mut futures).poll_next(&mut cx), Poll::Ready(None));
    })
}

pub(super) fn shielded(_: usize) -> Scene {
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
        // It may be called on any thread, and a timer needs a runtime.
        || {
            if runtime_kernel::context::try_with(|_| ()).is_some() {
                poll_once(sleep(20 * MS));
            }
        },
    )
}

pub(super) fn sleeping(_: usize) -> Scene {
    timer(|| sleep(10 * MS))
}

pub(super) fn ticking(_: usize) -> Scene {
    timer(|| async {
        let start = now() + 10 * MS;
        interval_at(start, MS).tick().await;
    })
}

pub(super) fn timed_out(_: usize) -> Scene {
    timer(|| async {
        let outcome = timeout(10 * MS, std::future::pending::<()>()).await;
        assert!(outcome.is_err());
    })
}

pub(super) fn socket(waiters: usize) -> Scene {
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
        // One for each waiting task, and some that a touch may take.
        move || (0..8 * waiters).for_each(|_| _ = peer.send(b"x").expect("sent")),
        move || drop(poll_once(touched.recv(&mut [0; 8]))),
    )
}
