//! The flight recorder: small rings that are always on, and are dumped when something goes wrong.
//!
//! A signal, a call, a panic in a task, or a poll that lasted too long requests a dump. The requester does not wait:
//! the flight recorder's own thread reads the rings, and passes the recording to the program. A second request within
//! a second of the last dump is ignored, so that a storm of panics does not fill the disk.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use crate::primitives::real_locks::{Condvar, Mutex};

use super::recorder::{Recorder, Session};
use super::ring::Keep;
use super::{Recorded, clock};
use crate::contain::contain;

/// The shortest time between two dumps that were not requested by a call.
const PAUSE: Duration = Duration::from_secs(1);

/// A poll of more ticks than this requests a dump. `u64::MAX`: none does.
static POLL_LIMIT_TICKS: AtomicU64 = AtomicU64::new(u64::MAX);

/// The active flight recorder.
static CURRENT: Mutex<Option<Arc<Shared>>> = Mutex::new(None);

/// The reason for a dump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The program asked for it.
    Asked,
    /// A task panicked.
    Panic,
    /// A poll lasted for longer than the limit.
    LongPoll,
}

impl Reason {
    /// The reason in one word, for a file's name.
    pub fn word(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Panic => "panic",
            Self::LongPoll => "long-poll",
        }
    }
}

/// The options of a flight recorder.
#[derive(Clone, Debug)]
pub struct Options {
    /// The number of records for each thread, 24 bytes each.
    pub records_per_thread: usize,
    /// The number of records in all.
    pub records_in_all: usize,
    /// A poll that lasts longer causes a dump when it ends.
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

/// An active flight recorder. When you drop it, it ends, after the dump that is in progress. `on_dump` may also drop
/// it.
#[derive(Debug)]
#[must_use = "the flight recorder ends when it is dropped"]
pub struct Flight {
    thread: Option<thread::JoinHandle<()>>,
    shared: Handle,
}

/// Requests dumps of a flight recorder, from any thread.
#[derive(Clone)]
pub struct Handle(Arc<Shared>);

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handle").finish_non_exhaustive()
    }
}

impl Flight {
    /// Starts to record. `on_dump` gets each dump, on the flight recorder's thread; a panic in it is contained.
    ///
    /// # Errors
    /// `ResourceBusy` if another recording is active, or an error if the system refuses a thread.
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
        POLL_LIMIT_TICKS.store(limit, Relaxed);
        Ok(Self {
            thread: Some(thread),
            shared: Handle(shared),
        })
    }

    /// A handle that requests dumps.
    pub fn handle(&self) -> Handle {
        self.shared.clone()
    }
}

impl Handle {
    /// Requests a dump, however recent the last one is. Does not wait for it.
    pub fn dump(&self) {
        self.0.ask(Reason::Asked);
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        POLL_LIMIT_TICKS.store(u64::MAX, Relaxed);
        *CURRENT.lock() = None;
        self.shared.0.state.lock().ended = true;
        self.shared.0.work.notify_one();
        let own = thread::current().id();
        // If `on_dump` drops it, the thread ends when `on_dump` has returned.
        if let Some(thread) = self.thread.take_if(|thread| thread.thread().id() != own) {
            // It contains the panics of `on_dump`.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn ask(&self, reason: Reason) {
        let mut state = self.state.lock();
        // A call gets a dump with its own reason.
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

/// Something went wrong here: requests a dump, if a flight recorder is active.
#[cold]
#[inline(never)]
pub(crate) fn report(reason: Reason) {
    let shared = CURRENT.lock().clone();
    if let Some(shared) = shared {
        shared.ask(reason);
    }
}

/// Call this when a poll has lasted for this many ticks.
#[inline]
pub(crate) fn poll_took(ticks: u64) {
    if ticks > POLL_LIMIT_TICKS.load(Relaxed) {
        report(Reason::LongPoll);
    }
}

#[cfg(all(test, not(any(lab_loom, lab_shuttle))))]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn a_flight_recorder_may_be_dropped_by_its_own_dump() {
        let place: Arc<Mutex<Option<Flight>>> = Arc::default();
        let (sender, receiver) = mpsc::channel();
        let own = Arc::clone(&place);
        let on_dump = move |_, _| {
            let flight = own.lock().take();
            drop(flight);
            sender.send(()).expect("the test waits");
        };
        // Other tests record, too.
        let flight = loop {
            match Flight::start(Options::default(), on_dump.clone()) {
                Ok(flight) => break flight,
                Err(_) => drop(Recorder::new().start_in_turn()),
            }
        };
        let handle = flight.handle();
        *place.lock() = Some(flight);
        handle.dump();
        receiver.recv().expect("the dump has dropped it");
        // The recording ends with it.
        drop(Recorder::new().start_in_turn());
    }
}
