//! Calls that are made soon, later or repeatedly; and task-locals.

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::AmbientSubject;
use super::event::{Count, Event};
use super::outcome::Outcome;
use runtime_kernel::{spawn, yield_now};
use runtime_library::Runtime;
use runtime_library::calls::{Calls, call_at, call_later, call_soon, every};
use runtime_library::task_local::{TaskLocal, inherit};
use runtime_library::task_scope::scope;

const MS: Duration = Duration::from_millis(1);

/// Calls are made, even those from foreign threads; with one worker, in the order in which they were scheduled.
pub fn calls_are_made_soon<S: AmbientSubject>() {
    let subject = S::start();
    let rt = subject.handle();
    subject.run(async move {
        let order = Arc::new(Mutex::new(Vec::new()));
        let calls: Vec<_> = (0..50)
            .map(|number| {
                let order = Arc::clone(&order);
                call_soon(move || order.lock().unwrap().push(number))
            })
            .collect();
        for call in calls {
            call.await.expect("it is called");
        }
        let mut order = std::mem::take(&mut *order.lock().unwrap());
        if rt.capabilities().workers != Some(1) || rt.name() != "n1" {
            order.sort_unstable();
        }
        assert!(order.into_iter().eq(0..50));
        let called = Event::new();
        let notify = called.clone();
        thread::spawn(move || drop(rt.call_soon(move || notify.set())));
        called.wait().await;
    });
}

/// 9: later calls are never early. Calls in the past or without a delay are made soon, and calls beyond the clock's
/// range never.
pub fn c09_calls_are_never_early<S: AmbientSubject>() {
    let subject = S::start();
    let rt = subject.handle();
    subject.run(async move {
        let start = Instant::now();
        let called = Arc::new(Mutex::new(None));
        let notify = Arc::clone(&called);
        let call = call_later(3 * MS, move || {
            *notify.lock().unwrap() = Some(Instant::now())
        });
        assert!(call.when() >= Some(start + 3 * MS));
        call.await.expect("it is called");
        assert!(*called.lock().unwrap() >= Some(start + 3 * MS));
        let count = Count::new();
        let add = || {
            let count = count.clone();
            move || count.add()
        };
        call_at(start, add()).await.expect("past");
        call_later(Duration::ZERO, add()).await.expect("at once");
        rt.call_at(start, add()).await.expect("past, by handle");
        rt.call_later(MS, add()).await.expect("by handle");
        assert_eq!(count.get(), 4);
        let far = call_later(Duration::MAX, add());
        let far_by_handle = rt.call_later(Duration::MAX, add());
        yield_now().await;
        assert!(!far.is_finished() && !far_by_handle.is_finished());
        far.cancel();
        far_by_handle.cancel();
        assert_eq!(Outcome::of(far.await), Outcome::Cancelled);
        assert_eq!(Outcome::of(far_by_handle.await), Outcome::Cancelled);
        assert_eq!(count.get(), 4);
    });
}

/// 2: a cancelled call is not made; a call that panics has no effect on others.
pub fn c02_a_cancelled_call_is_not_made<S: AmbientSubject>() {
    S::start().run(async {
        let count = Count::new();
        let (one, other) = (count.clone(), count.clone());
        let later = call_later(2 * MS, move || one.add());
        let kept = call_later(4 * MS, move || other.add());
        later.cancel();
        later.cancel();
        assert_eq!(Outcome::of(later.await), Outcome::Cancelled);
        kept.await.expect("it is called");
        assert_eq!(count.get(), 1);
        let panics = call_soon(|| std::panic::resume_unwind(Box::new("as planned")));
        assert!(matches!(Outcome::of(panics.await), Outcome::Panicked(_)));
    });
}

/// 9: a schedule repeats its job, never early and never while the last run continues, until it is aborted.
pub fn c09_a_schedule_repeats_without_overlap<S: AmbientSubject>() {
    S::start().run(async {
        for jitter in [Duration::ZERO, 2 * MS] {
            let runs = Count::new();
            let inside = Arc::new(Mutex::new(()));
            let (start, counted) = (Instant::now(), runs.clone());
            let schedule = every(2 * MS).starting_in(MS).jitter(jitter).spawn(move || {
                let number = counted.get() as u32;
                assert!(start.elapsed() >= MS + number * 2 * MS, "too early");
                let (inside, counted) = (Arc::clone(&inside), counted.clone());
                async move {
                    assert!(inside.try_lock().is_ok_and(|_| true), "two runs at once");
                    // Every other run is longer than the period.
                    runtime_kernel::time::sleep((number % 2) * 3 * MS).await;
                    counted.add();
                }
            });
            runs.reach(5).await;
            schedule.abort();
            assert!(schedule.await.is_err_and(|error| error.is_cancelled()));
        }
    });
}

static NAME: TaskLocal<u32> = TaskLocal::new("NAME");

fn name() -> Option<u32> {
    NAME.try_with(|name| *name)
}

/// A task's locals follow it from worker to worker, and no other task sees them, not even a child that is awaited at
/// once.
pub fn task_locals_follow_their_task<S: AmbientSubject>() {
    S::start().run(async {
        let tasks: Vec<_> = (0..50)
            .map(|number| {
                spawn(NAME.scope(number, async move {
                    for round in 0..20 {
                        assert_eq!(name(), Some(number), "round {round}");
                        if round % 5 == 0 {
                            runtime_kernel::time::sleep(MS / 4).await;
                        }
                        // Whether it runs here or elsewhere must not matter.
                        let child = spawn(async { name() });
                        assert_eq!(child.await.expect("the child"), None);
                        yield_now().await;
                    }
                }))
            })
            .collect();
        for task in tasks {
            task.await.expect("the task");
        }
        assert_eq!(name(), None);
    });
}

/// Children see their parent's task-locals if they inherit them; children of a scope and calls always do.
pub fn task_locals_are_inherited_on_request<S: AmbientSubject>() {
    S::start().run(NAME.scope(7, async {
        assert_eq!(spawn(inherit(async { name() })).await.expect("it"), Some(7));
        let inner = scope(|children| async move {
            let child = NAME.sync_scope(8, || {
                children.spawn(async {
                    yield_now().await;
                    Ok::<_, std::convert::Infallible>(name())
                })
            });
            Ok((name(), child.await.expect("the child")))
        });
        assert_eq!(inner.await.expect("none fails"), (Some(7), Some(8)));
        let seen = Arc::new(Mutex::new(Vec::new()));
        for later in [false, true] {
            let seen = Arc::clone(&seen);
            let look = move || seen.lock().unwrap().push(name());
            let call = if later {
                call_later(MS, look)
            } else {
                call_soon(look)
            };
            call.await.expect("it is called");
        }
        assert_eq!(*seen.lock().unwrap(), [Some(7), Some(7)]);
        assert_eq!(name(), Some(7));
    }));
}
