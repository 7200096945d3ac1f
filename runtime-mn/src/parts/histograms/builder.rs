//! What the builder is told about this part.

use crate::builder::Builder;

impl Builder {
    /// Whether how long polls take and how long tasks wait for theirs is measured, for
    /// [`Metrics::poll_time`](runtime_core::Metrics::poll_time) and
    /// [`Metrics::schedule_latency`](runtime_core::Metrics::schedule_latency). Default: no, as it costs two clock
    /// readings for each poll.
    #[must_use]
    pub fn histograms(mut self, measured: bool) -> Self {
        self.parts.histograms.is_on = measured;
        self
    }
}
