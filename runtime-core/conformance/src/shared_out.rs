//! Clause 15: work that waits is shared out while a worker sleeps, whatever the workers did before.
//!
//! In each case two tasks wait for each other at a barrier. Each blocks in its poll, which tasks should not do, until
//! the other one has come. So two workers must poll them at the same time, and no worker gets to its queues before
//! that. The watchdog detects work that is not shared out.

use std::future::Future;
use std::sync::{Arc, Barrier};
use std::time::Duration;

use futures_lite::{AsyncReadExt, future::yield_now};

use super::Subject;
use super::event::{Count, Event};
use super::skip;
use runtime_library::{Runtime, TcpListener};

/// How often a case is tried after each history.
const ROUNDS: usize = 5;

/// What the workers did before. They may have learned from it that sharing does not pay.
#[derive(Clone, Copy, Debug)]
enum History {
    Fresh,
    /// Many batches of tasks that are done sooner than a worker wakes up.
    Burst,
    /// The same, and then nothing for a while.
    BurstAndRest,
    /// Many such tasks at once: a thief finishes them sooner than the steal took.
    Flat,
}

const HISTORIES: [History; 4] = [
    History::Fresh,
    History::Burst,
    History::BurstAndRest,
    History::Flat,
];

async fn spawn_and_join<R: Runtime>(rt: &R, tasks: usize) {
    let tasks: Vec<_> = (0..tasks).map(|_| rt.spawn(async {})).collect();
    for task in tasks {
        task.await.expect("a tiny task");
    }
}

async fn live<R: Runtime>(rt: &R, history: History) {
    // A task that is a thread costs more.
    let is_cheap = rt.capabilities().workers.is_some();
    let (batches, batch, flat) = if is_cheap {
        (50, 100, 5_000)
    } else {
        (2, 20, 40)
    };
    match history {
        History::Fresh => {}
        History::Burst | History::BurstAndRest => {
            for _ in 0..batches {
                spawn_and_join(rt, batch).await;
            }
            if matches!(history, History::BurstAndRest) {
                rt.sleep(Duration::from_millis(60)).await;
            }
        }
        History::Flat => spawn_and_join(rt, flat).await,
    }
}

/// Lets tasks run `meet` after each history, if the runtime can run tasks at the same time.
fn in_all_histories<S, F, M>(meet: M)
where
    S: Subject,
    F: Future<Output = ()> + Send,
    M: Fn(S::Runtime) -> F + Send + 'static,
{
    let subject = S::start();
    let rt = subject.handle();
    if !rt.capabilities().parallel {
        skip("there is no other worker");
    }
    subject.run(async move {
        for history in HISTORIES {
            for _ in 0..ROUNDS {
                live(&rt, history).await;
                meet(rt.clone()).await;
            }
        }
    });
}

/// The barrier at which two tasks wait for each other.
fn rendezvous() -> (Arc<Barrier>, Arc<Barrier>) {
    let barrier = Arc::new(Barrier::new(2));
    (Arc::clone(&barrier), barrier)
}

/// 15: a task that is spawned runs while its parent's poll continues.
pub fn c15_a_spawned_task_runs_beside_its_parents_poll<S: Subject>() {
    in_all_histories::<S, _, _>(|rt| async move {
        let (here, there) = rendezvous();
        let child = rt.spawn(async move {
            there.wait();
        });
        here.wait();
        child.await.expect("the child");
    });
}

/// 15: of two tasks that are spawned together, the second runs while the first one's poll continues.
pub fn c15_tasks_spawned_together_run_at_once<S: Subject>() {
    in_all_histories::<S, _, _>(|rt| async move {
        let (here, there) = rendezvous();
        let meets = [here, there].map(|barrier| {
            rt.spawn(async move {
                barrier.wait();
            })
        });
        for task in meets {
            task.await.expect("a task");
        }
    });
}

/// 15: a task that is woken runs while the poll that woke it continues.
pub fn c15_a_woken_task_runs_beside_its_wakers_poll<S: Subject>() {
    in_all_histories::<S, _, _>(|rt| async move {
        let (here, there) = rendezvous();
        let (waits, woken) = (Event::new(), Event::new());
        let (notify, wait) = (waits.clone(), woken.wait());
        let task = rt.spawn(async move {
            notify.set();
            wait.await;
            there.wait();
        });
        waits.wait().await;
        yield_now().await;
        woken.set();
        here.wait();
        task.await.expect("the woken task");
    });
}

/// 15: several tasks that are woken at once all run while the poll that woke them continues.
pub fn c15_tasks_woken_together_run_beside_their_wakers_poll<S: Subject>() {
    in_all_histories::<S, _, _>(|rt| async move {
        const WOKEN: usize = 3;
        let (waiting, woken, ran) = (Count::new(), Event::new(), Count::new());
        let tasks: Vec<_> = (0..WOKEN)
            .map(|_| {
                let (waiting, wait, ran) = (waiting.clone(), woken.wait(), ran.clone());
                rt.spawn(async move {
                    waiting.add();
                    wait.await;
                    ran.add();
                })
            })
            .collect();
        waiting.reach(WOKEN).await;
        yield_now().await;
        woken.set();
        ran.reach_blocking(WOKEN);
        for task in tasks {
            task.await.expect("a woken task");
        }
    });
}

/// 15: of two tasks whose timers fire together, the second runs while the first one's poll continues.
pub fn c15_tasks_whose_timers_fire_together_run_at_once<S: Subject>() {
    in_all_histories::<S, _, _>(|rt| async move {
        let (here, there) = rendezvous();
        let deadline = rt.now() + Duration::from_millis(2);
        let meets = [here, there].map(|barrier| {
            let sleep = rt.sleep_until(deadline);
            rt.spawn(async move {
                sleep.await;
                barrier.wait();
            })
        });
        for task in meets {
            task.await.expect("a task");
        }
    });
}

/// 15: a timer that was set on a worker fires while a poll continues there.
pub fn c15_a_timer_fires_beside_a_poll<S: Subject>() {
    in_all_histories::<S, _, _>(|rt| async move {
        let (waits, fired) = (Event::new(), Event::new());
        let (notify, notify_fired) = (waits.clone(), fired.clone());
        let sleep = rt.sleep(Duration::from_millis(2));
        let task = rt.spawn(async move {
            notify.set();
            sleep.await;
            notify_fired.set();
        });
        waits.wait().await;
        fired.wait_blocking();
        task.await.expect("the sleeper");
    });
}

/// Connections to a runtime's listener; the clients are plain sockets.
async fn connections<R: Runtime, const N: usize>(
    rt: &R,
) -> [(std::net::TcpStream, R::TcpStream); N] {
    let address = "127.0.0.1:0".parse().expect("an address");
    let listener = rt.bind(address).await.expect("bind");
    let address = listener.local_addr().expect("address");
    let mut all = Vec::new();
    for _ in 0..N {
        // The kernel completes it: nobody has to accept.
        let client = std::net::TcpStream::connect(address).expect("connect");
        let (server, _) = listener.accept().await.expect("accept");
        all.push((client, server));
    }
    all.try_into().ok().expect("as many as that")
}

fn send_byte(mut client: &std::net::TcpStream) {
    std::io::Write::write_all(&mut client, &[7]).expect("write");
}

/// 15: of two tasks whose sockets are ready together, the second runs while the first one's poll continues.
pub fn c15_tasks_whose_sockets_are_ready_together_run_at_once<S: Subject>() {
    in_all_histories::<S, _, _>(|rt| async move {
        let (here, there) = rendezvous();
        let [one, two] = connections(&rt).await;
        let mut clients = Vec::new();
        let tasks = [(one, here), (two, there)].map(|((client, mut server), barrier)| {
            clients.push(client);
            rt.spawn(async move {
                let mut byte = [0];
                server.read_exact(&mut byte).await.expect("a byte");
                barrier.wait();
            })
        });
        yield_now().await;
        clients.iter().for_each(send_byte);
        for task in tasks {
            task.await.expect("a task");
        }
    });
}

/// 15: a socket is served while a poll continues on another worker, even on the one that served sockets before.
pub fn c15_a_socket_is_served_beside_a_poll<S: Subject>() {
    in_all_histories::<S, _, _>(|rt| async move {
        let [(of_first, mut first), (of_second, mut second)] = connections(&rt).await;
        let read = Event::new();
        let (notify, wait) = (read.clone(), read);
        let served = rt.spawn(async move {
            let mut byte = [0];
            second.read_exact(&mut byte).await.expect("a byte");
            notify.set();
        });
        let stuck = rt.spawn(async move {
            let mut byte = [0];
            first.read_exact(&mut byte).await.expect("a byte");
            send_byte(&of_second);
            wait.wait_blocking();
        });
        yield_now().await;
        send_byte(&of_first);
        stuck.await.expect("the one that blocks");
        served.await.expect("the one that is served");
    });
}
