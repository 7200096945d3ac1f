//! The free functions over the ambient runtime, and the methods that only our own handles have.
//!
//! For schedulers that run the core's own tasks and enter its context; see [`AmbientSubject`].

use std::cell::RefCell;
use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use futures_lite::future::block_on;

use super::AmbientSubject;
use super::blocking_entry::assert_explains;
use super::erased::maker::Inherited;
use super::event::Event;
use super::outcome::Outcome;
use super::probe::{Probe, Then};
use runtime_kernel::context;
use runtime_library::Runtime;

const MS: Duration = Duration::from_millis(1);

/// Asserts that `call` panics and that its message names the fix.
#[track_caller]
pub(super) fn assert_names_the_fix<T>(name: &str, call: impl FnOnce() -> T) {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(_) => panic!("`{name}` works outside of a runtime"),
        Err(payload) => {
            let text = super::probe::text_of(&*payload);
            assert!(
                text.contains(name),
                "the message does not name `{name}`: {text}"
            );
            assert!(
                text.contains("enter"),
                "the message names no way out: {text}"
            );
        }
    }
}

/// The free functions work inside tasks, in tasks spawned by them, and in blocking jobs.
pub fn free_functions_work_inside_tasks<S: AmbientSubject>() {
    let subject = S::start();
    let value = subject.run(async {
        runtime_kernel::time::sleep(MS).await;
        runtime_kernel::yield_now().await;
        let inner = runtime_kernel::spawn(async {
            runtime_kernel::time::sleep(MS).await;
            runtime_kernel::spawn_blocking(|| context::try_with(|a| a.name()).is_some())
                .await
                .expect("the job")
        });
        let in_context = inner.await.expect("the inner task");
        assert!(in_context, "a blocking job knows its runtime");
        let elapsed = runtime_kernel::time::timeout(MS, pending::<()>()).await;
        assert!(elapsed.is_err());
        runtime_kernel::time::timeout(Duration::from_secs(3600), async { 5 })
            .await
            .expect("ready")
    });
    assert_eq!(value, 5);
}

/// Outside a runtime they panic, and the message names the fix.
pub fn free_functions_outside_a_runtime_name_the_fix<S: AmbientSubject>() {
    assert_names_the_fix("spawn", || runtime_kernel::spawn(async {}));
    assert_names_the_fix("spawn_blocking", || runtime_kernel::spawn_blocking(|| ()));
    assert_names_the_fix("sleep", || block_on(runtime_kernel::time::sleep(MS)));
    // A runtime that has come and gone leaves nothing on the thread.
    let subject = S::start();
    subject.run(async {});
    assert_names_the_fix("spawn", || runtime_kernel::spawn(async {}));
    drop(subject);
    assert_names_the_fix("spawn", || runtime_kernel::spawn(async {}));
}

/// Entering a runtime makes it the thread's own until the guard is dropped; guards nest.
pub fn entering_nests<S: AmbientSubject>() {
    let (outer, inner) = (S::start(), S::start());
    let (in_outer, in_inner) = (Event::new(), Event::new());
    let notify = |event: &Event| {
        let event = event.clone();
        drop(runtime_kernel::spawn(async move { event.set() }));
    };
    {
        let _outer = outer.enter();
        {
            let _inner = inner.enter();
            notify(&in_inner);
        }
        notify(&in_outer);
    }
    assert_names_the_fix("spawn", || runtime_kernel::spawn(async {}));
    // Each was spawned on the runtime that was entered at that time: only that one must run.
    outer.run(async move { in_outer.wait().await });
    inner.run(async move { in_inner.wait().await });
}

/// Guards may be dropped in any order: the thread is then in the context that it entered and has not left, and never
/// in a runtime that has ended.
pub fn guards_may_be_dropped_in_any_order<S: AmbientSubject>() {
    let subjects = [S::start(), S::start(), S::start()];
    let names = |number: usize| {
        let own = Event::new();
        let notify = own.clone();
        drop(runtime_kernel::spawn(async move { notify.set() }));
        subjects[number].run(async move { own.wait().await });
    };
    for order in [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ] {
        let mut guards = [0, 1, 2].map(|number| Some(subjects[number].enter()));
        for gone in order {
            guards[gone] = None;
            match (0..3).rev().find(|&number| guards[number].is_some()) {
                // Otherwise this hangs: the task belongs to another runtime, which does not run.
                Some(innermost) => names(innermost),
                None => assert_names_the_fix("spawn", || runtime_kernel::spawn(async {})),
            }
        }
    }
    let (first, second) = (S::start(), S::start());
    let (of_first, of_second) = (first.enter(), second.enter());
    drop(of_first);
    drop(of_second);
    drop((first, second));
    assert_names_the_fix("spawn", || runtime_kernel::spawn(async {}));
    // A forgotten guard stays, and does not affect those that are created before or after it.
    let subject = S::start();
    {
        let entered = subject.enter();
        std::mem::forget(S::start().enter());
        drop(entered);
    }
    let entered = subject.enter();
    let task = runtime_kernel::spawn(async { 7 });
    assert_eq!(subject.run(async move { task.await.expect("the task") }), 7);
    drop(entered);
}

/// 5: a task that enters a runtime, its own or another, is still a task: it must not block.
pub fn c05_a_task_that_has_entered_a_runtime_may_not_block<S: AmbientSubject>() {
    let (subject, other) = (S::start(), S::start());
    for entered in [&subject, &other] {
        let ambient = {
            let _entered = entered.enter();
            context::try_with(Arc::clone).expect("entered")
        };
        let blocks = entered.handle();
        let task = subject.handle().spawn(async move {
            let _entered = context::enter(ambient, context::Role::NonWorker);
            assert!(context::in_task());
            S::block_on(&blocks, async {});
        });
        let outcome = subject.run(async move { Outcome::of(task.await) });
        assert_explains(&outcome);
    }
}

/// The destructor of a thread-local may create, use and drop a runtime, after the thread-locals of this project were
/// destroyed.
pub fn a_runtime_works_while_its_thread_ends<S: AmbientSubject>() {
    struct Last {
        work: fn() -> u32,
        sender: mpsc::Sender<Result<u32, String>>,
    }
    impl Drop for Last {
        fn drop(&mut self) {
            let outcome = catch_unwind(AssertUnwindSafe(self.work));
            let outcome = outcome.map_err(|payload| super::probe::text_of(&*payload).to_owned());
            let _ = self.sender.send(outcome);
        }
    }
    std::thread_local! {
        static LAST: RefCell<Option<Last>> = const { RefCell::new(None) };
    }
    fn work<S: AmbientSubject>() -> u32 {
        let subject = S::start();
        let rt = subject.handle();
        let sum = subject.run(async move {
            let children = [1, 2, 3].map(|number| {
                runtime_kernel::spawn(async move {
                    runtime_kernel::time::sleep(MS).await;
                    number
                })
            });
            let mut sum = rt.spawn_blocking(|| 10).await.expect("the job");
            for child in children {
                sum += child.await.expect("the child");
            }
            sum
        });
        let entered = subject.enter();
        let task = runtime_kernel::spawn(async { 100 });
        let sum = sum + subject.run(async move { task.await.expect("the task") });
        drop(entered);
        assert!(subject.shutdown(S::PATIENCE).is_empty());
        sum
    }
    let (sender, receiver) = mpsc::channel();
    let inherited = Inherited::of_this_thread();
    let thread = thread::spawn(move || {
        inherited.here();
        // First, so that it is destroyed last.
        LAST.set(Some(Last {
            work: work::<S>,
            sender,
        }));
        assert_eq!(work::<S>(), 116);
    });
    thread.join().expect("the thread");
    assert_eq!(receiver.recv().expect("it was destroyed"), Ok(116));
}

/// A thread that has entered a runtime may still block: it runs no tasks.
pub fn an_entered_thread_may_block<S: AmbientSubject>() {
    let subject = S::start();
    let _entered = subject.enter();
    assert!(!context::in_task());
    let task = runtime_kernel::spawn(async { context::in_task() });
    assert!(subject.run(async move { task.await.expect("the task") }));
}

/// A panic in a task leaves its worker's context as it was.
pub fn a_panic_leaves_the_context<S: AmbientSubject>() {
    let subject = S::start();
    let rt = subject.handle();
    subject.run(async move {
        for _ in 0..20 {
            let task = rt.spawn(async {
                let _inner = runtime_kernel::spawn(async {});
                panic!("as planned")
            });
            assert!(matches!(
                Outcome::of::<()>(task.await),
                Outcome::Panicked(_)
            ));
            runtime_kernel::spawn(async { runtime_kernel::yield_now().await })
                .await
                .expect("the context is there");
        }
    });
}

/// A guard that a panic drops restores the previous context.
pub fn a_panic_leaves_an_entered_runtime<S: AmbientSubject>() {
    let subject = S::start();
    let caught = catch_unwind(AssertUnwindSafe(|| {
        let _entered = subject.enter();
        std::panic::resume_unwind(Box::new("as planned"));
    }));
    assert!(caught.is_err());
    assert_names_the_fix("spawn", || runtime_kernel::spawn(async {}));
}

/// Tasks have unique ids, which are the same whichever way you ask.
pub fn task_ids_are_unique<S: AmbientSubject>() {
    let subject = S::start();
    subject.run(async {
        let tasks: Vec<_> = (0..1000).map(|_| runtime_kernel::spawn(async {})).collect();
        let ids: std::collections::HashSet<_> = tasks.iter().map(|task| task.id()).collect();
        assert_eq!(ids.len(), tasks.len());
        for task in tasks {
            task.await.expect("an empty task");
        }
    });
}

/// An abort handle outlives the join handle, and can abort from any thread.
pub fn abort_handles_abort<S: AmbientSubject>() {
    let subject = S::start();
    subject.run(async {
        let probe = Probe::new();
        let task = runtime_kernel::spawn(probe.future());
        let abort = task.abort_handle();
        drop(task);
        probe.polls().reach(1).await;
        let clone = abort.clone();
        thread::spawn(move || clone.abort())
            .join()
            .expect("the abort");
        probe.futures_dropped().reach(1).await;
        abort.abort();

        let done = Probe::new();
        done.tell(Then::Return);
        let task = runtime_kernel::spawn(done.future());
        let abort = task.abort_handle();
        done.futures_dropped().reach(1).await;
        abort.abort();
        assert_eq!(
            Outcome::of(task.await),
            Outcome::Returned,
            "it had finished"
        );
        drop(abort);
    });
}

/// An abort handle outlives the runtime and does not keep its task.
pub fn abort_handles_outlive_the_runtime<S: AmbientSubject>() {
    let subject = S::start();
    let probe = Probe::new();
    let inner = probe.clone();
    let abort = subject.run(async move {
        let abort = runtime_kernel::spawn(inner.future()).abort_handle();
        inner.polls().reach(1).await;
        abort
    });
    drop(subject);
    probe.assert_nothing_left(&"the task");
    abort.abort();
    drop(abort);
    probe.assert_nothing_left(&"the task");
}

/// A call of the free `spawn` in a destructor during the shutdown does no harm.
pub fn spawning_freely_in_a_destructor_is_harmless<S: AmbientSubject>() {
    struct Spawns(Event);
    impl Drop for Spawns {
        fn drop(&mut self) {
            self.0.set();
            drop(runtime_kernel::spawn(pending::<()>()));
        }
    }
    let subject = S::start();
    let rt = subject.handle();
    let (held, dropped) = (Event::new(), Event::new());
    let (notify, spawns) = (held.clone(), Spawns(dropped.clone()));
    let task = rt.spawn(async move {
        let _spawns = spawns;
        notify.set();
        pending::<()>().await;
    });
    subject.run(async move { held.wait().await });
    drop(subject);
    assert!(dropped.is_set());
    assert_eq!(
        Outcome::of(block_on(task)),
        Outcome::Cancelled,
        "the destructor did not panic"
    );
}
