//! What records: the process's one recording, its threads, and each thread's way to its ring.
#![allow(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::panic::Location;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::thread_local;

use parking_lot::{Condvar, Mutex};

use super::clock::{self, Mark, Scale};
use super::decode::{self, Raw};
use super::flight;
use super::names::{Name, Names, Seen};
use super::recorded::{Recorded, ThreadKind};
use super::ring::{Keep, Ring};
use super::table::{Fact, Outcome, Table, Words, WorkerId};
use crate::task::TaskId;
use crate::task_list;

/// The number of the recording that goes on; 0: none. With [`WATCHED`], the hooks serve a [watch](task_list::watch).
static ON: AtomicU32 = AtomicU32::new(0);

/// In [`ON`]: somebody watches what tasks wait for.
const WATCHED: u32 = 1 << 31;

static CURRENT: Mutex<State> = Mutex::new(State {
    recording: None,
    last: 0,
});

/// A recording has ended.
static FREE: Condvar = Condvar::new();

/// Events of threads whose thread-locals are gone.
static LOST: AtomicU64 = AtomicU64::new(0);

/// The number of the next runtime.
static RUNTIMES: AtomicU32 = AtomicU32::new(0);

struct State {
    recording: Option<Recording>,
    /// The number of the last recording.
    last: u32,
}

struct Recording {
    number: u32,
    options: Recorder,
    start: Mark,
    /// Records that may still be given room.
    budget: usize,
    streams: Vec<Stream>,
    /// Streams whose thread has ended, with room for another one's records.
    free: Vec<usize>,
    threads: BTreeMap<u32, Entry>,
    next_thread: u32,
    /// As many threads as there were after the last pruning.
    pruned_to: usize,
    names: Names,
}

/// A ring, and whose records are in it.
struct Stream {
    ring: Arc<Ring>,
    /// From which record on the ring is which thread's.
    spans: Vec<(u64, u32)>,
}

/// A thread, as a dump names it.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) kind: ThreadKind,
    pub(super) worker: WorkerId,
}

/// A thread's way to its ring.
struct Writer {
    /// The recording that the ring is of.
    number: u32,
    ring: Arc<Ring>,
    stream: usize,
    thread: u32,
    uses_counter: bool,
    seen: Seen,
    /// The task whose poll began last, and when.
    poll: Cell<(usize, u64)>,
}

/// Gives the ring back when the thread ends.
struct Held(Box<Writer>);

thread_local! {
    /// Points into `HELD`; null before the thread's first event, and at its end.
    static WRITER: Cell<*const Writer> = const { Cell::new(ptr::null()) };
    static HELD: RefCell<Option<Held>> = const { RefCell::new(None) };
    static ROLE: Cell<(ThreadKind, WorkerId)> = const { Cell::new((ThreadKind::Other, WorkerId::NONE)) };
}

/// Whether something records. A load and a branch: what a hook costs while nothing does.
#[inline(always)]
pub fn is_on() -> bool {
    // Relaxed: a few events more or less at the start and at the end.
    ON.load(Relaxed) != 0
}

/// Whether somebody watches what tasks wait for.
#[inline(always)]
pub(crate) fn is_watched() -> bool {
    // Relaxed: as in `is_on`.
    ON.load(Relaxed) & WATCHED != 0
}

/// Says whether somebody watches.
pub(crate) fn set_watched(watched: bool) {
    if watched {
        ON.fetch_or(WATCHED, Relaxed);
    } else {
        ON.fetch_and(!WATCHED, Relaxed);
    }
}

/// The recording that goes on; 0: none.
#[inline(always)]
fn recording() -> u32 {
    ON.load(Relaxed) & !WATCHED
}

/// A hook: says what happens here and now.
#[inline(always)]
pub fn note(fact: Fact) {
    if is_on() {
        write(fact.words());
        if is_watched() {
            watched(fact);
        }
    }
}

#[cold]
#[inline(never)]
fn watched(fact: Fact) {
    task_list::sees(fact);
}

/// A task was made. Its name is looked up only while something records.
#[cold]
#[inline(never)]
pub(crate) fn note_spawned(task: TaskId, name: Name<'_>, site: Option<&'static Location<'static>>) {
    if is_watched() {
        task_list::spawned(task, site);
    }
    let parent = TaskId::current();
    let number = with_writer(|writer| {
        writer.seen.number(name, site, |name| {
            let mut state = CURRENT.lock();
            let recording = state.recording.as_mut();
            recording.map_or(0, |recording| recording.names.number(name, site))
        })
    });
    write(Fact::Spawned(task, parent, number.unwrap_or(0)).words());
}

#[cold]
#[inline(never)]
fn write(words: Words) {
    if with_writer(|writer| writer.push(words)).is_none() && recording() != 0 {
        LOST.fetch_add(1, Relaxed);
    }
}

/// A poll begins.
#[cold]
#[inline(never)]
pub(crate) fn poll_begins(task: TaskId, table: Table) {
    if is_watched() {
        task_list::begins(task);
    }
    with_writer(|writer| {
        let now = writer.push(Fact::PollBegins(task, table).words());
        writer.poll.set((task.get(), now));
    });
}

/// The poll ends.
#[cold]
#[inline(never)]
pub(crate) fn poll_ends(task: TaskId, outcome: Outcome) {
    if is_watched() {
        task_list::ends(task, matches!(outcome, Outcome::Ready | Outcome::Panicked));
    }
    with_writer(|writer| {
        let now = writer.push(Fact::PollEnds(task, outcome).words());
        let (polled, began) = writer.poll.get();
        if polled == task.get() {
            flight::poll_took(now.saturating_sub(began));
        }
    });
    if outcome == Outcome::Panicked {
        flight::report(flight::Reason::Panic);
    }
}

/// What the calling thread is there for.
pub(super) fn role() -> ThreadKind {
    ROLE.get().0
}

/// `None`: nothing records any more, or the thread ends.
#[inline]
fn with_writer<R>(f: impl FnOnce(&Writer) -> R) -> Option<R> {
    if recording() == 0 {
        return None;
    }
    // SAFETY: it is null, or points into this thread's `HELD`, which sets it to null before it goes.
    let mut writer = unsafe { WRITER.get().as_ref() };
    if writer.is_none_or(|writer| writer.number != recording()) {
        admit_thread();
        // SAFETY: as above.
        writer = unsafe { WRITER.get().as_ref() };
    }
    writer.map(f)
}

/// Gives the calling thread a ring of the present recording.
#[cold]
#[inline(never)]
fn admit_thread() {
    let _ = HELD.try_with(|held| {
        // Dropped before the lock is taken, which it takes itself.
        drop(held.take());
        let mut state = CURRENT.lock();
        if let Some(recording) = &mut state.recording {
            let writer = Box::new(recording.admit());
            WRITER.set(ptr::from_ref(&*writer));
            held.replace(Some(Held(writer)));
        }
    });
}

impl Writer {
    /// Returns the time stamp.
    #[inline]
    fn push(&self, words: Words) -> u64 {
        let now = clock::now(self.uses_counter);
        self.ring.push([now, words.0, words.1]);
        now
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        WRITER.set(ptr::null());
        let mut state = CURRENT.lock();
        if let Some(recording) = &mut state.recording
            && recording.number == self.0.number
            && self.0.ring.has_room()
        {
            recording.free.push(self.0.stream);
        }
    }
}

impl Recording {
    fn admit(&mut self) -> Writer {
        let thread = self.next_thread;
        self.next_thread += 1;
        let (kind, worker) = ROLE.get();
        let name = std::thread::current().name().unwrap_or("").to_owned();
        self.threads.insert(thread, Entry { name, kind, worker });
        let stream = self.free.pop().unwrap_or_else(|| {
            let wanted = self.options.records_of(kind);
            let room = if wanted <= self.budget { wanted } else { 0 };
            self.budget -= room;
            self.streams.push(Stream {
                ring: Arc::new(Ring::new(room, self.options.keep)),
                spans: Vec::new(),
            });
            self.streams.len() - 1
        });
        let Stream { ring, spans } = &mut self.streams[stream];
        spans.push((ring.written(), thread));
        let writer = Writer {
            number: self.number,
            ring: Arc::clone(ring),
            stream,
            thread,
            uses_counter: clock::uses_counter(),
            seen: Seen::new(),
            poll: Cell::new((0, 0)),
        };
        if worker != WorkerId::NONE {
            writer.push(Fact::ThreadIs(worker).words());
        }
        self.prune();
        writer
    }

    /// Forgets threads of which no record is left, now and then: under 1:1 a flight recorder sees threads without end.
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

    /// All records. Under the lock, so that no ring changes hands meanwhile.
    fn raw(&self) -> Raw {
        let mut raw = Raw {
            threads: self.threads.clone(),
            names: self.names.clone(),
            dropped: LOST.load(Relaxed),
            records: Vec::new(),
        };
        for Stream { ring, spans } in &self.streams {
            let copied = ring.copy();
            raw.dropped += copied.dropped;
            let mut spans = spans.iter().peekable();
            let mut thread = 0;
            for (index, record) in (copied.first..).zip(copied.records) {
                while let Some((_, next)) = spans.next_if(|(from, _)| *from <= index) {
                    thread = *next;
                }
                raw.records.push((record, thread));
            }
        }
        raw
    }
}

/// What the calling thread is, until it is dropped.
#[derive(Debug)]
#[must_use = "the thread is an ordinary one when it is dropped"]
pub struct RoleGuard((ThreadKind, WorkerId));

/// Says what the calling thread is there for, and by what others name it.
pub fn thread_is(kind: ThreadKind, worker: WorkerId) -> RoleGuard {
    let guard = RoleGuard(ROLE.replace((kind, worker)));
    if is_on() {
        say_role(kind, worker);
    }
    guard
}

#[cold]
fn say_role(kind: ThreadKind, worker: WorkerId) {
    let Some(thread) = with_writer(|writer| writer.thread) else {
        return;
    };
    if let Some(recording) = &mut CURRENT.lock().recording
        && let Some(entry) = recording.threads.get_mut(&thread)
    {
        (entry.kind, entry.worker) = (kind, worker);
    }
    note(Fact::ThreadIs(worker));
}

impl Drop for RoleGuard {
    fn drop(&mut self) {
        let _ = ROLE.try_with(|role| role.set(self.0));
    }
}

/// A number for a runtime, for [`WorkerId::new`].
pub fn next_runtime() -> u32 {
    RUNTIMES.fetch_add(1, Relaxed)
}

/// How a recording is made.
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

/// Under 1:1 there are many threads, and each runs one task.
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

    /// How many records of each thread are kept, rounded up to a power of two. A record has 24 bytes.
    pub fn records_per_thread(mut self, records: usize) -> Self {
        self.records_per_thread = records.max(1).next_power_of_two();
        self
    }

    /// For how many records there may be room in all. A thread that comes later records nothing.
    pub fn records_in_all(mut self, records: usize) -> Self {
        self.records_in_all = records;
        self
    }

    /// Which records are kept where not all fit.
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

    /// Begins to record, everything in this process. `None`: another recording goes on.
    pub fn start(self) -> Option<Session> {
        let mut state = CURRENT.lock();
        state.recording.is_none().then(|| self.begin(&mut state))
    }

    /// As [`start`](Recorder::start), but waits until no other recording goes on: for tests, which run side by side. A
    /// thread that has a [`Session`] itself waits for ever.
    pub fn start_in_turn(self) -> Session {
        let mut state = CURRENT.lock();
        FREE.wait_while(&mut state, |state| state.recording.is_some());
        self.begin(&mut state)
    }

    fn begin(self, state: &mut State) -> Session {
        // 0 says that nothing records.
        state.last = state.last % (WATCHED - 1) + 1;
        LOST.store(0, Relaxed);
        state.recording = Some(Recording {
            number: state.last,
            budget: self.records_in_all,
            start: Mark::now(),
            streams: Vec::new(),
            free: Vec::new(),
            threads: BTreeMap::new(),
            next_thread: 0,
            pruned_to: 0,
            names: Names::new(),
            options: self,
        });
        ON.fetch_or(state.last, Relaxed);
        Session(())
    }
}

/// A recording that goes on. Dropped, it ends.
#[derive(Debug)]
#[must_use = "the recording ends when it is dropped"]
pub struct Session(());

impl Session {
    /// Ends the recording: what was recorded.
    pub fn stop(self) -> Recorded {
        let recorded = self.dump();
        drop(self);
        recorded
    }

    /// What was recorded so far. The recording goes on.
    pub fn dump(&self) -> Recorded {
        dump().expect("it goes on as long as this is there")
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        ON.fetch_and(WATCHED, Relaxed);
        let ended = CURRENT.lock().recording.take();
        FREE.notify_all();
        drop(ended);
    }
}

/// What the process's recording has recorded so far; `None` if nothing records.
pub fn dump() -> Option<Recorded> {
    let (raw, start, end) = {
        let state = CURRENT.lock();
        let recording = state.recording.as_ref()?;
        (recording.raw(), recording.start, Mark::now().stamp)
    };
    let scale = Scale::since(start);
    Some(decode::decode(raw, &scale, end))
}

#[cfg(all(test, not(any(lab_loom, lab_shuttle))))]
mod tests {
    use std::thread;

    use super::super::Kind;
    use super::*;

    fn counts() -> (usize, usize) {
        let state = CURRENT.lock();
        let recording = state.recording.as_ref().unwrap();
        (recording.streams.len(), recording.threads.len())
    }

    #[test]
    fn threads_that_come_one_after_the_other_share_a_ring_and_are_forgotten() {
        const THREADS: usize = if cfg!(miri) { 200 } else { 2000 };
        let recorder = Recorder::new().keep(Keep::Newest).records_per_thread(8);
        let session = recorder.start_in_turn();
        for _ in 0..THREADS {
            thread::spawn(|| note(Fact::Searches)).join().unwrap();
        }
        let (streams, threads) = counts();
        // Other tests' threads may record, too.
        assert!(streams < THREADS / 4, "{streams} rings");
        assert!(threads < THREADS, "{threads} threads");
        let recorded = session.stop();
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
    fn an_unpark_says_who_and_a_park_where() {
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
        // The other thread has no event of its own, and is in the table all the same.
        let waker = recorded.threads().len() as u64 - 1;
        assert_eq!(own[..2], [(Kind::Park, Some(1)), (Kind::IoPoll, Some(3))]);
        assert_eq!(own[2].0, Kind::Unpark);
        assert!(own[2].1.is_some_and(|thread| thread <= waker));
    }

    #[test]
    fn what_was_going_on_at_the_start_begins_at_0() {
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
}
