//! This part's builder methods.

use std::sync::Arc;
use std::time::Duration;

use super::report::StuckPoll;
use crate::builder::Builder;

impl Builder {
    /// Sets whether the monitor runs: it hands off the queues of a worker that is stuck in a poll, and finds tasks
    /// that wait behind a poll. Default: yes. See [`parts::monitor`](crate::parts::monitor). Without it, wake-ups are
    /// never throttled, but a task in the LIFO slot waits for the end of the poll in which it was woken.
    #[must_use]
    pub fn monitor(mut self, enabled: bool) -> Self {
        self.parts.monitor.enabled = enabled;
        self
    }

    /// Sets how long a poll may last before its worker counts as stuck. At least 2 ms; default 10 ms.
    #[must_use]
    pub fn stuck_after(mut self, duration: Duration) -> Self {
        self.parts.monitor.threshold = duration.max(Duration::from_millis(2));
        self
    }

    /// Sets how many replacement workers there may be at a time, for workers that are stuck or block in place.
    /// Default: 8. With 0, a stuck worker's tasks wait until another worker takes them.
    #[must_use]
    pub fn max_replacement_workers(mut self, workers: usize) -> Self {
        self.parts.monitor.max_replacements = workers.min(1024);
        self
    }

    /// Sets how long the thread of an unneeded replacement worker waits before it ends. Default: 10 s.
    #[must_use]
    pub fn replacement_keep_alive(mut self, duration: Duration) -> Self {
        self.parts.monitor.keep_alive = duration;
        self
    }

    /// Sets whether the runtime reports a stuck poll on standard error, at most once in ten seconds. Default: yes.
    #[must_use]
    pub fn warn_of_stuck(mut self, warns: bool) -> Self {
        self.parts.monitor.warns = warns;
        self
    }

    /// Sets a callback for polls that are caught. The monitor's thread calls it while the poll still lasts. It should
    /// return soon.
    #[must_use]
    pub fn on_stuck(mut self, callback: impl Fn(&StuckPoll) + Send + Sync + 'static) -> Self {
        self.parts.monitor.callback = Some(Arc::new(callback));
        self
    }

    /// The former name of [`max_replacement_workers`](Builder::max_replacement_workers).
    #[deprecated(note = "use `max_replacement_workers`")]
    #[must_use]
    pub fn max_spare_workers(self, workers: usize) -> Self {
        self.max_replacement_workers(workers)
    }

    /// The former name of [`replacement_keep_alive`](Builder::replacement_keep_alive).
    #[deprecated(note = "use `replacement_keep_alive`")]
    #[must_use]
    pub fn spare_keep_alive(self, duration: Duration) -> Self {
        self.replacement_keep_alive(duration)
    }
}
