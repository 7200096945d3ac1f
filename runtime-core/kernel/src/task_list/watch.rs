//! What is noted of tasks while somebody watches.
//!
//! The notes are kept by the tasks' addresses, in shards with a lock each. An entry goes with its task's end, and all
//! of them with the last watch.

use std::collections::BTreeMap;
use std::panic::Location;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Instant;

use parking_lot::Mutex;

use super::{Awaited, Held, LiveTask, TaskState, Wait};
use crate::task::TaskId;
use crate::trace::{self, Fact, Primitive};

const SHARDS: usize = 64;

static NOTES: [Mutex<BTreeMap<TaskId, Note>>; SHARDS] =
    [const { Mutex::new(BTreeMap::new()) }; SHARDS];

/// Who holds what, by address.
static HOLDERS: [Mutex<BTreeMap<usize, Vec<Holder>>>; SHARDS] =
    [const { Mutex::new(BTreeMap::new()) }; SHARDS];

static WATCHES: AtomicUsize = AtomicUsize::new(0);

/// What is known of one task.
#[derive(Default)]
struct Note {
    spawned_at: Option<&'static Location<'static>>,
    parent: Option<TaskId>,
    polled: bool,
    waits: Vec<Wait>,
    /// Those of the poll before, so that a wait that goes on keeps its begin.
    before: Vec<Wait>,
}

struct Holder {
    task: TaskId,
    held: Held,
}

/// While it lives, what tasks wait for and hold is noted.
#[derive(Debug)]
#[must_use = "the watch ends when it is dropped"]
pub struct Watch(());

/// Begins to note what the tasks of this process wait for and hold. Several may watch at a time.
///
/// Cost while it goes on: a short lock at the begin and the end of each poll, and at each wait.
///
/// ```
/// use runtime_core::task_list::watch;
///
/// let watch = watch();
/// // ... `Runtime::tasks` now says what tasks wait for ...
/// drop(watch);
/// ```
pub fn watch() -> Watch {
    WATCHES.fetch_add(1, SeqCst);
    trace::set_watched(true);
    Watch(())
}

impl Drop for Watch {
    fn drop(&mut self) {
        if WATCHES.fetch_sub(1, SeqCst) > 1 {
            return;
        }
        trace::set_watched(false);
        // One that began meanwhile loses what it has noted, and no more.
        if WATCHES.load(SeqCst) > 0 {
            trace::set_watched(true);
        }
        NOTES.iter().for_each(|shard| shard.lock().clear());
        HOLDERS.iter().for_each(|shard| shard.lock().clear());
    }
}

/// Whether somebody watches.
#[inline(always)]
pub(crate) fn is_watched() -> bool {
    trace::is_watched()
}

fn shard<T>(shards: &[T; SHARDS], address: usize) -> &T {
    // The lowest bits are those of the alignment.
    &shards[(address >> 6) % SHARDS]
}

fn note<R>(task: TaskId, change: impl FnOnce(&mut Note) -> R) -> R {
    let mut notes = shard(&NOTES, task.get()).lock();
    change(notes.entry(task).or_default())
}

/// A task was spawned.
pub(crate) fn spawned(task: TaskId, site: Option<&'static Location<'static>>) {
    let parent = TaskId::current();
    note(task, |note| {
        *note = Note {
            spawned_at: site,
            parent,
            ..Note::default()
        };
    });
}

/// A poll begins: what its task waited for is over, or will be waited for again.
pub(crate) fn begins(task: TaskId) {
    note(task, |note| {
        note.polled = true;
        note.before = std::mem::take(&mut note.waits);
    });
}

/// A poll ends, and with it the task or not.
pub(crate) fn ends(task: TaskId, ended: bool) {
    if ended {
        shard(&NOTES, task.get()).lock().remove(&task);
    } else {
        note(task, |note| {
            note.polled = false;
            note.before.clear();
        });
    }
}

/// The calling task waits for that.
#[inline(always)]
pub(crate) fn awaits(what: Awaited) {
    if is_watched() {
        add_wait(what);
    }
}

#[cold]
fn add_wait(what: Awaited) {
    let Some(task) = TaskId::current() else {
        return;
    };
    note(task, |note| {
        if note.waits.iter().any(|wait| wait.what == what) {
            return;
        }
        let before = note.before.iter().find(|wait| wait.what == what);
        let since = before.map_or_else(Instant::now, |wait| wait.since);
        note.waits.push(Wait { what, since });
    });
}

/// What the recorder is told.
pub(crate) fn sees(fact: Fact) {
    match fact {
        Fact::LockWaits(primitive, at) => add_wait(Awaited::Lock(primitive, at)),
        Fact::LockGot(primitive, at) => got(primitive, at),
        Fact::LockReleased(_, at) => released(at),
        Fact::Ended(task) => ends(task, true),
        _ => {}
    }
}

fn got(primitive: Primitive, address: usize) {
    // What else is got is used up at once.
    if !matches!(primitive, Primitive::Mutex | Primitive::Semaphore) {
        return;
    }
    if let Some(task) = TaskId::current() {
        let since = Instant::now();
        let held = Held {
            primitive,
            address,
            since,
        };
        let mut holders = shard(&HOLDERS, address).lock();
        let holders = holders.entry(address).or_default();
        // A mutex that was made where another one was has no other holder.
        if primitive == Primitive::Mutex {
            holders.clear();
        }
        holders.push(Holder { task, held });
    }
}

/// By the calling task, as a rule; a guard may also have been given to another one.
fn released(address: usize) {
    let task = TaskId::current();
    let mut shard = shard(&HOLDERS, address).lock();
    if let Some(holders) = shard.get_mut(&address) {
        let own = holders.iter().position(|it| Some(it.task) == task);
        if !holders.is_empty() {
            holders.swap_remove(own.unwrap_or(0));
        }
        if holders.is_empty() {
            shard.remove(&address);
        }
    }
}

/// Adds to the tasks what is noted of them.
pub(super) fn complete(tasks: &mut [LiveTask]) {
    if !is_watched() {
        return;
    }
    let mut index = BTreeMap::new();
    for (place, task) in tasks.iter_mut().enumerate() {
        index.insert(task.id, place);
        let notes = shard(&NOTES, task.id.get()).lock();
        let Some(note) = notes.get(&task.id) else {
            continue;
        };
        task.spawned_at = task.spawned_at.or(note.spawned_at);
        task.parent = note.parent;
        // One that has yielded counts as running in its state word.
        if task.state == TaskState::Running && !note.polled {
            task.state = TaskState::Due;
        }
        if task.state == TaskState::Waiting {
            task.waits.clone_from(&note.waits);
        }
    }
    for shard in &HOLDERS {
        for holder in shard.lock().values().flatten() {
            if let Some(&place) = index.get(&holder.task) {
                tasks[place].holds.push(holder.held);
            }
        }
    }
}
