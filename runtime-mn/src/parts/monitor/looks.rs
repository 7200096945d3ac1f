//! The monitor's thread: what it checks, how often, and when it sleeps.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::time::{Duration, Instant};

use runtime_core::park::Parker;
use runtime_core::primitives::now;

use super::guard::{self, Guard, Left};
use super::hand_off;
use super::observed::{NOT_A_TASK, Observed};
use super::report::{Catch, Memory};
use super::state::{self, Monitor};
use super::watch::{Look, Verdict, Watch};
use crate::parts::part::{Has, seen};
use crate::policy::asking::dispose;
use crate::scheduler::Shared;
use crate::seam::facts::SharedEvent;

/// The monitor goes to sleep after this many checks at which nothing happened.
const QUIET_CHECKS: u32 = 10;
/// The pause between two checks while a worker is awake.
const PAUSE: Duration = Duration::from_millis(1);
/// The pause while all workers sleep or wait in `block_in_place`.
const IDLE_PAUSE: Duration = Duration::from_millis(5);
/// The pause while wake-ups are throttled, or when something waits behind a poll.
const CLOSE_PAUSE: Duration = Duration::from_micros(200);
/// The close watch ends after this many checks in a row at which nothing waited.
const CALM_CHECKS: u32 = 50;
/// The shortest pause between two checks.
const MIN_PAUSE: Duration = Duration::from_micros(250);

/// The monitor's thread.
pub(super) struct Looks<'a, H: Has<Monitor>> {
    shared: &'a Arc<Shared<H>>,
    watches: Vec<Watch>,
    guards: Vec<Guard>,
    memory: Memory,
    /// Something waited behind a poll at the last check, so the next one should come soon.
    has_suspects: bool,
    /// Checks of the close watch in a row at which nothing waited.
    calm_checks: u32,
    /// Whether the work that was last caught there is not a task. Such work is not reported.
    in_other_work: Vec<bool>,
    /// The sum of all workers' progress at the last check.
    progress: u64,
}

impl<'a, H: Has<Monitor>> Looks<'a, H> {
    pub(super) fn new(shared: &'a Arc<Shared<H>>) -> Self {
        let now = now();
        Self {
            shared,
            watches: shared.remotes.iter().map(|_| Watch::new(now)).collect(),
            guards: shared.remotes.iter().map(|_| Guard::default()).collect(),
            memory: Memory::default(),
            has_suspects: false,
            calm_checks: 0,
            in_other_work: vec![false; shared.remotes.len()],
            progress: 0,
        }
    }

    pub(super) fn run(mut self, parker: &Parker) {
        let monitor = self.shared.parts.part();
        let period = monitor.threshold / 2;
        let mut quiet_checks = 0;
        while !self.shared.closed.load(SeqCst) {
            let now = now();
            // This calls wakers of tasks that wait for timers. Their panics must not end the watch.
            let looked = catch_unwind(AssertUnwindSafe(|| {
                self.guard();
                self.look(now)
            }));
            let stuck = looked.unwrap_or_else(|payload| {
                dispose(payload);
                1
            });
            self.end_close_watch();
            if stuck == 0 && self.is_quiet() {
                quiet_checks += 1;
            } else {
                quiet_checks = 0;
            }
            if quiet_checks >= QUIET_CHECKS && !monitor.close_watch.is_on() {
                monitor.gate.announce();
                if self.all_asleep() && !self.shared.closed.load(SeqCst) {
                    parker.park(None);
                }
                monitor.gate.take_back();
                self.memory.forget_ended();
                quiet_checks = 0;
                continue;
            }
            let pause = self
                .next_timer_of_stuck(stuck, now, period)
                .min(self.pause());
            parker.park(Some(now + pause));
        }
    }

    /// Wakes a sleeper for work that waits behind a poll for longer than a wake-up takes, unknown to the sleepers.
    fn guard(&mut self) {
        let shared = self.shared;
        self.has_suspects = false;
        let mut has_waiting = false;
        let has_sleepers = shared.idle.sleeping() > 0;
        let is_unwatched = has_sleepers && hand_off::is_unwatched(shared);
        for index in 0..shared.active().len() {
            // Throttled work: no sleeper is woken for it. The slot, and what an I/O owner keeps, never wake a sleeper
            // anyway.
            has_waiting |= has_sleepers && shared.has_tasks(index, H::shares_fifo(shared, index));
            let observed = self.observed(index);
            let is_busy = observed.current() != 0 && !observed.in_place.load(Relaxed);
            let left = if !is_busy || !has_sleepers {
                Left::Nothing
            } else if is_unwatched {
                Left::Queued
            } else {
                hand_off::left(shared, index)
            };
            match self.guards[index].look(left, state::progress(shared, index)) {
                guard::Verdict::Fine => {}
                guard::Verdict::Suspect => self.has_suspects = true,
                guard::Verdict::Waits => {
                    self.has_suspects = true;
                    hand_off::help(shared, index, left);
                }
            }
        }
        let counts = !has_waiting && shared.parts.part().close_watch.is_on();
        self.calm_checks = if counts { self.calm_checks + 1 } else { 0 };
    }

    /// As far as the monitor can see, no worker is throttled any more: from now on workers wake others at once.
    fn end_close_watch(&mut self) {
        let watch = &self.shared.parts.part().close_watch;
        if watch.is_on() && self.calm_checks >= CALM_CHECKS {
            watch.end();
        }
    }

    /// The pause until the next check, if no worker is stuck.
    fn pause(&self) -> Duration {
        if self.has_suspects || self.shared.parts.part().close_watch.is_on() {
            CLOSE_PAUSE
        } else if self.all_asleep_or_blocked() {
            IDLE_PAUSE
        } else {
            PAUSE
        }
    }

    /// Checks each worker, and hands off the queues of those that are stuck or away. Returns how many these are.
    fn look(&mut self, now: Instant) -> usize {
        let shared = self.shared;
        let (mut caught, mut away) = (0, 0);
        for index in 0..shared.active().len() {
            let observed = seen::<Monitor, H>(shared, index);
            if observed.in_place.load(Relaxed) {
                away += 1;
                continue;
            }
            let task = observed.current();
            let look = Look {
                progress: state::progress(shared, index),
                in_poll: task != 0,
            };
            let watch = &mut self.watches[index];
            let waited = || waited_for_processor(observed.thread());
            match watch.look(look, now, shared.parts.part().threshold, waited) {
                Verdict::Fine => {}
                Verdict::Returned(_) if self.in_other_work[index] => {}
                Verdict::Returned(lasted) => shared.parts.part().report.returned(lasted),
                // Work that is not a task may take long, but tasks must not wait for it.
                Verdict::Caught(_) if task == NOT_A_TASK => {
                    self.in_other_work[index] = true;
                    caught += 1;
                }
                Verdict::Caught(lasted) => {
                    self.in_other_work[index] = false;
                    caught += 1;
                    let catch = Catch {
                        worker: index,
                        task,
                        progress: look.progress,
                        lasted,
                    };
                    self.caught(&catch, now);
                }
                Verdict::Stuck => caught += 1,
            }
        }
        shared.parts.part().replacements.set_caught(caught);
        if caught + away > 0 {
            // What is taken from a stuck worker is in no queue for a moment.
            let _hold = shared.clock.hold();
            for index in 0..shared.active().len() {
                let is_away = self.observed(index).in_place.load(Relaxed);
                if self.watches[index].is_caught() || is_away {
                    hand_off::hand_off(shared, index);
                }
            }
        }
        hand_off::call_off_surplus(shared);
        caught + away
    }

    /// Call this when a poll was caught: it counts the poll, and names, remembers and reports the task.
    fn caught(&mut self, catch: &Catch, now: Instant) {
        let (shared, worker) = (self.shared, catch.worker);
        let report = &shared.parts.part().report;
        report.count();
        let Some(task) = shared.arena.find_live(catch.task) else {
            return;
        };
        if self.observed(worker).current() != catch.task
            || state::progress(shared, worker) != catch.progress
        {
            // The poll has returned just now, and the memory may already belong to another task.
            return;
        }
        let times = self.memory.count(&task);
        H::observe_shared(shared, SharedEvent::Caught(&task, times));
        report.report_task(&mut self.memory, &task, catch, times, now);
    }

    /// The pause until the next check. While workers are stuck, it is not longer than until their next timer.
    fn next_timer_of_stuck(&self, stuck: usize, now: Instant, period: Duration) -> Duration {
        if stuck == 0 || self.shared.clock.is_simulated() {
            return period;
        }
        let deadlines = self
            .shared
            .active()
            .iter()
            .filter(|remote| !H::seen(&remote.parts).asleep.load(Relaxed))
            .filter_map(|remote| remote.timers.next_deadline());
        deadlines
            .map(|deadline| deadline.saturating_duration_since(now))
            .min()
            .unwrap_or(period)
            .clamp(MIN_PAUSE, period)
    }

    /// Whether nothing has happened since the last check, and all workers sleep.
    fn is_quiet(&mut self) -> bool {
        let all = 0..self.shared.active().len();
        let progress = all.fold(0, |sum: u64, worker| {
            sum.wrapping_add(state::progress(self.shared, worker))
        });
        let same = progress == self.progress;
        self.progress = progress;
        same && self.all_asleep()
    }

    fn all_asleep(&self) -> bool {
        self.all(|observed| observed.asleep.load(Relaxed))
    }

    /// Whether each worker sleeps or waits in `block_in_place`: no poll could get stuck.
    fn all_asleep_or_blocked(&self) -> bool {
        self.all(|it| it.asleep.load(Relaxed) || it.in_place.load(Relaxed))
    }

    /// Whether `holds` is true for each worker, except for replacement workers that are not needed at present.
    fn all(&self, holds: impl Fn(&Observed) -> bool) -> bool {
        let mut all = 0..self.shared.active().len();
        all.all(|worker| {
            let observed = self.observed(worker);
            let waits = worker >= self.shared.workers && !observed.is_replacing.load(Relaxed);
            waits || holds(observed)
        })
    }

    fn observed(&self, worker: usize) -> &'a Observed {
        seen::<Monitor, H>(self.shared, worker)
    }
}

/// How long a thread was ready to run without a processor, in total. Zero if the kernel does not report it.
fn waited_for_processor(thread: u32) -> Duration {
    if cfg!(lab_shuttle) {
        // For the kernel, all threads of shuttle are one.
        return Duration::ZERO;
    }
    let path = format!("/proc/self/task/{thread}/schedstat");
    let line = std::fs::read_to_string(path).unwrap_or_default();
    let waited_ns = line
        .split_whitespace()
        .nth(1)
        .and_then(|field| field.parse().ok());
    Duration::from_nanos(waited_ns.unwrap_or(0))
}
