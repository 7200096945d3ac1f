//! Clause 4: on every thread that runs code for a runtime, dropping its owner only begins the shutdown.

use std::future::{Future, pending, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use futures_lite::AsyncReadExt;
use runtime_core::net::{TcpListener, TcpStream};
use runtime_core::park::block_on_current_thread;
use runtime_core::{JoinError, sleep, spawn, yield_now};
use runtime_mn::{Builder, Handle, Runtime, block_in_place};

/// Long enough for any machine. Only a bug can make something here wait this long.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// The owner is kept here until some code ends it.
#[derive(Clone, Default)]
struct Owner(Arc<Mutex<Option<Runtime>>>);

impl Owner {
    fn end(&self) {
        // Taken out first: nothing is dropped under the lock.
        let runtime = self.0.lock().unwrap().take();
        drop(runtime);
    }
}

/// `begin` must make sure that the owner is dropped, and that a message is sent after that. Then the runtime must end:
/// a task that waits is cancelled.
fn check(builder: Builder, begin: impl FnOnce(&Handle, Owner, mpsc::Sender<()>)) {
    let owner = Owner::default();
    let runtime = builder.warn_of_stuck(false).build().unwrap();
    let handle = runtime.handle().clone();
    let waiting = handle.spawn(pending::<()>());
    *owner.0.lock().unwrap() = Some(runtime);
    let (sender, receiver) = mpsc::channel();
    begin(&handle, owner, sender);
    receiver
        .recv_timeout(TIME_LIMIT)
        .expect("dropping the owner returns");
    let outcome = block_on_current_thread(waiting);
    assert!(matches!(outcome, Err(JoinError::Cancelled)), "{outcome:?}");
}

fn workers(workers: usize) -> Builder {
    Runtime::builder().workers(workers)
}

#[test]
fn inside_block_in_place() {
    for count in [1, 2] {
        check(workers(count), |handle, owner, sender| {
            drop(handle.spawn(async move {
                block_in_place(|| block_in_place(|| owner.end()));
                sender.send(()).unwrap();
            }));
        });
    }
}

#[test]
fn inside_shutdown_in_place() {
    check(workers(2), |handle, owner, sender| {
        drop(handle.spawn(async move {
            block_in_place(|| {
                let runtime = owner.0.lock().unwrap().take().unwrap();
                assert_eq!(runtime.shutdown(TIME_LIMIT), Vec::<String>::new());
            });
            sender.send(()).unwrap();
        }));
    });
}

fn is_in_cpu_pool() -> bool {
    thread::current().name().unwrap().ends_with("-cpu")
}

#[test]
fn on_the_cpu_bound_pool() {
    let builder = workers(2).stuck_after(Duration::from_millis(2));
    check(builder, |handle, owner, sender| {
        drop(handle.spawn(async move {
            while !is_in_cpu_pool() {
                thread::sleep(Duration::from_millis(20));
                yield_now().await;
            }
            owner.end();
            sender.send(()).unwrap();
        }));
    });
}

#[test]
fn in_on_stuck() {
    let owner = Owner::default();
    let (sender, receiver) = mpsc::channel();
    let of_callback = owner.clone();
    let builder = workers(2).on_stuck(move |_| {
        of_callback.end();
        let _ = sender.send(());
    });
    let runtime = builder.warn_of_stuck(false).build().unwrap();
    let waiting = runtime.spawn(pending::<()>());
    let (release, released) = mpsc::channel::<()>();
    drop(runtime.spawn(async move {
        // Disconnected when the test ends.
        released.recv().unwrap_err();
    }));
    *owner.0.lock().unwrap() = Some(runtime);
    receiver
        .recv_timeout(TIME_LIMIT)
        .expect("dropping the owner returns");
    drop(release);
    let outcome = block_on_current_thread(waiting);
    assert!(matches!(outcome, Err(JoinError::Cancelled)), "{outcome:?}");
}

/// Ends the runtime when it is woken.
struct EndsWhenWoken(Owner, Mutex<mpsc::Sender<()>>);

impl Wake for EndsWhenWoken {
    fn wake(self: Arc<Self>) {
        self.0.end();
        let _ = self.1.lock().unwrap().send(());
    }
}

/// Polls once with that waker, and never again.
async fn leave_waker<F: Future>(future: F, waker: Waker) {
    let mut future = pin!(future);
    poll_fn(|_| {
        let _ = future.as_mut().poll(&mut Context::from_waker(&waker));
        Poll::Ready(())
    })
    .await;
    pending::<()>().await;
}

#[test]
fn in_a_waker_that_a_timer_wakes() {
    check(workers(2), |handle, owner, sender| {
        let waker = Waker::from(Arc::new(EndsWhenWoken(owner, Mutex::new(sender))));
        drop(handle.spawn(async {
            leave_waker(sleep(Duration::from_millis(1)), waker).await;
        }));
    });
}

#[test]
fn in_a_waker_that_a_socket_wakes() {
    check(workers(2), |handle, owner, sender| {
        let waker = Waker::from(Arc::new(EndsWhenWoken(owner, Mutex::new(sender))));
        drop(handle.spawn(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let client = spawn(async move { TcpStream::connect(address).await.unwrap() });
            let (mut server, _) = listener.accept().await.unwrap();
            let client = client.await.unwrap();
            drop(spawn(async move {
                sleep(Duration::from_millis(1)).await;
                drop(client);
            }));
            let mut byte = [0];
            leave_waker(server.read(&mut byte), waker).await;
        }));
    });
}

#[test]
fn in_a_callback_of_a_task_that_has_ended() {
    check(workers(2), |handle, owner, sender| {
        let task = handle.spawn(yield_now());
        task.on_complete(move |_| {
            owner.end();
            sender.send(()).unwrap();
        });
    });
}

#[test]
fn on_a_replacement_worker() {
    check(workers(1), |handle, owner, sender| {
        drop(handle.spawn(async move {
            let (ran, wait) = mpsc::channel::<()>();
            drop(spawn(async move {
                owner.end();
                ran.send(()).unwrap();
                sender.send(()).unwrap();
            }));
            // On the only worker.
            block_in_place(|| wait.recv_timeout(TIME_LIMIT).unwrap());
        }));
    });
}

#[test]
fn in_a_destructor_that_the_shutdown_runs() {
    struct EndsAnother(Option<Runtime>, mpsc::Sender<()>);
    impl Drop for EndsAnother {
        fn drop(&mut self) {
            drop(self.0.take());
            let _ = self.1.send(());
        }
    }
    check(workers(2), |handle, owner, sender| {
        let another = workers(1).build().unwrap();
        let ends = EndsAnother(Some(another), sender);
        let (begun, waits) = mpsc::channel();
        drop(handle.spawn(async move {
            let _ends = ends;
            begun.send(()).unwrap();
            pending::<()>().await;
        }));
        waits.recv_timeout(TIME_LIMIT).unwrap();
        drop(handle.spawn(async move { owner.end() }));
    });
}
