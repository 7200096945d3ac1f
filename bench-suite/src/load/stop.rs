//! Stops a run on a signal and keeps the results so far.

use std::io::{self, PipeReader, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use signal_hook::iterator::Signals;

use crate::stopping;
use crate::terminal;

/// Listens for signals. Once a run has begun, the first signal makes a descriptor readable. The second one ends the
/// process.
pub(super) struct Stop {
    asked: PipeReader,
    measuring: Arc<AtomicBool>,
}

impl Stop {
    /// Starts to listen. Before the run has begun, the first signal already ends the process, because connecting may
    /// take long.
    ///
    /// # Errors
    /// If the handlers can't be installed.
    pub(super) fn listen() -> io::Result<Self> {
        let (asked, mut ask) = io::pipe()?;
        let measuring = Arc::new(AtomicBool::new(false));
        let mut signals = Signals::new(stopping::signals())?;
        let begun = Arc::clone(&measuring);
        thread::Builder::new()
            .name("lab-signals".to_owned())
            .spawn(move || {
                for (before, _) in signals.forever().enumerate() {
                    // Relaxed is enough, because nothing else is published through it.
                    if !begun.load(Ordering::Relaxed) {
                        terminal::say(
                            "interrupted before anything was measured; nothing was written",
                        );
                        process::exit(stopping::INTERRUPTED.into());
                    }
                    if before > 0 {
                        process::exit(stopping::INTERRUPTED.into());
                    }
                    // The run reads it. After the run there is nothing to stop.
                    let _ = ask.write_all(b"stop");
                }
            })?;
        Ok(Self { asked, measuring })
    }

    /// Becomes readable at the first signal. From now on there is something to report.
    pub(super) fn when_asked(&self) -> BorrowedFd<'_> {
        self.measuring.store(true, Ordering::Relaxed);
        self.asked.as_fd()
    }
}
