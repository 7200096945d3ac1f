//! Wake throttling: when a worker wakes another one for the work in its own queues.
//!
//! A wake-up costs a system call, and it takes some 50 us until the other worker does anything. A hundred short tasks
//! are done by then. A worker therefore measures whether wake-ups pay:
//!
//! - A worker wakes a sleeper with the first task that it queues, unless it is *throttled*. If its queues run empty
//!   sooner than the *wake delay* after that, the wake-up was needless, and the worker becomes throttled.
//! - A throttled worker notes when work began to wait. It wakes a sleeper when that was one wake delay ago, or when
//!   many tasks have gathered, and is then no longer throttled. If its queues run empty before that, it wakes no
//!   worker.
//! - Tasks that sockets and timers wake are always treated like this, unless there are many at once.
//!
//! A worker reads the clock when work begins to wait, and then every few tasks. It can't read it in the middle of a
//! long poll. So it is throttled only as long as the monitor *watches closely*: the monitor checks all workers every
//! fraction of a millisecond, and wakes a sleeper for whatever waits behind a poll (see the README of `monitor`). The
//! close watch ends when no work has waited for a while. From then on every worker wakes sleepers at once, until one
//! becomes throttled again. Without a monitor, no worker is ever throttled.

mod builder;

use std::cell::Cell;
use std::time::{Duration, Instant};

use runtime_core::primitives::now;
use runtime_core::{Choice, Knob};

use crate::parts::monitor::{Monitor, POLLS_PER_CLOCK_READ};
use crate::parts::part::{Has, Install, number, own};
use crate::policy::Knobs;
use crate::scheduler::{Local, Shared};
use crate::seam::Hooks;
use crate::seam::facts::{Event, Pick, State};
use crate::seam::plan::Plan;

/// When sockets or timers wake more tasks than this at once, another worker is woken at once.
const MANY_WOKEN: usize = 16;
/// When this many tasks were queued since work began to wait, another worker is woken.
const MANY_QUEUED: u32 = 256;
/// Longer delays count as this one. It never passes here, and can be multiplied.
const MAX_DELAY: Duration = Duration::from_secs(3600);

/// The part.
#[derive(Debug)]
pub(crate) struct WakeThrottling {
    /// Zero: no worker is ever throttled.
    wake_delay: Duration,
}

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    is_on: bool,
    /// `None`: the policy's.
    pub(super) wake_delay: Option<Duration>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            is_on: true,
            wake_delay: None,
        }
    }
}

/// A worker's measurements.
#[derive(Debug)]
pub(crate) struct Learned {
    wake_delay: Duration,
    is_throttled: Cell<bool>,
    /// When work began to wait for which no sleeper was woken.
    waits_since: Cell<Option<Instant>>,
    /// How many tasks were queued since then.
    waiting: Cell<u32>,
    /// When a sleeper was woken, until it is known whether that paid.
    woke_at: Cell<Option<Instant>>,
}

impl State for WakeThrottling {
    type Local = Learned;
    type Remote = ();
}

impl Install for WakeThrottling {
    type Settings = Settings;
    const CHOICE: &'static [Choice] = &[Choice {
        name: "wake-throttling",
        about: "a worker whose recent work was short wakes no other worker for it",
    }];
    const KNOBS: &'static [Knob] = &[Knob {
        name: "wake-delay",
        about: "how many microseconds a worker keeps work to itself if that has lately been enough",
        values: "0 to 100000",
    }];

    fn adjust(settings: &Settings, knobs: &mut Knobs) {
        let wake_delay = settings.wake_delay.unwrap_or(knobs.wake_delay);
        knobs.wake_delay = wake_delay.min(MAX_DELAY);
    }

    fn new(settings: &Settings, plan: &Plan) -> Self {
        let wake_delay = if settings.is_on {
            plan.rules.knobs.wake_delay
        } else {
            Duration::ZERO
        };
        Self { wake_delay }
    }

    fn leave_out(settings: &mut Settings) {
        settings.is_on = false;
    }

    fn turn(settings: &mut Settings, _: &str, value: &str) -> Option<()> {
        let micros = number(value, 0, 100_000)?;
        settings.wake_delay = Some(Duration::from_micros(micros.into()));
        Some(())
    }
}

impl<H: Has<Self> + Has<Monitor>> Hooks<H> for WakeThrottling {
    fn local(shared: &Shared<H>, _: usize) -> Learned {
        Learned {
            wake_delay: Has::<Self>::part(&shared.parts).wake_delay,
            is_throttled: Cell::new(false),
            waits_since: Cell::new(None),
            waiting: Cell::new(0),
            woke_at: Cell::new(None),
        }
    }

    #[inline]
    fn wakes_for_own(local: &Local<H>) -> bool {
        let learned = own::<Self, H>(local);
        !(learned.is_throttled.get() && monitor(local).watches_closely()) || learned.one_more()
    }

    fn wakes_for_driven(local: &Local<H>) -> bool {
        let learned = own::<Self, H>(local);
        if local.queues.fifo.len() > MANY_WOKEN || learned.wake_delay.is_zero() {
            learned.waits_since.set(None);
            return true;
        }
        if learned.waits_since.get().is_none() {
            learned.begin();
        }
        false
    }

    // Always inlined: the kind of event is a constant at each call, so the other cases vanish.
    #[inline(always)]
    fn observe(local: &Local<H>, event: Event) {
        match event {
            Event::BetweenTasks => {
                if let Some(since) = own::<Self, H>(local).waits_since.get() {
                    look_at_clock(local, since);
                }
            }
            Event::Took => {
                let learned = own::<Self, H>(local);
                if learned.woke_at.get().is_some() || learned.waits_since.get().is_some() {
                    took_one(local);
                }
            }
            Event::RanOut => ran_out(local),
            Event::Woke => {
                let learned = own::<Self, H>(local);
                if !learned.wake_delay.is_zero() {
                    learned.woke_at.set(Some(now()));
                }
            }
            _ => {}
        }
    }
}

fn monitor<H: Has<Monitor>>(local: &Local<H>) -> &Monitor {
    local.shared.parts.part()
}

fn has_sorted<H: Hooks>(local: &Local<H>) -> bool {
    H::queued(&local.shared, local.index(), Pick::Any) > 0
}

/// Checks whether work has waited for so long that another worker should take some.
#[cold]
fn look_at_clock<H: Has<WakeThrottling>>(local: &Local<H>, since: Instant) {
    let learned = own::<WakeThrottling, H>(local);
    let queues = &local.queues;
    let has_fifo = !queues.fifo.is_empty() && H::shares_fifo(&local.shared, local.index());
    if !has_fifo && queues.lifo.is_empty() && !has_sorted(local) {
        learned.waits_since.set(None);
    } else if (has_fifo || queues.tick.get().is_multiple_of(POLLS_PER_CLOCK_READ))
        && learned.is_over(since)
    {
        learned.end();
        local.wake_for_own();
    }
}

/// With the last task gone, nothing waits here any more: a lone task that yields again and again needs no other
/// worker.
#[cold]
fn took_one<H: Has<WakeThrottling> + Has<Monitor>>(local: &Local<H>) {
    let queues = &local.queues;
    if queues.fifo.is_empty() && queues.lifo.is_empty() && !has_sorted(local) {
        own::<WakeThrottling, H>(local).waits_since.set(None);
        ran_out(local);
    }
}

fn ran_out<H: Has<WakeThrottling> + Has<Monitor>>(local: &Local<H>) {
    let learned = own::<WakeThrottling, H>(local);
    if let Some(woke_at) = learned.woke_at.take()
        && !learned.is_over(woke_at)
    {
        learned.is_throttled.set(true);
        monitor(local).watch_closely();
    }
}

impl Learned {
    /// Notes that work begins to wait.
    #[cold]
    fn begin(&self) {
        self.waits_since.set(Some(now()));
        self.waiting.set(0);
    }

    /// Counts one more waiting task. Returns true if there are many.
    fn one_more(&self) -> bool {
        if self.waits_since.get().is_none() {
            self.begin();
        }
        let waiting = self.waiting.get() + 1;
        self.waiting.set(waiting);
        let is_much = waiting > MANY_QUEUED;
        if is_much {
            self.end();
        }
        is_much
    }

    /// Ends the throttling of this worker.
    #[cold]
    fn end(&self) {
        self.waits_since.set(None);
        self.is_throttled.set(false);
    }

    fn is_over(&self, since: Instant) -> bool {
        now().duration_since(since) > self.wake_delay
    }
}
