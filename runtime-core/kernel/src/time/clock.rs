//! What time it is: by the system's clock, or by one that jumps from deadline to deadline.

use std::fmt;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::shard;
use crate::contain::contain;
use crate::context;

/// Whether there ever was a simulated clock. While there was none, nobody looks for the runtime whose clock it might
/// be.
static ANY_SIMULATED: AtomicBool = AtomicBool::new(false);

/// What a runtime's timers go by: the system's clock, or simulated time. The builders of the runtimes take one.
///
/// **Simulated time** stands still as long as anybody has something to do. When every task waits, no blocking job runs
/// or is queued, and no socket has anything to tell, it jumps to the next deadline. So a test that sleeps an hour
/// takes as long as what it does, and what happens at which time does not depend on how fast the machine is. tokio's
/// `pause` and trio's `MockClock` are the same idea.
///
/// * It moves what reads the runtime's clock: [`sleep`](super::sleep()), [`timeout`](super::timeout()),
///   [`interval`](super::interval()), the `calls`, [`now`] and `Runtime::now`.
///   `Instant::now` and `SystemTime` stay the system's, and so do time limits on threads that block
///   ([`JoinHandle::result`](crate::JoinHandle::result), `shutdown`) and what a runtime measures of itself.
/// * What comes from outside of the runtime (another thread, process or machine) does not keep time from jumping,
///   unless a [`hold`](Clock::hold) does. A time limit around it is therefore over at once if everything else waits.
/// * A blocking job holds time. One that itself waits for the runtime's time waits for ever.
/// * A task that repeats something for ever keeps a runtime busy that has nothing else to do, as no hour is too long
///   for it.
///
/// Clones are the same clock. A simulated one is for one runtime at a time: each that has it moves it without regard
/// to the others.
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
    /// Grows only, and only in `Clock::advance`. Relaxed: who is woken at a time learns of it by the wake-up.
    elapsed_ns: AtomicU64,
    holds: Mutex<Holds>,
    runtimes: Mutex<Vec<Ask>>,
}

/// Asks a runtime whether time may pass now; false if the runtime is gone.
type Ask = Arc<dyn Fn() -> bool + Send + Sync>;

#[derive(Default)]
struct Holds {
    now: usize,
    /// How many there ever were: one that came and went between two looks is seen by it.
    ever: u64,
}

/// The instant by the clock of the runtime that the calling thread works for; outside of a runtime, the system's.
/// asyncio's `loop.time()`.
///
/// ```
/// let before = runtime_core::time::now();
/// assert!(runtime_core::time::now() >= before);
/// ```
#[inline]
pub fn now() -> Instant {
    now_by(|| context::try_with(|ambient| ambient.clock().clone()))
}

/// The instant by the clock that `clock` finds, which is asked only if it could be a simulated one. `None`: the
/// system's.
#[inline]
pub fn now_by(clock: impl FnOnce() -> Option<Clock>) -> Instant {
    if any_simulated() {
        return clock().unwrap_or_default().now();
    }
    Instant::now()
}

/// Whether some runtime may have a simulated clock.
#[inline]
pub(crate) fn any_simulated() -> bool {
    // Relaxed: whoever can reach a runtime with such a clock has got it from where the clock was made.
    ANY_SIMULATED.load(Relaxed)
}

impl Clock {
    /// The system's monotonic clock, `Instant::now`. The default.
    pub const fn real() -> Self {
        Self(None)
    }

    /// A clock of its own, which begins at the present instant and then stands still until a runtime moves it.
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

    /// What time it is.
    #[inline]
    pub fn now(&self) -> Instant {
        match &self.0 {
            None => Instant::now(),
            Some(simulated) => simulated.now(),
        }
    }

    /// Keeps simulated time from passing until the hold is dropped: for threads that a runtime does not know of, but
    /// that are going to wake its tasks. On a real clock it does nothing.
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

    /// For schedulers: the first of two steps by which time passes. `None` if this is a real clock, or is held.
    ///
    /// Between the two the scheduler sees for itself that no task can run. What whoever held the clock has done until
    /// now is visible to it.
    pub fn quiet(&self) -> Option<Quiet> {
        let holds = self.0.as_ref()?.holds.lock();
        (holds.now == 0).then_some(Quiet { ever: holds.ever })
    }

    /// For schedulers: the second step. Moves the time to `instant`, unless the clock has been held since `quiet`;
    /// false if so, or if it is a real one. Whoever holds it asks the scheduler again when it lets go.
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

    /// For schedulers: `ask` is called, from any thread, whenever a clock that was held is no longer. It is forgotten
    /// once it returns false.
    pub fn when_released(&self, ask: impl Fn() -> bool + Send + Sync + 'static) {
        if let Some(simulated) = &self.0 {
            simulated.runtimes.lock().push(Arc::new(ask));
        }
    }
}

impl Simulated {
    fn now(&self) -> Instant {
        let elapsed = Duration::from_nanos(self.elapsed_ns.load(Relaxed));
        // Out of the range of `Instant` there are no deadlines either.
        self.start.checked_add(elapsed).unwrap_or(self.start)
    }

    fn release(&self) {
        let last = {
            let mut holds = self.holds.lock();
            holds.now -= 1;
            holds.now == 0
        };
        if last {
            // Outside of all locks: a runtime that lets time pass wakes whom it likes.
            let runtimes = self.runtimes.lock().clone();
            for ask in runtimes {
                // One that panics keeps the others from nothing, and is forgotten.
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

/// A proof that nobody held a clock at some moment; see [`Clock::quiet`].
#[derive(Debug)]
pub struct Quiet {
    ever: u64,
}

/// While this lives, simulated time does not pass; see [`Clock::hold`]. The default holds nothing.
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
                // Not under the lock: whoever is written to may use the clock.
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
    fn it_moves_only_forward_and_only_when_told() {
        let clock = Clock::simulated();
        let start = clock.now();
        assert!(clock.advance(clock.quiet().unwrap(), start + HOUR));
        assert_eq!(clock.clone().now(), start + HOUR);
        assert!(clock.advance(clock.quiet().unwrap(), start));
        assert_eq!(clock.now(), start + HOUR);
    }

    #[test]
    fn a_hold_between_the_two_steps_is_seen_though_it_is_over() {
        let clock = Clock::simulated();
        let start = clock.now();
        let quiet = clock.quiet().unwrap();
        drop(clock.hold());
        assert!(!clock.advance(quiet, start + HOUR));
        assert_eq!(clock.now(), start);
    }

    #[test]
    fn the_last_hold_that_ends_asks_and_who_is_gone_is_forgotten() {
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
