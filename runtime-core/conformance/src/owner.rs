//! Clauses 4 and 5 for owners that can be sent to other threads, and therefore into their own tasks.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Duration;

use futures_lite::future::block_on;

use super::Subject;
use super::blocking_entry::assert_explains;
use super::event::Event;
use super::outcome::Outcome;
use super::probe::{Probe, Then};
use runtime_kernel::TaskHandle;
use runtime_library::Runtime;

/// Makes a task of `subject` call `end` on its own owner. Afterwards the other tasks are dropped, and so is this task,
/// where it next waits.
fn end_from_inside<S: Subject + Send>(end: fn(S)) {
    let subject = S::start();
    let rt = subject.handle();
    let (other, own) = (Probe::new(), Probe::new());
    let waiting = rt.spawn(other.future());
    other.polls().reach_blocking(1);
    let (ended, inner) = (Event::new(), own.future());
    let notify = ended.clone();
    let task = rt.spawn(async move {
        end(subject);
        notify.set();
        inner.await
    });
    ended.wait_blocking();
    assert_eq!(
        Outcome::of(block_on(waiting)),
        Outcome::Cancelled,
        "the other task"
    );
    assert_eq!(
        Outcome::of(block_on(task)),
        Outcome::Cancelled,
        "the task that ended its runtime"
    );
    other.assert_nothing_left(&"the other task");
    own.assert_nothing_left(&"the task that ended its runtime");
    let late = Probe::new();
    late.tell(Then::Return);
    assert_eq!(
        Outcome::of(block_on(rt.spawn(late.future()))),
        Outcome::Cancelled
    );
}

/// 4: an owner that is dropped inside its own task only begins the shutdown, which then proceeds.
pub fn c04_the_owner_dropped_inside_its_own_task<S: Subject + Send>() {
    end_from_inside::<S>(drop);
}

/// 4: the same holds for `shutdown` there: it cannot wait for the very poll that it is called in.
pub fn c04_shutdown_called_inside_its_own_task<S: Subject + Send>() {
    end_from_inside::<S>(|subject| drop(subject.shutdown(Duration::from_millis(20))));
}

/// 4: a task that ends its own runtime and then returns yields its value.
pub fn c04_a_task_that_ends_its_runtime_may_return<S: Subject + Send>() {
    let subject = S::start();
    let task = subject.handle().spawn(async move {
        drop(subject);
        8
    });
    assert_eq!(block_on(task).expect("it finished in that poll"), 8);
}

/// 4: an owner may be dropped in a blocking job.
pub fn c04_the_owner_dropped_in_a_blocking_job<S: Subject + Send>() {
    let subject = S::start();
    let rt = subject.handle();
    let probe = Probe::new();
    let waiting = rt.spawn(probe.future());
    probe.polls().reach_blocking(1);
    let dropped = Event::new();
    let notify = dropped.clone();
    drop(rt.spawn_blocking(move || {
        drop(subject);
        notify.set();
    }));
    dropped.wait_blocking();
    assert_eq!(Outcome::of(block_on(waiting)), Outcome::Cancelled);
    probe.assert_nothing_left(&"the waiting task");
}

/// 4: even in a blocking job for which one of its tasks waits in a poll: there it only begins the shutdown.
pub fn c04_the_owner_dropped_in_a_job_that_a_poll_waits_for<S: Subject + Send>() {
    let subject = S::start();
    let rt = subject.handle();
    let task = rt.clone().spawn(async move {
        let dropped = Event::new();
        let notify = dropped.clone();
        drop(rt.spawn_blocking(move || {
            drop(subject);
            notify.set();
        }));
        // It should not do that.
        dropped.wait_blocking();
        8
    });
    assert_eq!(block_on(task).expect("it finished in that poll"), 8);
}

/// 4: an owner may be dropped by the destructor of one of its own futures, when the task is aborted.
pub fn c04_the_owner_dropped_in_a_destructor<S: Subject + Send>() {
    struct Owns<S>(Option<S>, Event);
    impl<S> Drop for Owns<S> {
        fn drop(&mut self) {
            drop(self.0.take());
            self.1.set();
        }
    }
    let subject = S::start();
    let rt = subject.handle();
    let probe = Probe::new();
    let waiting = rt.spawn(probe.future());
    let (waits, dropped) = (Event::new(), Event::new());
    let (notify, owns) = (waits.clone(), Owns(Some(subject), dropped.clone()));
    let owning = rt.spawn(async move {
        let _owns = owns;
        notify.set();
        std::future::pending::<()>().await;
    });
    waits.wait_blocking();
    probe.polls().reach_blocking(1);
    owning.abort();
    dropped.wait_blocking();
    assert!(block_on(owning).is_err());
    assert_eq!(Outcome::of(block_on(waiting)), Outcome::Cancelled);
    probe.assert_nothing_left(&"the waiting task");
}

/// 4: an owner may be dropped inside another runtime's task.
pub fn c04_the_owner_dropped_in_another_runtimes_task<S: Subject + Send>() {
    let (outer, inner) = (S::start(), S::start());
    let probe = Probe::new();
    let waiting = inner.handle().spawn(probe.future());
    probe.polls().reach_blocking(1);
    outer.run(async move { drop(inner) });
    assert_eq!(Outcome::of(block_on(waiting)), Outcome::Cancelled);
    probe.assert_nothing_left(&"the waiting task");
}

/// 4: an owner may be used and dropped on another thread than the one that created it.
pub fn c04_the_owner_moves_between_threads<S: Subject + Send>() {
    let subject = S::start();
    let subject = thread::spawn(move || {
        assert_eq!(subject.run(async { 1 }), 1);
        subject
    });
    let subject = subject.join().expect("runs elsewhere");
    assert_eq!(subject.run(async { 2 }), 2);
    thread::spawn(move || drop(subject))
        .join()
        .expect("dropped elsewhere");
}

/// 5: the owner's own blocking entry inside a task panics with a helpful message.
pub fn c05_run_inside_its_own_task_panics<S: Subject + Send>() {
    let subject = S::start();
    let task = subject.handle().spawn(async move {
        let outcome = match catch_unwind(AssertUnwindSafe(|| subject.run(async {}))) {
            Ok(()) => Outcome::Returned,
            Err(payload) => Outcome::panicked(&*payload),
        };
        drop(subject);
        outcome
    });
    assert_explains(&block_on(task).expect("the panic was caught"));
}
