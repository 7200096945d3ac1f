//! Stopping on SIGINT, SIGTERM or SIGHUP without losing what was measured.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use rustix::process::{Pid, Signal, kill_process_group};
use signal_hook::iterator::Signals;

use crate::stopping;

/// Shared between the measuring thread and the one that waits for signals.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interruption {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    requested: bool,
    /// The process group that runs now. Its leader is not reaped while it stands here, so the id can't belong to
    /// another.
    group: Option<Pid>,
}

impl Interruption {
    /// Begins to listen. The first signal kills the running child; the second ends this process with code 130, and the
    /// child dies with it.
    ///
    /// # Errors
    /// When the handlers can't be installed.
    pub(crate) fn listen() -> io::Result<Self> {
        let interruption = Self::default();
        let mut signals = Signals::new(stopping::signals())?;
        let requested = interruption.clone();
        thread::Builder::new()
            .name("lab-signals".to_owned())
            .spawn(move || {
                for _ in signals.forever() {
                    if requested.request() {
                        std::process::exit(stopping::INTERRUPTED.into());
                    }
                }
            })?;
        Ok(interruption)
    }

    /// True once a signal has come.
    pub(crate) fn requested(&self) -> bool {
        self.lock().requested
    }

    /// Notes which group runs now; it is killed at once if a signal came before.
    pub(crate) fn running(&self, group: Pid) {
        let mut state = self.lock();
        state.group = Some(group);
        if state.requested {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }

    /// Kills whatever is left of the running group. To be called before its leader is reaped.
    pub(crate) fn end_group(&self) {
        if let Some(group) = self.lock().group.take() {
            // Fails if nothing is left, as it should be.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }

    /// Asks to stop; true if that had been asked before.
    fn request(&self) -> bool {
        let mut state = self.lock();
        if let Some(group) = state.group {
            let _ = kill_process_group(group, Signal::KILL);
        }
        std::mem::replace(&mut state.requested, true)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
