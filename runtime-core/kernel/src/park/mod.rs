//! A thread's parker: one token, on a futex.
//!
//! `std::thread::park` has one token per thread, which every library on that thread shares: one of them can consume a
//! wake-up that was meant for another. A [`Parker`] belongs to its creator. You can move it to another thread but not
//! share it, so one thread at a time parks; other threads have an [`Unparker`].
//!
//! States, all changed by read-modify-writes on one word:
//! - `EMPTY`: no token, nobody parked.
//! - `PARKED`: the owner sleeps, or is about to. Only the owner sets it, and only from `EMPTY`.
//! - `NOTIFIED`: a token waits. Anyone sets it; only the owner takes it, back to `EMPTY`.
//!
//! No wake-up is lost: `unpark` swaps `NOTIFIED` in. If the owner had not yet announced itself (`EMPTY`), its step to
//! `PARKED` fails on the token and it does not sleep. If it had (`PARKED`), the kernel compares the word with `PARKED`
//! under its own lock before it lets the owner sleep: either it sees `NOTIFIED` and returns at once, or the owner
//! sleeps already and the futex wake that follows the swap finds it. Only in that case does `unpark` make a system
//! call.

mod block_on;
mod spin;

use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

use crate::primitives::atomic::{AtomicU32, Ordering};
use crate::primitives::now;

pub use block_on::block_on_current_thread;
pub(crate) use block_on::is_blocked_on;
pub use spin::{AdaptiveSpin, Backoff};

/// No token, nobody parked.
const EMPTY: u32 = 0;
/// The owner sleeps or is about to.
const PARKED: u32 = 1;
/// A token waits for the owner.
const NOTIFIED: u32 = 2;

#[derive(Debug)]
struct Inner {
    state: AtomicU32,
    sleep_point: sleep_point::SleepPoint,
}

/// The owner's side: parks the calling thread. There is only one, and it is not `Sync`, so one thread at a time parks.
///
/// ```compile_fail
/// let parker = runtime_core::park::Parker::new();
/// std::thread::scope(|scope| {
///     scope.spawn(|| parker.park(None)); // shared with another thread
///     parker.park(None);
/// });
/// ```
#[derive(Debug)]
pub struct Parker {
    inner: Arc<Inner>,
    /// A token is for one owner: two threads that park would take it from each other.
    _not_sync: PhantomData<Cell<()>>,
}

/// The other threads' side: wakes the [`Parker`]'s owner, or keeps it from parking once.
#[derive(Clone, Debug)]
pub struct Unparker {
    inner: Arc<Inner>,
}

impl Default for Parker {
    fn default() -> Self {
        Self::new()
    }
}

impl Parker {
    /// A parker without a token.
    pub fn new() -> Self {
        Self {
            inner: Arc::new(Inner {
                state: AtomicU32::new(EMPTY),
                sleep_point: sleep_point::SleepPoint::new(),
            }),
            _not_sync: PhantomData,
        }
    }

    /// A handle that wakes this parker's owner.
    pub fn unparker(&self) -> Unparker {
        Unparker {
            inner: Arc::clone(&self.inner),
        }
    }

    /// Takes the token if there is one, without waiting. Returns whether there was one.
    ///
    /// If so, you see what was written before the [`unpark`](Unparker::unpark) that left the token.
    #[inline]
    pub fn take_token(&self) -> bool {
        let state = &self.inner.state;
        // Look before the locked instruction: usually there is no token.
        // Acquire: pairs with the Release swap in `unpark`. Nobody else takes a token.
        state.load(Ordering::Relaxed) == NOTIFIED
            && state.swap(EMPTY, Ordering::Acquire) == NOTIFIED
    }

    /// Takes the token, and waits for it up to `deadline` (`None`: for ever). Returns true if there was one, and false
    /// at the deadline.
    ///
    /// Afterwards you see what was written before the [`unpark`](Unparker::unpark) that left the token.
    pub fn park(&self, deadline: Option<Instant>) -> bool {
        if self.take_token() {
            return true;
        }
        let state = &self.inner.state;
        if deadline.is_some_and(|deadline| deadline <= now()) {
            return false;
        }
        if state
            .compare_exchange(EMPTY, PARKED, Ordering::Relaxed, Ordering::Relaxed)
            .is_err()
        {
            // A token arrived since the first look. Acquire, here and below: as in `take_token`.
            state.swap(EMPTY, Ordering::Acquire);
            return true;
        }
        loop {
            let remaining = match deadline {
                None => None,
                Some(deadline) => match deadline.checked_duration_since(now()) {
                    Some(remaining) if !remaining.is_zero() => Some(remaining),
                    // A token may have arrived at the deadline: the swap takes it, so that none stays behind unseen.
                    _ => return state.swap(EMPTY, Ordering::Acquire) == NOTIFIED,
                },
            };
            self.inner.sleep_point.wait(state, remaining);
            if self.take_token() {
                return true;
            }
        }
    }
}

impl Parker {
    /// Like [`park`](Parker::park) without a deadline, but spins first, for as long as `spin` says.
    pub fn park_after_spin(&self, spin: &AdaptiveSpin) {
        let sleep = || {
            self.park(None);
        };
        spin.wait(None, || self.take_token(), sleep);
    }
}

impl Unparker {
    /// Leaves the token and wakes the owner if it is parked. Tokens coalesce.
    pub fn unpark(&self) {
        self.inner.unpark();
    }
}

impl Inner {
    fn unpark(&self) {
        // Release: pairs with the Acquire in `park` that takes the token.
        if self.state.swap(NOTIFIED, Ordering::Release) == PARKED {
            self.sleep_point.wake(&self.state);
        }
    }
}

impl Wake for Inner {
    fn wake(self: Arc<Self>) {
        self.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.unpark();
    }
}

impl From<Unparker> for Waker {
    /// A waker that unparks the owner: for polling a future on the owner's thread.
    fn from(unparker: Unparker) -> Waker {
        Waker::from(unparker.inner)
    }
}

#[cfg(all(target_os = "linux", not(any(lab_loom, lab_shuttle))))]
mod sleep_point {
    use rustix::thread::futex;

    use super::{AtomicU32, Duration, PARKED};

    /// Where the owner sleeps: on the state word itself, with `futex(2)`.
    #[derive(Debug)]
    pub(super) struct SleepPoint;

    impl SleepPoint {
        pub(super) fn new() -> Self {
            Self
        }

        /// Sleeps while `state` is `PARKED`, up to `remaining`. May return early.
        pub(super) fn wait(&self, state: &AtomicU32, remaining: Option<Duration>) {
            // A wait with more seconds than the kernel's type can hold has no limit; the caller's loop checks the
            // deadline.
            let timeout = remaining.and_then(|remaining| futex::Timespec::try_from(remaining).ok());
            // After any error (interrupted, timed out, the word changed) the caller looks at the state again.
            let _ = futex::wait(state, futex::Flags::PRIVATE, PARKED, timeout.as_ref());
        }

        pub(super) fn wake(&self, state: &AtomicU32) {
            let _ = futex::wake(state, futex::Flags::PRIVATE, 1);
        }
    }
}

#[cfg(all(lab_shuttle, not(lab_loom)))]
mod sleep_point {
    use super::{AtomicU32, Duration, Ordering, PARKED, now};
    use crate::primitives::{Condvar, Mutex};

    /// Where the owner sleeps: on the mock clock.
    #[derive(Debug)]
    pub(super) struct SleepPoint {
        lock: Mutex<()>,
        woken: Condvar,
    }

    impl SleepPoint {
        pub(super) fn new() -> Self {
            Self {
                lock: Mutex::new(()),
                woken: Condvar::new(),
            }
        }

        /// Sleeps while `state` is `PARKED`, up to `remaining`.
        pub(super) fn wait(&self, state: &AtomicU32, remaining: Option<Duration>) {
            let mut guard = self.lock.lock();
            if state.load(Ordering::Relaxed) != PARKED {
                return;
            }
            match remaining.and_then(|remaining| now().checked_add(remaining)) {
                None => self.woken.wait(&mut guard),
                Some(deadline) => {
                    self.woken.wait_until(&mut guard, deadline);
                }
            }
        }

        pub(super) fn wake(&self, _state: &AtomicU32) {
            // Taken between the change of the state and the signal: the owner has either not looked yet, or waits
            // already.
            drop(self.lock.lock());
            self.woken.notify_one();
        }
    }
}

#[cfg(all(any(not(target_os = "linux"), lab_loom), not(lab_shuttle)))]
mod sleep_point {
    #[cfg(lab_loom)]
    use loom::sync::{Condvar, Mutex};
    #[cfg(not(lab_loom))]
    use std::sync::{Condvar, Mutex};

    use super::{AtomicU32, Duration, Ordering, PARKED};

    /// Where the owner sleeps: this lock does what the kernel's lock does for a futex.
    #[derive(Debug)]
    pub(super) struct SleepPoint {
        lock: Mutex<()>,
        woken: Condvar,
    }

    impl SleepPoint {
        pub(super) fn new() -> Self {
            Self {
                lock: Mutex::new(()),
                woken: Condvar::new(),
            }
        }

        /// Sleeps while `state` is `PARKED`, up to `remaining`. May return early.
        pub(super) fn wait(&self, state: &AtomicU32, remaining: Option<Duration>) {
            let guard = self
                .lock
                .lock()
                .unwrap_or_else(|poison| poison.into_inner());
            if state.load(Ordering::Relaxed) != PARKED {
                return;
            }
            match remaining {
                None => drop(self.woken.wait(guard)),
                Some(remaining) => drop(self.woken.wait_timeout(guard, remaining)),
            }
        }

        pub(super) fn wake(&self, _state: &AtomicU32) {
            // Taken between the change of the state and the signal: the owner has either not looked yet, or waits
            // already.
            drop(
                self.lock
                    .lock()
                    .unwrap_or_else(|poison| poison.into_inner()),
            );
            self.woken.notify_one();
        }
    }
}

#[cfg(all(test, lab_loom))]
mod loom_tests {
    use loom::thread;

    use super::*;

    #[test]
    fn an_unpark_before_or_during_park_is_not_lost() {
        loom::model(|| {
            let parker = Parker::new();
            let unparker = parker.unparker();
            let other = thread::spawn(move || unparker.unpark());
            // Deadlocks, which loom reports, if the token is lost.
            assert!(parker.park(None));
            other.join().unwrap();
        });
    }

    #[test]
    fn two_unparks_let_the_owner_see_both_messages() {
        // Without a bound, the spinning of the two futex-like locks gives too many interleavings.
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(2);
        builder.check(|| {
            let parker = Parker::new();
            let arrived = loom::sync::Arc::new(AtomicU32::new(0));
            let others: Vec<_> = (0..2)
                .map(|_| {
                    let (unparker, arrived) = (parker.unparker(), arrived.clone());
                    thread::spawn(move || {
                        arrived.fetch_add(1, Ordering::Relaxed);
                        unparker.unpark();
                    })
                })
                .collect();
            while arrived.load(Ordering::Relaxed) < 2 {
                parker.park(None);
            }
            for other in others {
                other.join().unwrap();
            }
        });
    }
}

#[cfg(all(test, not(any(lab_loom, lab_shuttle))))]
mod tests {
    use std::thread;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn a_token_left_before_is_taken_once() {
        let parker = Parker::new();
        parker.unparker().unpark();
        parker.unparker().unpark();
        assert!(parker.park(Some(Instant::now())));
        assert!(!parker.park(Some(Instant::now())));
    }

    #[test]
    fn the_deadline_ends_the_wait_and_not_before_it() {
        let parker = Parker::new();
        let deadline = Instant::now() + Duration::from_millis(5);
        assert!(!parker.park(Some(deadline)));
        assert!(Instant::now() >= deadline);
    }

    #[test]
    fn a_huge_deadline_waits_for_the_token() {
        let parker = Parker::new();
        let unparker = parker.unparker();
        let far = Instant::now() + Duration::from_secs(u64::from(u32::MAX) * 2);
        let other = thread::spawn(move || unparker.unpark());
        assert!(parker.park(Some(far)));
        other.join().unwrap();
    }

    #[test]
    fn threads_hand_a_token_to_and_fro() {
        const ROUNDS: usize = if cfg!(miri) { 20 } else { 5_000 };
        let (here, there) = (Parker::new(), Parker::new());
        let (wake_here, wake_there) = (here.unparker(), there.unparker());
        let other = thread::spawn(move || {
            for _ in 0..ROUNDS {
                assert!(there.park(Some(Instant::now() + LONG)));
                wake_here.unpark();
            }
        });
        for _ in 0..ROUNDS {
            wake_there.unpark();
            assert!(here.park(Some(Instant::now() + LONG)));
        }
        other.join().unwrap();
    }
}
