//! The monitor's state, for the runtime and for each worker.

use std::time::Duration;

use runtime_core::park::{Parker, Unparker};
use runtime_core::primitives::Mutex;
use runtime_core::primitives::atomic::Ordering::Relaxed;

use super::gate::Gate;
use super::guard::CloseWatch;
use super::observed::Observed;
use super::replacements::Replacements;
use super::report::{Callback, Report};
use crate::parts::part::{Has, seen};
use crate::scheduler::Shared;
use crate::seam::facts::State;

/// The part.
pub(crate) struct Monitor {
    pub(super) is_on: bool,
    pub(super) threshold: Duration,
    pub(super) keep_alive: Duration,
    pub(super) gate: Gate,
    pub(super) close_watch: CloseWatch,
    pub(super) replacements: Replacements,
    pub(super) report: Report,
    pub(super) unparker: Unparker,
    /// Present until the thread takes it.
    pub(super) parker: Mutex<Option<Parker>>,
}

/// The builder's settings.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(super) enabled: bool,
    /// A poll that lasts longer is stuck.
    pub(super) threshold: Duration,
    pub(super) max_replacements: usize,
    /// How long a replacement worker's thread waits to be needed again.
    pub(super) keep_alive: Duration,
    pub(super) warns: bool,
    pub(super) callback: Option<Callback>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            enabled: true,
            threshold: Duration::from_millis(10),
            max_replacements: 8,
            keep_alive: Duration::from_secs(10),
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
            .field("max_replacements", &self.max_replacements)
            .finish_non_exhaustive()
    }
}

impl State for Monitor {
    type Local = ();
    type Remote = Observed;
}

impl Monitor {
    /// Whether the monitor finds what waits behind a poll within a fraction of a millisecond, so that a worker need
    /// not wake a sleeper for it.
    #[inline]
    pub(crate) fn watches_closely(&self) -> bool {
        self.close_watch.is_on()
    }

    /// Begins the close watch.
    pub(crate) fn watch_closely(&self) {
        if self.is_on && self.close_watch.begin() {
            self.unparker.unpark();
        }
    }
}

/// A number that changes whenever the worker gets something done.
pub(super) fn progress<H: Has<Monitor>>(shared: &Shared<H>, worker: usize) -> u64 {
    let polls = shared.remotes[worker].polls.load(Relaxed);
    polls.wrapping_add(seen::<Monitor, H>(shared, worker).other_work())
}
