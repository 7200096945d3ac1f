//! What the monitor does for tasks behind one that does not return from its poll.

use std::path::{Path, PathBuf};
use std::sync::atomic::{
    AtomicBool, AtomicUsize,
    Ordering::{Relaxed, SeqCst},
};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use futures_lite::{AsyncReadExt, AsyncWriteExt};
use runtime_core::net::{TcpListener, TcpStream};
use runtime_core::park::block_on_current_thread;
use runtime_core::{Runtime as _, sleep, spawn, yield_now};
use runtime_mn::policy::{
    Deadline, GlobalQueue, GoLike, Locality, NoSteal, Policy, Priority, RandomSteal, Shed,
    TokioLike,
};
use runtime_mn::{Builder, Runtime, block_in_place};

/// Long enough for any machine. Only a bug can make something here wait this long.
const TIME_LIMIT: Duration = Duration::from_secs(60);

fn quiet(workers: usize) -> Builder {
    Runtime::builder().workers(workers).warn_of_stuck(false)
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + TIME_LIMIT;
    while !holds() {
        assert!(
            Instant::now() < deadline,
            "{what}: not within {TIME_LIMIT:?}"
        );
        thread::sleep(Duration::from_millis(1));
    }
}

/// Blocks all workers, each inside a poll, with tasks queued behind. Dropping the returned sender lets them continue.
fn block_all(runtime: &Runtime, workers: usize) -> mpsc::Sender<()> {
    let (release, released) = mpsc::channel::<()>();
    let released = Arc::new(Mutex::new(released));
    let blocked = Arc::new(AtomicUsize::new(0));
    for _ in 0..workers {
        let (released, counted) = (Arc::clone(&released), Arc::clone(&blocked));
        drop(runtime.spawn(async move {
            counted.fetch_add(1, SeqCst);
            // Disconnected when the test lets it continue.
            while released.lock().unwrap().recv().is_ok() {}
        }));
    }
    // The mutex lets one of them into `recv`, and the others wait for the mutex: all are inside their polls.
    until("all workers are blocked", || {
        blocked.load(SeqCst) == workers
    });
    release
}

/// With the second one, one worker serves the sockets alone, and others rely on it.
const IO_SHARING: [&str; 2] = ["always", "never"];

fn check_hand_off<P: Policy + Copy>(policy: P) {
    for help in IO_SHARING {
        let builder = quiet(2).knob("socket-help", help).unwrap();
        check_hand_off_of(builder.build_with(policy).unwrap(), policy.name());
    }
}

fn check_hand_off_of(runtime: Runtime, name: &str) {
    let release = block_all(&runtime, 2);
    // Tasks, timers and sockets continue although no worker is left.
    let served = runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut buffer = [0; 5];
            stream.read_exact(&mut buffer).await.unwrap();
            stream.write_all(&buffer).await.unwrap();
        });
        sleep(Duration::from_millis(5)).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"hello").await.unwrap();
        let mut answer = [0; 5];
        stream.read_exact(&mut answer).await.unwrap();
        server.await.unwrap();
        answer
    });
    assert_eq!(&served, b"hello", "{name}");
    let metrics = runtime.handle().metrics();
    assert!(metrics.hand_offs >= Some(1), "{name}: {metrics:?}");
    drop(release);
    // The replacement workers end again: the runtime ends like any other.
    assert_eq!(runtime.shutdown(TIME_LIMIT), Vec::<String>::new(), "{name}");
}

#[test]
fn work_goes_on_while_all_workers_are_stuck_under_every_policy() {
    check_hand_off(GoLike);
    check_hand_off(TokioLike);
    check_hand_off(GlobalQueue);
    check_hand_off(NoSteal);
    check_hand_off(RandomSteal);
    check_hand_off(Priority::default());
    check_hand_off(Deadline::default());
    check_hand_off(Locality);
    check_hand_off(Shed::default());
}

/// The calling thread's folder in `/proc`.
fn this_thread() -> PathBuf {
    Path::new("/proc").join(std::fs::read_link("/proc/thread-self").unwrap())
}

#[test]
fn a_replacement_workers_thread_ends_when_it_is_not_needed_and_another_one_begins_when_it_is() {
    let runtime = quiet(1)
        .replacement_keep_alive(Duration::from_millis(1))
        .build()
        .unwrap();
    for round in 1..=3 {
        let replacement = runtime.block_on(async {
            let (done, waits) = mpsc::channel();
            drop(spawn(async move { done.send(this_thread()).unwrap() }));
            // On the only worker: another one must run the task.
            block_in_place(|| waits.recv_timeout(TIME_LIMIT).unwrap())
        });
        until("the replacement's thread has ended", || {
            !replacement.exists()
        });
        let metrics = runtime.handle().metrics();
        assert_eq!(metrics.hand_offs, Some(round), "{metrics:?}");
    }
    assert_eq!(runtime.shutdown(TIME_LIMIT), Vec::<String>::new());
}

/// The worker that waits for sockets runs the task that the first event wakes, and has queued nothing that others
/// could take.
fn check_that_others_watch(help: &str, block: fn(&mpsc::Receiver<()>)) {
    // No worker may come across the sockets by chance, between two tasks.
    let builder = quiet(2).knob("poll-tick", "65536").unwrap();
    let builder = builder.knob("socket-help", help).unwrap();
    let runtime = builder.build().unwrap();
    let (sender, receiver) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    drop(runtime.spawn(async move {
        let stuck = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let echo = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addresses = (stuck.local_addr().unwrap(), echo.local_addr().unwrap());
        let of_stuck = sender.clone();
        drop(spawn(async move {
            stuck.accept().await.unwrap();
            of_stuck.send(addresses).unwrap();
            // Disconnected when the test lets it continue.
            block(&released);
        }));
        drop(spawn(async move {
            let (mut stream, _) = echo.accept().await.unwrap();
            stream.write_all(b"hello").await.unwrap();
        }));
        sender.send(addresses).unwrap();
    }));
    let (stuck, echo) = receiver.recv_timeout(TIME_LIMIT).unwrap();
    // Both workers sleep, one of them in the reactor.
    until("all workers are idle", || {
        runtime
            .handle()
            .metrics()
            .workers
            .iter()
            .all(|worker| worker.parks > 0)
    });
    let _first = std::net::TcpStream::connect(stuck).unwrap();
    receiver.recv_timeout(TIME_LIMIT).unwrap();
    let mut second = std::net::TcpStream::connect(echo).unwrap();
    second.set_read_timeout(Some(TIME_LIMIT)).unwrap();
    let mut answer = [0; 5];
    std::io::Read::read_exact(&mut second, &mut answer).unwrap();
    assert_eq!(&answer, b"hello");
    drop(release);
}

#[test]
fn sockets_are_watched_while_the_worker_that_watched_them_is_stuck() {
    for help in IO_SHARING {
        check_that_others_watch(help, |released| {
            released.recv().unwrap_err();
        });
    }
}

#[test]
fn sockets_are_watched_while_the_worker_that_watched_them_blocks_in_place() {
    for help in IO_SHARING {
        check_that_others_watch(help, |released| {
            block_in_place(|| released.recv().unwrap_err());
        });
    }
}

#[test]
fn a_callback_that_panics_ends_neither_the_watch_nor_the_runtime() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let runtime = quiet(2)
        .on_stuck(move |_| {
            counted.fetch_add(1, SeqCst);
            panic!("on purpose");
        })
        .build()
        .unwrap();
    for round in 1..=2 {
        let seen = Arc::clone(&calls);
        let stuck = runtime.spawn(async move {
            until("the callback was called", || seen.load(SeqCst) >= round);
        });
        block_on_current_thread(stuck).unwrap();
    }
    assert_eq!(runtime.shutdown(TIME_LIMIT), Vec::<String>::new());
}

/// A fork-join that a plain thread began is not a task, but tasks still must not wait for it.
#[test]
fn a_long_closure_delays_no_task() {
    use runtime_core::ForkJoin as _;

    let runtime = quiet(1).build().unwrap();
    let handle = runtime.handle().clone();
    let (sender, receiver) = mpsc::channel();
    runtime.handle().fork_join().join(
        move || {
            drop(handle.spawn(async move { sender.send(()).unwrap() }));
            receiver.recv_timeout(TIME_LIMIT).unwrap();
        },
        || {},
    );
    assert_eq!(runtime.handle().metrics().stuck_polls, Some(0));
}

#[test]
fn a_fork_join_from_outside_runs_beside_tasks_that_always_have_work() {
    use runtime_core::ForkJoin as _;

    let runtime = quiet(2).build().unwrap();
    let ended = Arc::new(AtomicBool::new(false));
    for _ in 0..4 {
        let ended = Arc::clone(&ended);
        drop(runtime.spawn(async move {
            while !ended.load(Relaxed) {
                yield_now().await;
            }
        }));
    }
    assert_eq!(runtime.handle().fork_join().join(|| 1, || 2), (1, 2));
    ended.store(true, Relaxed);
}

/// Without a monitor, nothing checks again later.
#[test]
fn the_last_worker_that_blocks_in_place_is_replaced() {
    let runtime = quiet(1).monitor(false).build().unwrap();
    let handle = runtime.handle().clone();
    let answer = runtime.block_on(async move { block_in_place(|| handle.block_on(async { 42 })) });
    assert_eq!(answer, 42);
}

#[test]
fn tasks_queued_by_a_stuck_task_run_on_other_workers() {
    for place in ["spawned", "woken"] {
        let runtime = quiet(1).build().unwrap();
        let (sender, receiver) = mpsc::channel();
        let outcome = runtime.spawn(async move {
            let woken = Arc::new(runtime_core::sync::Semaphore::new(0));
            let waits = Arc::clone(&woken);
            let of_waiter = sender.clone();
            let waiter = spawn(async move {
                waits.acquire().await.unwrap().forget();
                of_waiter.send("woken").unwrap();
            });
            yield_now().await;
            if place == "woken" {
                // It goes into the LIFO slot.
                woken.add_permits(1);
            } else {
                drop(spawn(async move { sender.send("spawned").unwrap() }));
            }
            // This poll does not end before the other task has run.
            let heard = receiver.recv_timeout(TIME_LIMIT);
            waiter.abort();
            heard
        });
        assert_eq!(block_on_current_thread(outcome).unwrap(), Ok(place));
    }
}

#[test]
fn the_stuck_task_is_named_with_the_place_that_spawned_it() {
    let (sender, receiver) = mpsc::channel();
    let runtime = quiet(1)
        .on_stuck(move |poll| sender.send(poll.clone()).unwrap())
        .build()
        .unwrap();
    let (release, released) = mpsc::channel::<()>();
    let line = line!() + 1;
    let task = runtime.handle().spawn_named("prime sieve", async move {
        released.recv().unwrap_err();
    });
    let poll = receiver.recv_timeout(TIME_LIMIT).unwrap();
    assert_eq!(
        (&*poll.task, poll.worker, poll.times),
        ("prime sieve", 0, 1)
    );
    assert!(poll.lasted >= Duration::from_millis(10), "{poll:?}");
    let location = poll.spawned_at.unwrap();
    assert!(location.file().ends_with("monitor.rs"), "{location}");
    assert_eq!(location.line(), line);
    assert!(poll.to_string().contains("prime sieve"), "{poll}");
    drop(release);
    block_on_current_thread(task).unwrap();
    until("the end of the poll is seen", || {
        let metrics = runtime.handle().metrics();
        metrics.stuck_polls == Some(1) && metrics.stuck_time > Some(Duration::from_millis(9))
    });
}

#[test]
fn a_cpu_bound_task_moves_to_the_pool_and_returns_when_its_polls_are_short() {
    let runtime = quiet(1).build().unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let behave = Arc::new(AtomicBool::new(false));
    let places = Arc::new(Mutex::new(Vec::new()));
    let bound = {
        let (stop, behave, places) = (Arc::clone(&stop), Arc::clone(&behave), Arc::clone(&places));
        runtime.spawn(async move {
            while !stop.load(SeqCst) {
                if !behave.load(SeqCst) {
                    thread::sleep(Duration::from_millis(30));
                }
                let thread = thread::current();
                places
                    .lock()
                    .unwrap()
                    .push(thread.name().unwrap().to_owned());
                yield_now().await;
            }
        })
    };
    let last_place = || places.lock().unwrap().last().cloned().unwrap_or_default();
    until("the task is in the pool for CPU-bound tasks", || {
        last_place().ends_with("-cpu")
    });
    behave.store(true, SeqCst);
    until("the task is back", || !last_place().ends_with("-cpu"));
    stop.store(true, SeqCst);
    block_on_current_thread(bound).unwrap();
}

#[test]
fn a_task_that_blocks_in_place_delays_no_other_task() {
    // No monitor: the hand-off comes at once.
    let runtime = quiet(1).monitor(false).build().unwrap();
    let handle = runtime.handle().clone();
    let sum = runtime.block_on(async move {
        let before = spawn(async { 1 });
        let inside = block_in_place(|| {
            // A blocking entry point, which would otherwise panic in a task.
            handle.block_on(async {
                sleep(Duration::from_millis(1)).await;
                spawn(async { 10 }).await.unwrap()
            })
        });
        before.await.unwrap() + inside
    });
    assert_eq!(sum, 11);
}

#[test]
fn blocking_in_place_may_be_nested_and_panic() {
    let runtime = quiet(1).build().unwrap();
    let task = runtime.spawn(async {
        block_in_place(|| block_in_place(|| 1_u32) + block_in_place(|| -> u32 { panic!("inside") }))
    });
    assert!(block_on_current_thread(task).unwrap_err().is_panic());
    assert_eq!(
        runtime
            .block_on(async { spawn(async { 2 }).await })
            .unwrap(),
        2
    );
}

#[test]
fn block_in_place_just_calls_outside_of_a_runtime() {
    assert_eq!(block_in_place(|| 3), 3);
}

#[test]
fn many_workers_block_in_place_at_once_and_return() {
    let runtime = quiet(2).build().unwrap();
    let done = Arc::new(AtomicUsize::new(0));
    runtime.block_on({
        let done = Arc::clone(&done);
        async move {
            let tasks: Vec<_> = (0..200)
                .map(|_| {
                    let done = Arc::clone(&done);
                    spawn(async move {
                        block_in_place(|| thread::sleep(Duration::from_micros(500)));
                        yield_now().await;
                        done.fetch_add(1, Relaxed);
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
        }
    });
    assert_eq!(done.load(Relaxed), 200);
    assert_eq!(runtime.shutdown(TIME_LIMIT), Vec::<String>::new());
}

/// How often the threads whose names begin with `names` have gone to sleep, in total.
fn times_slept(names: &str) -> u64 {
    std::fs::read_dir("/proc/self/task")
        .unwrap()
        .filter_map(|entry| {
            let path = entry.unwrap().path();
            let name = std::fs::read_to_string(path.join("comm")).ok()?;
            let status = std::fs::read_to_string(path.join("status")).ok()?;
            let switches = status
                .lines()
                .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
            name.starts_with(names)
                .then(|| switches.trim().parse::<u64>().unwrap())
        })
        .sum()
}

#[test]
fn an_idle_runtime_is_not_watched() {
    let runtime = quiet(2).thread_name("idle-watch").build().unwrap();
    runtime.block_on(yield_now());
    // After some checks at which nothing happened, there are no more.
    until("nothing wakes up any more", || {
        let before = times_slept("idle-watch");
        thread::sleep(Duration::from_millis(300));
        times_slept("idle-watch") == before
    });
}

/// No poll could get stuck, so there is no reason to check often.
#[test]
fn a_worker_that_blocks_in_place_is_watched_no_more_often_than_one_that_sleeps() {
    let runtime = quiet(2).thread_name("away").build().unwrap();
    let (release, released) = mpsc::channel::<()>();
    let task = runtime.spawn(async move { block_in_place(|| released.recv()) });
    until("there are fewer than 300 looks a second", || {
        let (before, began) = (times_slept("away-monitor"), Instant::now());
        thread::sleep(Duration::from_millis(300));
        let looks = times_slept("away-monitor") - before;
        let looks = u32::try_from(looks).unwrap();
        // No check at all: the thread has just begun, or has another name.
        looks > 0 && began.elapsed() > Duration::from_secs(1) / 300 * looks
    });
    drop(release);
    assert!(runtime.block_on(task).unwrap().is_err());
}

/// Each task is caught once and ends. The next one uses the same memory, but must not count as CPU-bound for that.
#[test]
fn a_task_is_not_taken_for_another_one_that_has_ended() {
    let (sender, receiver) = mpsc::channel();
    let runtime = quiet(1)
        .stuck_after(Duration::from_millis(2))
        .on_stuck(move |poll| sender.send(poll.times).unwrap())
        .build()
        .unwrap();
    for _ in 0..20 {
        let lane = runtime.block_on(async {
            let task = spawn(async {
                thread::sleep(Duration::from_millis(8));
                yield_now().await;
                thread::current().name().unwrap().ends_with("-cpu")
            });
            task.await.unwrap()
        });
        assert!(!lane, "an innocent task was sent to the lane");
    }
    drop(runtime);
    let times: Vec<_> = receiver.iter().collect();
    assert!(times.len() >= 5, "the test catches too few: {times:?}");
    assert!(times.iter().all(|times| *times == 1), "{times:?}");
}

/// A callback that panics does not disturb the monitor's work.
#[test]
fn a_callback_that_panics_is_called_again_and_workers_are_replaced() {
    let (sender, receiver) = mpsc::channel();
    let runtime = quiet(2)
        .on_stuck(move |_| {
            sender.send(()).unwrap();
            panic!("this is part of the test");
        })
        .build()
        .unwrap();
    for _ in 0..2 {
        let release = block_all(&runtime, 2);
        receiver.recv_timeout(TIME_LIMIT).unwrap();
        receiver.recv_timeout(TIME_LIMIT).unwrap();
        runtime.block_on(async { spawn(async {}).await.unwrap() });
        drop(release);
    }
    assert_eq!(runtime.shutdown(TIME_LIMIT), Vec::<String>::new());
}
