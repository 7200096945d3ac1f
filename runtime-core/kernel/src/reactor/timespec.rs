//! Durations in the form that the kernel takes.

use std::time::Duration;

use rustix::event::Timespec;

/// `duration` for the kernel, limited to 100 years.
pub(super) fn timespec(duration: Duration) -> Timespec {
    const MAX_SECONDS: u64 = 100 * 366 * 24 * 3600;
    Timespec {
        tv_sec: duration.as_secs().min(MAX_SECONDS) as i64,
        tv_nsec: i64::from(duration.subsec_nanos()) as _,
    }
}
