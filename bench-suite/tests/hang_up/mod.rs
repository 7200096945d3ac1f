//! The signal of a terminal that goes away, for tests that may run without one.

use std::fs;

use rustix::process::Signal;

/// SIGHUP; SIGTERM if the tests were started with SIGHUP ignored, as by `nohup`. Their children ignore it then, as they
/// should, and can't be ended by it.
pub(crate) fn hang_up() -> Signal {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    // Signal 1 is the lowest bit.
    if ignored.is_some_and(|mask| mask & 1 != 0) {
        Signal::TERM
    } else {
        Signal::HUP
    }
}
