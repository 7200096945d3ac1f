//! Panics of user code: what happens to a panic that cannot be passed to anyone.

use std::any::Any;
use std::mem;
use std::panic::resume_unwind;
use std::process;
use std::thread;

use crate::contain::discard;
use crate::primitives::Mutex;

/// The payload of a panic.
pub type Payload = Box<dyn Any + Send>;

/// A value that is on its way to its owner. If a panic drops it on that way, a panic of its destructor is contained,
/// because two panics at a time would end the process.
#[derive(Debug)]
pub struct Held<T>(Option<T>);

impl<T> Held<T> {
    /// Holds `value`.
    #[inline]
    pub fn new(value: T) -> Self {
        Self(Some(value))
    }

    /// The value.
    #[inline]
    pub fn release(mut self) -> T {
        match self.0.take() {
            Some(value) => value,
            None => unreachable!("it is taken once, here"),
        }
    }
}

impl<T> Drop for Held<T> {
    #[inline]
    fn drop(&mut self) {
        if mem::needs_drop::<T>()
            && let Some(value) = self.0.take()
        {
            discard(value);
        }
    }
}

/// Keeps the first panic of several jobs that work for one caller. The other panics are discarded; their messages were
/// already printed.
#[derive(Debug, Default)]
pub struct FirstPanic(Mutex<Option<Payload>>);

impl FirstPanic {
    /// Keeps `payload` if it is the first one.
    pub fn keep(&self, payload: Payload) {
        let later = {
            let mut first = self.0.lock();
            match *first {
                None => {
                    *first = Some(payload);
                    None
                }
                Some(_) => Some(payload),
            }
        };
        discard(later);
    }

    /// Returns the caller's own `result`, unless one of the jobs panicked. A panic of the caller itself takes
    /// precedence.
    ///
    /// # Panics
    /// If the caller or a job panicked, with that panic.
    pub fn hand_on<R>(self, result: thread::Result<R>) -> R {
        match (result, self.0.into_inner()) {
            (Ok(result), None) => result,
            (Ok(result), Some(payload)) => {
                discard(result);
                resume_unwind(payload)
            }
            (Err(payload), of_others) => {
                discard(of_others);
                resume_unwind(payload)
            }
        }
    }
}

/// The results of two closures.
///
/// # Panics
/// With `a`'s panic, or else with `b`'s.
pub fn hand_on_both<A, B>(a: thread::Result<A>, b: thread::Result<B>) -> (A, B) {
    match (a, b) {
        (Ok(a), Ok(b)) => (a, b),
        (Ok(a), Err(payload)) => {
            discard(a);
            resume_unwind(payload)
        }
        (Err(payload), b) => {
            discard(b);
            resume_unwind(payload)
        }
    }
}

/// Ends the process if a panic drops it: its scope holds what other threads borrow, and must not be left before they
/// are done. [`disarm`](AbortOnUnwind::disarm) it at the scope's end.
#[derive(Debug)]
#[must_use = "it guards as long as it lives"]
pub struct AbortOnUnwind(&'static str);

impl AbortOnUnwind {
    /// `doing` is for the message: "a panic while {doing}".
    #[inline]
    pub const fn new(doing: &'static str) -> Self {
        Self(doing)
    }

    /// Call this when nothing is borrowed any more.
    #[inline]
    pub fn disarm(self) {
        mem::forget(self);
    }
}

impl Drop for AbortOnUnwind {
    #[cold]
    fn drop(&mut self) {
        // Under shuttle the test reports it, with the seed.
        if cfg!(lab_shuttle) {
            return;
        }
        eprintln!("a panic while {}: this is a bug of the scheduler", self.0);
        process::abort();
    }
}

#[cfg(all(test, not(any(lab_loom, lab_shuttle))))]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};

    /// Panics when it is dropped, `self.0` times, each time with the next one.
    struct Bomb(usize);

    impl Drop for Bomb {
        fn drop(&mut self) {
            if self.0 > 0 {
                panic_any(Bomb(self.0 - 1));
            }
        }
    }

    #[test]
    fn a_held_value_is_dropped_once_in_a_panic_and_not_when_released() {
        struct Counted<'a>(
            &'a Cell<u32>,
            #[expect(dead_code, reason = "for its destructor")] Bomb,
        );
        impl Drop for Counted<'_> {
            fn drop(&mut self) {
                self.0.set(self.0.get() + 1);
            }
        }
        let drops = Cell::new(0);
        let unwound = catch_unwind(AssertUnwindSafe(|| {
            let _held = Held::new(Counted(&drops, Bomb(2)));
            panic!("on its way");
        }));
        let message = unwound.unwrap_err();
        assert_eq!(message.downcast_ref(), Some(&"on its way"));
        assert_eq!(drops.get(), 1);
        let released = Held::new(Counted(&drops, Bomb(0))).release();
        assert_eq!(drops.get(), 1);
        drop(released);
        assert_eq!(drops.get(), 2);
    }
}
