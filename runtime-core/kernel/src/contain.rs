//! The one place where a panic of somebody else's code ends.
//!
//! Wakers, payloads, items and callbacks are made outside of this crate. They are called in the middle of our work:
//! half a batch of timers is woken, half a queue is dropped. A panic that went through there would leave the rest of
//! the batch unserved, end a worker, or meet another panic and abort the process. So whoever calls such code in a
//! batch, or on behalf of somebody else, calls it by [`contain`].
//!
//! A contained panic is reported once, by the panic hook, as any panic is. Nobody else hears of it: the caller of
//! `Event::set` can't help that a waker of some other executor panics.

use std::any::Any;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Calls `code`, whose panic ends here: then it returns `None`.
///
/// What `code` touches has to be right after a panic too. Costs nothing as long as there is none.
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

/// How many payloads whose destructors panic, each with the next one, are dropped before the rest is leaked.
const CHAIN: usize = 8;

/// Drops `value`. A panic of its destructor ends here: the hook has reported it, and its payload is dropped in the same
/// way.
///
/// It is for values that nobody can be handed, such as the payload of a second panic, while something else must go on:
/// a frame that others borrow, or the rest of a batch.
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
    // A chain that may have no end.
    mem::forget(dropped);
}

/// Drops each of `things`; one whose destructor panics keeps the others from nothing.
pub fn drop_each<T>(things: impl IntoIterator<Item = T>) {
    let mut things = things.into_iter();
    // One landing pad for all: after a panic it goes on with the next.
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
    fn destructors_that_panic_are_contained_however_many() {
        /// Panics as many times as it says, each time with the next one.
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
    fn each_is_dropped_whichever_panics() {
        for panicking in 0..8_usize {
            let dropped = Cell::new(0);
            drop_each((0..3).map(|index| Bomb(&dropped, panicking >> index & 1 == 1)));
            assert_eq!(dropped.get(), 3, "{panicking:03b}");
        }
    }
}
