//! Clause 5: where a thread may wait for a task, and where it may not; and the blocking jobs of a runtime.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::channel;
use std::thread;

use super::Subject;
use super::event::{Count, Event};
use super::outcome::Outcome;
use runtime_kernel::TaskHandle;
use runtime_library::Runtime;

/// Asserts that `outcome` is a panic with a message that a user can act on.
#[track_caller]
pub(super) fn assert_explains(outcome: &Outcome) {
    match outcome {
        Outcome::Panicked(text) => {
            assert!(
                text.contains("block"),
                "the message does not say what is wrong: {text}"
            );
            assert!(
                text.len() > 40,
                "the message does not say what to do instead: {text}"
            );
        }
        other => panic!("blocking inside of a task must panic, not report {other:?}"),
    }
}

/// 5: `block_on` inside a task panics with a helpful message, and only that task is affected.
pub fn c05_block_on_inside_a_task_panics<S: Subject>() {
    let subject = S::start();
    let rt = subject.handle();
    subject.run(async move {
        for _ in 0..3 {
            let own = rt.clone();
            let task = rt.spawn(async move { S::block_on(&own, async { 1 }) });
            assert_explains(&Outcome::of(task.await));
        }
        assert_eq!(rt.spawn(async { 2 }).await.expect("the worker lives on"), 2);
    });
}

/// 5: the same holds for `block_on` of another runtime, because the thread must not block.
pub fn c05_block_on_of_another_runtime_inside_a_task_panics<S: Subject>() {
    let (subject, other) = (S::start(), S::start());
    let (rt, foreign) = (subject.handle(), other.handle());
    subject.run(async move {
        let task = rt.spawn(async move { S::block_on(&foreign, async { 1 }) });
        assert_explains(&Outcome::of(task.await));
    });
}

/// 5: from other threads `block_on` works, even on many at once.
pub fn c05_block_on_works_from_many_threads<S: Subject>() {
    const THREADS: usize = 8;
    let subject = S::start();
    let rt = subject.handle();
    let done = Count::new();
    let threads: Vec<_> = (0..THREADS)
        .map(|number| {
            let (rt, done) = (rt.clone(), done.clone());
            thread::spawn(move || {
                let mut sum = 0;
                for round in 0..20 {
                    let own = rt.clone();
                    sum += S::block_on(&rt, async move {
                        own.yield_now().await;
                        own.spawn(async move { number * round })
                            .await
                            .expect("a task")
                    });
                }
                done.add();
                sum
            })
        })
        .collect();
    subject.run(async move { done.reach(THREADS).await });
    for (number, thread) in threads.into_iter().enumerate() {
        assert_eq!(thread.join().expect("a thread that blocks"), number * 190);
    }
}

/// 5: `block_on` passes its future's panic to its caller.
pub fn c05_block_on_hands_a_panic_on<S: Subject>() {
    let subject = S::start();
    let rt = subject.handle();
    let done = Event::new();
    let notify = done.clone();
    let blocked = thread::spawn(move || {
        let block = AssertUnwindSafe(|| S::block_on(&rt, async { panic!("of the root") }));
        let caught = catch_unwind(block);
        notify.set();
        caught.map_err(|payload| Outcome::panicked(&*payload))
    });
    subject.run(async move { done.wait().await });
    let outcome = blocked.join().expect("the panic was caught");
    assert_eq!(
        outcome,
        Err::<(), _>(Outcome::Panicked("of the root".to_owned()))
    );
}

/// 5: a blocking job may `block_on`: its thread runs no tasks.
pub fn c05_block_on_works_in_a_blocking_job<S: Subject>() {
    let subject = S::start();
    let rt = subject.handle();
    let own = rt.clone();
    let value = subject.run(async move {
        let inner = own.clone();
        let job = own.spawn_blocking(move || {
            let spawner = inner.clone();
            S::block_on(&inner, async move {
                spawner.spawn(async { 3 }).await.expect("a task")
            })
        });
        job.await.expect("the job")
    });
    assert_eq!(value, 3);
    drop(rt);
}

/// 5: the owner's own entry works any number of times, returns the root's output, and leaves the other tasks in place.
pub fn c05_run_works_again_and_again<S: Subject>() {
    let subject = S::start();
    let rt = subject.handle();
    let (go, went) = (Event::new(), Event::new());
    let (wait, notify) = (go.clone(), went.clone());
    let task = rt.spawn(async move {
        wait.wait().await;
        notify.set();
        11
    });
    for round in 0..10 {
        assert_eq!(subject.run(async move { round }), round);
    }
    assert!(!went.is_set());
    go.set();
    subject.run(async move { went.wait().await });
    assert_eq!(
        subject.run(async move { task.await.expect("the task") }),
        11
    );
}

/// 5, 3: if a root panics, the panic reaches its caller, and the runtime continues.
pub fn c05_run_hands_a_panic_on<S: Subject>() {
    let subject = S::start();
    let run = AssertUnwindSafe(|| subject.run(async { panic!("of the root") }));
    let payload = catch_unwind(run).expect_err("it panicked");
    assert_eq!(
        Outcome::panicked(&*payload),
        Outcome::Panicked("of the root".to_owned())
    );
    assert_eq!(subject.run(async { 1 }), 1);
}

/// A blocking job returns its value. If it panics, its handle reports that, and its thread lives on.
pub fn c05_blocking_jobs_return_and_panic<S: Subject>() {
    let subject = S::start();
    let rt = subject.handle();
    subject.run(async move {
        for round in 0..20 {
            let worker = thread::current().id();
            let job = rt.spawn_blocking(move || (round, thread::current().id()));
            let (value, on) = job.await.expect("it returns");
            assert_eq!(value, round);
            assert_ne!(on, worker, "a blocking job must not run where tasks do");
            let job = rt.spawn_blocking(|| -> () { panic!("of the job") });
            assert_eq!(
                Outcome::of(job.await),
                Outcome::Panicked("of the job".to_owned())
            );
        }
    });
}

/// Blocking jobs that wait for one another all run: the pool grows.
pub fn c05_blocking_jobs_run_side_by_side<S: Subject>() {
    const JOBS: usize = 32;
    let subject = S::start();
    let rt = subject.handle();
    subject.run(async move {
        let arrived = Count::new();
        let jobs: Vec<_> = (0..JOBS)
            .map(|number| {
                let arrived = arrived.clone();
                rt.spawn_blocking(move || {
                    arrived.add();
                    arrived.reach_blocking(JOBS);
                    number
                })
            })
            .collect();
        for (number, job) in jobs.into_iter().enumerate() {
            assert_eq!(job.await.expect("a job"), number);
        }
    });
}

/// All blocking jobs run, even if there are more than there can be threads.
pub fn c05_thousands_of_blocking_jobs<S: Subject>() {
    const JOBS: u64 = 3_000;
    let subject = S::start();
    let rt = subject.handle();
    subject.run(async move {
        let jobs: Vec<_> = (0..JOBS)
            .map(|number| rt.spawn_blocking(move || number))
            .collect();
        let mut sum = 0;
        for job in jobs {
            sum += job.await.expect("a job");
        }
        assert_eq!(sum, JOBS * (JOBS - 1) / 2);
    });
}

/// Blocking jobs that block don't block any task.
pub fn c05_blocking_jobs_hold_no_task_up<S: Subject>() {
    const JOBS: usize = 16;
    let subject = S::start();
    let rt = subject.handle();
    subject.run(async move {
        let (running, release) = (Count::new(), Event::new());
        let jobs: Vec<_> = (0..JOBS)
            .map(|_| {
                let (running, release) = (running.clone(), release.clone());
                rt.spawn_blocking(move || {
                    running.add();
                    release.wait_blocking();
                })
            })
            .collect();
        running.reach(JOBS).await;
        for _ in 0..100 {
            rt.spawn(async {}).await.expect("a task beside the jobs");
        }
        rt.sleep(std::time::Duration::from_millis(1)).await;
        release.set();
        for job in jobs {
            job.await.expect("a job");
        }
    });
}

/// You can start a blocking job from any thread, and await its handle on any.
pub fn c05_blocking_jobs_from_a_foreign_thread<S: Subject>() {
    let subject = S::start();
    let rt = subject.handle();
    let job = thread::spawn(move || rt.spawn_blocking(|| 4))
        .join()
        .expect("spawns");
    assert_eq!(
        futures_lite::future::block_on(job).expect("it needs no loop"),
        4
    );
}

/// 2: dropping the handle of a blocking job detaches it; aborting a running one changes nothing.
pub fn c05_blocking_jobs_detach_and_outlive_an_abort<S: Subject>() {
    let subject = S::start();
    let rt = subject.handle();
    subject.run(async move {
        let ran = Event::new();
        let notify = ran.clone();
        drop(rt.spawn_blocking(move || notify.set()));
        ran.wait().await;

        let (running, release) = (Event::new(), Event::new());
        let (notify, wait) = (running.clone(), release.clone());
        let job = rt.spawn_blocking(move || {
            notify.set();
            wait.wait_blocking();
            5
        });
        running.wait().await;
        job.abort();
        release.set();
        assert_eq!(
            job.await
                .expect("it finished in the poll during which it was aborted"),
            5
        );
    });
}

/// A blocking job's captures are dropped once, before its handle reports.
pub fn c05_a_blocking_jobs_captures_are_dropped_first<S: Subject>() {
    struct NotifiesOnDrop(std::sync::mpsc::Sender<()>);
    impl Drop for NotifiesOnDrop {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }
    let subject = S::start();
    let rt = subject.handle();
    subject.run(async move {
        for panics in [false, true] {
            let (notify, dropped) = channel();
            let captured = NotifiesOnDrop(notify);
            let job = rt.spawn_blocking(move || {
                let _captured = &captured;
                assert!(!panics, "as planned");
            });
            assert_eq!(job.await.is_err(), panics);
            assert_eq!(
                dropped.try_iter().count(),
                1,
                "dropped before the handle reported"
            );
        }
    });
}
