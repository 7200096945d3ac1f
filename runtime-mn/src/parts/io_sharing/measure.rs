//! Measures whether the sockets' tasks are served faster if workers share them. There is no other way to know.
//!
//! Time is divided into *spans* of some milliseconds, each with sharing or without. A *trial* is a span of the other
//! kind between two of the current one, and the kind that served more events per second is the better one. Two trials
//! in a row must agree before the other kind becomes the current one (the very first trial decides alone). The more
//! often trials change nothing, the rarer they become. With few events there is nothing to decide: a second worker is
//! welcome.
//!
//! Source of the idea: the hill climbing of .NET's thread pool, which varies its number of threads and watches the
//! throughput.

use std::time::{Duration, Instant};

use crate::policy::IoSharing as Rule;

/// The minimum length of a span.
const MIN_SPAN: Duration = Duration::from_millis(4);
/// With fewer events than this in a span's time, the result means nothing.
const MIN_EVENTS: u32 = 100;
/// After this many spans without a result, or a span that is longer than this, the results are forgotten.
const MAX_LIGHT_SPANS: u32 = 4;
const MAX_SPAN: Duration = Duration::from_millis(100);
/// Sharing must serve this many times as many events, because it costs wake-ups and moves the tasks' data between
/// caches.
const MIN_SPEEDUP: f64 = 1.05;
/// The number of spans from one trial to the next: after a change, and at most.
const MIN_PAUSE_SPANS: u32 = 16;
const MAX_PAUSE_SPANS: u32 = 128;
/// The clock is read after this many events.
const EVENTS_PER_LOOK: u32 = 32;

/// The results so far. Only the holder of the poller's token uses them.
#[derive(Debug)]
pub(super) struct Measure {
    is_measured: bool,
    /// Whether the spans with sharing served more.
    pays: bool,
    phase: Phase,
    /// The last trial was in favour of a change, or there was none yet.
    doubts: bool,
    /// Spans from this trial to the next one.
    pause: u32,
    /// Events per second in the last span of the current kind.
    before: f64,
    began: Option<Instant>,
    events: u32,
    /// Events since the clock was read.
    unseen: u32,
    light_spans: u32,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    /// The number of spans until the trial.
    Pause(u32),
    Trial,
    /// Events per second in the trial. One more span of the current kind follows, for comparison.
    After(f64),
}

impl Measure {
    pub(super) fn new(knob: Rule) -> Self {
        Self {
            is_measured: knob == Rule::Measured,
            pays: knob != Rule::Never,
            phase: Phase::Pause(0),
            doubts: true,
            pause: 0,
            before: 0.0,
            began: None,
            events: 0,
            unseen: 0,
            light_spans: 0,
        }
    }

    /// Takes the number of events that the reactor has reported. Returns whether other workers should share them.
    #[inline]
    pub(super) fn reported(&mut self, sockets: usize, now: Instant) -> bool {
        if !self.is_measured {
            return self.pays;
        }
        self.unseen += sockets as u32;
        if self.unseen >= EVENTS_PER_LOOK {
            self.look(now);
        }
        self.pays != (self.phase == Phase::Trial)
    }

    fn look(&mut self, now: Instant) {
        self.events += std::mem::take(&mut self.unseen);
        let Some(began) = self.began else {
            self.begin_span(now);
            return;
        };
        let lasted = now.duration_since(began);
        if lasted < MIN_SPAN {
            return;
        }
        let rate = f64::from(self.events) / lasted.as_secs_f64();
        if rate * MIN_SPAN.as_secs_f64() >= f64::from(MIN_EVENTS) {
            self.light_spans = 0;
            self.end_span(rate);
        } else {
            self.light_spans += 1;
            if self.light_spans >= MAX_LIGHT_SPANS || lasted > MAX_SPAN {
                *self = Self::new(Rule::Measured);
            }
        }
        self.begin_span(now);
    }

    fn begin_span(&mut self, now: Instant) {
        self.began = Some(now);
        self.events = 0;
    }

    fn end_span(&mut self, rate: f64) {
        self.phase = match self.phase {
            Phase::Pause(0) => {
                self.before = rate;
                Phase::Trial
            }
            Phase::Pause(left) => Phase::Pause(left - 1),
            Phase::Trial => Phase::After(rate),
            Phase::After(trial) => {
                self.decide(trial, f64::midpoint(self.before, rate));
                Phase::Pause(self.pause)
            }
        };
    }

    fn decide(&mut self, trial: f64, current: f64) {
        let (with, without) = if self.pays {
            (current, trial)
        } else {
            (trial, current)
        };
        let pays = with > without * MIN_SPEEDUP;
        let differs = pays != self.pays;
        if differs && self.doubts {
            self.pays = pays;
            self.pause = MIN_PAUSE_SPANS;
        } else if differs {
            self.pause = 0;
        } else {
            self.pause = (self.pause * 2).clamp(MIN_PAUSE_SPANS, MAX_PAUSE_SPANS);
        }
        self.doubts = differs && !self.doubts;
    }
}

#[cfg(all(test, not(lab_loom), not(lab_shuttle)))]
mod tests {
    use super::*;

    /// A machine that serves this many events per second with sharing and without; each span is off by up to `noise`.
    struct Machine {
        with: f64,
        without: f64,
        noise: f64,
        /// Events that are reported at a time. This many are a full report.
        events: usize,
        random: u64,
        now: Instant,
    }

    impl Machine {
        fn new(with: f64, without: f64) -> Self {
            Self {
                with,
                without,
                noise: 0.0,
                events: 8,
                random: 0x9E37_79B9_7F4A_7C15,
                now: Instant::now(),
            }
        }

        fn noise(&mut self) -> f64 {
            self.random ^= self.random << 13;
            self.random ^= self.random >> 7;
            self.random ^= self.random << 17;
            1.0 + self.noise * ((self.random >> 11) as f64 / (1_u64 << 52) as f64 - 1.0)
        }

        fn report(&self, measure: &mut Measure, sockets: usize) -> bool {
            measure.reported(sockets, self.now)
        }

        /// Serves for this long. Returns the part of the time with sharing.
        fn serve(&mut self, measure: &mut Measure, duration: Duration) -> f64 {
            let begun = self.now;
            let mut helped = Duration::ZERO;
            let mut is_helped = self.report(measure, 0);
            while self.now < begun + duration {
                let rate = if is_helped { self.with } else { self.without };
                let took = Duration::from_secs_f64(self.events as f64 / (rate * self.noise()));
                self.now += took;
                if is_helped {
                    helped += took;
                }
                is_helped = self.report(measure, self.events);
            }
            helped.as_secs_f64() / (self.now - begun).as_secs_f64()
        }
    }

    const LEARNING: Duration = Duration::from_millis(100);
    const LONG: Duration = Duration::from_secs(5);

    fn helped(with: f64, without: f64, noise: f64) -> f64 {
        let mut machine = Machine::new(with, without);
        machine.noise = noise;
        let mut measure = Measure::new(Rule::Measured);
        machine.serve(&mut measure, LEARNING);
        machine.serve(&mut measure, LONG)
    }

    #[test]
    fn a_spare_processor_is_used() {
        assert!(helped(450e3, 300e3, 0.2) > 0.95);
    }

    #[test]
    fn sharing_that_slows_down_is_ended() {
        assert!(helped(250e3, 300e3, 0.2) < 0.05);
    }

    #[test]
    fn at_a_tie_one_worker_serves() {
        assert!(helped(300e3, 300e3, 0.1) < 0.1);
    }

    #[test]
    fn few_events_do_not_end_sharing() {
        assert_eq!(helped(10e3, 20e3, 0.1), 1.0);
    }

    #[test]
    fn a_change_is_noticed_within_a_second() {
        let mut machine = Machine::new(250e3, 300e3);
        let mut measure = Measure::new(Rule::Measured);
        assert!(machine.serve(&mut measure, LONG) < 0.1);
        // The other processes are gone.
        machine.with = 500e3;
        machine.serve(&mut measure, Duration::from_secs(1));
        assert!(machine.serve(&mut measure, LONG) > 0.9);
        // The load falls, and the results are forgotten.
        (machine.with, machine.without) = (250e3, 300e3);
        machine.serve(&mut measure, LONG);
        (machine.with, machine.without) = (10e3, 10e3);
        machine.serve(&mut measure, LEARNING);
        assert_eq!(machine.serve(&mut measure, LONG), 1.0);
    }

    #[test]
    fn the_knob_decides_without_measuring() {
        let machine = Machine::new(1.0, 1.0);
        let (mut always, mut never) = (Measure::new(Rule::Always), Measure::new(Rule::Never));
        for _ in 0..1000 {
            assert!(machine.report(&mut always, 128));
            assert!(!machine.report(&mut never, 128));
        }
        assert_eq!((always.began, never.began), (None, None));
    }

    /// Whatever events come, it is never stuck in a trial, and always tries again.
    #[test]
    fn trials_end_and_are_repeated() {
        let mut machine = Machine::new(1.0, 1.0);
        machine.noise = 1.0;
        let mut measure = Measure::new(Rule::Measured);
        let (mut in_trial, mut since_trial) = (0, 0);
        for _ in 0..10_000 {
            machine.now += MIN_SPAN;
            let events = MIN_EVENTS + (10_000.0 * machine.noise()) as u32;
            let _ = machine.report(&mut measure, events as usize);
            if measure.phase == Phase::Trial {
                (in_trial, since_trial) = (in_trial + 1, 0);
            } else {
                (in_trial, since_trial) = (0, since_trial + 1);
            }
            assert!(in_trial <= 1 && since_trial <= MAX_PAUSE_SPANS + 3);
        }
    }
}
