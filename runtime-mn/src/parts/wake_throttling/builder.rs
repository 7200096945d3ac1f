//! This part's builder methods.

use std::time::Duration;

use crate::builder::Builder;

impl Builder {
    /// Sets how long a throttled worker keeps new work to itself before it wakes another worker. A worker is throttled
    /// if its recent work was done sooner than that. Zero: it always wakes one at once. At most an hour. Default: the
    /// policy's.
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

#[cfg(all(test, not(lab_loom), not(lab_shuttle)))]
mod tests {
    use super::*;

    #[test]
    fn absurd_durations_mean_forever() {
        let builder = Builder::new().workers(2);
        let builder = builder.wake_delay(Duration::MAX);
        let runtime = builder.build().unwrap();
        let sum = runtime.block_on(async {
            let tasks: Vec<_> = (0..10_000_u64)
                .map(|number| runtime_core::spawn(async move { number }))
                .collect();
            let mut sum = 0;
            for task in tasks {
                sum += task.await.unwrap();
            }
            sum
        });
        assert_eq!(sum, 49_995_000);
    }
}
