//! Stops on SIGINT, SIGTERM or SIGHUP without losing what was measured.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use rustix::process::{Pid, Signal, kill_process_group};
use signal_hook::iterator::Signals;

use crate::stopping;

/// Shared between the measuring thread and the thread that waits for signals.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interruption {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    requested: bool,
    /// The process group that is running. Its leader is not reaped while the group is stored here, so the id can't be
    /// reused.
    group: Option<Pid>,
}

impl Interruption {
    /// Starts to listen. The first signal kills the running child. The second one ends this process with code 130, and
    /// the child dies with it.
    ///
    /// # Errors
    /// If the handlers can't be installed.
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

    /// True once a signal has arrived.
    pub(crate) fn requested(&self) -> bool {
        self.lock().requested
    }

    /// Sets the running group. It is killed immediately if a signal came earlier.
    pub(crate) fn running(&self, group: Pid) {
        let mut state = self.lock();
        state.group = Some(group);
        if state.requested {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }

    /// Kills what is left of the running group. Call this before you reap the group's leader.
    pub(crate) fn end_group(&self) {
        if let Some(group) = self.lock().group.take() {
            // The normal case is an error, because nothing is left.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }

    /// Requests the stop; true if it was already requested.
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
