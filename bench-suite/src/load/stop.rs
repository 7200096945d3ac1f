//! Stopping a run on a signal, with what it has seen.

use std::io::{self, PipeReader, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use signal_hook::iterator::Signals;

use crate::stopping;
use crate::terminal;

/// Listens for signals. The first one is something to read, once there is something to report; the second ends the
/// process.
pub(super) struct Stop {
    asked: PipeReader,
    measuring: Arc<AtomicBool>,
}

impl Stop {
    /// Begins to listen. As long as nothing was measured, the first signal ends the process, too: connecting may
    /// take long.
    ///
    /// # Errors
    /// When the handlers can't be installed.
    pub(super) fn listen() -> io::Result<Self> {
        let (asked, mut ask) = io::pipe()?;
        let measuring = Arc::new(AtomicBool::new(false));
        let mut signals = Signals::new(stopping::signals())?;
        let begun = Arc::clone(&measuring);
        thread::Builder::new()
            .name("lab-signals".to_owned())
            .spawn(move || {
                for (before, _) in signals.forever().enumerate() {
                    // Relaxed: nothing else is passed on by it.
                    if !begun.load(Ordering::Relaxed) {
                        terminal::say(
                            "interrupted before anything was measured; nothing was written",
                        );
                        process::exit(stopping::INTERRUPTED.into());
                    }
                    if before > 0 {
                        process::exit(stopping::INTERRUPTED.into());
                    }
                    // It is read while the run goes on; after that there is nothing to stop.
                    let _ = ask.write_all(b"stop");
                }
            })?;
        Ok(Self { asked, measuring })
    }

    /// What becomes readable with the first signal. From now on there is something to report.
    pub(super) fn when_asked(&self) -> BorrowedFd<'_> {
        self.measuring.store(true, Ordering::Relaxed);
        self.asked.as_fd()
    }
}
