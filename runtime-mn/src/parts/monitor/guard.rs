//! The rule that finds work which waits behind a poll without the sleepers' knowledge. It uses no clocks or threads.
//!
//! A worker wakes a sleeper for most of what it queues, but not for all: not for the task in its LIFO slot, not for a
//! few tasks that sockets or timers have woken, not while its wake-ups are throttled, and not if the sleeper falls
//! asleep at that very moment. It relies on getting back to its queues soon. If it does not, the guard helps.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// A worker that makes progress reads a clock itself at least every this many polls; a power of two.
pub(crate) const POLLS_PER_CLOCK_READ: u32 = 8;

/// What a worker in a poll has left to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    Nothing,
    /// The task in its LIFO slot: the worker's next, unless the poll continues.
    Next,
    /// Tasks in its queues, timers that are due, or sockets that no worker waits for.
    Queued,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing waits, or the worker makes progress.
    Fine,
    /// Something waits. The next check, which should come soon, shows whether it waits for long.
    Suspect,
    /// It has waited from one check to the next.
    Waits,
}

/// What is remembered about one worker from check to check.
#[derive(Debug, Default)]
pub(super) struct Guard {
    /// The worker's progress at the last check, if something waited then.
    waited_at: Option<u64>,
}

impl Guard {
    /// Judges a worker. A worker that makes progress reads a clock itself every few polls.
    pub(super) fn look(&mut self, left: Left, progress: u64) -> Verdict {
        let waited_at = self.waited_at.take();
        let polls_enough = match left {
            Left::Nothing => return Verdict::Fine,
            Left::Next => 1,
            Left::Queued => u64::from(POLLS_PER_CLOCK_READ),
        };
        match waited_at {
            None => {
                self.waited_at = Some(progress);
                Verdict::Suspect
            }
            Some(before) if progress.wrapping_sub(before) < polls_enough => {
                self.waited_at = Some(progress);
                Verdict::Waits
            }
            Some(_) => Verdict::Fine,
        }
    }
}

/// Whether the monitor checks so often that workers may throttle their wake-ups.
///
/// Relaxed: a thread that reads it too late wakes a sleeper too often, or relies on the next ordinary check.
#[derive(Debug, Default)]
pub(super) struct CloseWatch(AtomicBool);

impl CloseWatch {
    #[inline]
    pub(super) fn is_on(&self) -> bool {
        self.0.load(Relaxed)
    }

    /// Returns true if it was off: then the monitor must be woken.
    pub(super) fn begin(&self) -> bool {
        !self.is_on() && !self.0.swap(true, Relaxed)
    }

    pub(super) fn end(&self) {
        self.0.store(false, Relaxed);
    }
}

#[cfg(all(test, not(lab_loom), not(lab_shuttle)))]
mod tests {
    use super::*;

    use Left::{Next, Nothing, Queued};
    use Verdict::{Fine, Suspect, Waits};

    /// The verdicts of a guard at these checks: `(what is left, progress)`.
    fn verdicts(looks: &[(Left, u64)]) -> Vec<Verdict> {
        let mut guard = Guard::default();
        let looks = looks.iter();
        looks.map(|&(left, at)| guard.look(left, at)).collect()
    }

    #[test]
    fn tasks_that_wait_behind_one_poll_for_two_checks_are_found() {
        for left in [Next, Queued] {
            assert_eq!(verdicts(&[(left, 7), (left, 7)]), [Suspect, Waits]);
        }
    }

    #[test]
    fn a_waiting_task_is_found_again_until_it_is_taken() {
        let looks = [
            (Queued, 7),
            (Queued, 7),
            (Next, 7),
            (Nothing, 7),
            (Queued, 7),
        ];
        assert_eq!(verdicts(&looks), [Suspect, Waits, Waits, Fine, Suspect]);
    }

    #[test]
    fn a_worker_with_long_polls_reads_its_clock_too_seldom() {
        let tick = u64::from(POLLS_PER_CLOCK_READ);
        let looks = |progress| verdicts(&[(Queued, 0), (Queued, progress)]);
        assert_eq!(looks(tick - 1), [Suspect, Waits]);
        assert_eq!(looks(tick), [Suspect, Fine]);
    }

    #[test]
    fn the_next_task_is_left_to_a_worker_that_makes_progress() {
        assert_eq!(verdicts(&[(Next, 0), (Next, 1)]), [Suspect, Fine]);
    }

    #[test]
    fn a_busy_worker_is_suspected_at_every_other_check() {
        let looks = [(Queued, 0), (Queued, 1000), (Queued, 2000), (Queued, 3000)];
        assert_eq!(verdicts(&looks), [Suspect, Fine, Suspect, Fine]);
    }

    #[test]
    fn the_count_of_polls_may_wrap() {
        let looks = [(Queued, u64::MAX), (Queued, 0)];
        assert_eq!(verdicts(&looks), [Suspect, Waits]);
    }

    #[test]
    fn a_close_watch_begins_once() {
        let watch = CloseWatch::default();
        assert!(!watch.is_on());
        assert!(watch.begin() && !watch.begin() && watch.is_on());
        watch.end();
        assert!(!watch.is_on() && watch.begin());
    }
}
