//! The uses of a handle other than awaiting it: blocking forms, callbacks, sharing; and cancellation with a token.

use std::convert::Infallible;
use std::future::pending;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use super::AmbientSubject;
use super::blocking_entry::assert_explains;
use super::event::{Count, Event};
use super::outcome::Outcome;
use super::probe::{Probe, Then};
use runtime_kernel::promise::Promise;
use runtime_kernel::time::Elapsed;
use runtime_kernel::{
    AbortHandle, JoinError, JoinHandle, spawn, spawn_blocking, spawn_named, yield_now,
};
use runtime_library::Runtime;
use runtime_library::cancellation::CancellationToken;

const MS: Duration = Duration::from_millis(1);
const LONG: Duration = Duration::from_secs(3600);

/// 5: `result` waits for a task on a foreign thread and in a blocking job, for a limited time.
pub fn c05_result_waits_for_a_limited_time<S: AmbientSubject>() {
    S::start().run(async {
        let probe = Probe::new();
        let mut task = spawn(probe.future());
        let (asked, done) = (Event::new(), Event::new());
        let (notify_asked, notify) = (asked.clone(), done.clone());
        let waiting = thread::spawn(move || {
            assert!(matches!(task.result(Duration::ZERO), Err(Elapsed)));
            assert!(
                matches!(task.result(2 * MS), Err(Elapsed)),
                "and the task goes on"
            );
            notify_asked.set();
            assert_eq!(task.result(LONG).map(Outcome::of), Ok(Outcome::Returned));
            notify.set();
        });
        asked.wait().await;
        probe.tell(Then::Return);
        done.wait().await;
        waiting.join().expect("the thread");
        let mut task = spawn(async { 1 });
        let job = spawn_blocking(move || matches!(task.result(Duration::MAX), Ok(Ok(1))));
        assert!(job.await.expect("the job"));
    });
}

/// 5: inside a task the blocking forms panic, and say what to use instead.
pub fn c05_result_inside_a_task_panics<S: AmbientSubject>() {
    S::start().run(async {
        let mut task = spawn(async {});
        let inside = spawn(async move { drop(task.result(Duration::ZERO)) });
        assert_explains(&Outcome::of(inside.await));
        let promise = Promise::<()>::new();
        let future = promise.future();
        let inside = spawn(async move { _ = future.result(Duration::ZERO) });
        assert_explains(&Outcome::of(inside.await));
    });
}

/// 1 to 3: a callback is called once with the outcome, whatever that is, and whether or not the task has already
/// ended; it needs no task.
pub fn c01_a_callback_gets_the_outcome<S: AmbientSubject>() {
    let subject = S::start();
    let rt = subject.handle();
    subject.run(async move {
        for ended_before in [false, true] {
            for ending in 0..3 {
                let probe = Probe::new();
                let task = spawn(probe.future());
                let (outcomes, called) = (Arc::new(Mutex::new(Vec::new())), Event::new());
                probe.polls().reach(1).await;
                let abort = task.abort_handle();
                let end = || match ending {
                    0 => probe.tell(Then::Return),
                    1 => probe.tell(Then::Panic),
                    _ => abort.abort(),
                };
                let live = rt.metrics().live_tasks;
                if ended_before {
                    end();
                    while !task.is_finished() {
                        yield_now().await;
                    }
                }
                let (kept, notify, gone) = (outcomes.clone(), called.clone(), probe.clone());
                task.on_complete(move |outcome| {
                    assert_eq!(gone.futures_dropped().get(), 1, "only then");
                    kept.lock().unwrap().push(Outcome::of(outcome));
                    notify.set();
                });
                if !ended_before {
                    assert_eq!(rt.metrics().live_tasks, live, "no further task");
                    assert!(!called.is_set());
                    end();
                }
                called.wait().await;
                let outcomes = std::mem::take(&mut *outcomes.lock().unwrap());
                match (ending, &outcomes[..]) {
                    (0, [Outcome::Returned])
                    | (1, [Outcome::Panicked(_)])
                    | (2, [Outcome::Cancelled]) => {}
                    _ => panic!("{ending}: {outcomes:?}"),
                }
            }
        }
    });
}

/// 3: a panic in a callback is contained: the worker and the other tasks continue.
pub fn c03_a_callback_that_panics_is_contained<S: AmbientSubject>() {
    S::start().run(async {
        for round in 0..20 {
            let called = Event::new();
            let (go, notify) = (Event::new(), called.clone());
            let held = go.clone();
            let task = spawn(async move { held.wait().await });
            if round % 2 == 0 {
                // It has ended, so the callback is called here, where nobody can know.
                go.set();
                while !task.is_finished() {
                    yield_now().await;
                }
            }
            task.on_complete(move |_| {
                notify.set();
                std::panic::resume_unwind(Box::new("as planned"));
            });
            go.set();
            called.wait().await;
            assert_eq!(spawn(async { 1 }).await.expect("the worker lives on"), 1);
        }
    });
}

/// 4: a shutdown calls the callbacks of the tasks that it drops.
pub fn c04_a_shutdown_calls_callbacks<S: AmbientSubject>() {
    let subject = S::start();
    let called = Count::new();
    let notify = called.clone();
    subject.run(async move {
        for _ in 0..10 {
            let notify = notify.clone();
            spawn(pending::<()>()).on_complete(move |outcome| {
                assert_eq!(Outcome::of(outcome), Outcome::Cancelled);
                notify.add();
            });
        }
    });
    drop(subject);
    assert_eq!(called.get(), 10);
}

/// 1: many tasks can await a shared handle, before and after the end.
pub fn c01_a_shared_handle_is_awaited_by_many<S: AmbientSubject>() {
    S::start().run(async {
        let go = Event::new();
        let held = go.clone();
        let shared = spawn(async move {
            held.wait().await;
            42
        })
        .shared();
        let waiting: Vec<_> = (0..5).map(|_| spawn(shared.clone())).collect();
        yield_now().await;
        go.set();
        for waits in waiting {
            assert!(matches!(waits.await.expect("it waits"), Ok(Ok(42))));
        }
        assert!(matches!(shared.await, Ok(Ok(42))));
        let cancelled = spawn(pending::<()>());
        cancelled.abort();
        let outcome = cancelled.shared().await.expect("kept");
        assert!(outcome.is_err_and(|error| error.is_cancelled()));
    });
}

/// 1: a task that awaits itself panics, and the message names the fix, instead of waiting for ever.
pub fn c01_a_task_that_awaits_itself_panics<S: AmbientSubject>() {
    S::start().run(async {
        let (give, take) = runtime_library::sync::oneshot::channel::<JoinHandle<()>>();
        let ended = Event::new();
        let (outcome, notify) = (Arc::new(Mutex::new(None)), ended.clone());
        struct NotifiesOnDrop(Event);
        impl Drop for NotifiesOnDrop {
            fn drop(&mut self) {
                self.0.set();
            }
        }
        let (kept, notifies) = (outcome.clone(), NotifiesOnDrop(notify));
        let task = spawn(async move {
            let _tells = notifies;
            let own = take.await.expect("the handle");
            let caught = futures_lite::FutureExt::catch_unwind(std::panic::AssertUnwindSafe(own));
            *kept.lock().unwrap() = Some(Outcome::of(
                caught
                    .await
                    .map_err(|payload| JoinError::Panicked(payload.into()))
                    .and_then(|own| own),
            ));
        });
        assert!(give.send(task).is_ok());
        ended.wait().await;
        let outcome = outcome.lock().unwrap().take();
        match outcome {
            Some(Outcome::Panicked(text)) => assert!(text.contains("its own JoinHandle"), "{text}"),
            other => panic!("{other:?}"),
        }
    });
}

/// Tasks know themselves, and have names.
pub fn the_current_task_has_a_name<S: AmbientSubject>() {
    S::start().run(async {
        let task = spawn_named("somebody", async {
            let own = AbortHandle::current().expect("inside of a task");
            yield_now().await;
            (own.name().map(str::to_owned), own.id())
        });
        assert_eq!(task.name(), Some("somebody"));
        let id = task.id();
        assert_eq!(
            task.await.expect("the task"),
            (Some("somebody".to_owned()), id)
        );
        let suicide = spawn(async {
            AbortHandle::current().expect("inside of a task").abort();
            pending::<Infallible>().await
        });
        assert_eq!(Outcome::of(suicide.await), Outcome::Cancelled);
    });
    assert!(AbortHandle::current().is_none());
}

/// A token cancels all tasks that observe it, from any thread, and lets their clean-up await.
pub fn a_token_leaves_time_for_a_clean_up_that_awaits<S: AmbientSubject>() {
    S::start().run(async {
        let token = CancellationToken::new();
        let cleaned = Count::new();
        let tasks: Vec<_> = (0..20)
            .map(|_| {
                let (token, cleaned) = (token.child_token(), cleaned.clone());
                spawn(async move {
                    assert!(token.run_until_cancelled(pending::<()>()).await.is_none());
                    runtime_kernel::time::sleep(MS).await;
                    cleaned.add();
                })
            })
            .collect();
        let cancels = thread::spawn(move || token.cancel());
        for task in tasks {
            task.await.expect("it ends by itself");
        }
        cancels.join().expect("the thread");
        assert_eq!(cleaned.get(), 20);
    });
}
