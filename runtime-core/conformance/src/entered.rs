//! Contexts that a destructor or a foreign waker enters and does not leave.

use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use super::AmbientSubject;
use super::ambient::assert_names_the_fix;
use super::event::Event;
use runtime_kernel::context::{self, Ambient, Role};
use runtime_kernel::{AbortHandle, sleep};
use runtime_library::sync;

/// Its destructor enters this runtime, forgets the guard, and reports.
struct Forgets(Arc<dyn Ambient>, Event);

impl Drop for Forgets {
    fn drop(&mut self) {
        std::mem::forget(context::enter(Arc::clone(&self.0), Role::NonWorker));
        self.1.set();
    }
}

/// A waker that enters this runtime, forgets the guard, and reports. Every second one then panics.
struct Enters {
    runtime: Arc<dyn Ambient>,
    woken: Event,
    panics: bool,
}

impl Wake for Enters {
    fn wake(self: Arc<Self>) {
        std::mem::forget(context::enter(Arc::clone(&self.runtime), Role::NonWorker));
        self.woken.set();
        assert!(!self.panics, "this is part of the test");
    }
}

pub(super) fn ambient_of<S: AmbientSubject>(subject: &S) -> Arc<dyn Ambient> {
    let _entered = subject.enter();
    context::with("ambient_of", Arc::clone)
}

/// If a destructor enters another runtime and forgets the guard, that ends when it returns: tasks that run on its
/// thread later, and the thread that has dropped the owner, are in their own runtimes.
pub fn a_guard_that_a_destructor_forgets_ends_with_it<S: AmbientSubject>() {
    let (subject, other) = (S::start(), S::start());
    let foreign = ambient_of(&other);
    let not_to_be_in = Arc::clone(&foreign);
    let forgets = move || {
        let dropped = Event::new();
        let (ambient, dropped_too) = (Arc::clone(&foreign), dropped.clone());
        (Forgets(ambient, dropped_too), dropped)
    };
    let (kept, _) = forgets();
    subject.run(async move {
        for round in 0..20 {
            let (forgets, dropped) = forgets();
            let begun = Event::new();
            let begins = begun.clone();
            match round % 5 {
                // Aborted while it waits.
                0 => {
                    let task = runtime_kernel::spawn(async move {
                        let _forgets = forgets;
                        begins.set();
                        pending::<()>().await;
                    });
                    begun.wait().await;
                    task.abort();
                }
                // Aborted in its own poll.
                1 => {
                    let (give, given) = sync::oneshot::channel::<AbortHandle>();
                    let task = runtime_kernel::spawn(async move {
                        let _forgets = forgets;
                        given.await.expect("it is given").abort();
                        pending::<()>().await;
                    });
                    give.send(task.abort_handle()).expect("it waits");
                }
                // Nobody takes its output: the worker drops it, or this poll does, if the task has ended first.
                2 => drop(runtime_kernel::spawn(async move { forgets })),
                // Dropped by this poll in any case.
                3 => {
                    let task = runtime_kernel::spawn(async move { forgets });
                    while !task.is_finished() {
                        runtime_kernel::yield_now().await;
                    }
                    drop(task);
                }
                // The task drops it in its own poll.
                _ => drop(runtime_kernel::spawn(async move { drop(forgets) })),
            }
            dropped.wait().await;
            // On each worker, including the one that has dropped it.
            let tasks: Vec<_> = (0..20)
                .map(|_| {
                    let foreign = Arc::clone(&not_to_be_in);
                    runtime_kernel::spawn(async move {
                        // Under 1:1 each task has its own ambient, and none has this one.
                        context::with("with", |ambient| !Arc::ptr_eq(ambient, &foreign))
                    })
                })
                .collect();
            for task in tasks {
                let is_own = task.await.expect("the task");
                assert!(is_own, "round {round}: another runtime is its thread's");
            }
        }
        drop(runtime_kernel::spawn(async move {
            let _kept = kept;
            pending::<()>().await;
        }));
        runtime_kernel::yield_now().await;
    });
    drop(subject);
    assert_names_the_fix("spawn", || runtime_kernel::spawn(async {}));
}

/// If another executor's waker enters a runtime and forgets the guard, that ends when it returns, whatever calls it: a
/// timer, the end of a task, or another task in its poll.
pub fn a_guard_that_a_foreign_waker_forgets_ends_with_it<S: AmbientSubject>() {
    let (subject, other) = (S::start(), S::start());
    let foreign = ambient_of(&other);
    subject.run(async move {
        for round in 0..18 {
            let is_own = {
                let foreign = Arc::clone(&foreign);
                move || context::with("with", |ambient| !Arc::ptr_eq(ambient, &foreign))
            };
            let woken = Event::new();
            let waker = Waker::from(Arc::new(Enters {
                runtime: Arc::clone(&foreign),
                woken: woken.clone(),
                panics: round % 2 == 1,
            }));
            let event = Arc::new(sync::Event::new());
            let sets = Arc::clone(&event);
            let mut waits: Pin<Box<dyn Future<Output = ()> + Send>> = match round % 3 {
                0 => Box::pin(sleep(Duration::from_millis(1))),
                1 => Box::pin(async move { event.wait().await }),
                _ => {
                    let task = runtime_kernel::spawn(async move { event.wait().await });
                    Box::pin(async move { task.await.expect("the task") })
                }
            };
            let polled = waits.as_mut().poll(&mut Context::from_waker(&waker));
            if polled.is_ready() {
                // On a busy machine the sleep may be over by now, and nobody is woken.
                assert_eq!(round % 3, 0, "nothing was set");
                continue;
            }
            sets.set();
            assert!(is_own(), "round {round}: the setter is in another runtime");
            woken.wait().await;
            // On each worker, including the one that has called the waker.
            let looks: Vec<_> = (0..20)
                .map(|_| {
                    let is_own = is_own.clone();
                    runtime_kernel::spawn(async move { is_own() })
                })
                .collect();
            for look in looks {
                let is_own = look.await.expect("the task");
                assert!(is_own, "round {round}: another runtime is its thread's");
            }
        }
    });
}
