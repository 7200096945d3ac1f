//! Follows the tasks of another runtime from outside.
//!
//! You can give a runtime without hooks a [`Followed`] future in place of each future that it is to run. Then the
//! recording has its polls, its end, the wakes of its waker, and who spawned and woke it. It has nothing about the
//! runtime itself: its queues, its steals, its poller and its timers.
//!
//! A followed task costs an allocation, and a wrapped waker each time that another waker polls it. So wrap only what
//! is going to be recorded.

use std::any::type_name;
use std::cell::Cell;
use std::future::Future;
use std::mem;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, Wake, Waker};
use std::thread_local;

use pin_project_lite::pin_project;

use super::acting::{acting, acting_task};
use super::causes::cause_here;
use super::hooks::{self, next_runtime, note, note_name, note_spawned, poll_begins, poll_ends};
use super::names::Name;
use super::recorded::ThreadKind;
use super::switch::{is_on, recording_for_generic};
use super::table::{Fact, Outcome, Table, WorkerId};
use crate::task::TaskId;

thread_local! {
    /// The followed task that ended last on this thread.
    static LAST_ENDED: Cell<Option<TaskId>> = const { Cell::new(None) };
}

/// What a task and its wakers share. Its address is the task's id, and stays valid as long as anything can refer to
/// the task.
#[derive(Debug)]
struct State {
    /// It was spawned or woken, and not polled since.
    is_due: AtomicBool,
}

fn id(state: &Arc<State>) -> TaskId {
    TaskId::of_address(Arc::as_ptr(state).addr())
}

pin_project! {
    /// A future whose task is followed.
    #[derive(Debug)]
    pub struct Followed<F> {
        #[pin]
        future: F,
        name: &'static str,
        site: &'static Location<'static>,
        state: Arc<State>,
        waker: Option<Arc<Through>>,
        // The number of the recording that knows its name.
        named_in: u32,
        has_ended: bool,
    }

    impl<F> PinnedDrop for Followed<F> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if !*this.has_ended && is_on() {
                let task = id(this.state);
                note(Fact::Ended(task));
                let _ = LAST_ENDED.try_with(|last| last.set(Some(task)));
            }
        }
    }
}

/// Wraps a future that is about to be spawned at that place. Its parent is the task that the calling thread polls.
///
/// ```
/// use std::panic::Location;
/// use runtime_core::park::block_on_current_thread;
/// use runtime_core::trace::{Recorder, follow::follow};
///
/// let session = Recorder::new().records_per_thread(1000).start_in_turn();
/// assert_eq!(block_on_current_thread(follow(async { 7 }, Location::caller())), 7);
/// let recorded = session.stop();
/// assert!(recorded.tasks().iter().any(|task| task.site.is_some()));
/// ```
pub fn follow<F: Future>(future: F, site: &'static Location<'static>) -> Followed<F> {
    let state = Arc::new(State {
        is_due: AtomicBool::new(true),
    });
    let name = type_name::<F>();
    if is_on() {
        note_spawned(id(&state), Name::Type(name), Some(site));
    }
    Followed {
        future,
        name,
        site,
        state,
        waker: None,
        named_in: recording_for_generic(),
        has_ended: false,
    }
}

/// Records that the poll has ended, even if it panics.
struct Ends(TaskId, Outcome);

impl Drop for Ends {
    fn drop(&mut self) {
        poll_ends(self.0, self.1);
        if self.1 != Outcome::Pending {
            LAST_ENDED.set(Some(self.0));
        }
    }
}

impl<F: Future> Future for Followed<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        // Before the poll: a wake from now on asks for another poll.
        this.state.is_due.store(false, Relaxed);
        if !is_on() {
            return this.future.poll(cx);
        }
        let task = id(this.state);
        if mem::replace(this.named_in, recording_for_generic()) != recording_for_generic() {
            note_name(task, Name::Type(this.name), Some(*this.site));
        }
        let known = this
            .waker
            .take()
            .filter(|waker| waker.inner.will_wake(cx.waker()));
        let through = known.unwrap_or_else(|| {
            Arc::new(Through {
                inner: cx.waker().clone(),
                state: Arc::clone(this.state),
            })
        });
        let waker = Waker::from(Arc::clone(this.waker.insert(through)));
        poll_begins(task, Table::NONE);
        // If the poll panics, the task has ended.
        *this.has_ended = true;
        let mut ends = Ends(task, Outcome::Panicked);
        let _acting = acting(task);
        let polled = this.future.poll(&mut Context::from_waker(&waker));
        ends.1 = match polled {
            Poll::Ready(_) => Outcome::Ready,
            Poll::Pending => Outcome::Pending,
        };
        *this.has_ended = polled.is_ready();
        polled
    }
}

/// A task's waker, which records each wake.
#[derive(Debug)]
struct Through {
    inner: Waker,
    state: Arc<State>,
}

impl Wake for Through {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // A wake that finds the task already due does not count.
        if is_on() && !self.state.is_due.swap(true, Relaxed) {
            note(Fact::Woke(id(&self.state), acting_task(), cause_here()));
        }
        self.inner.wake_by_ref();
    }
}

/// A waker to leave with the handle of a followed task: its wakes are attributed to the task's end.
pub fn waker_at_end(waker: &Waker) -> Waker {
    Waker::from(Arc::new(AtEnd(waker.clone())))
}

struct AtEnd(Waker);

impl Wake for AtEnd {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // The runtime calls it in the step that follows the task's last poll, on the same thread.
        let ended = LAST_ENDED.try_with(Cell::take).ok().flatten();
        let _acting = ended.map(acting);
        self.0.wake_by_ref();
    }
}

/// Runs a job on the calling thread, which only runs such jobs.
pub fn run_blocking<R>(job: impl FnOnce() -> R) -> R {
    if hooks::role() != ThreadKind::Blocking {
        mem::forget(hooks::thread_is(ThreadKind::Blocking, WorkerId::NONE));
    }
    super::blocking(None, job)
}

/// The workers of a runtime that reports when one goes to sleep.
#[derive(Debug)]
pub struct Workers {
    runtime: u32,
    next: AtomicUsize,
}

impl Default for Workers {
    fn default() -> Self {
        Self {
            runtime: next_runtime(),
            next: AtomicUsize::new(0),
        }
    }
}

impl Workers {
    /// The calling thread, which is one of them, goes to sleep.
    pub fn parks(&self) {
        if hooks::role() != ThreadKind::Worker {
            let index = self.next.fetch_add(1, Relaxed);
            // Never undone: this holds for the thread's whole life.
            mem::forget(hooks::thread_is(
                ThreadKind::Worker,
                WorkerId::new(self.runtime, index),
            ));
        }
        LAST_ENDED.set(None);
        note(Fact::Parks(false));
    }

    /// The calling thread is awake again.
    pub fn unparks(&self) {
        note(Fact::Unparked);
    }
}

#[cfg(all(test, not(any(lab_loom, lab_shuttle))))]
mod tests;
