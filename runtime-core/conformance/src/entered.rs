//! What a destructor leaves of the contexts that it has entered.

use std::future::pending;
use std::sync::Arc;

use super::AmbientSubject;
use super::ambient::assert_names_the_fix;
use super::event::Event;
use runtime_kernel::AbortHandle;
use runtime_kernel::context::{self, Ambient, Role};
use runtime_library::sync;

/// Its destructor enters this runtime, forgets the guard, and reports.
struct Forgets(Arc<dyn Ambient>, Event);

impl Drop for Forgets {
    fn drop(&mut self) {
        std::mem::forget(context::enter(Arc::clone(&self.0), Role::NonWorker));
        self.1.set();
    }
}

fn ambient_of<S: AmbientSubject>(subject: &S) -> Arc<dyn Ambient> {
    let _entered = subject.enter();
    context::with("ambient_of", Arc::clone)
}

/// A destructor that enters another runtime and forgets the guard does so until it returns: tasks that run on its
/// thread later, and the thread that has dropped the owner, are in the runtime that they were in.
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
                // Its output is nobody's: it is dropped by the worker, or by this poll if the task has ended first.
                2 => drop(runtime_kernel::spawn(async move { forgets })),
                // By this poll, for sure.
                3 => {
                    let task = runtime_kernel::spawn(async move { forgets });
                    while !task.is_finished() {
                        runtime_kernel::yield_now().await;
                    }
                    drop(task);
                }
                // It ends.
                _ => drop(runtime_kernel::spawn(async move { drop(forgets) })),
            }
            dropped.wait().await;
            // On each worker, the one that has dropped it among them.
            let tasks: Vec<_> = (0..20)
                .map(|_| {
                    let foreign = Arc::clone(&not_to_be_in);
                    runtime_kernel::spawn(async move {
                        // Under 1:1 each task has an ambient side of its own, and none has this one.
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
