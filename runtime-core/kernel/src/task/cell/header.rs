//! What is the same for every task, and the table of what differs.
#![allow(unsafe_code)]

use std::panic::Location;
use std::ptr::{self, NonNull};

use crate::primitives::UnsafeCell;
use crate::task::current::current;
use crate::task::error::JoinError;
use crate::task::scheduler_ref::SchedulerRef;
use crate::task::state::State;
use crate::trace::Table;

/// What is the same for every task. It lies at the start of the cell. A million tasks are a normal number, so it has
/// only three words.
#[repr(C)]
pub(in crate::task) struct Header {
    /// Also has the scheduler's number. The block holds a reference to that scheduler, which is given back with the
    /// block.
    pub(in crate::task) state: State,
    pub(super) vtable: &'static VTable,
    /// The word of a [`JoinWaker`](crate::task::join_waker::JoinWaker). `JOIN_WAKER` decides who may touch it; see the
    /// README.
    pub(super) join_waker: UnsafeCell<*const ()>,
}

impl Header {
    /// The task's scheduler.
    pub(in crate::task) fn scheduler(&self) -> &SchedulerRef {
        // SAFETY: the block holds a reference to it as long as the block exists.
        unsafe { SchedulerRef::with_number(self.state.scheduler()) }
    }

    /// The address of its table, as the recorder keeps it.
    #[inline]
    pub(super) fn table(&self) -> Table {
        Table::at(ptr::from_ref(self.vtable).expose_provenance())
    }
}

/// What depends on the future's type.
///
/// # Safety
/// Each function is called with a header that has this table, of a live block, and with a pointer that may be used for
/// the whole block. Each function states its further conditions.
pub(super) struct VTable {
    /// Polls once. The caller has set the state to RUNNING, and the stage holds the future.
    pub(super) poll: unsafe fn(NonNull<Header>) -> Polled,
    /// Drops the future and stores the error. The caller has set the state to RUNNING, and the stage holds the future.
    pub(super) cancel: unsafe fn(NonNull<Header>, JoinError),
    /// Moves the output to `*mut Outcome<T>`. The task is complete, and the caller owns the output and takes it once.
    pub(super) take_output: unsafe fn(NonNull<Header>, *mut ()),
    /// Drops the output. The task is complete, and the caller owns the output and takes it once.
    pub(super) drop_output: unsafe fn(NonNull<Header>),
    /// Gives the block back to its scheduler, which has this number. Nobody else refers to the block. Returns the task
    /// that awaited it, with the reference that the block held.
    pub(super) deallocate: unsafe fn(NonNull<Header>, u32) -> Option<NonNull<Header>>,
    /// The task's name, which lives as long as the block.
    pub(super) label: unsafe fn(NonNull<Header>) -> Label,
    /// The future's type.
    pub(super) type_name: fn() -> &'static str,
    /// The offset of the tag from the header, in bytes. 0: the task has none.
    pub(super) tag_at: usize,
    /// The offset of the [`Home`](crate::task::home::Home) from the header, in bytes. 0: the task is never pinned.
    pub(super) home_at: usize,
}

#[derive(Clone, Copy)]
pub(super) enum Polled {
    Pending,
    /// The output is stored.
    Ready,
    /// Like `Ready`, but the output is a panic.
    Panicked,
}

/// A task's name, and the place where it was spawned, if known.
pub(super) struct Label {
    pub(super) name: *const str,
    pub(super) spawned_at: Option<&'static Location<'static>>,
}

/// The innermost task that the calling thread polls.
pub(in crate::task) fn current_header() -> Option<NonNull<Header>> {
    current().map(NonNull::cast)
}

/// The type of the future with that table, for records of polls.
pub(crate) fn type_name_of_table(table: Table) -> &'static str {
    // SAFETY: only `Header::table` makes one, and exposes the address; tables are static.
    let table = unsafe { &*ptr::with_exposed_provenance::<VTable>(table.address()) };
    (table.type_name)()
}
