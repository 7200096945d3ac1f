#![doc = include_str!("README.md")]

mod block_in_place;
mod guard;
mod relief;
mod report;
mod watch;

#[cfg(all(test, lab_loom))]
mod loom_tests;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use runtime_core::park::{Parker, Unparker};
use runtime_core::primitives::atomic::{
    AtomicBool,
    Ordering::{Relaxed, SeqCst},
    fence,
};
use runtime_core::primitives::{Mutex, thread};

use crate::ask::dispose;
use crate::remote::{CLOSURE, Observed};
use crate::shared::Shared;
use guard::{CloseWatch, Guard, Left};
use relief::Spares;
use report::{Memory, Report};
use watch::{Glance, Verdict, Watch};

pub use block_in_place::block_in_place;
pub(crate) use report::Callback;
pub use report::StuckPoll;

/// So many looks at which nothing happened, and the monitor goes to sleep.
const QUIET_LOOKS: u32 = 10;
/// The pause between two looks while a worker is awake.
const PAUSE: Duration = Duration::from_millis(1);
/// The pause while all workers sleep or wait in `block_in_place`.
const IDLE_PAUSE: Duration = Duration::from_millis(5);
/// The pause while wake-ups are throttled, or when something waits behind a poll.
const CLOSE_PAUSE: Duration = Duration::from_micros(200);
/// So many close looks at which nothing waited, and the monitor does not watch closely any more.
const CLOSE_LOOKS: u32 = 50;
/// The shortest pause between two looks.
const SHORTEST_PAUSE: Duration = Duration::from_micros(250);

/// What the builder was told.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) enabled: bool,
    /// A poll that lasts longer is stuck.
    pub(crate) threshold: Duration,
    pub(crate) most_spares: usize,
    /// How long a spare worker's thread waits to be needed again.
    pub(crate) spare_keep_alive: Duration,
    /// Threads of the batch lane; `None`: as many as workers.
    pub(crate) batch_threads: Option<usize>,
    pub(crate) batch_nice: i32,
    pub(crate) warns: bool,
    pub(crate) callback: Option<Callback>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            enabled: true,
            threshold: Duration::from_millis(10),
            most_spares: 8,
            spare_keep_alive: Duration::from_secs(10),
            batch_threads: None,
            batch_nice: 6,
            warns: true,
            callback: None,
        }
    }
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings")
            .field("enabled", &self.enabled)
            .field("threshold", &self.threshold)
            .field("most_spares", &self.most_spares)
            .finish_non_exhaustive()
    }
}

impl Settings {
    pub(crate) fn spares(&self) -> usize {
        // Without a monitor `block_in_place` still needs some.
        self.most_spares
    }

    pub(crate) fn batch_threads(&self, workers: usize) -> usize {
        if self.enabled {
            self.batch_threads.unwrap_or(workers)
        } else {
            0
        }
    }
}

pub(crate) struct Monitor {
    is_on: bool,
    threshold: Duration,
    pub(crate) spare_keep_alive: Duration,
    gate: Gate,
    close_watch: CloseWatch,
    pub(crate) spares: Spares,
    pub(crate) report: Report,
    unparker: Unparker,
    /// Until the thread takes it.
    parker: Mutex<Option<Parker>>,
}

/// The monitor's sleep.
#[derive(Debug)]
struct Gate {
    asleep: AtomicBool,
}

impl Gate {
    fn new() -> Self {
        Self {
            asleep: AtomicBool::new(false),
        }
    }

    /// The monitor announces that it sleeps. It must look at the workers once more before it does.
    fn announce(&self) {
        self.asleep.store(true, Relaxed);
        // Pairs with the fence of a worker that wakes up.
        fence(SeqCst);
    }

    fn take_back(&self) {
        self.asleep.store(false, Relaxed);
    }

    /// A worker woke up, and has a fence behind it. True: it must wake the monitor.
    fn worker_woke(&self) -> bool {
        self.asleep.load(Relaxed) && self.asleep.swap(false, Relaxed)
    }
}

impl Monitor {
    pub(crate) fn new(
        settings: Settings,
        workers: usize,
        spares: Vec<crate::local::Parts>,
    ) -> Self {
        let parker = Parker::new();
        Self {
            is_on: settings.enabled,
            threshold: settings.threshold,
            spare_keep_alive: settings.spare_keep_alive,
            gate: Gate::new(),
            close_watch: CloseWatch::default(),
            spares: Spares::new(workers, spares),
            unparker: parker.unparker(),
            parker: Mutex::new(settings.enabled.then_some(parker)),
            report: Report::new(settings.warns, settings.callback),
        }
    }

    /// Starts the thread, if there is to be one.
    pub(crate) fn start(shared: &Arc<Shared>) -> std::io::Result<()> {
        let Some(parker) = shared.monitor.parker.lock().take() else {
            return Ok(());
        };
        if !shared.admit_thread() {
            return Ok(());
        }
        let of_thread = Arc::clone(shared);
        let started = thread::Builder::new()
            .name(format!("{}-monitor", shared.thread_name))
            .spawn(move || {
                of_thread.own_this_thread();
                Looks::new(&of_thread).run(&parker);
                of_thread.thread_ended();
            });
        if started.is_err() {
            shared.thread_ended();
        }
        started.map(drop)
    }

    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        self.is_on
    }

    /// How many workers there are, with the spare ones that ever stood in.
    #[inline]
    pub(crate) fn reach(&self) -> usize {
        self.spares.reach()
    }

    /// A worker woke up. It has a fence behind it.
    #[inline]
    pub(crate) fn worker_woke(&self) {
        if self.gate.worker_woke() {
            self.unparker.unpark();
        }
    }

    /// Whether whatever waits behind a poll is found within a fraction of a millisecond, so that a worker need not wake
    /// anybody for it.
    #[inline]
    pub(crate) fn watches_closely(&self) -> bool {
        self.close_watch.is_on()
    }

    /// From now on it is.
    pub(crate) fn watch_closely(&self) {
        if self.is_on && self.close_watch.begin() {
            self.unparker.unpark();
        }
    }

    /// The runtime has closed: the thread ends.
    pub(crate) fn close(&self) {
        self.unparker.unpark();
    }
}

/// The monitor's thread.
struct Looks<'a> {
    shared: &'a Arc<Shared>,
    watches: Vec<Watch>,
    guards: Vec<Guard>,
    memory: Memory,
    /// Something waited behind a poll at the last look: it is worth another look soon.
    has_suspects: bool,
    /// Close looks in a row at which nothing waited.
    calm_looks: u32,
    /// Whether what was last caught there is a closure, which is not reported.
    in_closure: Vec<bool>,
    /// The sum of all workers' progress at the last look.
    progress: u64,
}

impl<'a> Looks<'a> {
    fn new(shared: &'a Arc<Shared>) -> Self {
        let now = Instant::now();
        Self {
            shared,
            watches: shared.remotes.iter().map(|_| Watch::new(now)).collect(),
            guards: shared.remotes.iter().map(|_| Guard::default()).collect(),
            memory: Memory::default(),
            has_suspects: false,
            calm_looks: 0,
            in_closure: vec![false; shared.remotes.len()],
            progress: 0,
        }
    }

    fn run(mut self, parker: &Parker) {
        let monitor = &self.shared.monitor;
        let period = monitor.threshold / 2;
        let mut quiet_looks = 0;
        while !self.shared.closed.load(SeqCst) {
            let now = Instant::now();
            // It calls wakers of whoever waits for a timer. A panic of theirs must not end the watch.
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
                quiet_looks += 1;
            } else {
                quiet_looks = 0;
            }
            if quiet_looks >= QUIET_LOOKS && !monitor.close_watch.is_on() {
                monitor.gate.announce();
                if self.all_asleep() && !self.shared.closed.load(SeqCst) {
                    parker.park(None);
                }
                monitor.gate.take_back();
                self.memory.forget_ended();
                quiet_looks = 0;
                continue;
            }
            let pause = self
                .next_timer_of_stuck(stuck, now, period)
                .min(self.pause());
            parker.park(Some(now + pause));
        }
    }

    /// Wakes a sleeper for what waits behind a poll for longer than a wake-up takes, and of which nobody knows.
    fn guard(&mut self) {
        let shared = self.shared;
        self.has_suspects = false;
        let mut has_waiting = false;
        let somebody_sleeps = shared.idle.sleeping() > 0;
        let is_unwatched = somebody_sleeps && relief::is_unwatched(shared);
        for (index, remote) in shared.reach().iter().enumerate() {
            has_waiting |= remote.has_waiting();
            let is_busy = remote.current() != 0 && !remote.observed.in_place.load(Relaxed);
            let left = if !is_busy || !somebody_sleeps {
                Left::Nothing
            } else if is_unwatched {
                Left::Queued
            } else {
                relief::left(shared, index)
            };
            match self.guards[index].look(left, remote.progress()) {
                guard::Verdict::Fine => {}
                guard::Verdict::Suspect => self.has_suspects = true,
                guard::Verdict::Waits => {
                    self.has_suspects = true;
                    relief::help(shared, index, left);
                }
            }
        }
        let counts = !has_waiting && shared.monitor.close_watch.is_on();
        self.calm_looks = if counts { self.calm_looks + 1 } else { 0 };
    }

    /// Nobody throttles wake-ups any more, as far as the monitor can see: workers wake others at once from now on.
    fn end_close_watch(&mut self) {
        let watch = &self.shared.monitor.close_watch;
        if watch.is_on() && self.calm_looks >= CLOSE_LOOKS {
            watch.end();
        }
    }

    /// The pause until the next look, if no worker is stuck.
    fn pause(&self) -> Duration {
        if self.has_suspects || self.shared.monitor.close_watch.is_on() {
            CLOSE_PAUSE
        } else if self.nobody_polls() {
            IDLE_PAUSE
        } else {
            PAUSE
        }
    }

    /// Looks at each worker, and relieves those that are stuck. Returns how many are.
    fn look(&mut self, now: Instant) -> usize {
        let shared = self.shared;
        let (mut caught, mut away) = (0, 0);
        for (index, remote) in shared.reach().iter().enumerate() {
            let observed = &remote.observed;
            if observed.in_place.load(Relaxed) {
                away += 1;
                continue;
            }
            let task = remote.current();
            let glance = Glance {
                progress: remote.progress(),
                in_poll: task != 0,
            };
            let watch = &mut self.watches[index];
            let waited = || waited_for_processor(observed.thread());
            match watch.look(glance, now, shared.monitor.threshold, waited) {
                Verdict::Fine => {}
                Verdict::Returned(_) if self.in_closure[index] => {}
                Verdict::Returned(lasted) => shared.monitor.report.returned(lasted),
                // A closure of a fork-join may take its time; tasks must not wait for it.
                Verdict::Caught(_) if task == CLOSURE => {
                    self.in_closure[index] = true;
                    caught += 1;
                }
                Verdict::Caught(lasted) => {
                    self.in_closure[index] = false;
                    caught += 1;
                    let catch = report::Catch {
                        worker: index,
                        task,
                        progress: glance.progress,
                        lasted,
                    };
                    let report = &shared.monitor.report;
                    report.caught(shared, &mut self.memory, &catch, now);
                }
                Verdict::Stuck => caught += 1,
            }
        }
        shared.monitor.spares.set_caught(caught);
        if caught + away > 0 {
            // What is taken from a stuck worker is in nobody's queue for a moment.
            let _hold = shared.clock.hold();
            for (index, remote) in shared.reach().iter().enumerate() {
                if self.watches[index].is_caught() || remote.observed.in_place.load(Relaxed) {
                    relief::relieve(shared, index);
                }
            }
        }
        relief::call_off_surplus(shared);
        caught + away
    }

    /// The pause until the next look: while workers are stuck, not past their next timer.
    fn next_timer_of_stuck(&self, stuck: usize, now: Instant, period: Duration) -> Duration {
        if stuck == 0 || self.shared.clock.is_simulated() {
            return period;
        }
        let deadlines = self
            .shared
            .reach()
            .iter()
            .filter(|remote| !remote.observed.asleep.load(Relaxed))
            .filter_map(|remote| remote.timers.next_deadline());
        deadlines
            .map(|deadline| deadline.saturating_duration_since(now))
            .min()
            .unwrap_or(period)
            .clamp(SHORTEST_PAUSE, period)
    }

    /// Whether nothing has happened since the last look, and all sleep.
    fn is_quiet(&mut self) -> bool {
        let all = self.shared.reach().iter();
        let progress = all.fold(0, |sum, remote| remote.progress().wrapping_add(sum));
        let same = progress == self.progress;
        self.progress = progress;
        same && self.all_asleep()
    }

    fn all_asleep(&self) -> bool {
        self.all(|observed| observed.asleep.load(Relaxed))
    }

    /// Whether each worker sleeps or waits in `block_in_place`: there is no poll that could get stuck.
    fn nobody_polls(&self) -> bool {
        self.all(|it| it.asleep.load(Relaxed) || it.in_place.load(Relaxed))
    }

    /// Whether it holds for each worker, and each spare one that stands in.
    fn all(&self, holds: impl Fn(&Observed) -> bool) -> bool {
        let mut all = self.shared.reach().iter().enumerate();
        all.all(|(index, remote)| {
            let is_retired =
                index >= self.shared.workers && !remote.observed.stands_in.load(Relaxed);
            is_retired || holds(&remote.observed)
        })
    }
}

/// How long a thread was ready to run but had no processor, in all. Zero where the kernel does not tell.
fn waited_for_processor(thread: u32) -> Duration {
    let path = format!("/proc/self/task/{thread}/schedstat");
    let line = std::fs::read_to_string(path).unwrap_or_default();
    let waited_ns = line
        .split_whitespace()
        .nth(1)
        .and_then(|field| field.parse().ok());
    Duration::from_nanos(waited_ns.unwrap_or(0))
}
