//! The one allocation of a task: how it is created and freed, and what depends on the future's type.
//!
//! The files below contain what you can do with any task. They know it by its erased [`Header`].
#![allow(unsafe_code)]

mod given;
mod header;
mod joining;
mod live;
mod references;
mod run;
mod wake;

use std::alloc::Layout;
use std::any::Any;
use std::future::Future;
use std::mem::{self, ManuallyDrop};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::ptr::{self, NonNull};
use std::task::{Context, Poll};

use super::ends_with::EndsWith;
use super::error::JoinError;
use super::join_waker::JoinWaker;
use super::scheduler_ref::SchedulerRef;
use super::state::State;
use super::waker;
use crate::budget;
use crate::contain::discard;
use crate::context::Depth;
use crate::primitives::UnsafeCell;

use given::Name;
use header::{Label, Polled, VTable};

pub(super) use given::{Named, Pinnable, Tagged, home_of, name_of, spawned_at, tag_of};
pub(super) use header::{Header, current_header};
pub(super) use joining::{drop_join, park_join, poll_join};
pub(super) use live::live_task;
pub(super) use references::{Reference, release, release_last, retain};
pub(super) use run::{Ran, cancel_entry, run};
pub(super) use wake::{abort, wake, wake_and_release, wake_to_run};

pub(crate) use header::type_name_of_table;

#[repr(C)]
struct Cell<F: Future, N: Name> {
    header: Header,
    name: N,
    stage: UnsafeCell<Stage<F>>,
}

/// The future until the task ends, then its outcome. The state says which of them it is.
union Stage<F: Future> {
    future: ManuallyDrop<F>,
    output: ManuallyDrop<Outcome<F::Output>>,
}

/// The outcome of a task, as its cell keeps it.
pub(super) type Outcome<T> = Result<T, Failure>;

/// A [`JoinError`] in one word, so that it does not enlarge small tasks. `None`: cancelled.
pub(super) struct Failure(Option<Box<JoinError>>);

impl Failure {
    #[cold]
    fn panicked(payload: Box<dyn Any + Send>) -> Self {
        EndsWith::unwrap(payload).into()
    }

    fn is_panic(&self) -> bool {
        self.0.as_ref().is_some_and(|error| error.is_panic())
    }
}

impl From<JoinError> for Failure {
    fn from(error: JoinError) -> Self {
        Self(match error {
            JoinError::Cancelled => None,
            other => Some(Box::new(other)),
        })
    }
}

impl From<Failure> for JoinError {
    fn from(failure: Failure) -> Self {
        failure.0.map_or(Self::Cancelled, |error| *error)
    }
}

/// Allocates a task for a scheduler. It is marked as scheduled: the caller must queue it.
pub(super) fn allocate<F: Future, N: Name>(
    scheduler: &SchedulerRef,
    name: N,
    future: F,
) -> NonNull<Header> {
    let (block, reference) = scheduler.allocate(Layout::new::<Cell<F, N>>());
    let cell = block.cast::<Cell<F, N>>();
    // SAFETY: the block is fresh memory of this layout, and nobody else writes to it. The fields are written one by
    // one through raw pointers, so that there is never a reference to an uninitialised one. The state comes last, with
    // an atomic store, because a walker over the arena may be reading it.
    unsafe {
        let header = &raw mut (*cell.as_ptr()).header;
        (&raw mut (*header).vtable).write(VTable::of::<F, N>());
        (&raw mut (*header).join_waker).write(UnsafeCell::new(JoinWaker::NONE.into_word()));
        (&raw mut (*cell.as_ptr()).name).write(name);
        (&raw mut (*cell.as_ptr()).stage).write(UnsafeCell::new(Stage {
            future: ManuallyDrop::new(future),
        }));
        State::revive(&raw mut (*header).state, reference.number());
    }
    // The block holds it now.
    mem::forget(reference);
    cell.cast()
}

impl VTable {
    const fn of<F: Future, N: Name>() -> &'static Self {
        const {
            &Self {
                poll: poll::<F, N>,
                cancel: cancel::<F, N>,
                take_output: take_output::<F, N>,
                drop_output: drop_output::<F, N>,
                deallocate: deallocate::<F, N>,
                label: label::<F, N>,
                type_name: std::any::type_name::<F>,
                tag_at: match N::TAG {
                    Some(at) => mem::offset_of!(Cell<F, N>, name) + at,
                    None => 0,
                },
                home_at: match N::HOME {
                    Some(at) => mem::offset_of!(Cell<F, N>, name) + at,
                    None => 0,
                },
            }
        }
    }
}

// Each function below gets a pointer to the header of a live `Cell<F, N>`: only `allocate` pairs a header with this
// table.

/// # Safety
/// As for [`VTable::poll`].
unsafe fn poll<F: Future, N: Name>(header: NonNull<Header>) -> Polled {
    // SAFETY: a live cell of this type, as said above.
    let cell = unsafe { header.cast::<Cell<F, N>>().as_ref() };
    // SAFETY: the runtime's reference outlives the poll.
    let waker = unsafe { waker::borrowed(header) };
    let polled = cell.stage.with_mut(|stage| {
        catch_unwind(AssertUnwindSafe(|| {
            // SAFETY: we have set the state to RUNNING, so the stage is ours and holds the future, which never moves.
            let future = unsafe { Pin::new_unchecked(&mut *(*stage).future) };
            future.poll(&mut Context::from_waker(&waker))
        }))
    });
    let output = match polled {
        Ok(Poll::Pending) => return Polled::Pending,
        Ok(Poll::Ready(value)) => Ok(value),
        Err(payload) => Err(Failure::panicked(payload)),
    };
    let polled = match &output {
        Ok(_) => Polled::Ready,
        Err(_) => Polled::Panicked,
    };
    // SAFETY: as above; the future has ended.
    unsafe { settle::<F, N>(header, output) };
    polled
}

/// # Safety
/// As for [`VTable::cancel`].
unsafe fn cancel<F: Future, N: Name>(header: NonNull<Header>, error: JoinError) {
    // SAFETY: by the contract of the table.
    unsafe { settle::<F, N>(header, Err(error.into())) };
}

/// Drops the future and stores the outcome in its place.
///
/// # Safety
/// `header` is that of a live `Cell<F, N>`. The caller has set the state to RUNNING, and the stage holds the future.
unsafe fn settle<F: Future, N: Name>(header: NonNull<Header>, outcome: Result<F::Output, Failure>) {
    // SAFETY: a live cell of this type, as said above.
    let cell = unsafe { header.cast::<Cell<F, N>>().as_ref() };
    // A destructor is not a poll, which could be repeated with a full budget.
    let _lifted = budget::lift();
    cell.stage.with_mut(|stage| {
        let dropped = catch_unwind(AssertUnwindSafe(|| {
            // SAFETY: we have set the state to RUNNING and the future is still there; it is not used again.
            unsafe { ManuallyDrop::drop(&mut (*stage).future) };
        }));
        let outcome = match dropped {
            Ok(()) => outcome,
            // The first panic of a task is the one that is reported.
            Err(payload) => match outcome {
                Err(first) if first.is_panic() => {
                    discard(payload);
                    Err(first)
                }
                other => {
                    discard(other);
                    Err(Failure::panicked(payload))
                }
            },
        };
        // SAFETY: the stage is ours and holds nothing now.
        unsafe { (*stage).output = ManuallyDrop::new(outcome) };
    });
}

/// # Safety
/// As for [`VTable::take_output`]. `into` points to an `Outcome<F::Output>`, initialised or not.
unsafe fn take_output<F: Future, N: Name>(header: NonNull<Header>, into: *mut ()) {
    // SAFETY: a live cell of this type, as said above.
    let cell = unsafe { header.cast::<Cell<F, N>>().as_ref() };
    cell.stage.with(|stage| {
        // SAFETY: complete, and the output belongs to the caller, which takes it once; `into` is of this type. It is
        // copied as a whole and taken apart by the caller: if a value is written in parts and read as a whole, the
        // processor stalls.
        unsafe {
            ptr::copy_nonoverlapping(
                (&raw const (*stage).output).cast(),
                into.cast::<Outcome<F::Output>>(),
                1,
            )
        };
    });
}

/// # Safety
/// As for [`VTable::drop_output`].
unsafe fn drop_output<F: Future, N: Name>(header: NonNull<Header>) {
    // SAFETY: a live cell of this type, as said above.
    let cell = unsafe { header.cast::<Cell<F, N>>().as_ref() };
    let output = cell
        .stage
        // SAFETY: complete, and the output belongs to the caller, which takes it once.
        .with_mut(|stage| unsafe { ManuallyDrop::take(&mut (*stage).output) });
    // The thread that drops a handle, perhaps in the poll of another task, stays in its runtime.
    let depth = Depth::now();
    discard(output);
    depth.restore();
}

/// # Safety
/// As for [`VTable::deallocate`].
unsafe fn deallocate<F: Future, N: Name>(
    header: NonNull<Header>,
    scheduler: u32,
) -> Option<NonNull<Header>> {
    let cell = header.cast::<Cell<F, N>>();
    // SAFETY: nobody else refers to the block, and the stage holds nothing. What is dropped is not used again.
    unsafe {
        let awaiter = (*cell.as_ptr())
            .header
            .join_waker
            .with_mut(|slot| JoinWaker::from_word(*slot).into_task());
        ptr::drop_in_place(&raw mut (*cell.as_ptr()).name);
        let reference = SchedulerRef::of_task(scheduler);
        State::kill(&raw mut (*cell.as_ptr()).header.state);
        reference.deallocate(cell.cast(), Layout::new::<Cell<F, N>>());
        awaiter
    }
}

/// # Safety
/// As for [`VTable::label`].
unsafe fn label<F: Future, N: Name>(header: NonNull<Header>) -> Label {
    let cell = header.cast::<Cell<F, N>>().as_ptr();
    // SAFETY: the name is written before the header is handed out and never changes.
    let name = unsafe { &(*cell).name };
    match name.get() {
        Some(named) => Label {
            name: &raw const *named.name,
            spawned_at: Some(named.spawned_at),
        },
        None => Label {
            name: std::any::type_name::<F>(),
            spawned_at: None,
        },
    }
}
