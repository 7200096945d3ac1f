//! Whether a worker wakes a sleeper for its own work: M:N's part `wake-throttling`.
//!
//! If a worker's queues run empty within the *wake delay* of a wake-up, the wake-up did not pay, and the worker is
//! throttled. It then wakes a sleeper only when work has waited for the wake delay, or much work has gathered. After
//! that it is no longer throttled.

/// So many tasks are much work.
const MUCH: u32 = 256;

#[derive(Debug)]
pub(super) struct Throttle {
    wake_delay_ns: u64,
    is_throttled: bool,
    /// When work began to wait for which no sleeper was woken.
    waits_since: Option<u64>,
    waiting: u32,
    /// When a sleeper was woken, until it is known whether that paid.
    woke_at: Option<u64>,
}

impl Throttle {
    /// With a delay of 0, it is never throttled.
    pub(super) fn new(wake_delay_ns: u64) -> Self {
        Self {
            wake_delay_ns,
            is_throttled: false,
            waits_since: None,
            waiting: 0,
            woke_at: None,
        }
    }

    pub(super) fn waits_since(&self) -> Option<u64> {
        self.waits_since
    }

    pub(super) fn waits(&self) -> bool {
        self.waits_since.is_some()
    }

    /// One more task was queued that others could take. Whether a sleeper should be woken for it.
    pub(super) fn wakes_for_one_more(&mut self, now: u64) -> bool {
        if !self.is_throttled {
            return true;
        }
        if self.waits_since.is_none() {
            self.waits_since = Some(now);
            self.waiting = 0;
        }
        self.waiting += 1;
        if self.waiting > MUCH {
            self.end();
        }
        !self.is_throttled
    }

    /// Between two tasks. Whether a sleeper should be woken for the `waiting` ones.
    pub(super) fn wakes_between_tasks(&mut self, now: u64, waiting: usize) -> bool {
        let Some(since) = self.waits_since else {
            return false;
        };
        if waiting == 0 {
            self.waits_since = None;
        } else if now - since > self.wake_delay_ns {
            self.end();
            return true;
        }
        false
    }

    /// A sleeper was woken.
    pub(super) fn woke(&mut self, now: u64) {
        if self.wake_delay_ns > 0 {
            self.woke_at = Some(now);
        }
    }

    /// The worker took a task. So many are left that others could take.
    pub(super) fn took(&mut self, now: u64, left: usize) {
        if left > 0 {
            return;
        }
        self.waits_since = None;
        if let Some(woke_at) = self.woke_at.take()
            && now - woke_at <= self.wake_delay_ns
        {
            self.is_throttled = true;
        }
    }

    fn end(&mut self) {
        self.waits_since = None;
        self.is_throttled = false;
    }
}
