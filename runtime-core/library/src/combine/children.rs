//! The futures of a combinator, and which of them must be polled.
#![allow(unsafe_code)]

use std::future::Future;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread;

use super::ready_list::{EMPTY, ReadyList};
use runtime_kernel::budget;
use runtime_kernel::contain::discard;
use runtime_kernel::unwind::Held;

/// The maximum number of children that one poll of a combinator polls, so that other tasks get their turn.
const POLLS_PER_TURN: usize = 128;

/// A fixed number of futures. Each is polled when it was woken, and dropped when it has ended.
pub(super) struct Children<F> {
    /// By index; `None` once a future has ended.
    futures: Pin<Box<[Option<F>]>>,
    ready: Arc<ReadyList>,
    /// Of the children that were taken from the ready list, the next one to poll.
    batch: u32,
    alive: usize,
}

/// The result of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// All children have ended.
    Ended,
    /// No child is due; the next one that is woken wakes the task.
    Waiting,
    /// More children are due; the task was woken for another turn.
    Again,
    /// The code that takes the outputs wants no more in this turn.
    Stopped,
}

impl<F> Children<F> {
    /// All children are due, in order.
    pub(super) fn new(futures: impl IntoIterator<Item = F>) -> Self {
        let futures: Box<[_]> = futures.into_iter().map(Some).collect();
        let alive = futures.len();
        Self {
            futures: Box::into_pin(futures),
            ready: ReadyList::new(alive),
            batch: if alive == 0 { EMPTY } else { 0 },
            alive,
        }
    }

    /// The number of futures that have not ended.
    pub(super) fn alive(&self) -> usize {
        self.alive
    }

    /// The number of futures at the start.
    pub(super) fn len(&self) -> usize {
        self.futures.len()
    }

    /// The futures that have not ended.
    pub(super) fn unfinished(&self) -> impl Iterator<Item = &F> {
        self.futures.iter().flatten()
    }

    /// Takes the futures that have not ended, with their indices.
    pub(super) fn take_unfinished(&mut self) -> Vec<(usize, F)>
    where
        F: Unpin,
    {
        self.alive = 0;
        self.batch = EMPTY;
        let futures = self.futures.as_mut().get_mut().iter_mut().enumerate();
        futures
            .filter_map(|(index, future)| Some((index, future.take()?)))
            .collect()
    }
}

/// One of the pinned futures.
fn slot<F>(futures: Pin<&mut [Option<F>]>, index: u32) -> Pin<&mut Option<F>> {
    // SAFETY: the elements of a pinned slice are pinned with it. Only `take_unfinished` moves any of them out, whose
    // futures may be moved, and the box is dropped in place.
    unsafe { futures.map_unchecked_mut(|futures| &mut futures[index as usize]) }
}

impl<F: Future> Children<F> {
    /// Polls the children that are due, in the order in which they were woken, and passes on the outputs of those that
    /// end.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        ended: impl FnMut(usize, F::Output) -> ControlFlow<()>,
    ) -> Turn {
        self.poll_in_batches(cx, ended, |_| ControlFlow::Continue(()))
    }

    /// Like [`poll`](Children::poll), but asks `between` whether to stop, each time that a whole batch was polled.
    pub(super) fn poll_in_batches(
        &mut self,
        cx: &mut Context<'_>,
        mut ended: impl FnMut(usize, F::Output) -> ControlFlow<()>,
        mut between: impl FnMut(&mut Context<'_>) -> ControlFlow<()>,
    ) -> Turn {
        let mut polls = 0;
        while self.alive > 0 {
            if self.batch == EMPTY {
                self.batch = self.ready.take();
                if self.batch == EMPTY {
                    if between(cx).is_break() {
                        return Turn::Stopped;
                    }
                    if self.ready.park(cx.waker()) {
                        return Turn::Waiting;
                    }
                    continue;
                }
            }
            // Without budget a child could not even check for its result.
            if budget::poll_begin(cx).is_pending() {
                return Turn::Again;
            }
            if polls == POLLS_PER_TURN {
                cx.waker().wake_by_ref();
                return Turn::Again;
            }
            polls += 1;
            let index = self.batch;
            self.batch = self.ready.begin(index);
            if let Poll::Ready(output) = self.poll_child(index)
                && ended(index as usize, output).is_break()
            {
                return Turn::Stopped;
            }
            if self.batch == EMPTY && between(cx).is_break() {
                return Turn::Stopped;
            }
        }
        Turn::Ended
    }

    fn poll_child(&mut self, index: u32) -> Poll<F::Output> {
        let waker = self.ready.waker(index);
        let mut slot = slot(self.futures.as_mut(), index);
        // An old waker may wake a child that has ended.
        let Some(future) = slot.as_mut().as_pin_mut() else {
            return Poll::Pending;
        };
        // `Held`: if the panic of the child's destructor drops it, its own panic must not end the process.
        let polled = future
            .poll(&mut Context::from_waker(waker.get()))
            .map(Held::new);
        if polled.is_ready() {
            // Before its destructor, which may panic.
            self.alive -= 1;
            // Dropped here and not with the combinator, so that what it holds is free for others.
            slot.set(None);
        }
        polled.map(Held::release)
    }
}

impl<F> Drop for Children<F> {
    /// If a future's destructor panics, the others are not affected. The first such panic is propagated to the task,
    /// as it would be for a single future.
    fn drop(&mut self) {
        self.ready.abandon();
        let mut panicked = None;
        for index in 0..self.futures.len() {
            let mut slot = slot(self.futures.as_mut(), index as u32);
            if let Err(payload) = catch_unwind(AssertUnwindSafe(|| slot.set(None))) {
                match panicked {
                    None => panicked = Some(payload),
                    Some(_) => discard(payload),
                }
            }
        }
        if let Some(payload) = panicked {
            if thread::panicking() {
                discard(payload);
            } else {
                resume_unwind(payload);
            }
        }
    }
}
