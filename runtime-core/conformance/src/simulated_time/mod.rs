//! Simulated time: it jumps when no task can do anything, and stands still as long as one can.
//!
//! A clock that stands still makes every bound exact: a sleep ends in the tick of its deadline, and everything else
//! takes no time at all.

mod sockets;

use std::future::pending;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use futures_lite::{AsyncReadExt as _, AsyncWriteExt as _};

use super::ClockSubject;
use super::event::{Count, Event};
use super::stress::Xorshift;
use runtime_kernel::blocking::{Executor, set_default_executor};
use runtime_kernel::time::{Clock, interval, now, sleep, sleep_until, timeout};
use runtime_library::calls::{call_at, call_later, every};
use runtime_library::fs;
use runtime_library::net::UnixStream;
use runtime_library::{ChannelReceiver as _, ChannelSender as _, Runtime, TcpListener as _};

pub use sockets::{
    c09_a_limit_over_an_idle_socket_is_reached,
    c09_time_stands_still_beside_a_socket_that_is_ready,
    c09_time_stands_still_beside_many_sockets_that_are_ready,
};

const MS: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);
/// More than a tick of the timers: a deadline is rounded up to the next tick.
const TICK: Duration = Duration::from_micros(300);

/// How long a thread is kept busy in real time, where simulated time should stand still.
const BUSY: Duration = Duration::from_millis(50);

/// Asserts that the time is `expected`, or up to a tick later.
#[track_caller]
fn assert_is_now(expected: Instant) {
    let now = now();
    assert!(now >= expected, "{:?} too early", expected - now);
    assert!(now < expected + TICK, "{:?} too late", now - expected);
}

/// Starts a runtime in simulated time and runs the root task that `case` creates from its handle.
fn run<S: ClockSubject, F>(case: impl FnOnce(S::Runtime) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let subject = S::start_with(Clock::simulated());
    subject.run(case(subject.handle()));
}

/// 9: an hour passes at once, and is an hour by every way to read the time.
pub fn c09_an_hour_passes_at_once<S: ClockSubject>() {
    let clock = Clock::simulated();
    let subject = S::start_with(clock.clone());
    let rt = subject.handle();
    let begun = Instant::now();
    subject.run(async move {
        let start = now();
        sleep(HOUR).await;
        assert_is_now(start + HOUR);
        assert_eq!(rt.now(), now());
        assert_eq!(clock.now(), now());
        sleep_until(start + 2 * HOUR).await;
        rt.sleep(HOUR).await;
        assert!(rt.timeout(HOUR, pending::<()>()).await.is_err());
        // Four deadlines, each rounded up to a tick.
        assert!(now() >= start + 4 * HOUR);
        assert!(now() < start + 4 * (HOUR + TICK));
    });
    assert!(begun.elapsed() < HOUR, "it was an hour");
}

/// 9: tasks that sleep wake up one after the other, each on time.
pub fn c09_a_thousand_sleeps_end_in_the_order_of_their_deadlines<S: ClockSubject>() {
    const TASKS: u32 = 1000;
    run::<S, _>(|rt| async move {
        let start = now();
        let ended = Arc::new(Mutex::new(Vec::new()));
        let tasks: Vec<_> = (0..TASKS)
            .map(|task| {
                // 7 and 1000 have no common divisor: all numbers occur, mixed.
                let number = task * 7 % TASKS;
                let ended = Arc::clone(&ended);
                rt.spawn(async move {
                    let deadline = start + number * 7 * MS;
                    sleep_until(deadline).await;
                    assert_is_now(deadline);
                    ended.lock().expect("no panic").push(number);
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("a sleeper");
        }
        let ended = ended.lock().expect("no panic");
        assert_eq!(ended.len(), TASKS as usize);
        assert!(ended.is_sorted(), "{ended:?}");
    });
}

/// 9: a task that has work, even if it yields again and again, stops time from passing.
pub fn c09_time_stands_still_while_a_task_works<S: ClockSubject>() {
    run::<S, _>(|rt| async move {
        let start = now();
        let (asleep, awake) = (Event::new(), Event::new());
        let (tell_asleep, tell_awake) = (asleep.clone(), awake.clone());
        let sleeper = rt.spawn(async move {
            tell_asleep.set();
            sleep(MS).await;
            tell_awake.set();
        });
        asleep.wait().await;
        for round in 0..2000 {
            rt.yield_now().await;
            assert_eq!(now(), start);
            if round == 1000 {
                // It may also take long.
                thread::sleep(BUSY);
            }
        }
        assert!(!awake.is_set());
        sleeper.await.expect("the sleeper");
        assert_is_now(start + MS);
    });
}

/// A job to be run elsewhere.
type Job = Box<dyn FnOnce() + Send>;

/// Starts a job elsewhere with `begin`, and checks that no time passes before it has ended, whether or not it is
/// awaited.
async fn assert_holds_time<F>(rt: &impl Runtime, begin: impl Fn(Job) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    for detached in [false, true] {
        let start = now();
        let sleeper = rt.spawn(async move {
            sleep(HOUR).await;
            assert_is_now(start + HOUR);
        });
        let ended = Event::new();
        let notify = ended.clone();
        let job = begin(Box::new(move || {
            assert_eq!(now(), start);
            thread::sleep(BUSY);
            assert_eq!(now(), start);
            notify.set();
        }));
        if detached {
            drop(job);
        } else {
            job.await;
            assert_eq!(now(), start, "when the job has ended");
        }
        sleeper.await.expect("the sleeper");
        assert!(ended.is_set(), "an hour passed beside the job");
    }
}

/// 9: a blocking job stops time from passing, until the task that awaits it was woken.
pub fn c09_time_stands_still_beside_a_blocking_job<S: ClockSubject>() {
    run::<S, _>(|rt| async move {
        assert_holds_time(&rt, |job| {
            let job = rt.spawn_blocking(job);
            async { job.await.expect("the job") }
        })
        .await;
        // Many short ones in turn: the critical moment is the end of a job.
        let start = now();
        let sleeper = rt.spawn(sleep(MS));
        for number in 0..200 {
            assert_eq!(rt.spawn_blocking(move || number).await.ok(), Some(number));
            assert_eq!(now(), start);
        }
        sleeper.await.expect("the sleeper");
        // Files need a job, or a task's own thread.
        let path = std::env::temp_dir().join(format!("simulated-time-{}", std::process::id()));
        for _ in 0..20 {
            let written = timeout(MS, fs::write(&path, vec![7; 1000])).await;
            written.expect("in time").expect("a file");
        }
        let _ = std::fs::remove_file(path);
    });
}

/// 9: so does a job of an executor, even while it is queued, and a job of the default executor.
pub fn c09_time_stands_still_beside_a_job_of_an_executor<S: ClockSubject>() {
    run::<S, _>(|rt| async move {
        let executor = Executor::new("holds", 1);
        assert_holds_time(&rt, |job| {
            drop(executor.spawn(|| thread::sleep(BUSY)));
            let job = executor.spawn(job);
            async { job.await.expect("the job") }
        })
        .await;
        set_default_executor(executor);
        assert_holds_time(&rt, |job| {
            let job = rt.spawn_blocking(job);
            async { job.await.expect("the job") }
        })
        .await;
    });
}

/// 9: a hold stops time from passing, so a time limit on another thread's message is not reached before it was sent.
pub fn c09_time_stands_still_while_a_thread_holds_it<S: ClockSubject>() {
    let clock = Clock::simulated();
    let subject = S::start_with(clock.clone());
    let rt = subject.handle();
    subject.run(async move {
        for _ in 0..50 {
            let start = now();
            let (sender, mut receiver) = rt.channel(1);
            let hold = clock.hold();
            let sends = thread::spawn(move || {
                thread::sleep(MS);
                let sent = futures_lite::future::block_on(sender.send(7));
                drop(hold);
                sent.is_ok()
            });
            assert_eq!(timeout(MS, receiver.recv()).await, Ok(Some(7)));
            assert_eq!(now(), start);
            assert!(sends.join().expect("the thread"));
        }
        // If a hold ends without waking a task, time passes.
        let (hold, start) = (clock.hold(), now());
        let holds = thread::spawn(move || {
            thread::sleep(BUSY);
            drop(hold);
        });
        let before = Instant::now();
        sleep(MS).await;
        assert!(before.elapsed() >= BUSY / 2);
        assert_is_now(start + MS);
        holds.join().expect("the thread");
    });
}

/// 9: repetitions happen in simulated time.
pub fn c09_a_day_of_ticks_passes_at_once<S: ClockSubject>() {
    run::<S, _>(|rt| async move {
        let start = now();
        let mut ticks = interval(HOUR);
        for hour in 0..=24 {
            assert_eq!(ticks.tick().await, start + hour * HOUR);
            assert_is_now(start + hour * HOUR);
        }
        let (runs, start) = (Count::new(), now());
        let counts = runs.clone();
        let schedule = every(HOUR).starting_in(HOUR).spawn(move || {
            counts.add();
            async {}
        });
        rt.sleep_until(start + 24 * HOUR + HOUR / 2).await;
        schedule.abort();
        assert!(schedule.await.is_err());
        assert_eq!(runs.get(), 24);
    });
}

/// 9: a run that is due while the last one continues is skipped, and the next begins at a multiple of the period: with
/// jitter, not before it.
pub fn c09_a_long_job_begins_at_multiples_of_its_period<S: ClockSubject>() {
    run::<S, _>(|_| async move {
        for jitter in [Duration::ZERO, HOUR / 2] {
            let (runs, start) = (Count::new(), now());
            let begun = Arc::new(Mutex::new(Vec::new()));
            let (counts, notes) = (runs.clone(), Arc::clone(&begun));
            let schedule = every(HOUR).jitter(jitter).seed(7).spawn(move || {
                notes.lock().expect("no panic").push(now() - start);
                let counts = counts.clone();
                async move {
                    sleep(HOUR + HOUR / 2).await;
                    counts.add();
                }
            });
            runs.reach(5).await;
            schedule.abort();
            assert!(schedule.await.is_err());
            // Even with the longest delay, a run is over before the next but one is due.
            for (number, at) in (0..).zip(begun.lock().expect("no panic").iter().copied()) {
                let due = number * 2 * HOUR;
                let in_time = due..due + jitter + TICK;
                assert!(in_time.contains(&at), "run {number} began after {at:?}");
            }
        }
    });
}

/// 9: calls are made at their times and in their order.
pub fn c09_calls_are_made_in_the_order_of_their_times<S: ClockSubject>() {
    run::<S, _>(|_| async move {
        let start = now();
        let made = Arc::new(Mutex::new(Vec::new()));
        let note = |after: Duration| {
            let made = Arc::clone(&made);
            move || {
                assert_is_now(start + after);
                made.lock().expect("no panic").push(after);
            }
        };
        let calls = [
            call_later(3 * HOUR, note(3 * HOUR)),
            call_at(start + HOUR, note(HOUR)),
            call_later(2 * HOUR, note(2 * HOUR)),
            call_at(start, note(Duration::ZERO)),
        ];
        let cancelled = call_later(HOUR, || unreachable!("it was cancelled"));
        assert_eq!(cancelled.when(), Some(start + HOUR));
        cancelled.cancel();
        for call in calls {
            call.await.expect("the call");
        }
        assert_eq!(
            *made.lock().expect("no panic"),
            [0, 1, 2, 3].map(|hour| hour * HOUR)
        );
    });
}

/// A thread that has entered the runtime also sleeps in its time.
pub fn c09_a_sleep_on_a_non_worker_thread_passes_at_once<S: ClockSubject>() {
    let subject = S::start_with(Clock::simulated());
    let rt = subject.handle();
    let begun = Instant::now();
    let (enters, sleeper_ended) = mpsc::channel::<Instant>();
    thread::scope(|scope| {
        let sleeper = scope.spawn(move || {
            let start = rt.now();
            // Created outside the runtime, but with its handle.
            let sleep = rt.sleep(HOUR);
            S::block_on(&rt, sleep);
            assert!(rt.now() >= start + HOUR);
            enters.send(rt.now()).expect("the case waits");
        });
        // Where time passes only while a loop runs, the loop runs here.
        subject.run(async move {
            while sleeper_ended.try_recv().is_err() {
                sleep(HOUR).await;
            }
        });
        sleeper.join().expect("the sleeper");
    });
    assert!(begun.elapsed() < HOUR, "it was an hour");
}

/// 4: a shutdown drops sleeping tasks without waking them, and lets no time pass.
pub fn c04_a_shutdown_lets_no_time_pass<S: ClockSubject>() {
    struct NotifiesOnDrop(Count);
    impl Drop for NotifiesOnDrop {
        fn drop(&mut self) {
            self.0.add();
        }
    }
    let clock = Clock::simulated();
    let subject = S::start_with(clock.clone());
    let rt = subject.handle();
    let (dropped, asleep) = (Count::new(), Count::new());
    let hold = clock.hold();
    let start = clock.now();
    let tasks: Vec<_> = (0..20)
        .map(|_| {
            let (notifies, asleep) = (NotifiesOnDrop(dropped.clone()), asleep.clone());
            rt.spawn(async move {
                asleep.add();
                sleep(HOUR).await;
                unreachable!("{:?} passed", notifies.0);
            })
        })
        .collect();
    subject.run(async move { asleep.reach(20).await });
    assert_eq!(subject.shutdown(Duration::from_secs(30)), [""; 0]);
    drop(hold);
    assert_eq!(dropped.get(), 20);
    assert_eq!(clock.now(), start);
    for task in tasks {
        assert!(futures_lite::future::block_on(task).is_err());
    }
}

/// 9: whatever else happens, time never passes while a task could run: each sleep ends exactly when it should, and
/// everything else takes no time.
pub fn c09_no_sleep_is_overslept<S: ClockSubject>() {
    const TASKS: u64 = 24;
    const STEPS: u32 = 60;
    run::<S, _>(|rt| async move {
        let executor = Executor::new("storm", 2);
        let tasks: Vec<_> = (1..=TASKS)
            .map(|seed| rt.spawn(storm(rt.clone(), executor.clone(), seed, STEPS)))
            .collect();
        for task in tasks {
            task.await.expect("no sleep was overslept");
        }
    });
}

async fn storm<R: Runtime>(rt: R, executor: Executor, seed: u64, steps: u32) {
    let mut random = Xorshift::new(seed);
    for _ in 0..steps {
        let start = now();
        let number = random.below(1000);
        match random.below(8) {
            // Several tasks share most deadlines.
            0..3 => {
                let deadline = start + u32::try_from(number % 10).expect("small") * MS;
                sleep_until(deadline).await;
                assert_is_now(deadline);
                continue;
            }
            3 => rt.yield_now().await,
            4 => {
                let child = rt.spawn(async move { number });
                assert_eq!(
                    timeout(MS, child).await.expect("in time").ok(),
                    Some(number)
                );
            }
            5 => {
                let job = rt.spawn_blocking(move || number);
                assert_eq!(timeout(MS, job).await.expect("in time").ok(), Some(number));
            }
            6 => {
                let job = executor.spawn(thread::yield_now);
                assert!(timeout(MS, job).await.expect("in time").is_ok());
            }
            _ => {
                let (sender, mut receiver) = rt.channel(1);
                let sends = rt.spawn(async move { sender.send(number).await });
                let received = timeout(MS, receiver.recv()).await;
                assert_eq!(received, Ok(Some(number)));
                assert!(timeout(MS, sends).await.expect("in time").is_ok());
            }
        }
        assert_eq!(now(), start);
    }
}
