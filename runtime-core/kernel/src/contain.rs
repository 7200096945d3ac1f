//! The one place where panics of user code are contained.
//!
//! Wakers, payloads, items and callbacks come from outside this crate. We call them in the middle of our work, when
//! half a batch of timers is woken or half a queue is dropped. A panic that passed through would leave the rest of
//! the batch unserved, end a worker, or coincide with another panic and abort the process. Code that calls them in a
//! batch, or on behalf of another task, therefore calls them through [`contain`].
//!
//! The panic hook reports a contained panic once, like any panic. It is reported nowhere else: the caller of
//! `Event::set` can't do anything about another executor's waker that panics.

use std::any::Any;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Calls `code`. If it panics, the panic is contained, and this returns `None`.
///
/// What `code` touches must be consistent even after a panic. Without a panic this costs nothing.
///
/// ```
/// use runtime_core::contain::contain;
///
/// assert_eq!(contain(|| 1), Some(1));
/// assert_eq!(contain(|| -> u8 { std::panic::resume_unwind(Box::new("as planned")) }), None);
/// ```
#[inline]
pub fn contain<R>(code: impl FnOnce() -> R) -> Option<R> {
    match catch_unwind(AssertUnwindSafe(code)) {
        Ok(result) => Some(result),
        Err(payload) => {
            discard_payload(payload);
            None
        }
    }
}

/// A payload's destructor may panic with another such payload. After this many of them in a row, the rest is leaked.
const CHAIN: usize = 8;

/// Drops `value`. A panic of its destructor ends here: the hook has reported it, and its payload is dropped in the
/// same way.
///
/// Use it for values that cannot be returned to anyone, such as the payload of a second panic, when something else
/// must continue: a frame that others borrow, or the rest of a batch.
#[inline]
pub fn discard<T>(value: T) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(value))) {
        discard_payload(payload);
    }
}

#[cold]
fn discard_payload(payload: Box<dyn Any + Send>) {
    let mut dropped = Err(payload);
    for _ in 0..CHAIN {
        match dropped {
            Ok(()) => return,
            Err(payload) => dropped = catch_unwind(AssertUnwindSafe(|| drop(payload))),
        }
    }
    // The chain may be endless.
    mem::forget(dropped);
}

/// Drops each of `things`. If one destructor panics, the others still run.
pub fn drop_each<T>(things: impl IntoIterator<Item = T>) {
    let mut things = things.into_iter();
    // One landing pad for all: after a panic the loop continues with the next one.
    while contain(|| things.by_ref().for_each(drop)).is_none() {}
}

#[cfg(all(test, not(any(lab_loom, lab_shuttle))))]
mod tests {
    use std::cell::Cell;
    use std::panic::panic_any;

    use super::*;

    struct Bomb<'a>(&'a Cell<usize>, bool);

    impl Drop for Bomb<'_> {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
            assert!(!self.1, "this destructor panics, as planned");
        }
    }

    #[test]
    fn a_payload_whose_destructor_panics_ends_here_too() {
        struct Payload;
        impl Drop for Payload {
            fn drop(&mut self) {
                panic_any(Payload);
            }
        }
        assert_eq!(contain(|| -> u8 { panic_any(Payload) }), None);
    }

    #[test]
    #[cfg_attr(miri, ignore = "it leaks the end of a long chain")]
    fn any_number_of_panicking_destructors_is_contained() {
        /// Panics `self.0` times, each time with the next payload.
        struct Chain(usize);
        impl Drop for Chain {
            fn drop(&mut self) {
                if self.0 > 0 {
                    panic_any(Chain(self.0 - 1));
                }
            }
        }
        for panics in [0, 1, 2, CHAIN, CHAIN + 1, 10 * CHAIN] {
            discard(Chain(panics));
            discard(Box::new(Chain(panics)) as Box<dyn Any + Send>);
        }
    }

    #[test]
    fn each_value_is_dropped_even_if_others_panic() {
        for panicking in 0..8_usize {
            let dropped = Cell::new(0);
            drop_each((0..3).map(|index| Bomb(&dropped, panicking >> index & 1 == 1)));
            assert_eq!(dropped.get(), 3, "{panicking:03b}");
        }
    }
}
