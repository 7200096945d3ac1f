#![doc = include_str!("README.md")]

mod builder;
#[cfg(all(test, lab_loom))]
mod loom_tests;
mod measure;
mod owner;

use std::cell::Cell;
use std::time::{Duration, Instant};

use crossbeam_utils::CachePadded;
use runtime_core::primitives::{Mutex, MutexGuard, now, spin_loop};
use runtime_core::reactor::Polled;
use runtime_core::{Choice, Knob};

use crate::parts::part::{Has, Install, own};
use crate::policy::{IoSharing as Rule, Knobs};
use crate::scheduler::{Local, Shared};
use crate::seam::Hooks;
use crate::seam::facts::{Event, Origin, SharedEvent, State};
use crate::seam::plan::Plan;
use measure::Measure;
use owner::IoOwner;

/// The owner reads the clock at least every this many polls. While its polls stay short, it reads it every two or four
/// times as many.
const POLLS_PER_CLOCK_READ: u32 = 4;
const MAX_POLLS_PER_CLOCK_READ: u32 = 16;

/// How often a worker that goes to sleep tries again to get the poller's token while its holder does not wait: some
/// microseconds.
const TOKEN_SPINS: u32 = if cfg!(lab_shuttle) { 1 } else { 64 };
/// How many times in a row a busy worker may skip a poll of the reactor that is due.
const MAX_SKIPPED_POLLS: usize = 3;

/// Longer delays count as this one.
const MAX_DELAY: Duration = Duration::from_secs(3600);

/// The part.
#[derive(Debug)]
pub(crate) struct IoSharing {
    owner: CachePadded<IoOwner>,
    /// Only the holder of the poller's token uses it, so it is never contended.
    measure: Mutex<Measure>,
    /// If the owner's polls last longer than this, another worker is worth a wake-up.
    wake_delay: Duration,
    is_on: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    is_on: bool,
    /// `None`: the policy's.
    pub(super) rule: Option<Rule>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            is_on: true,
            rule: None,
        }
    }
}

/// What the worker knows about its time as the owner.
#[derive(Debug)]
pub(crate) struct Owning {
    /// When it last polled the reactor or read the clock, and its tick then. `None` if it is not the owner.
    since: Cell<Option<(Instant, u32)>>,
    /// Polls until it reads the clock again.
    until_clock: Cell<u32>,
    /// Polls from one reading of the clock to the next.
    clock_polls: Cell<u32>,
    /// At the last reading of the clock, its polls had lasted long.
    were_long: Cell<bool>,
    /// How many more times the worker skips a poll of the reactor that is due.
    left_out: Cell<u32>,
    /// The reactor reported as many events as it can at once.
    has_more: Cell<bool>,
}

impl State for IoSharing {
    type Local = Owning;
    type Remote = ();
}

impl Install for IoSharing {
    type Settings = Settings;
    const CHOICE: &'static [Choice] = &[Choice {
        name: "io-sharing",
        about: "one worker serves all sockets while a second one would not serve more",
    }];
    const KNOBS: &'static [Knob] = &[Knob {
        name: "io-sharing",
        about: "whether a second worker shares the tasks that sockets have woken, if there are many",
        values: "measured, always, never",
    }];

    fn adjust(settings: &Settings, knobs: &mut Knobs) {
        knobs.io_sharing = settings.rule.unwrap_or(knobs.io_sharing);
    }

    fn new(settings: &Settings, plan: &Plan) -> Self {
        let knobs = &plan.rules.knobs;
        // Without the monitor, nothing frees the tasks that the owner keeps behind a long poll.
        let may_own = settings.is_on && !knobs.wake_delay.is_zero() && !plan.clock.is_simulated();
        let rule = if may_own {
            knobs.io_sharing
        } else {
            Rule::Always
        };
        Self {
            owner: CachePadded::default(),
            measure: Mutex::new(Measure::new(rule)),
            // It is multiplied later.
            wake_delay: knobs.wake_delay.min(MAX_DELAY),
            is_on: settings.is_on,
        }
    }

    fn leave_out(settings: &mut Settings) {
        settings.is_on = false;
    }

    fn turn(settings: &mut Settings, _: &str, value: &str) -> Option<()> {
        settings.rule = Some(match value {
            "measured" => Rule::Measured,
            "always" => Rule::Always,
            "never" => Rule::Never,
            _ => return None,
        });
        Some(())
    }
}

impl<H: Has<Self>> Hooks<H> for IoSharing {
    fn local(_: &Shared<H>, _: usize) -> Owning {
        Owning {
            since: Cell::new(None),
            until_clock: Cell::new(POLLS_PER_CLOCK_READ),
            clock_polls: Cell::new(POLLS_PER_CLOCK_READ),
            were_long: Cell::new(false),
            left_out: Cell::new(0),
            has_more: Cell::new(false),
        }
    }

    fn poll_in_passing(local: &Local<H>) {
        let left_out = &own::<Self, H>(local).left_out;
        match left_out.get() {
            0 => drop(local.poll_now()),
            left => left_out.set(left - 1),
        }
    }

    #[inline]
    fn wakes_for_driven(local: &Local<H>) -> bool {
        own::<Self, H>(local).since.get().is_none()
    }

    #[inline]
    fn shares_fifo(shared: &Shared<H>, worker: usize) -> bool {
        !shared.parts.part().owner.is(worker)
    }

    /// Polls the reactor again if it had more to report.
    #[inline]
    fn do_other_work(local: &Local<H>, origin: Origin) -> bool {
        let has_asked = origin == Origin::Own
            && own::<Self, H>(local).has_more.replace(false)
            && !local.shared.parts.part().owner.is_other_than(local.index())
            && local.poll_now();
        if has_asked {
            // This may continue for long.
            local.fire_due(&local.remote.timers);
        }
        has_asked
    }

    fn poller_token(local: &Local<H>) -> Option<MutexGuard<'_, ()>> {
        if local.shared.parts.part().is_on {
            token_by_turns(local)
        } else {
            local.shared.poller.try_lock()
        }
    }

    // Always inlined: the kind of event is a constant at each call, so the other cases vanish.
    #[inline(always)]
    fn observe(local: &Local<H>, event: Event) {
        match event {
            Event::BetweenTasks => {
                let owning = own::<Self, H>(local);
                if let Some((since, tick)) = owning.since.get() {
                    let left = owning.until_clock.get() - 1;
                    owning.until_clock.set(left.max(1));
                    if left == 0 {
                        look_at_clock(local, since, tick);
                    }
                }
            }
            Event::ReactorPolled(polled, now) => reactor_polled(local, polled, now),
            Event::Leaves => {
                local.shared.parts.part().owner.release(local.index());
                own::<Self, H>(local).set_since(None);
            }
            _ => {}
        }
    }

    fn observe_shared(shared: &Shared<H>, event: SharedEvent<'_>) {
        if let SharedEvent::HeldUp(worker) = event {
            shared.parts.part().owner.release(worker);
        }
    }
}

/// The poller's token, if it is this worker's turn to wait in the reactor. A holder that does not wait has the token
/// only for a moment. If a worker left the sockets to such a holder, they would wait until it has nothing else to do.
fn token_by_turns<H: Has<IoSharing>>(local: &Local<H>) -> Option<MutexGuard<'_, ()>> {
    let (shared, index) = (&*local.shared, local.index());
    let owner = &shared.parts.part().owner;
    let is_waited_for = || shared.active().iter().any(|it| it.waking.is_in_reactor());
    for spins in 0..=TOKEN_SPINS {
        if owner.is_other_than(index) {
            return None;
        }
        let token = shared.poller.try_lock().or_else(|| {
            let again = owner.step_back(index);
            again.then(|| shared.poller.try_lock()).flatten()
        });
        if token.is_some() || spins == TOKEN_SPINS || is_waited_for() {
            return token;
        }
        spin_loop();
    }
    None
}

/// Call this when the worker has polled the reactor and has the poller's token.
fn reactor_polled<H: Has<IoSharing>>(local: &Local<H>, polled: Polled, now: Instant) {
    let (part, index) = (local.shared.parts.part(), local.index());
    if !part.is_on {
        return;
    }
    // A batch: the next poll comes after all tasks that are woken by now have run. Further tasks would have to wait
    // for that anyway, while their sockets went out of the cache. But the delay is bounded, because others may take
    // from the queue.
    let batch = local.queues.fifo.len() / local.shared.rules.knobs.poll_tick as usize;
    let left_out = batch.min(MAX_SKIPPED_POLLS) as u32;
    own::<IoSharing, H>(local).left_out.set(left_out);
    own::<IoSharing, H>(local).has_more.set(polled.is_full);
    let is_shared = part.measure.lock().reported(polled.sockets, now);
    let owns = if is_shared {
        part.owner.remove();
        false
    } else {
        part.owner.is(index) || local.queues.lifo.is_empty() && part.owner.claim(index)
    };
    let since = owns.then(|| (now, local.queues.tick.get()));
    own::<IoSharing, H>(local).set_since(since);
}

/// Checks, between two polls of the owner, whether they last so long that sharing is better after all. Once is not
/// enough: the kernel may have given this thread's processor to another one.
#[cold]
fn look_at_clock<H: Has<IoSharing>>(local: &Local<H>, since: Instant, tick: u32) {
    let (part, owning) = (local.shared.parts.part(), own::<IoSharing, H>(local));
    if !part.owner.is(local.index()) {
        // Another thread has removed it.
        owning.since.set(None);
        return;
    }
    let (now, now_tick) = (now(), local.queues.tick.get());
    let lasted = now.duration_since(since);
    let long = part.wake_delay * now_tick.wrapping_sub(tick).max(1);
    let are_long = lasted > long;
    if owning.were_long.replace(are_long) && are_long && part.owner.release(local.index()) {
        owning.since.set(None);
        local.wake_for_own();
        return;
    }
    owning.since.set(Some((now, now_tick)));
    let polls = if lasted > long / 4 {
        POLLS_PER_CLOCK_READ
    } else {
        (owning.clock_polls.get() * 2).min(MAX_POLLS_PER_CLOCK_READ)
    };
    owning.clock_polls.set(polls);
    owning.until_clock.set(polls);
}

impl Owning {
    /// Notes that the worker polled the reactor just now and is the owner; `None`: it is not the owner.
    fn set_since(&self, since: Option<(Instant, u32)>) {
        if self.since.get().is_none() {
            self.were_long.set(false);
            self.until_clock.set(POLLS_PER_CLOCK_READ);
        }
        self.since.set(since);
    }
}
