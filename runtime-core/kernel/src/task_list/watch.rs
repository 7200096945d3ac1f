//! What is noted about tasks during a watch.
//!
//! The notes are kept by the tasks' addresses, in shards with a lock each. An entry is removed when its task ends, and
//! all of them when the last watch ends.

use std::collections::BTreeMap;
use std::panic::Location;
use std::time::Instant;

use crate::primitives::real_locks::Mutex;

use super::live_task::{Awaited, Held, LiveTask, TaskState, Wait};
use crate::task::TaskId;
use crate::trace::{self, Fact, Primitive};

const SHARDS: usize = 64;

static NOTES: [Mutex<BTreeMap<TaskId, Note>>; SHARDS] =
    [const { Mutex::new(BTreeMap::new()) }; SHARDS];

/// The holders of each primitive, by its address.
static HOLDERS: [Mutex<BTreeMap<usize, Vec<Holder>>>; SHARDS] =
    [const { Mutex::new(BTreeMap::new()) }; SHARDS];

/// How many watches there are. The switch changes under this lock, so that it is off after the last one.
static WATCHES: Mutex<usize> = Mutex::new(0);

/// What is known about one task.
#[derive(Default)]
struct Note {
    spawned_at: Option<&'static Location<'static>>,
    parent: Option<TaskId>,
    polled: bool,
    waits: Vec<Wait>,
    /// The waits of the previous poll, so that a wait that continues keeps its start.
    before: Vec<Wait>,
}

struct Holder {
    task: TaskId,
    held: Held,
}

/// While it exists, waits and holders of tasks are recorded.
#[derive(Debug)]
#[must_use = "the watch ends when it is dropped"]
pub struct Watch(());

/// Begins to record what the tasks of this process wait for and hold. Several watches may exist at a time.
///
/// Cost while it lasts: a short lock at the start and the end of each poll, and at each wait.
///
/// ```
/// use runtime_core::task_list::watch;
///
/// let watch = watch();
/// // ... `Runtime::tasks` now says what tasks wait for ...
/// drop(watch);
/// ```
pub fn watch() -> Watch {
    let mut watches = WATCHES.lock();
    if *watches == 0 {
        // Whoever saw the last watch may have made a note after its end.
        forget_all();
        trace::set_watched(true);
    }
    *watches += 1;
    Watch(())
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut watches = WATCHES.lock();
        *watches -= 1;
        if *watches == 0 {
            trace::set_watched(false);
            forget_all();
        }
    }
}

fn forget_all() {
    NOTES.iter().for_each(|shard| shard.lock().clear());
    HOLDERS.iter().for_each(|shard| shard.lock().clear());
}

fn shard<T>(shards: &[T; SHARDS], address: usize) -> &T {
    // The lowest bits are constant, because of the alignment.
    &shards[(address >> 6) % SHARDS]
}

fn note<R>(task: TaskId, change: impl FnOnce(&mut Note) -> R) -> R {
    let mut notes = shard(&NOTES, task.get()).lock();
    change(notes.entry(task).or_default())
}

/// Call this when a task was spawned.
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

/// Call this when a poll begins: its task's waits are over, or will be repeated.
pub(crate) fn begins(task: TaskId) {
    note(task, |note| {
        note.polled = true;
        note.before = std::mem::take(&mut note.waits);
    });
}

/// Call this when a poll ends; `ended` if the task has ended with it.
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

/// The calling task waits for `what`.
#[inline(always)]
pub(crate) fn awaits(what: Awaited) {
    if trace::is_watched() {
        add_wait(what);
    }
}

#[cold]
#[inline(never)]
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

/// Gets the facts that the recorder gets.
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
    // Other primitives are not held: what they hand out is used up at once.
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
        // A new mutex at the address of an old one has no other holder.
        if primitive == Primitive::Mutex {
            holders.clear();
        }
        holders.push(Holder { task, held });
    }
}

/// Usually the calling task releases it, but a guard may have been passed to another task.
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

/// Adds the notes to the tasks.
pub(super) fn complete(tasks: &mut [LiveTask]) {
    if !trace::is_watched() {
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
        // The state word of a task that has yielded says that it is running.
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
