//! The flight recorder: small rings that are always on, and are dumped when something goes wrong.
//!
//! A dump is asked for by a signal or a call, by a panic in a task, and by a poll that lasted too long. Whoever asks
//! does not wait: a thread of the flight recorder's own reads the rings, and calls the program with what it found. A
//! second request within a second of the last dump is left out, so that a panic storm does not fill the disk.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::recorder::{Recorder, Session};
use super::ring::Keep;
use super::{Recorded, clock};
use crate::contain::contain;

/// The shortest time between two dumps that nobody asked for.
const PAUSE: Duration = Duration::from_secs(1);

/// Polls of more ticks than this ask for a dump. `u64::MAX`: none does.
static LONGEST_POLL: AtomicU64 = AtomicU64::new(u64::MAX);

/// The flight recorder that is on.
static CURRENT: Mutex<Option<Arc<Shared>>> = Mutex::new(None);

/// Why there is a dump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// Somebody asked for it.
    Asked,
    /// A task panicked.
    Panic,
    /// A poll lasted for longer than the limit.
    LongPoll,
}

impl Reason {
    /// One word, for a file's name.
    pub fn word(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Panic => "panic",
            Self::LongPoll => "long-poll",
        }
    }
}

/// What is recorded in flight.
#[derive(Clone, Debug)]
pub struct Options {
    /// Records of each thread, 24 bytes each.
    pub records_per_thread: usize,
    /// Records in all.
    pub records_in_all: usize,
    /// A poll that lasts longer leads to a dump, once it has ended.
    pub longest_poll: Option<Duration>,
}

impl Default for Options {
    /// 16,384 records for each thread (384 KiB), 64 MiB in all; 100 ms for a poll.
    fn default() -> Self {
        Self {
            records_per_thread: 1 << 14,
            records_in_all: (64 << 20) / 24,
            longest_poll: Some(Duration::from_millis(100)),
        }
    }
}

struct Shared {
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Default)]
struct State {
    asked: Option<Reason>,
    ended: bool,
}

/// A flight recorder that is on. Dropped, it ends, after the dump that it is in the middle of.
#[derive(Debug)]
#[must_use = "the flight recorder ends when it is dropped"]
pub struct Flight {
    thread: Option<thread::JoinHandle<()>>,
    shared: Handle,
}

/// Asks a flight recorder for dumps, from anywhere.
#[derive(Clone)]
pub struct Handle(Arc<Shared>);

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handle").finish_non_exhaustive()
    }
}

impl Flight {
    /// Starts to record. `on_dump` gets each dump, on the flight recorder's thread; its panic ends there.
    ///
    /// # Errors
    /// `ResourceBusy` when something records already, and when the system gives no thread.
    pub fn start(
        options: Options,
        on_dump: impl FnMut(Reason, Recorded) + Send + 'static,
    ) -> io::Result<Self> {
        let recorder = Recorder::new()
            .keep(Keep::Newest)
            .records_per_thread(options.records_per_thread)
            .records_in_all(options.records_in_all);
        let session = recorder.start().ok_or(io::ErrorKind::ResourceBusy)?;
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            work: Condvar::new(),
        });
        let own = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("trace-dump".to_owned())
            .spawn(move || own.live(&session, on_dump))?;
        *CURRENT.lock() = Some(Arc::clone(&shared));
        let limit = options.longest_poll.map_or(u64::MAX, clock::ticks_of);
        LONGEST_POLL.store(limit, Relaxed);
        Ok(Self {
            thread: Some(thread),
            shared: Handle(shared),
        })
    }

    /// What asks for dumps.
    pub fn handle(&self) -> Handle {
        self.shared.clone()
    }
}

impl Handle {
    /// Asks for a dump, however recent the last one is. Does not wait for it.
    pub fn dump(&self) {
        self.0.ask(Reason::Asked);
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        LONGEST_POLL.store(u64::MAX, Relaxed);
        *CURRENT.lock() = None;
        self.shared.0.state.lock().ended = true;
        self.shared.0.work.notify_one();
        if let Some(thread) = self.thread.take() {
            // It contains the panics of `on_dump`.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn ask(&self, reason: Reason) {
        let mut state = self.state.lock();
        // If you asked for one, you get one that says so.
        if state.asked.is_none() || reason == Reason::Asked {
            state.asked = Some(reason);
        }
        drop(state);
        self.work.notify_one();
    }

    fn live(&self, session: &Session, mut on_dump: impl FnMut(Reason, Recorded)) {
        let mut last: Option<Instant> = None;
        loop {
            let mut state = self.state.lock();
            self.work
                .wait_while(&mut state, |state| state.asked.is_none() && !state.ended);
            let Some(reason) = state.asked.take() else {
                return;
            };
            drop(state);
            let is_soon = last.is_some_and(|last| last.elapsed() < PAUSE);
            if reason == Reason::Asked || !is_soon {
                contain(|| on_dump(reason, session.dump()));
                last = Some(Instant::now());
            }
        }
    }
}

/// Something went wrong here: the flight recorder dumps, if one is on.
#[cold]
pub(crate) fn report(reason: Reason) {
    let shared = CURRENT.lock().clone();
    if let Some(shared) = shared {
        shared.ask(reason);
    }
}

/// A poll has lasted for so many ticks.
#[inline]
pub(crate) fn poll_took(ticks: u64) {
    if ticks > LONGEST_POLL.load(Relaxed) {
        report(Reason::LongPoll);
    }
}
