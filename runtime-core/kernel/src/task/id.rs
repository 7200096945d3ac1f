//! A task's identity.

use std::fmt;
use std::ptr::NonNull;

use super::current::current;

/// A task's identity, unique among the tasks that live or have a handle. It is reused after that.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskId(usize);

impl TaskId {
    /// The id of the task with that header.
    pub(super) fn of<H>(header: NonNull<H>) -> Self {
        Self(header.as_ptr() as usize)
    }

    /// The id of a stand-in for a task of another runtime, at an address of its own.
    pub(crate) fn of_address(address: usize) -> Self {
        Self(address)
    }

    /// The task that the calling thread is polling; `None` outside a task.
    #[inline]
    pub fn current() -> Option<Self> {
        current().map(Self::of)
    }

    /// The id as a number.
    pub fn get(self) -> usize {
        self.0
    }
}

impl fmt::Debug for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TaskId({:x})", self.0)
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}
