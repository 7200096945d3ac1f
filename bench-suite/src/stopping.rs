//! The signals that make a command stop and keep what it has.
//!
//! All of them mean the same: stop, keep what was measured, exit with code 130. SIGHUP arrives when the terminal
//! closes. Under `nohup` it is ignored, and it stays ignored.

use std::ffi::c_int;
use std::fs;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// The exit code after any of these signals.
pub(crate) const INTERRUPTED: u8 = 130;

/// The signals to listen for.
pub(crate) fn signals() -> Vec<c_int> {
    let mut signals = vec![SIGINT, SIGTERM];
    if !is_ignored(SIGHUP) {
        signals.push(SIGHUP);
    }
    signals
}

/// Whether this process was started with `signal` ignored. This is only true before a handler is installed.
fn is_ignored(signal: c_int) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use signal_hook::consts::SIGPIPE;

    use super::*;

    #[test]
    fn ignored_signals_are_recognised() {
        // The standard library ignores it in every Rust program.
        assert!(is_ignored(SIGPIPE));
        assert!(!is_ignored(SIGTERM));
    }
}
