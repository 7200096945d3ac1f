//! Durations as the kernel takes them.

use std::time::Duration;

use rustix::event::Timespec;

/// `duration` for the kernel; one beyond its range is cut to 100 years.
pub(super) fn timespec(duration: Duration) -> Timespec {
    const LONGEST: u64 = 100 * 366 * 24 * 3600;
    Timespec {
        tv_sec: duration.as_secs().min(LONGEST) as i64,
        tv_nsec: i64::from(duration.subsec_nanos()) as _,
    }
}
