//! What a scope and its children share. The protocol is in the module's README.

use std::sync::Arc;
use std::task::Waker;

use crate::combine::TaskError;
use runtime_kernel::contain::contain;
use runtime_kernel::context::Ambient;
use runtime_kernel::primitives::{Mutex, MutexGuard};
use runtime_kernel::saved_waker::{PollWaker, SavedWaker};
use runtime_kernel::slots::Slots;
use runtime_kernel::task::{AbortHandle, JoinError};

pub(super) struct Shared<E> {
    /// Where children are spawned.
    pub(super) ambient: Arc<dyn Ambient>,
    state: Mutex<State<E>>,
}

struct State<E> {
    phase: Phase,
    /// The children that have not ended. `None`: it is being spawned.
    children: Slots<Option<AbortHandle>>,
    errors: Vec<TaskError<E>>,
    /// The scope's task, if it waits.
    waiting: Option<SavedWaker>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    Aborting,
    Closed,
}

/// What a scope must do after its body has ended.
pub(super) enum Rest<E> {
    /// Wait: the waker was kept.
    Children,
    /// Nothing: the scope is closed.
    Done(Vec<TaskError<E>>),
}

impl<E> Shared<E> {
    pub(super) fn new(ambient: Arc<dyn Ambient>) -> Self {
        Self {
            ambient,
            state: Mutex::new(State {
                phase: Phase::Open,
                children: Slots::new(),
                errors: Vec::new(),
                waiting: None,
            }),
        }
    }

    /// Reserves a slot for a child that is about to be spawned; `None` if the scope takes no more.
    pub(super) fn reserve(&self) -> Option<usize> {
        let mut state = self.state.lock();
        (state.phase == Phase::Open).then(|| state.children.insert(None))
    }

    /// The child in this slot was spawned, and is not yet set to report its end.
    pub(super) fn started(&self, place: usize, abort: AbortHandle) {
        let mut state = self.state.lock();
        if state.phase == Phase::Open {
            let child = state.children.get_mut(place);
            *child.expect("a place is kept until its child has ended") = Some(abort);
            return;
        }
        drop(state);
        // The code that aborted the others could not reach this one yet. If its scheduler panics, it still reports its
        // end.
        contain(|| abort.abort());
    }

    /// The child in this slot has ended.
    pub(super) fn ended(&self, place: usize, error: Option<TaskError<E>>) {
        let mut state = self.state.lock();
        let child = state.children.remove(place);
        let (left, failed) = (state.children.len(), error.is_some());
        state.errors.extend(error);
        if failed {
            self.abort_all(state);
        } else if left == 0 {
            Self::wake(state);
        } else {
            drop(state);
        }
        // Outside the lock: it may be the last reference to a task.
        drop(child);
    }

    /// The body has failed.
    pub(super) fn fail(&self, error: E) {
        let mut state = self.state.lock();
        state.errors.push(TaskError::Failed(error));
        self.abort_all(state);
    }

    /// Aborts all children.
    pub(super) fn abort(&self) {
        self.abort_all(self.state.lock());
    }

    /// True once something has failed.
    pub(super) fn is_aborting(&self) -> bool {
        self.state.lock().phase != Phase::Open
    }

    /// The number of children that have not ended.
    pub(super) fn children(&self) -> usize {
        self.state.lock().children.len()
    }

    /// The body waits: keeps the waker. False: something has failed meanwhile.
    pub(super) fn wait_with_body(&self, waker: &Waker) -> bool {
        let mut own = PollWaker::new(waker);
        loop {
            let mut state = self.state.lock();
            if state.phase != Phase::Open {
                return false;
            }
            if own.store_in(&mut state.waiting) {
                return true;
            }
            drop(state);
            own.prepare();
        }
    }

    /// The body has ended: closes the scope if no child is left; otherwise keeps the waker.
    pub(super) fn wait_for_children(&self, waker: &Waker) -> Rest<E> {
        let mut own = PollWaker::new(waker);
        loop {
            let mut state = self.state.lock();
            if state.children.is_empty() {
                state.phase = Phase::Closed;
                return Rest::Done(std::mem::take(&mut state.errors));
            }
            if own.store_in(&mut state.waiting) {
                return Rest::Children;
            }
            drop(state);
            own.prepare();
        }
    }

    fn wake(mut state: MutexGuard<'_, State<E>>) {
        let waiting = state.waiting.take();
        drop(state);
        if let Some(waiting) = waiting {
            waiting.wake();
        }
    }

    fn abort_all(&self, mut state: MutexGuard<'_, State<E>>) {
        let mut aborts = Vec::new();
        if state.phase == Phase::Open {
            state.phase = Phase::Aborting;
            aborts.extend(state.children.iter_mut().filter_map(Option::take));
        }
        Self::wake(state);
        // Outside the lock: an abort may run any scheduler code. If that panics, the others are aborted all the same.
        for abort in aborts {
            contain(|| abort.abort());
        }
    }
}

/// The failure that a child without a value counts as.
pub(super) fn failure<E>(error: JoinError) -> Option<TaskError<E>> {
    // The code that cancelled a child wanted that; if it was the scope, the reason is known.
    (!error.is_cancelled()).then_some(TaskError::Ended(error))
}
