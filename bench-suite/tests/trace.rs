//! What the recorder reports about programs under the three schedulers.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, mpsc};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use futures_lite::future::poll_once;
use futures_lite::{AsyncReadExt as _, AsyncWriteExt as _};
use runtime_core::sync::Mutex;
use runtime_core::trace::flight::{Flight, Options, Reason};
use runtime_core::trace::{Cause, Event, Keep, Kind, Outcome, Recorded, Recorder, ThreadKind};
use runtime_core::{Launch, LaunchConfig, Runtime, TcpListener as _, spawn_named};
use runtime_mn::Mn;
use runtime_n1::N1;
use runtime_threads::Threads;

/// Records what `program` does under `L`. Tests take turns to record.
fn record<L: Launch, F>(program: impl FnOnce(L::Runtime) -> F + Send + 'static) -> Recorded
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut config = LaunchConfig::default();
    config.workers = 2;
    let session = Recorder::new().records_per_thread(1 << 16).start_in_turn();
    L::run(&config, program).unwrap();
    let recorded = session.stop();
    assert_eq!(recorded.dropped(), 0);
    is_in_order(&recorded);
    recorded
}

/// Properties of every recording.
fn is_in_order(recorded: &Recorded) {
    let events = recorded.events();
    assert!(events.is_sorted_by_key(|event| event.t_ns));
    assert!(events.iter().all(|event| event.t_ns <= recorded.wall_ns()));
    let mut polled: Vec<Vec<u32>> = vec![Vec::new(); recorded.threads().len()];
    for event in events {
        let stack = &mut polled[event.thread as usize];
        match event.kind {
            Kind::PollBegin => stack.push(event.task.unwrap()),
            // An end belongs to the innermost begin on the same thread.
            Kind::PollEnd => assert_eq!(stack.pop(), event.task),
            _ => {}
        }
    }
    assert!(polled.iter().all(Vec::is_empty));
}

fn id(recorded: &Recorded, name: &str) -> u32 {
    let task = recorded.task(name);
    task.unwrap_or_else(|| panic!("no task `{name}` in {:?}", recorded.tasks()))
        .id
}

fn all<'a>(recorded: &'a Recorded, kind: Kind, name: &str) -> Vec<&'a Event> {
    let task = Some(id(recorded, name));
    let own = recorded.events().iter();
    own.filter(|event| event.kind == kind && event.task == task)
        .collect()
}

fn is_woken_by(recorded: &Recorded, name: &str, cause: Cause) -> bool {
    let wakes = all(recorded, Kind::Wake, name);
    wakes.iter().any(|wake| wake.b == Some(cause as u64))
}

fn a_child_and_its_parent<L: Launch>() {
    let line = line!() + 3;
    let recorded = record::<L, _>(|_| async {
        let parent = spawn_named("parent", async {
            spawn_named("child", async {}).await.unwrap();
        });
        parent.await.unwrap();
    });
    let (parent, child) = (id(&recorded, "parent"), id(&recorded, "child"));
    recorded.assert_order(&[
        (Kind::Spawn, "parent"),
        (Kind::Queued, "parent"),
        (Kind::PollBegin, "parent"),
        (Kind::Spawn, "child"),
        (Kind::Queued, "child"),
        (Kind::PollBegin, "child"),
        (Kind::PollEnd, "child"),
        (Kind::TaskEnd, "child"),
        (Kind::TaskEnd, "parent"),
    ]);
    let task = recorded.task("child").unwrap();
    assert_eq!(task.parent, Some(parent));
    let site = task.site.as_deref().unwrap();
    assert_eq!(site, format!("bench-suite/tests/trace.rs:{line}"));
    assert_eq!(
        all(&recorded, Kind::Spawn, "child")[0].a,
        Some(parent.into())
    );
    // The end of the child woke the parent, if the parent already waited.
    if recorded.polls(parent) > 1 {
        let wakes = all(&recorded, Kind::Wake, "parent");
        let by_child = |wake: &&&Event| wake.a == Some(child.into());
        assert_eq!(wakes.iter().filter(by_child).count(), 1, "{wakes:?}");
    }
}

fn wake_causes<L: Launch>() {
    let recorded = record::<L, _>(|rt: L::Runtime| async move {
        let sleeper = rt.clone();
        let sleeper = spawn_named("sleeper", async move {
            sleeper.sleep(Duration::from_millis(20)).await;
        });
        let asker = rt.clone();
        let blocker = spawn_named("blocker", async move {
            let (release, released) = mpsc::channel::<()>();
            let mut job = asker.spawn_blocking(move || released.recv().is_err());
            // The job ends only after the task has begun to wait for it.
            assert!(poll_once(&mut job).await.is_none());
            drop(release);
            assert!(job.await.unwrap());
        });
        let listener = rt.bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let client = rt.clone();
        let waits = Arc::new(runtime_core::sync::Event::new());
        let reads = Arc::clone(&waits);
        let reader = spawn_named("reader", async move {
            let mut stream = client.connect(address).await.unwrap();
            let mut byte = [0; 1];
            let mut read = pin!(stream.read_exact(&mut byte));
            assert!(poll_once(&mut read).await.is_none());
            reads.set();
            read.await.unwrap();
        });
        let (mut stream, _) = listener.accept().await.unwrap();
        waits.wait().await;
        stream.write_all(b"x").await.unwrap();
        let foreign = spawn_named("foreign", async {
            let mut begun = false;
            poll_fn(|cx| {
                if std::mem::replace(&mut begun, true) {
                    return Poll::Ready(());
                }
                let waker = cx.waker().clone();
                thread::spawn(move || waker.wake());
                Poll::Pending
            })
            .await;
        });
        for task in [sleeper, blocker, reader, foreign] {
            task.await.unwrap();
        }
    });
    assert!(is_woken_by(&recorded, "sleeper", Cause::Timer));
    assert_eq!(all(&recorded, Kind::TimerFired, "sleeper").len(), 1);
    assert!(is_woken_by(&recorded, "blocker", Cause::BlockingJob));
    assert!(is_woken_by(&recorded, "reader", Cause::Socket));
    assert!(is_woken_by(&recorded, "foreign", Cause::OtherThread));
    let jobs = recorded.events().iter().filter(|event| {
        let thread = &recorded.threads()[event.thread as usize];
        event.kind == Kind::BlockingBegin && thread.kind == ThreadKind::Blocking
    });
    assert_eq!(jobs.count(), 1);
    assert!(
        recorded
            .events()
            .iter()
            .any(|event| event.kind == Kind::IoPoll)
    );
}

fn how_tasks_end<L: Launch>() {
    let recorded = record::<L, _>(|_| async move {
        let polled = Arc::new(runtime_core::sync::Event::new());
        let begun = Arc::clone(&polled);
        let forever = spawn_named("aborted", async move {
            begun.set();
            std::future::pending::<()>().await;
        });
        let panics = spawn_named("panics", async {
            std::panic::resume_unwind(Box::new("this is part of the test"));
        });
        assert!(panics.await.unwrap_err().is_panic());
        // An abort before the first poll would wake nobody.
        polled.wait().await;
        forever.abort();
        assert!(forever.await.unwrap_err().is_cancelled());
        spawn_named("yields", runtime_core::yield_now())
            .await
            .unwrap();
    });
    let ended = |name| all(&recorded, Kind::TaskEnd, name)[0].a;
    assert_eq!(ended("panics"), Some(1));
    assert_eq!(ended("aborted"), Some(2));
    assert_eq!(ended("yields"), Some(0));
    assert_eq!(all(&recorded, Kind::Abort, "aborted").len(), 1);
    assert!(is_woken_by(&recorded, "aborted", Cause::Abort));
    let outcome = all(&recorded, Kind::PollEnd, "yields")[0].a;
    assert_eq!(outcome, Some(Outcome::Yielded as u64));
    assert_eq!(recorded.outcomes(Outcome::Panicked), 1);
}

fn waiters_for_a_lock<L: Launch>() {
    let recorded = record::<L, _>(|rt: L::Runtime| async move {
        let mutex = Arc::new(Mutex::new(()));
        let guard = mutex.clone().lock_owned().await;
        let waiting = mutex.clone();
        let waiter = spawn_named("waiter", async move {
            drop(waiting.lock().await);
        });
        while rt.dump_trace().unwrap().task("waiter").is_none_or(|task| {
            let dump = rt.dump_trace().unwrap();
            let waits = |event: &Event| event.kind == Kind::LockWait && event.task == Some(task.id);
            !dump.events().iter().any(waits)
        }) {
            rt.sleep(Duration::from_millis(1)).await;
        }
        drop(guard);
        waiter.await.unwrap();
    });
    recorded.assert_order(&[
        (Kind::LockWait, "waiter"),
        (Kind::Wake, "waiter"),
        (Kind::LockGot, "waiter"),
        (Kind::LockRelease, "waiter"),
    ]);
    let waits = all(&recorded, Kind::LockWait, "waiter");
    let got = all(&recorded, Kind::LockGot, "waiter");
    assert_eq!(waits.len(), 1);
    assert_eq!((waits[0].a, waits[0].b), (got[0].a, Some(0)));
}

macro_rules! under_each {
    ($($program:ident: $n1:ident $mn:ident $threads:ident;)*) => {$(
        #[test]
        fn $n1() {
            $program::<N1>();
        }
        #[test]
        fn $mn() {
            $program::<Mn>();
        }
        #[test]
        fn $threads() {
            $program::<Threads>();
        }
    )*};
}

under_each! {
    a_child_and_its_parent: n1_spawn_to_end mn_spawn_to_end threads_spawn_to_end;
    wake_causes: n1_causes_of_wakes mn_causes_of_wakes threads_causes_of_wakes;
    how_tasks_end: n1_ends mn_ends threads_ends;
    waiters_for_a_lock: n1_locks mn_locks threads_locks;
}

#[test]
fn tasks_that_reuse_an_address_are_distinguished() {
    let recorded = record::<N1, _>(|rt| async move {
        for _ in 0..50 {
            // Its cell is nearly always where the previous one was.
            rt.spawn(async {}).await.unwrap();
        }
    });
    let spawns = recorded.events().iter().filter(|it| it.kind == Kind::Spawn);
    let spawned: std::collections::BTreeSet<_> = spawns.map(|spawn| spawn.task).collect();
    // 50 tasks and the root.
    assert_eq!(spawned.len(), 51);
    for task in spawned {
        let ends = |event: &&Event| event.kind == Kind::TaskEnd && event.task == task;
        assert_eq!(recorded.events().iter().filter(ends).count(), 1);
    }
}

#[test]
fn mn_workers_sleep_wake_and_steal() {
    let recorded = record::<Mn, _>(|rt| async move {
        // While the first task computes, the second one can only run if the other worker steals it.
        let (sender, receiver) = mpsc::channel();
        let held_up =
            rt.spawn(async move { receiver.recv_timeout(Duration::from_secs(60)).unwrap() });
        let stolen = rt.spawn(async move { sender.send(()).unwrap() });
        held_up.await.unwrap();
        stolen.await.unwrap();
        rt.sleep(Duration::from_millis(5)).await;
    });
    let workers = recorded
        .threads()
        .iter()
        .filter(|it| it.kind == ThreadKind::Worker);
    assert!(workers.count() >= 2);
    for kind in [Kind::Park, Kind::Unpark, Kind::Search] {
        assert!(
            recorded.events().iter().any(|event| event.kind == kind),
            "{kind:?}"
        );
    }
    let steals: Vec<_> = recorded
        .events()
        .iter()
        .filter(|it| it.kind == Kind::Steal)
        .collect();
    // There is no steal if the second task was in the slot, and the monitor moved it to the injector.
    for steal in steals {
        assert_ne!(steal.a, Some(steal.thread.into()));
        assert!(steal.b >= Some(1));
    }
    let known = |event: &&Event| event.kind == Kind::Unpark && event.a.is_some();
    assert!(recorded.events().iter().filter(known).count() > 0);
}

#[test]
#[cfg(target_os = "linux")]
fn a_poll_that_blocks_its_own_thread_has_been_switched() {
    let recorded = record::<Threads, _>(|_| async {
        let blocks = spawn_named("blocks", async { thread::sleep(Duration::from_millis(2)) });
        blocks.await.unwrap();
    });
    let task = Some(id(&recorded, "blocks"));
    let own: Vec<_> = recorded
        .events()
        .iter()
        .filter(|it| it.task == task)
        .collect();
    let at = |kind| own.iter().position(|it| it.kind == kind).unwrap();
    let because_it_waited = |it: &&&Event| it.kind == Kind::OsSwitch && it.a == Some(3);
    let switched = own.iter().position(|it| because_it_waited(&it)).unwrap();
    assert!(own[switched].b >= Some(1));
    assert!(at(Kind::PollBegin) < switched && switched < at(Kind::PollEnd));
}

#[test]
fn a_ring_that_is_too_small_counts_what_it_drops() {
    for keep in [Keep::Oldest, Keep::Newest] {
        let session = Recorder::new()
            .records_per_thread(8)
            .keep(keep)
            .start_in_turn();
        N1::run(&LaunchConfig::default(), |rt| async move {
            for _ in 0..100 {
                rt.spawn(async {}).await.unwrap();
            }
        })
        .unwrap();
        let recorded = session.stop();
        assert!(recorded.dropped() > 100, "{}", recorded.dropped());
        // One record may also stand for all of these.
        let also = [Kind::Queued, Kind::PollEnd, Kind::TaskEnd];
        let records = recorded
            .events()
            .iter()
            .filter(|it| !also.contains(&it.kind) && it.t_ns > 0);
        assert!(records.count() <= 8);
    }
}

#[test]
fn two_records_describe_a_task_from_spawn_to_end() {
    const TASKS: usize = 100;
    let recorder = Recorder::new().records_per_thread(256);
    let session = recorder.start_in_turn();
    N1::run(&LaunchConfig::default(), |rt| async move {
        let tasks: Vec<_> = (0..TASKS).map(|_| rt.spawn(async {})).collect();
        let last = tasks.into_iter().next_back().unwrap();
        last.await.unwrap();
    })
    .unwrap();
    let recorded = session.stop();
    assert_eq!(recorded.dropped(), 0);
    is_in_order(&recorded);
    let of = |kind| {
        recorded
            .events()
            .iter()
            .filter(|it| it.kind == kind)
            .count()
    };
    let each = [
        Kind::Spawn,
        Kind::Queued,
        Kind::PollBegin,
        Kind::PollEnd,
        Kind::TaskEnd,
    ];
    assert!(each.into_iter().all(|kind| of(kind) > TASKS));
}

#[test]
fn there_is_one_recording_at_a_time_and_none_after_it() {
    let session = Recorder::new().records_per_thread(8).start_in_turn();
    assert!(Recorder::new().start().is_none());
    drop(session.stop());
    // The other tests may get their turn to record.
    let event_loop = runtime_n1::Loop::new().unwrap();
    let _turn = Recorder::new().records_per_thread(8).start_in_turn();
    assert!(event_loop.handle().dump_trace().is_some());
}

#[test]
fn the_flight_recorder_dumps_on_a_panic_a_long_poll_and_a_request() {
    let (sender, receiver) = mpsc::channel();
    let options = Options {
        longest_poll: Some(Duration::from_millis(20)),
        ..Options::default()
    };
    let flight = loop {
        let sender = sender.clone();
        match Flight::start(options.clone(), move |reason, dump| {
            sender.send((reason, dump)).unwrap()
        }) {
            Ok(flight) => break flight,
            // Another test is recording.
            Err(_) => thread::sleep(Duration::from_millis(1)),
        }
    };
    let asks = flight.handle();
    N1::run(&LaunchConfig::default(), move |rt| async move {
        let next = move || receiver.recv_timeout(Duration::from_secs(60)).unwrap();
        asks.dump();
        assert_eq!(next().0, Reason::Asked);
        // An unrequested dump is suppressed within a second of the previous one.
        rt.sleep(Duration::from_millis(1100)).await;
        let panics = spawn_named("panics", async {
            std::panic::resume_unwind(Box::new("this is part of the test"));
        });
        assert!(panics.await.is_err());
        let (reason, dump) = next();
        assert_eq!(reason, Reason::Panic);
        assert_eq!(all(&dump, Kind::TaskEnd, "panics")[0].a, Some(1));
        rt.sleep(Duration::from_millis(1100)).await;
        let long = spawn_named("long", async { thread::sleep(Duration::from_millis(30)) });
        long.await.unwrap();
        let (reason, dump) = next();
        assert_eq!(reason, Reason::LongPoll);
        assert_eq!(dump.polls(id(&dump, "long")), 1);
    })
    .unwrap();
}
