//! Limits the time of every case: a scheduler that loses a wake-up must fail a test, not hang a build.

use std::io::Write;
use std::panic::resume_unwind;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// The CPU time that the whole process has used.
fn cpu_time() -> Duration {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(used.tv_sec as u64, used.tv_nsec as u32)
}

/// `LAB_PATIENCE` multiplies every case's time limit, for slow or busy machines, and for sanitizers.
fn time_limit_factor() -> u32 {
    let given = std::env::var("LAB_PATIENCE").ok();
    given.and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// The payload with which a skipped case ends.
struct Skipped(String);

/// Ends the case that calls it. It then does not count as failed; the printed reason shows that it has not passed.
pub(super) fn skip(reason: &str) -> ! {
    // Not by `panic!`, whose hook would report it.
    resume_unwind(Box::new(Skipped(reason.to_owned())))
}

/// Runs `case` on its own thread, named after it, and propagates its panic.
///
/// A case that has not ended after `limit` is abandoned, still running, so that the remaining cases can run. This
/// is the only limit on the waits of a case.
///
/// # Panics
/// With the case's own panic, or with `name` if the time is up.
pub(super) fn run(name: &str, limit: Duration, case: impl FnOnce() + Send + 'static) {
    let limit = limit * time_limit_factor();
    let cpu_before = cpu_time();
    // The thread owns the sender and sends nothing: when it is dropped, the thread has ended or is about to.
    let (alive, ended) = channel::<()>();
    let thread = thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            let _alive = alive;
            case();
        })
        .expect("a thread for the case");
    match ended.recv_timeout(limit) {
        Err(RecvTimeoutError::Timeout) => {
            // Little CPU: it waits for a wake-up that was lost. Much: something spins or starves it, or the machine is
            // slow.
            let cpu = cpu_time() - cpu_before;
            panic!(
                "`{name}` has not ended after {limit:?}, in which the process used {cpu:?} of CPU: a wake-up was lost, or a task starves"
            )
        }
        Ok(()) | Err(RecvTimeoutError::Disconnected) => {
            let Err(panic) = thread.join() else {
                return;
            };
            match panic.downcast::<Skipped>() {
                // Bypasses the test harness, which would show it only for failed tests.
                Ok(skipped) => {
                    let _ = writeln!(std::io::stderr(), "skipped {name}: {}", skipped.0);
                }
                Err(panic) => resume_unwind(panic),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_that_ends_passes() {
        run("ends", Duration::from_secs(60), || {});
    }

    #[test]
    fn a_case_that_is_skipped_does_not_fail() {
        run("is skipped", Duration::from_secs(60), || {
            skip("it needs a part that no runtime has")
        });
    }

    #[test]
    #[should_panic(expected = "of its own")]
    fn a_panic_is_handed_on() {
        run("panics", Duration::from_secs(60), || panic!("of its own"));
    }

    #[test]
    #[should_panic(expected = "`hangs` has not ended")]
    fn a_case_that_hangs_fails_by_name() {
        run("hangs", Duration::from_millis(10), || {
            loop {
                thread::park();
            }
        });
    }
}
