//! Time under shuttle: when every thread of a test waits, it jumps to the next deadline.
//!
//! A separate thread, the clock, advances it. The scheduler of the test lets the clock run when no other thread can;
//! see [`thread`]. It may also let the clock run earlier: this models a machine so slow that a deadline passes while
//! other threads work.
//!
//! Each test has one system thread, which all its threads share. The time is therefore kept in a thread-local of the
//! system, and nothing is borrowed across a scheduling point.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use shuttle::sync::{Condvar, Mutex};

use super::scheduling_point;

/// When each test begins: an hour ahead, so that every instant that was read from the system's clock lies before it.
static START: LazyLock<Instant> = LazyLock::new(|| Instant::now() + Duration::from_secs(3600));

std::thread_local! {
    static TIME: RefCell<Time> = RefCell::default();
}

#[derive(Default)]
struct Time {
    elapsed: Duration,
    /// The waiting threads, by their deadline (as elapsed time) and a number that makes the key unique.
    waits: BTreeMap<(Duration, u64), Arc<Gate>>,
    next_number: u64,
    clock: Clock,
}

#[derive(Default)]
struct Clock {
    /// Its number among the threads of the test.
    thread: Option<usize>,
    /// Where it waits while nobody has a deadline.
    gate: Arc<Gate>,
    /// It has advanced the time, and is about to wake the threads whose deadlines have passed.
    is_ringing: bool,
    has_ended: bool,
}

pub fn now() -> Instant {
    *START + elapsed()
}

/// How long the test has lasted.
pub fn elapsed() -> Duration {
    TIME.with_borrow(|time| time.elapsed)
}

/// Blocks the calling thread for `duration`.
pub fn sleep(duration: Duration) {
    Arc::<Gate>::default().wait(Some(now() + duration));
}

/// Runs the program of a test, with its own clock.
pub fn run<R>(program: impl FnOnce() -> R) -> R {
    TIME.set(Time::default());
    let clock = shuttle::thread::spawn(run_clock);
    TIME.with_borrow_mut(|time| time.clock.thread = Some(usize::from(clock.thread().id())));
    let result = program();
    let gate = TIME.with_borrow_mut(|time| {
        time.clock.has_ended = true;
        Arc::clone(&time.clock.gate)
    });
    gate.open();
    clock.join().expect("the clock does not panic");
    result
}

/// The clock's number among the threads, and whether it must run before all others; `None` if there is no clock yet.
pub fn thread() -> Option<(usize, bool)> {
    TIME.with_borrow(|time| Some((time.clock.thread?, time.clock.is_ringing)))
}

/// The clock's thread.
fn run_clock() {
    loop {
        // The test's scheduler returns here when the time may advance.
        scheduling_point();
        let gate = TIME.with_borrow(|time| Arc::clone(&time.clock.gate));
        let (has_ended, due) = TIME.with_borrow_mut(Time::advance);
        if has_ended {
            return;
        }
        if due.is_empty() {
            gate.wait(None);
            gate.close();
        }
        for gate in due {
            gate.ring();
        }
        TIME.with_borrow_mut(|time| time.clock.is_ringing = false);
    }
}

impl Time {
    /// Advances to the next deadline. Returns whether the test has ended, and the threads that wait for that deadline.
    fn advance(&mut self) -> (bool, Vec<Arc<Gate>>) {
        if let Some((deadline, _)) = self.waits.keys().next() {
            self.elapsed = self.elapsed.max(*deadline);
        }
        let later = self.waits.split_off(&(self.elapsed, u64::MAX));
        let due = mem::replace(&mut self.waits, later);
        self.clock.is_ringing = !due.is_empty();
        (self.clock.has_ended, due.into_values().collect())
    }
}

/// Where one thread waits until another one opens it.
#[derive(Debug, Default)]
pub struct Gate {
    is_open: AtomicBool,
    lock: Mutex<()>,
    changed: Condvar,
}

impl Gate {
    /// Waits until the gate is open, but not past the deadline. Returns whether it is open.
    pub fn wait(self: &Arc<Self>, deadline: Option<Instant>) -> bool {
        let key = deadline.map(|deadline| self.register(deadline));
        let mut guard = lock(&self.lock);
        while !self.is_open.load(SeqCst) && deadline.is_none_or(|deadline| now() < deadline) {
            let waited = self.changed.wait(guard);
            guard = waited.unwrap_or_else(|poison| poison.into_inner());
        }
        drop(guard);
        if let Some(key) = key {
            TIME.with_borrow_mut(|time| drop(time.waits.remove(&key)));
        }
        self.is_open.load(SeqCst)
    }

    /// Opens the gate, and wakes the thread that waits for it.
    pub fn open(&self) {
        scheduling_point();
        self.is_open.store(true, SeqCst);
        self.ring();
    }

    fn close(&self) {
        self.is_open.store(false, SeqCst);
    }

    /// Makes the waiting thread look again. It holds the lock from its look until it waits, so it has either not
    /// looked yet or waits already.
    fn ring(&self) {
        drop(lock(&self.lock));
        self.changed.notify_one();
    }

    /// Registers the deadline, and wakes the clock.
    fn register(self: &Arc<Self>, deadline: Instant) -> (Duration, u64) {
        let (key, clock) = TIME.with_borrow_mut(|time| {
            let key = (deadline.saturating_duration_since(*START), time.next_number);
            time.next_number += 1;
            time.waits.insert(key, Arc::clone(self));
            (key, Arc::clone(&time.clock.gate))
        });
        if !clock.is_open.load(SeqCst) {
            clock.open();
        }
        key
    }
}

fn lock(lock: &Mutex<()>) -> shuttle::sync::MutexGuard<'_, ()> {
    lock.lock().unwrap_or_else(|poison| poison.into_inner())
}
