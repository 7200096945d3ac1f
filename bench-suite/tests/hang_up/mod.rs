//! The signal of a closed terminal, for tests that may run without a terminal.

use std::fs;

use rustix::process::Signal;

/// SIGHUP, or SIGTERM if the tests were started with SIGHUP ignored, as by `nohup`. In that case their children
/// correctly ignore it too, and it can't end them.
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
