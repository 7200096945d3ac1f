//! This part's builder methods.

use crate::builder::Builder;

impl Builder {
    /// Sets whether to measure how long polls take and how long tasks wait for them, for
    /// [`Metrics::poll_time`](runtime_core::Metrics::poll_time) and
    /// [`Metrics::schedule_latency`](runtime_core::Metrics::schedule_latency). Default: no, because it costs two clock
    /// readings for each poll.
    #[must_use]
    pub fn histograms(mut self, measured: bool) -> Self {
        self.parts.histograms.is_on = measured;
        self
    }
}
