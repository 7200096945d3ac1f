//! How a worker asks its policy.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::local::Local;

impl Local {
    /// What the policy answers. `None`: it has panicked, or what it did while it was asked leads to another question;
    /// the caller takes the default.
    ///
    /// A question is asked before the caller changes anything, so that a panic interrupts nothing. Nothing is unwound
    /// where a policy can't panic: then this is a plain call.
    #[inline]
    pub(crate) fn ask<T>(&self, question: impl FnOnce() -> T) -> Option<T> {
        if self.is_asking.replace(true) {
            return None;
        }
        // The payload's destructor is the policy's code, too.
        let answer = catch_unwind(AssertUnwindSafe(question))
            .map_err(dispose)
            .ok();
        self.is_asking.set(false);
        answer
    }
}

/// The panic hook has reported it. Its destructor may panic, too.
#[cold]
pub(crate) fn dispose(payload: Box<dyn Any + Send>) {
    if let Err(another) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(another);
    }
}
