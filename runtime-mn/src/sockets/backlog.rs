//! A backlog of ready sockets, and help until it is gone.
//!
//! A worker that keeps up with its sockets finds what they brought in the processors' caches. Once it is late (the
//! kernel gave its processor to another for a moment), everything has gone out of them by the time that it is its
//! turn: a request costs a third more, and with clients that wait for their answers the backlog stays for ever. A few
//! milliseconds of help end it.
//!
//! There is one when the reactor's reports are full several times in a row. Where help does not end it, the load is
//! more than that, and whether help pays in the long run is measured (`help`); until then it is tried more and more
//! seldom.

use std::time::{Duration, Instant};

/// So many full reports in a row are a backlog.
const FULL_REPORTS: u32 = 4;
/// How long it is helped with at a time.
const LONGEST_HELP: Duration = Duration::from_millis(8);
/// From help that did not end it to the next, at first and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(32);
const LONGEST_PAUSE: Duration = Duration::from_millis(512);

/// What is known of a backlog.
#[derive(Debug)]
pub(super) struct Backlog {
    full_reports: u32,
    helped_until: Option<Instant>,
    not_before: Option<Instant>,
    pause: Duration,
}

impl Backlog {
    pub(super) fn new() -> Self {
        Self {
            full_reports: 0,
            helped_until: None,
            not_before: None,
            pause: FIRST_PAUSE,
        }
    }

    /// The reactor has reported as many sockets as it does at once, or fewer. Returns whether other workers are to
    /// help, if they may: they may not where they help anyway, or are not to for the sake of a comparison.
    #[inline]
    pub(super) fn reported(&mut self, is_full: bool, may_help: bool, now: Instant) -> bool {
        if !is_full {
            self.full_reports = 0;
            if self.helped_until.take().is_some() {
                self.pause = FIRST_PAUSE;
            }
            return false;
        }
        self.full_reports = self.full_reports.saturating_add(1);
        if !may_help {
            self.helped_until = None;
            return false;
        }
        self.full_reports >= FULL_REPORTS && self.has_help(now)
    }

    fn has_help(&mut self, now: Instant) -> bool {
        match self.helped_until {
            None if self.not_before.is_some_and(|at| now < at) => false,
            None => {
                self.helped_until = Some(now + LONGEST_HELP);
                true
            }
            Some(until) if now < until => true,
            Some(_) => {
                self.helped_until = None;
                self.not_before = Some(now + self.pause);
                self.pause = (self.pause * 2).min(LONGEST_PAUSE);
                false
            }
        }
    }
}

#[cfg(all(test, not(lab_loom), not(lab_shuttle)))]
mod tests {
    use super::*;

    /// A report each tenth of a millisecond. Returns how many of them had help.
    fn report(backlog: &mut Backlog, now: &mut Instant, is_full: bool, reports: u32) -> u32 {
        let mut helped = 0;
        for _ in 0..reports {
            *now += Duration::from_micros(100);
            helped += u32::from(backlog.reported(is_full, true, *now));
        }
        helped
    }

    #[test]
    fn a_backlog_is_helped_with_until_it_is_gone() {
        let (mut backlog, mut now) = (Backlog::new(), Instant::now());
        for _ in 0..100 {
            assert_eq!(report(&mut backlog, &mut now, true, FULL_REPORTS - 1), 0);
            assert_eq!(report(&mut backlog, &mut now, true, 20), 20);
            assert_eq!(report(&mut backlog, &mut now, false, 1), 0);
        }
    }

    #[test]
    fn reports_that_are_not_full_are_none() {
        let (mut backlog, mut now) = (Backlog::new(), Instant::now());
        for _ in 0..1000 {
            assert_eq!(report(&mut backlog, &mut now, true, FULL_REPORTS - 1), 0);
            assert_eq!(report(&mut backlog, &mut now, false, 3), 0);
        }
    }

    #[test]
    fn where_there_may_be_no_help_a_backlog_is_only_noticed() {
        let (mut backlog, now) = (Backlog::new(), Instant::now());
        for _ in 0..1000 {
            assert!(!backlog.reported(true, false, now));
        }
        assert_eq!(backlog.pause, FIRST_PAUSE);
        assert!(backlog.reported(true, true, now));
    }

    #[test]
    fn help_that_ends_nothing_is_seldom_tried() {
        let (mut backlog, mut now) = (Backlog::new(), Instant::now());
        // Ten seconds.
        let helped = report(&mut backlog, &mut now, true, 100_000);
        assert!((1_000..3_000).contains(&helped), "{helped}");
        // The load is less now: the next backlog that help can end is forgiven, and so is the one after it.
        assert_eq!(report(&mut backlog, &mut now, false, 10_000), 0);
        for _ in 0..2 {
            assert!(report(&mut backlog, &mut now, true, 23) >= 19);
            assert_eq!(report(&mut backlog, &mut now, false, 1), 0);
        }
        assert_eq!(backlog.pause, FIRST_PAUSE);
    }
}
