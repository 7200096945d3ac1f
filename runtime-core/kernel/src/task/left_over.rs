//! The work that tasks leave to their thread when the runtime ends: the rest of an unwinding that waits.
//!
//! A task's stack may have a destructor that waits. It can't wait while the runtime drops that task, because it may
//! wait for the destructors of other tasks, which are dropped later. Code that drops the tasks of a runtime therefore
//! calls [`begin`](Ending::begin) before the first, and [`serve`](Ending::serve) after the last, which continues the
//! left-over work.

use std::cell::{Cell, RefCell};
use std::marker::PhantomData;
use std::mem::{self, ManuallyDrop};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::contain::{discard, drop_each};
use crate::primitives::{now, thread_local};

/// How long a thread waits, at least, while no left-over work ends. Some of it may never end.
const MIN_STALL_TIME: Duration = Duration::from_secs(2);
/// How often it looks, at least. A machine that is too busy to complete the waits is also too busy for these looks.
const MIN_STALL_LOOKS: u32 = 500;
/// The length of a single wait.
pub const LOOK: Duration = Duration::from_millis(1);

/// Limits how long a thread waits while no left-over work ends.
#[derive(Debug)]
pub struct StallTimeout {
    since: Instant,
    looks: u32,
}

impl StallTimeout {
    /// Starts now.
    pub fn begin() -> Self {
        Self {
            since: now(),
            looks: 0,
        }
    }

    /// Counts a look. True after enough looks and enough time.
    pub fn is_over(&mut self) -> bool {
        self.looks = self.looks.saturating_add(1);
        self.looks >= MIN_STALL_LOOKS && now() >= self.since + MIN_STALL_TIME
    }
}

/// The former name of [`StallTimeout`].
#[deprecated(note = "it is called `StallTimeout`")]
pub type Patience = StallTimeout;

/// Left-over work that can be continued. Dropping it gives it up.
pub trait LeftOver {
    /// Continues as far as possible. Ready: it has ended.
    fn go_on(&mut self, cx: &mut Context<'_>) -> Poll<()>;
}

/// Without a destructor, so that it works until the thread ends. An [`Ending`] drops the elements.
type All = ManuallyDrop<Vec<Box<dyn LeftOver>>>;

const NOTHING: All = ManuallyDrop::new(Vec::new());

thread_local! {
    /// `None`: the thread would not serve it.
    static LEFT: Cell<Option<All>> = const { Cell::new(None) };
    /// What was left before the thread begins to drop the tasks of a runtime.
    static EARLY: RefCell<Early> = const { RefCell::new(Early(Vec::new())) };
}

struct Early(Vec<Box<dyn LeftOver>>);

impl Drop for Early {
    fn drop(&mut self) {
        drop_each(self.0.drain(..));
    }
}

/// Leaves `one` to the calling thread, which is dropping the tasks of a runtime.
///
/// # Errors
/// Returns it if the thread is not doing that.
pub fn leave(one: Box<dyn LeftOver>) -> Result<(), Box<dyn LeftOver>> {
    let Some(mut left) = LEFT.replace(None) else {
        return Err(one);
    };
    left.push(one);
    LEFT.set(Some(left));
    Ok(())
}

/// Leaves `one` to the next [`Ending`] of the calling thread, whose runtime is ending but has not begun to drop its
/// tasks there. If none begins, `one` is given up when the thread ends.
pub fn leave_early(one: Box<dyn LeftOver>) {
    let mut one = Some(one);
    let _ = EARLY.try_with(|early| early.borrow_mut().0.extend(one.take()));
    // The thread is ending.
    discard(one);
}

/// While this exists, the calling thread drops the tasks of a runtime.
#[must_use = "the left-over work is given up when this is dropped"]
pub struct Ending {
    /// The left-over work of an outer runtime that is also ending.
    outer: Option<All>,
    _stays: PhantomData<*const ()>,
}

impl Ending {
    /// From now on, left-over work is kept, and so is what was [left early](leave_early).
    pub fn begin() -> Self {
        let early = EARLY.try_with(|early| mem::take(&mut early.borrow_mut().0));
        let left = ManuallyDrop::new(early.unwrap_or_default());
        Self {
            outer: LEFT.replace(Some(left)),
            _stays: PhantomData,
        }
    }

    /// Continues the left-over work until all of it has ended, or until none of it has ended during a [`StallTimeout`].
    /// `look` waits for at most the given time, and serves the thread's sockets and timers.
    pub fn serve(self, mut look: impl FnMut(Duration)) {
        let mut left = Vec::new();
        let mut stall = StallTimeout::begin();
        loop {
            // Continued work may leave more work.
            if let Some(more) = LEFT.replace(Some(NOTHING)) {
                left.append(&mut ManuallyDrop::into_inner(more));
            }
            if left.is_empty() {
                return;
            }
            for mut one in mem::take(&mut left) {
                let mut cx = Context::from_waker(Waker::noop());
                let ended = catch_unwind(AssertUnwindSafe(|| one.go_on(&mut cx)));
                if matches!(ended, Ok(Poll::Pending)) {
                    left.push(one);
                    continue;
                }
                discard(ended);
                discard(one);
                stall = StallTimeout::begin();
            }
            if stall.is_over() {
                return left.into_iter().for_each(discard);
            }
            look(LOOK);
        }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        let left = LEFT.replace(self.outer.take());
        drop_each(left.map(ManuallyDrop::into_inner).into_iter().flatten());
    }
}

#[cfg(all(test, not(any(lab_loom, lab_shuttle))))]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use super::*;

    struct Bomb;

    impl LeftOver for Bomb {
        fn go_on(&mut self, _cx: &mut Context<'_>) -> Poll<()> {
            Poll::Ready(())
        }
    }

    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("on purpose");
        }
    }

    /// Counts how often it was continued, until it ends, and whether it was dropped.
    struct Counts(Arc<(AtomicUsize, AtomicUsize)>);

    impl LeftOver for Counts {
        fn go_on(&mut self, _cx: &mut Context<'_>) -> Poll<()> {
            match self.0.0.fetch_add(1, Relaxed) {
                2 => Poll::Ready(()),
                _ => Poll::Pending,
            }
        }
    }

    impl Drop for Counts {
        fn drop(&mut self) {
            self.0.1.fetch_add(1, Relaxed);
        }
    }

    #[test]
    fn what_is_left_early_waits_for_the_next_ending_and_no_longer_than_its_thread() {
        let counts = Arc::<(AtomicUsize, AtomicUsize)>::default();
        let seen = || (counts.0.load(Relaxed), counts.1.load(Relaxed));
        leave_early(Box::new(Counts(Arc::clone(&counts))));
        assert_eq!(seen(), (0, 0));
        Ending::begin().serve(|_| ());
        assert_eq!(seen(), (3, 1));
        Ending::begin().serve(|_| ());
        assert_eq!(seen(), (3, 1));
        let left = Arc::clone(&counts);
        let thread = std::thread::spawn(move || leave_early(Box::new(Counts(left))));
        thread.join().unwrap();
        assert_eq!(seen(), (3, 2));
    }

    /// A second panic while the first one unwinds would end the process.
    #[test]
    fn destructors_that_panic_affect_no_other_work() {
        let ending = Ending::begin();
        for _ in 0..3 {
            assert!(leave(Box::new(Bomb)).is_ok());
        }
        drop(ending);
    }
}
