//! The rule that decides whether a worker is stuck in a poll. It uses no clocks or threads.

use std::time::{Duration, Instant};

/// What a check of a worker shows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    /// Changes whenever the worker gets something done.
    pub(super) progress: u64,
    /// It is inside a task's poll.
    pub(super) in_poll: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It works, or sleeps.
    Fine,
    /// It was stuck, and is no longer: for how long, roughly.
    Returned(Duration),
    /// It is stuck, and was not at the last check.
    Caught(Duration),
    /// It is still stuck.
    Stuck,
}

/// What is remembered about one worker from check to check.
#[derive(Debug)]
pub(super) struct Watch {
    progress: u64,
    /// When this progress was first seen.
    since: Instant,
    /// At a check that saw the same progress half-way to the threshold: when that was, and how long the thread had
    /// waited for a processor until then.
    baseline: Option<(Instant, Duration)>,
    caught: bool,
}

impl Watch {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            progress: 0,
            since: now,
            baseline: None,
            caught: false,
        }
    }

    pub(super) fn is_caught(&self) -> bool {
        self.caught
    }

    /// Judges the worker. `waited` returns how long its thread has waited for a processor in total, because a thread
    /// that the kernel does not run is not stuck. It is called only when the same poll is seen again.
    pub(super) fn look(
        &mut self,
        seen: Look,
        now: Instant,
        threshold: Duration,
        waited: impl FnOnce() -> Duration,
    ) -> Verdict {
        if !seen.in_poll || seen.progress != self.progress {
            let was_caught = self.caught.then(|| now.duration_since(self.since));
            *self = Self {
                progress: seen.progress,
                ..Self::new(now)
            };
            return was_caught.map_or(Verdict::Fine, Verdict::Returned);
        }
        if self.caught {
            return Verdict::Stuck;
        }
        let elapsed = now.duration_since(self.since);
        let Some((began, waited_before)) = self.baseline else {
            // Half-way and not earlier: most polls have returned by then, and `waited` reads a file.
            if elapsed >= threshold / 2 {
                self.baseline = Some((now, waited()));
            }
            return Verdict::Fine;
        };
        if elapsed < threshold {
            return Verdict::Fine;
        }
        let waited = waited();
        if waited.saturating_sub(waited_before) * 2 > now.duration_since(began) {
            // It hardly ran. Judge it again from here on.
            self.baseline = Some((now, waited));
            return Verdict::Fine;
        }
        self.caught = true;
        Verdict::Caught(elapsed)
    }
}

#[cfg(all(test, not(lab_loom)))]
mod tests {
    use super::*;

    const THRESHOLD: Duration = Duration::from_millis(10);

    fn in_poll(progress: u64) -> Look {
        Look {
            progress,
            in_poll: true,
        }
    }

    /// Checks every 5 ms, at `(progress, ms waited for a processor until then)`.
    fn verdicts(looks: &[(u64, u64)]) -> Vec<Verdict> {
        let start = Instant::now();
        let mut watch = Watch::new(start);
        let mut now = start;
        looks
            .iter()
            .map(|&(progress, waited_ms)| {
                now += Duration::from_millis(5);
                watch.look(in_poll(progress), now, THRESHOLD, || {
                    Duration::from_millis(waited_ms)
                })
            })
            .collect()
    }

    #[test]
    fn a_poll_that_lasts_is_caught_once_and_its_end_is_seen() {
        let seen = verdicts(&[(1, 0), (1, 0), (1, 0), (1, 0), (2, 0), (3, 0)]);
        let ms = Duration::from_millis;
        use Verdict::{Caught, Fine, Returned, Stuck};
        assert_eq!(
            seen,
            [Fine, Fine, Caught(ms(10)), Stuck, Returned(ms(20)), Fine]
        );
    }

    #[test]
    fn a_worker_that_makes_progress_is_fine() {
        let seen = verdicts(&[(1, 0), (2, 0), (2, 0), (3, 0), (3, 0), (4, 0)]);
        assert!(seen.iter().all(|verdict| *verdict == Verdict::Fine));
    }

    #[test]
    fn a_thread_without_a_processor_is_not_stuck() {
        // It waits for a processor nearly all the time, and runs from 20 ms on.
        let seen = verdicts(&[(1, 0), (1, 5), (1, 10), (1, 15), (1, 15), (1, 15)]);
        assert_eq!(seen[..4], [Verdict::Fine; 4]);
        assert!(matches!(seen[4], Verdict::Caught(_)));
    }

    #[test]
    fn a_worker_between_polls_is_never_stuck() {
        let start = Instant::now();
        let mut watch = Watch::new(start);
        for look in 0..10 {
            let idle = Look {
                progress: 1,
                in_poll: false,
            };
            let now = start + Duration::from_millis(5 * look);
            assert_eq!(
                watch.look(idle, now, THRESHOLD, Duration::default),
                Verdict::Fine
            );
        }
    }
}
