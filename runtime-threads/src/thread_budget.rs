//! How many threads the process can have before the limit on memory mappings ends it.
//!
//! Most limits on threads make the creation of a thread fail, which is an error like any other. The limit on memory
//! mappings can also strike inside the new thread: there the standard library maps a signal stack, to report
//! overflows, and ends the process if it can't. To avoid this, threads are created only while there is room for all of
//! their mappings. The limit holds for the process, and so does the budget.
//!
//! A thread that has ended its task still has its mappings. On a busy machine thousands of threads may be about to exit,
//! so a permit is returned only when its thread was joined, or exits by itself.
//!
//! When permits run out, the mappings of the process are counted. Only half of the room is handed out at a time,
//! because other code maps memory, too. It takes a handful of counts to reach the limit, and each takes some
//! milliseconds.

use std::cell::RefCell;
use std::io;
use std::time::{Duration, Instant};

use runtime_kernel::primitives::real_locks::Mutex;

/// Stack and signal stack, each with its guard.
const MAPPINGS_PER_THREAD: usize = 4;
/// One in this many of the allowed mappings is left to the rest of the program.
const RESERVED_DIVISOR: usize = 8;
/// The kernel's own default, if the limit can't be read.
#[cfg(target_os = "linux")]
const DEFAULT_MAX_MAPPINGS: usize = 65_530;
/// The minimum number of permits to hand out, if there is room: below it, halving would only cause more counts.
const MIN_PERMITS: usize = 256;
/// The time between two counts once there was no room.
const RECOUNT_INTERVAL: Duration = Duration::from_millis(100);

static BUDGET: Mutex<Budget> = Mutex::new(Budget {
    permits: 0,
    live: 0,
    starting: 0,
    full_since: None,
    ended: 0,
});

struct Budget {
    /// Can be handed out without another count.
    permits: usize,
    live: usize,
    /// Live, but perhaps without a signal stack yet.
    starting: usize,
    /// When a count found no room.
    full_since: Option<Instant>,
    /// Threads that have ended, since the process began. An attempt to create one does not count.
    ended: u64,
}

/// Room for one thread. Dropped when the thread's mappings are gone, which is after its end.
#[derive(Debug)]
pub(crate) struct Permit {
    _private: (),
}

impl Permit {
    /// Room for a thread, and the mark that it has not begun.
    ///
    /// # Errors
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if there is no room. This is also the kind of the system's refusals.
    pub(crate) fn take() -> io::Result<(Self, Starting)> {
        let mut budget = BUDGET.lock();
        if budget.permits == 0 {
            budget.count();
        }
        budget.permits = budget.permits.checked_sub(1).ok_or_else(refusal)?;
        budget.live += 1;
        budget.starting += 1;
        Ok((Self { _private: () }, Starting { _private: () }))
    }

    /// The thread's mappings are gone.
    pub(crate) fn end(self) {
        BUDGET.lock().ended += 1;
    }

    /// The calling thread keeps the permit until it exits. For a thread that nothing joins.
    pub(crate) fn keep_until_exit(self) {
        struct UntilExit(Option<Permit>);
        impl Drop for UntilExit {
            fn drop(&mut self) {
                if let Some(permit) = self.0.take() {
                    permit.end();
                }
            }
        }
        thread_local! {
            // The standard library unmaps the signal stack before the destructors of thread-locals run.
            static KEPT: RefCell<UntilExit> = const { RefCell::new(UntilExit(None)) };
        }
        let kept_before = KEPT.try_with(|kept| kept.borrow_mut().0.replace(self));
        debug_assert!(
            matches!(kept_before, Ok(None)),
            "called once, at the thread's start"
        );
    }

    /// The thread lives on, and nothing will say when it ends. The next count of the mappings includes it.
    pub(crate) fn forget(self) {
        std::mem::forget(self);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut budget = BUDGET.lock();
        budget.live -= 1;
        budget.permits += 1;
    }
}

/// A thread that may not have all of its mappings yet. It drops this at its start, when they exist.
#[derive(Debug)]
pub(crate) struct Starting {
    _private: (),
}

impl Drop for Starting {
    fn drop(&mut self) {
        BUDGET.lock().starting -= 1;
    }
}

/// The number of threads that have ended so far, whose mappings are gone.
pub(crate) fn ended() -> u64 {
    BUDGET.lock().ended
}

/// The number of permits that are taken.
#[cfg(test)]
pub(crate) fn live() -> usize {
    BUDGET.lock().live
}

/// Whether a thread has been created that has not begun.
pub(crate) fn is_any_starting() -> bool {
    BUDGET.lock().starting > 0
}

impl Budget {
    /// Counts how many more threads there is room for.
    fn count(&mut self) {
        if self
            .full_since
            .is_some_and(|at| at.elapsed() < RECOUNT_INTERVAL)
        {
            return;
        }
        let Some((used, max)) = mappings(self.live * MAPPINGS_PER_THREAD) else {
            self.permits = usize::MAX / 2;
            return;
        };
        let room = threads_that_fit(used + self.starting * MAPPINGS_PER_THREAD, max);
        self.permits = (room / 2).max(room.min(MIN_PERMITS));
        self.full_since = (room == 0).then(Instant::now);
    }
}

fn threads_that_fit(used: usize, max: usize) -> usize {
    let usable = max - max / RESERVED_DIVISOR;
    usable.saturating_sub(used) / MAPPINGS_PER_THREAD
}

/// The number of the process's mappings (`guess` if they can't be counted) and their limit; `None` if there is no such
/// limit.
#[cfg(target_os = "linux")]
fn mappings(guess: usize) -> Option<(usize, usize)> {
    let max = std::fs::read_to_string("/proc/sys/vm/max_map_count");
    let max = max.ok().and_then(|text| text.trim().parse().ok());
    Some((
        count_lines("/proc/self/maps").unwrap_or(guess),
        max.unwrap_or(DEFAULT_MAX_MAPPINGS),
    ))
}

#[cfg(not(target_os = "linux"))]
fn mappings(_guess: usize) -> Option<(usize, usize)> {
    None
}

#[cfg(target_os = "linux")]
fn count_lines(path: &str) -> io::Result<usize> {
    use std::io::Read;
    let mut file = std::fs::File::open(path)?;
    let mut buffer = vec![0; 64 * 1024];
    let mut lines = 0;
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(lines),
            bytes => {
                lines += buffer[..bytes]
                    .iter()
                    .filter(|byte| **byte == b'\n')
                    .count()
            }
        }
    }
}

#[cold]
fn refusal() -> io::Error {
    io::Error::new(
        io::ErrorKind::WouldBlock,
        "no room for another thread's memory mappings: end some tasks, or raise vm.max_map_count",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_the_mappings_stays_free() {
        assert_eq!(threads_that_fit(0, 800), 175);
        assert_eq!(threads_that_fit(699, 800), 0);
        assert_eq!(threads_that_fit(10_000, 800), 0);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn mappings_are_counted() {
        let (used, max) = mappings(0).expect("Linux has the limit");
        assert!(used > 0 && used < max);
    }
}
