//! Clauses 1 to 3: how a task ends, what its handle reports then, and what has been dropped by that time.
//!
//! The combinations are enumerated: every ending x every use of the handle x which destructor panics x whether wakers
//! outlive the task. There is one test for each ending; it names the combination that fails.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use futures_lite::future::poll_once;

use super::Subject;
use super::event::Event;
use super::life::{Ending, Life, Use};
use super::outcome::Outcome;
use super::probe::{Output, Probe, Then};
use super::wakers::wake_by_value;
use runtime_kernel::TaskHandle;
use runtime_library::Runtime;

/// The handle, accessible to the test, to the task itself and to other threads.
struct Slot<H>(Arc<Mutex<Option<H>>>);

impl<H> Clone for Slot<H> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<H: TaskHandle<Output>> Slot<H> {
    fn new(handle: H) -> Self {
        Self(Arc::new(Mutex::new(Some(handle))))
    }

    fn take(&self) -> Option<H> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn abort(&self) {
        let slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        slot.as_ref().expect("the handle is there").abort();
    }

    fn is_finished(&self) -> bool {
        let slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        slot.as_ref().expect("the handle is there").is_finished()
    }
}

/// What remains of a life after the runtime is gone.
struct Remains<H> {
    life: Life,
    probe: Probe,
    handle: Option<H>,
}

/// Leads one life from spawn to end, inside a task.
async fn run_life<R: Runtime>(rt: &R, life: Life) -> Remains<R::JoinHandle<Output>> {
    let probe = Probe::with(life.destructors, life.wakers_outlive);
    let slot = Slot::new(rt.spawn(probe.future()));

    if life.ending == Ending::AbortedAtOnce {
        slot.abort();
    }
    match life.handle {
        Use::AwaitedFromTheStart => {
            let mut handle = slot.take().expect("nobody took it");
            let early = poll_once(&mut handle).await;
            // Only an aborted task may have ended by now.
            if let Some(result) = early {
                assert_eq!(
                    life.ending,
                    Ending::AbortedAtOnce,
                    "{life:?}: reports too soon"
                );
                report(&life, &probe, result);
                return keep_remains(life, probe, None);
            }
            slot.0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .replace(handle);
        }
        // A task that is aborted while it waits needs its handle until then.
        Use::DroppedAtOnce if life.ending != Ending::AbortedWhileParked => drop(slot.take()),
        Use::PolledAndDropped if life.ending != Ending::AbortedWhileParked => {
            let mut handle = slot.take().expect("nobody took it");
            let _ = poll_once(&mut handle).await;
        }
        _ => {}
    }

    cause_ending(&life, &probe, &slot).await;

    match life.handle {
        Use::AwaitedFromTheStart => {
            let handle = slot.take().expect("nobody took it");
            report(&life, &probe, handle.await);
        }
        Use::AwaitedAfterTheEnd => {
            until_finished(rt, &slot).await;
            abort_afterwards(&life, &slot);
            let handle = slot.take().expect("nobody took it");
            report(&life, &probe, handle.await);
        }
        Use::DroppedAfterTheEnd => {
            until_finished(rt, &slot).await;
            abort_afterwards(&life, &slot);
            drop(slot.take());
        }
        Use::NeverPolled => {
            until_finished(rt, &slot).await;
            abort_afterwards(&life, &slot);
            assert_eq!(
                probe.futures_dropped().get(),
                1,
                "{life:?}: finished, so it is dropped"
            );
            return keep_remains(life, probe, slot.take());
        }
        Use::DroppedAtOnce | Use::PolledAndDropped | Use::DroppedInThePoll => {}
    }
    keep_remains(life, probe, None)
}

/// Makes the task end as `life` says.
async fn cause_ending<H: TaskHandle<Output>>(life: &Life, probe: &Probe, slot: &Slot<H>) {
    let drop_handle = {
        let slot = (life.handle == Use::DroppedInThePoll).then(|| slot.clone());
        move || {
            if let Some(slot) = slot {
                drop(slot.take());
            }
        }
    };
    match life.ending {
        Ending::Returns | Ending::AbortedAfterwards => {
            probe.tell_to_run(drop_handle, Then::Return);
        }
        Ending::Panics => probe.tell_to_run(drop_handle, Then::Panic),
        Ending::AbortedAtOnce => {}
        Ending::AbortedWhileParked => {
            probe.polls().reach(1).await;
            // Otherwise the probe itself would hold a waker, and a task that nobody can wake would not be tested.
            if !life.wakers_outlive {
                drop(probe.take_waker());
            }
            let mut handle = slot.take().expect("nobody took it");
            if life.handle == Use::PolledAndDropped {
                assert!(
                    poll_once(&mut handle).await.is_none(),
                    "{life:?}: reports too soon"
                );
            }
            handle.abort();
            if !matches!(life.handle, Use::DroppedAtOnce | Use::PolledAndDropped) {
                slot.0
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .replace(handle);
            }
        }
        Ending::AbortedInItsPoll(then) => {
            let slot = slot.clone();
            let act = move || {
                slot.abort();
                drop_handle();
            };
            run_in_the_poll(probe, act, then).await;
        }
        Ending::AbortedInItsPollByAThread(then) => {
            let slot = slot.clone();
            let act = move || {
                let abort = thread::spawn(move || slot.abort());
                abort.join().expect("the abort");
                drop_handle();
            };
            run_in_the_poll(probe, act, then).await;
        }
    }
}

/// Makes the task call `act` in its next poll and waits for that: until then `act` needs the handle in its slot.
async fn run_in_the_poll(probe: &Probe, act: impl FnOnce() + Send + 'static, then: Then) {
    let acted = Event::new();
    let notify = acted.clone();
    probe.tell_to_run(
        move || {
            act();
            notify.set();
        },
        then,
    );
    acted.wait().await;
}

async fn until_finished<R: Runtime, H: TaskHandle<Output>>(rt: &R, slot: &Slot<H>) {
    while !slot.is_finished() {
        rt.yield_now().await;
    }
}

fn abort_afterwards<H: TaskHandle<Output>>(life: &Life, slot: &Slot<H>) {
    if life.ending == Ending::AbortedAfterwards {
        slot.abort();
    }
}

/// Checks what a handle has just reported, and that the future was dropped by then.
#[track_caller]
fn report(life: &Life, probe: &Probe, result: Result<Output, runtime_kernel::JoinError>) {
    assert_eq!(
        probe.futures_dropped().get(),
        1,
        "{life:?}: reported, so it is dropped"
    );
    if result.is_ok() {
        assert_eq!(
            probe.outputs_dropped().get(),
            0,
            "{life:?}: the output is the caller's"
        );
    }
    // The caller now owns the output: a panic of its destructor is the caller's.
    let outcome = match result {
        Ok(output) => {
            let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(output)));
            Outcome::Returned
        }
        error => Outcome::of(error),
    };
    life.check(&outcome);
}

fn keep_remains<H>(life: Life, probe: Probe, handle: Option<H>) -> Remains<H> {
    Remains {
        life,
        probe,
        handle,
    }
}

/// What holds for every task that has ended, in whichever way.
async fn after_the_end(life: Life, probe: &Probe, handle_is_gone: bool) {
    probe.futures_dropped().reach(1).await;
    if handle_is_gone {
        probe
            .outputs_dropped()
            .reach(probe.outputs_made().get())
            .await;
    }
    let polls = probe.polls().get();
    let kept = probe.take_kept();
    if !kept.is_empty() {
        for waker in &kept {
            waker.wake_by_ref();
        }
        let elsewhere = thread::spawn(move || {
            for waker in kept {
                wake_by_value(&waker);
                waker.wake();
            }
        });
        elsewhere
            .join()
            .unwrap_or_else(|_| panic!("{life:?}: a late wake panicked"));
    }
    assert_eq!(probe.polls().get(), polls, "{life:?}: polled after its end");
    assert_eq!(probe.futures_dropped().get(), 1, "{life:?}: dropped again");
}

fn run_lives<S: Subject>(endings: &'static [Ending]) {
    let subject = S::start();
    let rt = subject.handle();
    let remains = subject.run(async move {
        let mut remains = Vec::new();
        for life in endings.iter().copied().flat_map(Life::all) {
            let one = run_life(&rt, life).await;
            after_the_end(life, &one.probe, one.handle.is_none()).await;
            remains.push(one);
        }
        remains
    });
    drop(subject);
    for Remains {
        life,
        probe,
        handle,
    } in remains
    {
        if let Some(handle) = handle {
            drop(handle);
        }
        probe.assert_nothing_left(&life as &dyn fmt::Debug);
    }
}

/// 1: a task that returns: its future is dropped once, then its handle reports.
pub fn c01_a_task_that_returns<S: Subject>() {
    run_lives::<S>(&[Ending::Returns]);
}

/// 1, 3: a task that panics.
pub fn c03_a_task_that_panics<S: Subject>() {
    run_lives::<S>(&[Ending::Panics]);
}

/// 1, 2: a task that is aborted as soon as it is spawned, mostly before its first poll.
pub fn c02_a_task_aborted_at_once<S: Subject>() {
    run_lives::<S>(&[Ending::AbortedAtOnce]);
}

/// 1, 2: a task that is aborted while it waits, whether or not a waker still exists.
pub fn c02_a_task_aborted_while_parked<S: Subject>() {
    run_lives::<S>(&[Ending::AbortedWhileParked]);
}

/// 2: a task that is aborted during a poll that ends pending is cancelled.
pub fn c02_a_task_aborted_in_a_poll_that_waits<S: Subject>() {
    run_lives::<S>(&[
        Ending::AbortedInItsPoll(Then::Wait),
        Ending::AbortedInItsPollByAThread(Then::Wait),
    ]);
}

/// 2: a task that finishes in the poll during which it was aborted yields its value.
pub fn c02_a_task_aborted_in_its_last_poll_yields_its_value<S: Subject>() {
    run_lives::<S>(&[
        Ending::AbortedInItsPoll(Then::Return),
        Ending::AbortedInItsPollByAThread(Then::Return),
    ]);
}

/// 2, 3: a task that panics in the poll during which it was aborted has panicked.
pub fn c03_a_task_aborted_in_the_poll_that_panics<S: Subject>() {
    run_lives::<S>(&[
        Ending::AbortedInItsPoll(Then::Panic),
        Ending::AbortedInItsPollByAThread(Then::Panic),
    ]);
}

/// 2: aborting a finished task changes nothing.
pub fn c02_aborting_a_finished_task_changes_nothing<S: Subject>() {
    run_lives::<S>(&[Ending::AbortedAfterwards]);
}
