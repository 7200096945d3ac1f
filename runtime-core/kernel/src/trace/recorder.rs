//! The process's only recording: its threads, their rings, and its dumps.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::primitives::real_locks::{Condvar, Mutex};

use super::clock::{Mark, Scale};
use super::decode::{self, Entry, Raw};
use super::names::{Name, Names};
use super::recorded::{Recorded, ThreadKind};
use super::ring::{Keep, Ring};
use super::ring_writer::Writer;
use super::switch::{WATCHED, set_recording};
use super::table::{Fact, WorkerId};
use super::unfold::Unfolding;

/// Events of threads whose thread-locals are destroyed.
pub(super) static LOST: AtomicU64 = AtomicU64::new(0);

static CURRENT: Mutex<State> = Mutex::new(State {
    recording: None,
    last: 0,
});

/// Signalled when a recording has ended.
static FREE: Condvar = Condvar::new();

struct State {
    recording: Option<Recording>,
    /// The number of the last recording.
    last: u32,
}

struct Recording {
    number: u32,
    options: Recorder,
    start: Mark,
    /// The number of records for which rings may still be allocated.
    budget: usize,
    streams: Vec<Stream>,
    /// Streams whose thread has ended, and which have room for another thread's records.
    free: Vec<usize>,
    /// Streams whose thread has ended, and which never had room. They only count dropped records.
    roomless: Vec<usize>,
    /// Rings for the first threads, whose memory is already there.
    prepared: Vec<Ring>,
    threads: BTreeMap<u32, Entry>,
    next_thread: u32,
    /// The number of threads after the last pruning.
    pruned_to: usize,
    names: Names,
}

/// A ring, and the threads whose records are in it.
struct Stream {
    ring: Arc<Ring>,
    /// The index of a thread's first record in the ring, and the thread.
    spans: Vec<(u64, u32)>,
}

impl State {
    /// The recording with that number, if it is still in progress.
    fn recording(&mut self, number: u32) -> Option<&mut Recording> {
        let recording = self.recording.as_mut();
        recording.filter(|recording| recording.number == number)
    }
}

/// A ring for the calling thread, which has that role. `None`: nothing records any more.
pub(super) fn admit(role: (ThreadKind, WorkerId)) -> Option<Writer> {
    let mut state = CURRENT.lock();
    let recording = state.recording.as_mut()?;
    Some(recording.admit(role))
}

/// A thread that wrote into that ring has ended, and another thread can use the ring.
pub(super) fn take_back(number: u32, stream: usize) {
    if let Some(recording) = CURRENT.lock().recording(number) {
        match recording.streams[stream].ring.capacity() {
            0 => recording.roomless.push(stream),
            _ => recording.free.push(stream),
        }
    }
}

/// From now on the thread has another role.
pub(super) fn set_role(number: u32, thread: u32, (kind, worker): (ThreadKind, WorkerId)) {
    if let Some(recording) = CURRENT.lock().recording(number)
        && let Some(entry) = recording.threads.get_mut(&thread)
    {
        (entry.kind, entry.worker) = (kind, worker);
    }
}

/// The number of a name. 0: there are too many, or nothing records any more.
pub(super) fn number_of_name(
    number: u32,
    name: Name<'_>,
    site: Option<&'static Location<'static>>,
) -> u16 {
    let mut state = CURRENT.lock();
    let recording = state.recording(number);
    recording.map_or(0, |recording| recording.names.number(name, site))
}

impl Recording {
    fn admit(&mut self, (kind, worker): (ThreadKind, WorkerId)) -> Writer {
        let thread = self.next_thread;
        self.next_thread += 1;
        let name = std::thread::current().name().unwrap_or("").to_owned();
        self.threads.insert(thread, Entry { name, kind, worker });
        let wanted = self.options.records_of(kind);
        let room = if wanted <= self.budget { wanted } else { 0 };
        let left = self.free.pop().or_else(|| match room {
            0 => self.roomless.pop(),
            _ => None,
        });
        let stream = left.unwrap_or_else(|| {
            self.budget -= room;
            let prepared = match room == self.options.records_per_thread {
                true => self.prepared.pop(),
                false => None,
            };
            let ring = prepared.unwrap_or_else(|| Ring::new(room, self.options.keep));
            self.streams.push(Stream {
                ring: Arc::new(ring),
                spans: Vec::new(),
            });
            self.streams.len() - 1
        });
        let Stream { ring, spans } = &mut self.streams[stream];
        spans.push((ring.written(), thread));
        let writer = Writer::new(self.number, Arc::clone(ring), stream, thread, kind);
        if worker != WorkerId::NONE {
            writer.push(Fact::ThreadIs(worker).words());
        }
        self.prune();
        writer
    }

    /// Occasionally forgets threads that have no records left: under 1:1 a flight recorder sees an endless number of
    /// threads.
    fn prune(&mut self) {
        if self.options.keep == Keep::Oldest || self.threads.len() < 2 * self.pruned_to + 64 {
            return;
        }
        let mut left = BTreeSet::new();
        for Stream { ring, spans } in &mut self.streams {
            let oldest = ring.written().saturating_sub(ring.capacity());
            let past = spans.partition_point(|(from, _)| *from <= oldest);
            spans.drain(..past.saturating_sub(1));
            left.extend(spans.iter().map(|(_, thread)| *thread));
        }
        self.threads.retain(|thread, _| left.contains(thread));
        self.pruned_to = self.threads.len();
    }

    /// All records. Called under the lock, so that no ring changes hands meanwhile.
    fn raw(&self) -> Raw {
        let mut raw = Raw {
            threads: self.threads.clone(),
            names: self.names.clone(),
            dropped: LOST.load(Relaxed),
            steps: Vec::new(),
        };
        for Stream { ring, spans } in &self.streams {
            let copied = ring.copy();
            raw.dropped += copied.dropped;
            let mut spans = spans.iter().peekable();
            let mut thread = 0;
            let mut unfolding = Unfolding::default();
            for (index, record) in (copied.first..).zip(copied.records) {
                while let Some((_, next)) = spans.next_if(|(from, _)| *from <= index) {
                    thread = *next;
                }
                unfolding.record(record, thread, &mut raw.steps);
            }
            unfolding.finish(&mut raw.steps);
        }
        raw
    }
}

/// Configures and starts a recording.
///
/// ```
/// use runtime_core::trace::Recorder;
///
/// let session = Recorder::new().records_per_thread(1000).start_in_turn();
/// // ... run something ...
/// let recorded = session.stop();
/// assert_eq!(recorded.dropped(), 0);
/// ```
#[derive(Clone, Debug)]
pub struct Recorder {
    records_per_thread: usize,
    records_in_all: usize,
    keep: Keep,
}

/// How much of a ring is in memory before its thread arrives. The kernel takes tens of microseconds to provide a huge
/// page, and it would look as if the thread's first task took them.
const PREPARED_BYTES: usize = 2 << 20;

/// More than fits into any memory.
const MAX_RECORDS: usize = 1 << (usize::BITS - 2);

/// Under 1:1 there are many threads, and each of them runs one task.
const RECORDS_OF_TASK_THREAD: usize = 1 << 14;

impl Default for Recorder {
    fn default() -> Self {
        Self {
            records_per_thread: 1 << 20,
            records_in_all: 1 << 26,
            keep: Keep::Oldest,
        }
    }
}

impl Recorder {
    /// 1,048,576 records (24 MiB) for each thread, 64 times that in all; the oldest are kept.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many records are kept for each thread, rounded up to a power of two. A record has 24 bytes.
    pub fn records_per_thread(mut self, records: usize) -> Self {
        self.records_per_thread = records.clamp(1, MAX_RECORDS).next_power_of_two();
        self
    }

    /// How many records fit in all. A thread that arrives when the space is used up records nothing.
    pub fn records_in_all(mut self, records: usize) -> Self {
        self.records_in_all = records;
        self
    }

    /// Which records are kept if not all fit.
    pub fn keep(mut self, keep: Keep) -> Self {
        self.keep = keep;
        self
    }

    fn records_of(&self, kind: ThreadKind) -> usize {
        match kind {
            ThreadKind::Task => self.records_per_thread.min(RECORDS_OF_TASK_THREAD),
            _ => self.records_per_thread,
        }
    }

    /// Rings for as many threads as there are processors, and one more for a thread that watches them.
    fn prepare(&self) -> Vec<Ring> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from) + 1;
        let threads = threads.min(self.records_in_all / self.records_per_thread.max(1));
        let ring = |_| {
            let ring = Ring::new(self.records_per_thread, self.keep);
            ring.prepare(PREPARED_BYTES);
            ring
        };
        (0..threads).map(ring).collect()
    }

    /// Begins to record everything in this process. `None` if another recording is in progress.
    pub fn start(self) -> Option<Session> {
        let mut state = CURRENT.lock();
        state.recording.is_none().then(|| self.begin(&mut state))
    }

    /// Like [`start`](Recorder::start), but waits until no other recording is in progress: for tests, which run in
    /// parallel. A thread that already has a [`Session`] waits for ever.
    pub fn start_in_turn(self) -> Session {
        let mut state = CURRENT.lock();
        FREE.wait_while(&mut state, |state| state.recording.is_some());
        self.begin(&mut state)
    }

    fn begin(self, state: &mut State) -> Session {
        // 0 means that nothing records.
        state.last = state.last % (WATCHED - 1) + 1;
        LOST.store(0, Relaxed);
        let prepared = self.prepare();
        state.recording = Some(Recording {
            number: state.last,
            prepared,
            budget: self.records_in_all,
            start: Mark::now(),
            streams: Vec::new(),
            free: Vec::new(),
            roomless: Vec::new(),
            threads: BTreeMap::new(),
            next_thread: 0,
            pruned_to: 0,
            names: Names::new(),
            options: self,
        });
        set_recording(state.last);
        Session(())
    }
}

/// A recording in progress. It ends when you drop it.
#[derive(Debug)]
#[must_use = "the recording ends when it is dropped"]
pub struct Session(());

impl Session {
    /// Ends the recording and returns it.
    pub fn stop(self) -> Recorded {
        let recorded = self.dump();
        drop(self);
        recorded
    }

    /// Returns what was recorded so far. The recording continues.
    pub fn dump(&self) -> Recorded {
        dump().expect("it runs as long as this session exists")
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        set_recording(0);
        let ended = CURRENT.lock().recording.take();
        FREE.notify_all();
        drop(ended);
    }
}

/// What the process's recording has so far; `None` if nothing records.
pub fn dump() -> Option<Recorded> {
    let (raw, start, end) = {
        let state = CURRENT.lock();
        let recording = state.recording.as_ref()?;
        // Before the rings are copied: that may take longer than the recorded program, and is no part of it.
        let end = Mark::now().stamp;
        (recording.raw(), recording.start, end)
    };
    let scale = Scale::since(start);
    Some(decode::decode(raw, &scale, end))
}

#[cfg(all(test, not(any(lab_loom, lab_shuttle))))]
mod tests {
    use std::thread;

    use super::super::Kind;
    use super::super::hooks::{next_runtime, note, thread_is};
    use super::*;

    fn counts() -> (usize, usize) {
        let state = CURRENT.lock();
        let recording = state.recording.as_ref().unwrap();
        (recording.streams.len(), recording.threads.len())
    }

    const THREADS: usize = if cfg!(miri) { 200 } else { 2000 };

    /// Records on that many threads, one after the other. They share rings, and are forgotten.
    fn record_on_many_threads(recorder: Recorder) -> Recorded {
        let session = recorder.keep(Keep::Newest).start_in_turn();
        for _ in 0..THREADS {
            thread::spawn(|| note(Fact::Searches)).join().unwrap();
        }
        let (streams, threads) = counts();
        // Other tests' threads may record, too.
        assert!(streams < THREADS / 4, "{streams} rings");
        assert!(threads < THREADS, "{threads} threads");
        session.stop()
    }

    #[test]
    fn threads_that_come_one_after_the_other_share_a_ring_and_are_forgotten() {
        let recorded = record_on_many_threads(Recorder::new().records_per_thread(8));
        assert!(recorded.dropped() > 0);
        assert!(!recorded.events().is_empty());
    }

    #[test]
    fn when_the_budget_is_used_up_events_are_counted() {
        let recorder = Recorder::new().records_per_thread(8).records_in_all(0);
        let session = recorder.start_in_turn();
        note(Fact::Searches);
        let recorded = session.stop();
        assert!(recorded.dropped() >= 1);
        assert!(recorded.events().is_empty());
    }

    #[test]
    fn threads_without_room_share_a_ring_that_has_none() {
        let recorded = record_on_many_threads(Recorder::new().records_in_all(0));
        assert!(recorded.dropped() >= THREADS as u64);
    }

    #[test]
    fn an_absurd_ring_size_gives_a_ring_without_room() {
        for records in [1 << 40, 1 << 61, usize::MAX] {
            for keep in [Keep::Oldest, Keep::Newest] {
                let recorder = Recorder::new().keep(keep).records_per_thread(records);
                let session = recorder.records_in_all(usize::MAX).start_in_turn();
                note(Fact::Searches);
                assert!(session.stop().dropped() >= 1 || records == 1 << 40);
            }
        }
    }

    #[test]
    fn an_unpark_names_its_thread_and_a_park_its_place() {
        let worker = WorkerId::new(next_runtime(), 0);
        let session = Recorder::new().records_per_thread(64).start_in_turn();
        let _role = thread_is(ThreadKind::Worker, worker);
        note(Fact::Parks(false));
        thread::spawn(move || note(Fact::Unparks(worker)))
            .join()
            .unwrap();
        note(Fact::IoPolled(3));
        note(Fact::Unparked);
        let recorded = session.stop();
        let own = recorded
            .events()
            .iter()
            .filter(|event| recorded.threads()[event.thread as usize].kind == ThreadKind::Worker);
        let own: Vec<_> = own.map(|event| (event.kind, event.a)).collect();
        // The other thread has no event of its own, but is in the table.
        let waker = recorded.threads().len() as u64 - 1;
        assert_eq!(own[..2], [(Kind::Park, Some(1)), (Kind::IoPoll, Some(3))]);
        assert_eq!(own[2].0, Kind::Unpark);
        assert!(own[2].1.is_some_and(|thread| thread <= waker));
    }

    #[test]
    fn polls_in_progress_at_the_start_begin_at_0() {
        let session = Recorder::new().records_per_thread(64).start_in_turn();
        let _role = thread_is(ThreadKind::Monitor, WorkerId::NONE);
        note(Fact::Unparked);
        let recorded = session.stop();
        let monitor = recorded
            .threads()
            .iter()
            .find(|it| it.kind == ThreadKind::Monitor);
        let monitor = monitor.unwrap().id;
        let own = recorded
            .events()
            .iter()
            .filter(|event| event.thread == monitor);
        let own: Vec<_> = own.map(|event| (event.kind, event.t_ns > 0)).collect();
        assert_eq!(own, [(Kind::Park, false), (Kind::Unpark, true)]);
    }

    #[test]
    fn what_happens_while_the_rings_are_copied_is_left_out() {
        let session = Recorder::new().records_per_thread(64).start_in_turn();
        let _role = thread_is(ThreadKind::Monitor, WorkerId::NONE);
        note(Fact::Searches);
        let end = Mark::now().stamp;
        note(Fact::IoPolled(3));
        let (raw, start) = {
            let state = CURRENT.lock();
            let recording = state.recording.as_ref().unwrap();
            (recording.raw(), recording.start)
        };
        let scale = Scale::since(start);
        let recorded = decode::decode(raw, &scale, end);
        drop(session);
        assert_eq!(recorded.wall_ns(), scale.ns(end));
        let is_own = |thread: u32| recorded.threads()[thread as usize].kind == ThreadKind::Monitor;
        let own = recorded.events().iter();
        let own = own.filter(|event| is_own(event.thread));
        let own: Vec<_> = own.map(|event| event.kind).collect();
        assert_eq!(own, [Kind::Search]);
    }
}
