//! A thread's way to its ring: the hooks, and what they cost.
#![allow(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::panic::Location;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::thread_local;

use super::clock;
use super::flight;
use super::names::{Name, Seen};
use super::recorded::ThreadKind;
use super::recorder;
use super::ring::Ring;
use super::table::{Fact, Outcome, Table, Words, WorkerId};
use crate::task::TaskId;
use crate::task_list;

/// The number of the recording that goes on; 0: none. With [`WATCHED`], the hooks serve a [watch](task_list::watch).
pub(super) static ON: AtomicU32 = AtomicU32::new(0);

/// In [`ON`]: somebody watches what tasks wait for.
pub(super) const WATCHED: u32 = 1 << 31;

/// Events of threads whose thread-locals are gone.
pub(super) static LOST: AtomicU64 = AtomicU64::new(0);

/// The number of the next runtime.
static RUNTIMES: AtomicU32 = AtomicU32::new(0);

/// A thread's way to its ring.
pub(super) struct Writer {
    /// The recording that the ring is of.
    number: u32,
    ring: Arc<Ring>,
    /// The ring's place in the recording.
    stream: usize,
    /// The thread's number in the recording.
    thread: u32,
    uses_counter: bool,
    seen: Seen,
    /// The time stamp of the last record.
    last: Cell<u64>,
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
        // A task is queued in the step in which it is spawned, woken, or lets go: that is the time of both.
        if let Fact::Queued(..) = fact {
            write_at_last(fact.words());
        } else {
            write(fact.words());
        }
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
        let look_up = |name| recorder::number_of_name(writer.number, name, site);
        writer.seen.number(name, site, look_up)
    });
    write(Fact::Spawned(task, parent, number.unwrap_or(0)).words());
}

#[cold]
#[inline(never)]
fn write_at_last(words: Words) {
    if with_writer(|writer| writer.push_at_last(words)).is_none() && recording() != 0 {
        LOST.fetch_add(1, Relaxed);
    }
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
        let ended = matches!(outcome, Outcome::Ready | Outcome::Panicked);
        task_list::ends(task, ended);
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
    let recording = recording();
    if recording == 0 {
        return None;
    }
    // SAFETY: it is null, or points into this thread's `HELD`, which sets it to null before it goes.
    let mut writer = unsafe { WRITER.get().as_ref() };
    if writer.is_none_or(|writer| writer.number != recording) {
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
        if let Some(writer) = recorder::admit(ROLE.get()) {
            let writer = Box::new(writer);
            WRITER.set(ptr::from_ref(&*writer));
            held.replace(Some(Held(writer)));
        }
    });
}

impl Writer {
    pub(super) fn new(number: u32, ring: Arc<Ring>, stream: usize, thread: u32) -> Self {
        Self {
            number,
            ring,
            stream,
            thread,
            uses_counter: clock::uses_counter(),
            seen: Seen::new(),
            last: Cell::new(0),
            poll: Cell::new((0, 0)),
        }
    }

    /// Returns the time stamp.
    #[inline]
    pub(super) fn push(&self, words: Words) -> u64 {
        let now = clock::now(self.uses_counter);
        self.last.set(now);
        self.ring.push([now, words.0, words.1]);
        now
    }

    /// A record of the same time as the thread's last one. It costs a third of one with a time of its own.
    #[inline]
    fn push_at_last(&self, words: Words) {
        match self.last.get() {
            0 => {
                self.push(words);
            }
            last => self.ring.push([last, words.0, words.1]),
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        WRITER.set(ptr::null());
        if self.0.ring.has_room() {
            recorder::take_back(self.0.number, self.0.stream);
        }
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
    let Some((number, thread)) = with_writer(|writer| (writer.number, writer.thread)) else {
        return;
    };
    recorder::set_role(number, thread, (kind, worker));
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
