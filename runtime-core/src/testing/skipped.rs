//! Cases that do not apply to a scheduler: each says so and is counted.

use std::io::{self, Write};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;

static SKIPPED: AtomicUsize = AtomicUsize::new(0);

/// Says that the case does not apply, and why. It returns after that. Called on the thread that [`run`](super::run) made
/// for the case, which has its name.
///
/// The line goes to standard error and past the test harness, which would show it only if the case failed.
pub fn skip(reason: &str) {
    SKIPPED.fetch_add(1, Relaxed);
    let thread = thread::current();
    let case = thread.name().unwrap_or("a case");
    // Standard error may be closed.
    let _ = writeln!(io::stderr(), "skipped: {case}: {reason}");
}

/// How many cases were skipped in this process so far.
pub fn skipped() -> usize {
    SKIPPED.load(Relaxed)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::testing::watchdog;

    #[test]
    fn a_case_that_does_not_apply_passes_and_is_counted() {
        let before = skipped();
        let patience = Duration::from_secs(60);
        watchdog::run("a_case_that_applies", patience, || {});
        assert_eq!(skipped(), before);
        watchdog::run("a_case_that_does_not_apply", patience, || skip("a test"));
        assert_eq!(skipped(), before + 1);
    }
}
