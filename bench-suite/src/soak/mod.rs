#![doc = include_str!("README.md")]

mod activities;
mod census;
mod ledger;
mod life;
mod world;

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use runtime_core::LaunchConfig;
use runtime_core::reactor::ReactorKind;

use crate::cli::SoakArgs;
use crate::error::CommandError;
use crate::launch_request::LaunchRequest;
use crate::launcher::Launcher;
use crate::registry::{Registry, RuntimeInfo};
use crate::stopping;
use crate::suggest;
use crate::terminal;
use crate::units;

use census::Census;
use ledger::Ledger;
use life::Orders;
use world::{Faults, Tally};

/// The fewest lives per runtime, however short the time.
const MIN_LIVES: u32 = 4;
/// How long leftovers of a life may take to disappear, after its last blocking job.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(10);
/// A life that should have ended is reported after this time.
const LIFE_TIMEOUT: Duration = Duration::from_secs(60);
/// Memory may grow by half of its size after the warm-up, plus this much.
const SLACK_BYTES: u64 = 32 << 20;

/// `lab soak`: starts, misuses and ends runtimes until the time is over or a leak is found.
///
/// # Errors
/// [`CommandError::Failed`] with the leak or the fault; [`CommandError::Interrupted`] after a signal;
/// [`CommandError::Usage`] for unknown names.
pub fn run(registry: &Registry, arguments: &SoakArgs) -> Result<(), CommandError> {
    let subjects = subjects(registry, arguments)?;
    let seed = arguments.seed.unwrap_or_else(|| fastrand::u64(..1_000_000));
    let stop = Arc::new(AtomicBool::new(false));
    for signal in stopping::signals() {
        // In this order, the first signal asks to stop, and the second ends the process.
        signal_hook::flag::register_conditional_shutdown(
            signal,
            stopping::INTERRUPTED.into(),
            Arc::clone(&stop),
        )
        .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&stop)))
        .map_err(|error| CommandError::Failed(format!("cannot listen for signals: {error}")))?;
    }
    let watchdog = Watchdog::start().map_err(|error| {
        CommandError::Failed(format!("soak: the system refused a thread ({error})"))
    })?;
    let ledger = Ledger::of_process();
    let share = arguments.duration / u32::try_from(subjects.len()).unwrap_or(1);
    let names: Vec<&str> = subjects.iter().map(|subject| subject.info.name).collect();
    say(&format!(
        "soaking {}, {} each; seed {seed}",
        names.join(", "),
        units::duration_ns(share.as_nanos() as f64),
    ))?;
    for subject in &subjects {
        let mut soak = Soak {
            subject,
            seed,
            ledger,
            watchdog: &watchdog,
            tally: Arc::new(Tally::default()),
            lives: 0,
            begun: Instant::now(),
        };
        let failed = |what: String| {
            let name = subject.info.name;
            CommandError::Failed(format!(
                "soak: {name}: {what}; repeat it with --seed {seed}"
            ))
        };
        match soak.all(share, &stop) {
            Ok(()) => say(&format!(
                "{}: nothing is left. {}",
                subject.info.name,
                soak.summary()
            ))?,
            Err(what) => return Err(failed(what)),
        }
        if stop.load(Relaxed) {
            return Err(CommandError::Interrupted(
                "interrupted; nothing was left until then".to_owned(),
            ));
        }
    }
    Ok(())
}

/// A runtime to be soaked, with the requested configuration.
struct Subject<'a> {
    info: &'a RuntimeInfo,
    launcher: Launcher,
    config: LaunchConfig,
    /// Whether each life draws a new number of workers and a new reactor.
    any_workers: bool,
}

fn subjects<'a>(
    registry: &'a Registry,
    arguments: &SoakArgs,
) -> Result<Vec<Subject<'a>>, CommandError> {
    if arguments.workers == Some(0) {
        return Err(CommandError::Usage(
            "--workers 0: at least one worker is needed".to_owned(),
        ));
    }
    let asked = LaunchRequest {
        workers: arguments.workers,
        policy: arguments.scheduler.policy.clone(),
        knobs: arguments.scheduler.knobs.clone(),
        without: arguments.scheduler.without.clone(),
    };
    let startable = || {
        registry
            .runtimes
            .iter()
            .filter(|info| info.launcher.is_some())
    };
    let mut chosen: Vec<&RuntimeInfo> = Vec::new();
    for name in &arguments.runtimes {
        let known = || startable().map(|info| info.name);
        let info = startable()
            .find(|info| info.name == name)
            .ok_or_else(|| CommandError::Usage(suggest::unknown("runtime", name, known())))?;
        chosen.push(info);
    }
    if chosen.is_empty() {
        chosen.extend(startable().filter(|info| info.ours));
        // A requested choice selects the runtimes that have it.
        let fits = |info: &&RuntimeInfo| asked.config(info.launcher).is_ok();
        if chosen.iter().any(fits) {
            chosen.retain(fits);
        }
    }
    chosen
        .into_iter()
        .filter_map(|info| Some((info, info.launcher?)))
        .map(|(info, launcher)| {
            let config = asked.config(Some(launcher))?;
            // Report refused choices before the first life.
            launcher.probe(&config).map_err(|error| {
                CommandError::Usage(format!(
                    "{} can't be started with these settings: {error}",
                    info.name
                ))
            })?;
            Ok(Subject {
                info,
                launcher,
                config,
                any_workers: arguments.workers.is_none(),
            })
        })
        .collect()
}

/// One runtime's lives.
struct Soak<'a> {
    subject: &'a Subject<'a>,
    seed: u64,
    ledger: &'static Ledger,
    watchdog: &'a Watchdog,
    tally: Arc<Tally>,
    lives: u32,
    begun: Instant,
}

impl Soak<'_> {
    /// # Errors
    /// What leaked or was wrong, in words.
    fn all(&mut self, duration: Duration, stop: &AtomicBool) -> Result<(), String> {
        let mut random = fastrand::Rng::with_seed(self.seed);
        let before = Census::take();
        let mut level: Option<u64> = None;
        let interval = (duration / 10).max(Duration::from_secs(1));
        let mut next_line = interval;
        while self.begun.elapsed() < duration || self.lives < MIN_LIVES {
            if stop.load(Relaxed) {
                break;
            }
            self.one(&mut random, &before)?;
            self.lives += 1;
            let elapsed = self.begun.elapsed();
            if let Some(bytes) = Census::take().resident_bytes {
                if elapsed < duration / 4 || self.lives < MIN_LIVES {
                    level = level.max(Some(bytes));
                } else if let Some(level) =
                    level.filter(|level| bytes > level + level / 2 + SLACK_BYTES)
                {
                    let [now, then] = [bytes, level].map(|bytes| units::bytes(bytes as f64));
                    return Err(format!(
                        "memory grows: {now} after {} lives, {then} after the warm-up",
                        self.lives
                    ));
                }
            }
            if elapsed >= next_line {
                next_line = elapsed + interval;
                // The final line reports whether standard output works.
                let _ = say(&format!("{}: {}", self.subject.info.name, self.summary()));
            }
        }
        Ok(())
    }

    fn one(&mut self, random: &mut fastrand::Rng, before: &Census) -> Result<(), String> {
        let mut config = self.subject.config.clone();
        if self.subject.any_workers {
            config.workers = random.usize(1..=4);
        }
        if !config.knobs.contains_key("reactor") {
            config.reactor = ReactorKind::ALL[random.usize(..ReactorKind::ALL.len())];
        }
        let faults = Arc::new(Faults::default());
        let orders = Orders {
            seed: random.u64(..),
            duration: Duration::from_millis(random.u64(20..400)),
            orderly: random.bool(),
            contract: self.subject.info.ours,
            ledger: self.ledger,
            tally: Arc::clone(&self.tally),
            faults: Arc::clone(&faults),
        };
        let life = self.lives + 1;
        let name = self.subject.info.name;
        self.watchdog.expect(Some(format!(
            "soak: {name}: life {life} does not end; repeat it with --seed {}",
            self.seed
        )));
        let live_tasks = life::run(&self.subject.launcher, &config, orders)
            .map_err(|error| format!("life {life} did not start: {error}"))?;
        self.watchdog.expect(None);
        let in_life = |what: String| format!("{what} after life {life}");
        self.settle(before).map_err(in_life)?;
        if let Some(tasks @ 1..) = live_tasks {
            return Err(in_life(format!("{tasks} tasks are still counted as alive")));
        }
        match faults.first() {
            Some(fault) => Err(format!("{fault} in life {life}")),
            None => Ok(()),
        }
    }

    /// Waits until nothing is left of a life. Only blocking jobs may take a while.
    fn settle(&self, before: &Census) -> Result<(), String> {
        let deadline = Instant::now() + SETTLE_TIMEOUT;
        loop {
            let alive = self.ledger.alive();
            let beyond = Census::take().beyond(before);
            if alive == 0 && beyond.is_none() {
                break;
            }
            if Instant::now() >= deadline {
                let futures = (alive > 0).then(|| format!("{alive} futures were never dropped"));
                let left: Vec<String> = futures.into_iter().chain(beyond).collect();
                return Err(left.join("; "));
            }
            thread::sleep(Duration::from_millis(1));
        }
        let twice = self.ledger.twice();
        self.ledger.clear();
        match twice {
            0 => Ok(()),
            twice => Err(format!("{twice} futures were dropped twice")),
        }
    }

    fn summary(&self) -> String {
        let census = Census::take();
        let memory = match census.resident_bytes {
            Some(bytes) => units::bytes(bytes as f64),
            None => "unknown".to_owned(),
        };
        format!(
            "{:.1} s, {} lives: {}; {} descriptors, {} threads, {memory}",
            self.begun.elapsed().as_secs_f64(),
            self.lives,
            self.tally,
            census.descriptors(),
            census.threads(),
        )
    }
}

fn say(line: &str) -> Result<(), CommandError> {
    terminal::print(&format!("{line}\n"))
}

/// Ends the process if something does not end as expected. A deadlock is a finding and must be reported.
struct Watchdog {
    /// The message, while something is expected to end.
    message: Arc<Mutex<Option<String>>>,
    changed: mpsc::Sender<()>,
}

impl Watchdog {
    fn start() -> std::io::Result<Self> {
        let message = Arc::new(Mutex::new(None));
        let (changed, changes) = mpsc::channel();
        let watched: Arc<Mutex<Option<String>>> = Arc::clone(&message);
        thread::Builder::new().spawn(move || {
            loop {
                match changes.recv_timeout(LIFE_TIMEOUT) {
                    Ok(()) => {}
                    Err(RecvTimeoutError::Disconnected) => return,
                    Err(RecvTimeoutError::Timeout) => {
                        let message = watched.lock().unwrap_or_else(PoisonError::into_inner);
                        if let Some(line) = &*message {
                            terminal::say(line);
                            std::process::exit(1);
                        }
                    }
                }
            }
        })?;
        Ok(Self { message, changed })
    }

    /// Expects something to end, and reports `message` if it does not; with `None`, expects nothing.
    fn expect(&self, message: Option<String>) {
        *self.message.lock().unwrap_or_else(PoisonError::into_inner) = message;
        let _ = self.changed.send(());
    }
}
