//! What wakes the tasks that are woken here and now.

use std::cell::Cell;
use std::thread_local;

use super::acting::acting_task;
use super::hooks::role;
use super::recorded::ThreadKind;
use super::table::Cause;

thread_local! {
    static CAUSE: Cell<Option<Cause>> = const { Cell::new(None) };
}

/// While it exists, wakes on this thread are attributed to that cause.
#[derive(Debug)]
#[must_use = "it ends when it is dropped"]
pub struct Causing(Option<Cause>);

/// States what wakes the tasks that the calling thread wakes until the guard is dropped.
// Unconditionally, even if nothing records: a branch here and one in the destructor would cost more.
#[inline(always)]
pub fn caused_by(cause: Cause) -> Causing {
    Causing(CAUSE.replace(Some(cause)))
}

impl Drop for Causing {
    #[inline(always)]
    fn drop(&mut self) {
        CAUSE.set(self.0);
    }
}

/// The cause of a wake that happens here.
pub(crate) fn cause_here() -> Cause {
    let stated = CAUSE.get();
    stated.unwrap_or_else(|| match acting_task() {
        _ if role() == ThreadKind::Blocking => Cause::BlockingJob,
        Some(_) => Cause::Task,
        None => Cause::OtherThread,
    })
}
