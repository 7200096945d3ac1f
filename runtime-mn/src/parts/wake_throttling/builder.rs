//! What the builder is told about this part.

use std::time::Duration;

use crate::builder::Builder;

impl Builder {
    /// How long a worker whose work has lately been done sooner keeps new work to itself before it wakes another
    /// worker; zero: it wakes one at once. At most an hour. Default: the policy's.
    #[must_use]
    pub fn wake_delay(mut self, delay: Duration) -> Self {
        self.parts.wake_throttling.wake_delay = Some(delay);
        self
    }

    /// The former name of [`wake_delay`](Builder::wake_delay).
    #[deprecated(note = "use `wake_delay`")]
    #[must_use]
    pub fn patience(self, duration: Duration) -> Self {
        self.wake_delay(duration)
    }
}
