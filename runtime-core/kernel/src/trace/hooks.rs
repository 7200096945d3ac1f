//! The hooks, and what they cost.
#![allow(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::panic::Location;
use std::ptr;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::thread_local;

use super::acting::acting_task;
use super::flight;
use super::names::Name;
use super::recorded::ThreadKind;
use super::recorder::{self, LOST};
use super::ring_writer::Writer;
use super::switch::{is_on, is_watched_here, recording};
use super::table::{Fact, Outcome, Queue, Table, WorkerId};
use super::words::Words;
use crate::task::TaskId;
use crate::task_list;
use crate::thread_stack::in_the_middle;

/// The number of the next runtime.
static RUNTIMES: AtomicU32 = AtomicU32::new(0);

/// Gives the ring back when the thread ends.
// No box: moving a box would invalidate pointers into it.
struct Held(Rc<Writer>);

thread_local! {
    /// Points into `HELD`; null before the thread's first event, and at its end.
    static WRITER: Cell<*const Writer> = const { Cell::new(ptr::null()) };
    static HELD: RefCell<Option<Held>> = const { RefCell::new(None) };
    static ROLE: Cell<(ThreadKind, WorkerId)> = const { Cell::new((ThreadKind::Other, WorkerId::NONE)) };
}

/// A hook: records what happens here and now.
#[inline(always)]
pub fn note(fact: Fact) {
    if is_on() {
        match fact {
            Fact::Queued(task, queue, owner) => queued(task, queue, owner),
            // A watch also follows these. The variant is known at each call, so this match is resolved at compile
            // time.
            Fact::LockWaits(..) | Fact::LockGot(..) | Fact::LockReleased(..) | Fact::Ended(..) => {
                write_watched(fact)
            }
            _ => write(fact.words()),
        }
    }
}

#[cold]
#[inline(never)]
fn write_watched(fact: Fact) {
    write(fact.words());
    if is_watched_here() {
        task_list::sees(fact);
    }
}

/// A task was created. Its name is looked up only during a recording.
#[cold]
#[inline(never)]
pub(crate) fn note_spawned(task: TaskId, name: Name<'_>, site: Option<&'static Location<'static>>) {
    if is_watched_here() {
        watch_spawn(task, site);
    }
    let parent = acting_task();
    count_if_lost(with_writer(|writer| {
        let look_up = |name| recorder::number_of_name(writer.number, name, site);
        let number = writer.seen.number(name, site, look_up);
        writer.push(Fact::Spawned(task, parent, number).words());
    }));
}

#[cold]
#[inline(never)]
fn watch_spawn(task: TaskId, site: Option<&'static Location<'static>>) {
    task_list::spawned(task, site);
}

/// Records the name of a task that was created before the recording.
pub(super) fn note_name(task: TaskId, name: Name<'_>, site: Option<&'static Location<'static>>) {
    count_if_lost(with_writer(|writer| {
        let number = recorder::number_of_name(writer.number, name, site);
        writer.push(Fact::Named(task, number).words());
    }));
}

/// A task is queued in the step in which it is spawned or woken, or in which its poll ends. Both have the same time,
/// and share one record.
#[cold]
#[inline(never)]
fn queued(task: TaskId, queue: Queue, owner: WorkerId) {
    count_if_lost(with_writer(|writer| {
        if owner != WorkerId::NONE || !writer.add_queue(task, queue) {
            writer.push_at_last(Fact::Queued(task, queue, owner).words());
        }
    }));
}

#[cold]
#[inline(never)]
fn write(words: Words) {
    count_if_lost(with_writer(|writer| {
        writer.push(words);
    }));
}

/// Like [`note`], for an event directly after the thread's last event. It does not read the clock again, which costs
/// as much as everything else.
#[cold]
#[inline(never)]
pub(crate) fn note_right_after(fact: Fact) {
    count_if_lost(with_writer(|writer| {
        writer.push_right_after(fact.words());
    }));
}

/// Counts an event that could not be recorded.
#[inline]
fn count_if_lost(recorded: Option<()>) {
    if recorded.is_none() {
        lose();
    }
}

#[cold]
#[inline(never)]
fn lose() {
    if recording() != 0 {
        LOST.fetch_add(1, Relaxed);
    }
}

/// A poll begins.
#[cold]
#[inline(never)]
pub(crate) fn poll_begins(task: TaskId, table: Table) {
    if is_watched_here() {
        watch_begin(task);
    }
    count_if_lost(with_writer(|writer| writer.begin_poll(task, table)));
}

#[cold]
#[inline(never)]
fn watch_begin(task: TaskId) {
    task_list::begins(task);
}

/// The poll ends.
#[cold]
#[inline(never)]
pub(crate) fn poll_ends(task: TaskId, outcome: Outcome) {
    if is_watched_here() {
        watch_end(task, outcome);
    }
    let took = with_writer(|writer| writer.end_poll(task, outcome));
    count_if_lost(took.map(|_| ()));
    if let Some(ticks) = took.flatten() {
        flight::poll_took(ticks);
    }
    if outcome == Outcome::Panicked {
        flight::report(flight::Reason::Panic);
    }
}

#[cold]
#[inline(never)]
fn watch_end(task: TaskId, outcome: Outcome) {
    let ended = matches!(outcome, Outcome::Ready | Outcome::Panicked);
    task_list::ends(task, ended);
}

/// What the calling thread is for.
pub(super) fn role() -> ThreadKind {
    ROLE.get().0
}

/// `None`: nothing records any more, or the thread is ending.
#[inline]
fn with_writer<R>(f: impl FnOnce(&Writer) -> R) -> Option<R> {
    let recording = recording();
    if recording == 0 {
        return None;
    }
    // SAFETY: it is null, or points into this thread's `HELD`, which sets it to null before it is dropped.
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
    let _middle = in_the_middle();
    let _ = HELD.try_with(|held| {
        // Dropped before the lock is taken, because the drop takes it too.
        drop(held.take());
        if let Some(writer) = recorder::admit(ROLE.get()) {
            let writer = Rc::new(writer);
            WRITER.set(Rc::as_ptr(&writer));
            held.replace(Some(Held(writer)));
        }
    });
}

impl Drop for Held {
    fn drop(&mut self) {
        WRITER.set(ptr::null());
        // One without any room is given back as well, or each further thread would need another.
        if self.0.ring.has_room() || self.0.ring.capacity() == 0 {
            recorder::take_back(self.0.number, self.0.stream);
        }
    }
}

/// The role of the calling thread, until this is dropped.
#[derive(Debug)]
#[must_use = "the thread is an ordinary one when it is dropped"]
pub struct RoleGuard((ThreadKind, WorkerId));

/// Sets what the calling thread is for, and the name by which others refer to it.
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
