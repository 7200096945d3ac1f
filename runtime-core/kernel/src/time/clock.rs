//! The clock: the system's, or a simulated one that jumps from deadline to deadline.

use std::fmt;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::primitives::real_locks::Mutex;

use super::shard;
use crate::contain::contain;
use crate::primitives;

/// Whether a simulated clock was ever created. If not, nobody searches for the runtime whose clock it might be.
static ANY_SIMULATED: AtomicBool = AtomicBool::new(false);

/// The clock of a runtime's timers: the system's clock, or simulated time. The runtimes' builders accept one.
///
/// **Simulated time** stands still as long as there is something to do. When every task waits, no blocking job runs
/// or is queued, and no socket is ready, it jumps to the next deadline. A test that sleeps for an hour therefore
/// takes only as long as its work, and the times at which things happen don't depend on the speed of the machine.
/// tokio's `pause` and trio's `MockClock` are the same idea.
///
/// * It affects code that reads the runtime's clock: [`sleep`](super::sleep()), [`timeout`](super::timeout()),
///   [`interval`](super::interval()), the `calls`, [`now`](super::now()) and `Runtime::now`. `Instant::now` and
///   `SystemTime` stay the system's. So do time limits on threads that block
///   ([`JoinHandle::result`](crate::JoinHandle::result), `shutdown`) and what a runtime measures about itself.
/// * Another thread, process or machine does not stop time from jumping, unless it has a [`hold`](Clock::hold). A time
///   limit on an answer from there is therefore reached at once if everything else waits.
/// * A blocking job holds time. A job that itself waits for the runtime's time waits for ever.
/// * A task that repeats something for ever keeps an otherwise idle runtime busy, because it jumps from one
///   repetition to the next.
///
/// Clones are the same clock. Use a simulated clock for one runtime at a time: each runtime advances it without regard
/// to others.
///
/// ```
/// use std::time::Duration;
/// use runtime_core::time::Clock;
///
/// let clock = Clock::simulated();
/// let before = clock.now();
/// std::thread::sleep(Duration::from_millis(1));
/// assert_eq!(clock.now(), before, "no runtime has let it pass");
/// ```
#[derive(Clone, Default)]
pub struct Clock(Option<Arc<Simulated>>);

struct Simulated {
    start: Instant,
    /// Only grows, and only in `Clock::advance`. Relaxed: a task that is woken at a time sees it through the wake-up.
    elapsed_ns: AtomicU64,
    holds: Mutex<Holds>,
    runtimes: Mutex<Vec<Ask>>,
}

/// Asks a runtime whether time may pass now. Returns false if the runtime is gone.
type Ask = Arc<dyn Fn() -> bool + Send + Sync>;

#[derive(Default)]
struct Holds {
    now: usize,
    /// How many there ever were: shows a hold that came and went between two checks.
    ever: u64,
}

/// The present instant by the clock that `clock` returns. It is called only if the clock could be simulated. `None`
/// means the system's clock.
#[inline]
pub fn now_by(clock: impl FnOnce() -> Option<Clock>) -> Instant {
    if any_simulated() {
        return clock().unwrap_or_default().now();
    }
    primitives::now()
}

/// Whether some runtime may have a simulated clock.
#[inline]
pub(crate) fn any_simulated() -> bool {
    // Relaxed: code that can reach a runtime with such a clock got it from where the clock was made.
    ANY_SIMULATED.load(Relaxed)
}

impl Clock {
    /// The system's monotonic clock, `Instant::now`. The default.
    pub const fn real() -> Self {
        Self(None)
    }

    /// A new simulated clock, which begins at the present instant and then stands still until a runtime advances it.
    pub fn simulated() -> Self {
        ANY_SIMULATED.store(true, Relaxed);
        Self(Some(Arc::new(Simulated {
            start: shard::start_of_time().max(Instant::now()),
            elapsed_ns: AtomicU64::new(0),
            holds: Mutex::default(),
            runtimes: Mutex::default(),
        })))
    }

    /// Whether this is a simulated clock.
    #[inline]
    pub fn is_simulated(&self) -> bool {
        self.0.is_some()
    }

    /// The present instant by this clock.
    #[inline]
    pub fn now(&self) -> Instant {
        match &self.0 {
            None => primitives::now(),
            Some(simulated) => simulated.now(),
        }
    }

    /// Stops simulated time from passing until the hold is dropped. Use it for threads that a runtime does not know,
    /// but that are going to wake its tasks. On a real clock it does nothing.
    ///
    /// ```
    /// use runtime_core::time::Clock;
    ///
    /// let clock = Clock::simulated(); // and a runtime that has it
    /// let hold = clock.hold();
    /// let thread = std::thread::spawn(move || {
    ///     // ... computes, and sends the result to a task ...
    ///     drop(hold);
    /// });
    /// # thread.join().unwrap();
    /// ```
    pub fn hold(&self) -> Hold {
        if let Some(simulated) = &self.0 {
            let mut holds = simulated.holds.lock();
            holds.now += 1;
            holds.ever += 1;
        }
        Hold(self.clone())
    }

    /// For schedulers: the first of two steps that advance the time. `None` if this is a real clock, or is held.
    ///
    /// Between the two steps, the scheduler checks that no task can run. It sees everything that threads did while
    /// they held the clock.
    pub fn quiet(&self) -> Option<Quiet> {
        let holds = self.0.as_ref()?.holds.lock();
        (holds.now == 0).then_some(Quiet { ever: holds.ever })
    }

    /// For schedulers: the second step. Advances the time to `instant`. Returns false, and does nothing, if the clock
    /// was held since `quiet`, or is a real one. The thread that holds it asks the scheduler again when it releases
    /// it.
    pub fn advance(&self, quiet: Quiet, instant: Instant) -> bool {
        let Some(simulated) = &self.0 else {
            return false;
        };
        let holds = simulated.holds.lock();
        if holds.ever != quiet.ever {
            return false;
        }
        let elapsed = instant.saturating_duration_since(simulated.start);
        let elapsed_ns = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX);
        simulated.elapsed_ns.fetch_max(elapsed_ns, Relaxed);
        true
    }

    /// For schedulers: calls `ask`, on any thread, whenever the last hold of the clock ends. Forgets it once it
    /// returns false.
    pub fn when_released(&self, ask: impl Fn() -> bool + Send + Sync + 'static) {
        if let Some(simulated) = &self.0 {
            simulated.runtimes.lock().push(Arc::new(ask));
        }
    }
}

impl Simulated {
    fn now(&self) -> Instant {
        let elapsed = Duration::from_nanos(self.elapsed_ns.load(Relaxed));
        // Beyond the range of `Instant` there are no deadlines either.
        self.start.checked_add(elapsed).unwrap_or(self.start)
    }

    fn release(&self) {
        let last = {
            let mut holds = self.holds.lock();
            holds.now -= 1;
            holds.now == 0
        };
        if last {
            // Outside all locks: a runtime that lets time pass may wake anything.
            let runtimes = self.runtimes.lock().clone();
            for ask in runtimes {
                // If one panics, the others are still called, and it is forgotten.
                if contain(|| ask()) != Some(true) {
                    let mut runtimes = self.runtimes.lock();
                    let place = runtimes.iter().position(|other| Arc::ptr_eq(other, &ask));
                    let forgotten = place.map(|place| runtimes.remove(place));
                    drop(runtimes);
                    drop(forgotten);
                }
            }
        }
    }
}

/// Proof that nobody held the clock at some moment; see [`Clock::quiet`].
#[derive(Debug)]
pub struct Quiet {
    ever: u64,
}

/// While this exists, simulated time does not pass; see [`Clock::hold`]. The default holds nothing.
#[derive(Default)]
#[must_use = "time passes again when the hold is dropped"]
pub struct Hold(Clock);

impl Drop for Hold {
    fn drop(&mut self) {
        if let Some(simulated) = mem::take(&mut self.0).0 {
            simulated.release();
        }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            None => f.write_str("Clock::real"),
            Some(simulated) => {
                // Not under the lock: the formatter's output may use the clock.
                let holds = simulated.holds.lock().now;
                f.debug_struct("Clock::simulated")
                    .field("start", &simulated.start)
                    .field("elapsed_ns", &simulated.elapsed_ns)
                    .field("holds", &holds)
                    .finish()
            }
        }
    }
}

impl fmt::Debug for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Hold").field(&self.0.is_simulated()).finish()
    }
}

#[cfg(all(test, not(any(lab_loom, lab_shuttle))))]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_simulated_clock_moves_only_forward_and_only_on_request() {
        let clock = Clock::simulated();
        let start = clock.now();
        assert!(clock.advance(clock.quiet().unwrap(), start + HOUR));
        assert_eq!(clock.clone().now(), start + HOUR);
        assert!(clock.advance(clock.quiet().unwrap(), start));
        assert_eq!(clock.now(), start + HOUR);
    }

    #[test]
    fn a_hold_that_ended_between_the_two_steps_is_still_seen() {
        let clock = Clock::simulated();
        let start = clock.now();
        let quiet = clock.quiet().unwrap();
        drop(clock.hold());
        assert!(!clock.advance(quiet, start + HOUR));
        assert_eq!(clock.now(), start);
    }

    #[test]
    fn the_last_hold_that_ends_asks_and_dropped_owners_are_forgotten() {
        let clock = Clock::simulated();
        let asked = Arc::new(AtomicUsize::new(0));
        let counts = Arc::clone(&asked);
        clock.when_released(move || {
            counts.fetch_add(1, Relaxed);
            false
        });
        let (first, second) = (clock.hold(), clock.hold());
        assert!(clock.quiet().is_none());
        drop(first);
        assert_eq!(asked.load(Relaxed), 0);
        drop(second);
        assert_eq!(asked.load(Relaxed), 1);
        drop(clock.hold());
        assert_eq!(asked.load(Relaxed), 1);
        assert!(clock.quiet().is_some());
    }

    #[test]
    fn a_real_clock_is_never_moved_or_held() {
        let clock = Clock::real();
        let _hold = clock.hold();
        assert!(clock.quiet().is_none());
        assert!(!clock.is_simulated());
        assert!(clock.now() <= Instant::now());
    }
}
