//! The list of live tasks: which tasks a shutdown must end, and which threads must be joined.
//!
//! There is one lock. A task takes it three times in its life, which costs little compared with the creation of its
//! thread. No user code runs under it: an entry may hold the last reference to a task, so entries are dropped outside
//! the lock.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use runtime_kernel::primitives::real_locks::{Condvar, Mutex, MutexGuard};
use runtime_kernel::task::{AbortHandle, TaskId};
use runtime_kernel::task_list::LiveTask;
use runtime_kernel::time::{Clock, Quiet};

use crate::os_thread::OsThread;
use crate::thread_budget;
use crate::thread_state::ThreadState;

/// This many of the threads that left last are not joined yet, because they are about to exit.
const RECENTLY_LEFT: usize = 3;
/// How many of the other threads a leaving thread tries to join: more than one, so that their number falls, but few,
/// so that it costs little.
const JOINS_PER_LEAVE: usize = 2;
/// How many threads a spawner that was refused a thread tries to join at a time.
const JOINS_FOR_ROOM: usize = 64;
/// How often a spawner that was refused a thread yields to threads that are about to begin or to exit.
const MAX_YIELDS: u32 = 100;

pub(crate) struct ThreadList {
    max_threads: Option<usize>,
    state: Mutex<State>,
    /// Signalled when a task has left after the closing.
    left: Condvar,
}

#[derive(Default)]
struct State {
    live: HashMap<TaskId, Entry>,
    /// Threads that have left but are not joined: in their last destructors, or exited. The one that was checked
    /// longest ago is first.
    unjoined: VecDeque<OsThread>,
    closed: bool,
    /// Of the threads that have left.
    polls: u64,
    parks: u64,
}

struct Entry {
    thread: Arc<ThreadState>,
    abort: AbortHandle,
    /// `None` until the spawner has put it here, which may be after the thread has left.
    os: Option<OsThread>,
    left: bool,
}

/// Why a task can't start.
pub(crate) enum Denied {
    Closed,
    /// The maximum number of tasks is alive.
    Full(usize),
}

/// Counters, since the start.
pub(crate) struct Counts {
    pub(crate) live: u64,
    pub(crate) polls: u64,
    pub(crate) parks: u64,
}

/// Dropped, and joined if exited, outside the lock.
#[must_use]
struct Retired {
    entry: Entry,
    unjoined: Vec<OsThread>,
}

impl ThreadList {
    pub(crate) fn new(max_threads: Option<usize>) -> Self {
        Self {
            max_threads,
            state: Mutex::default(),
            left: Condvar::new(),
        }
    }

    /// Adds a task that is about to get its thread.
    pub(crate) fn enter(&self, thread: Arc<ThreadState>, abort: AbortHandle) -> Result<(), Denied> {
        let entry = Entry {
            thread,
            abort,
            os: None,
            left: false,
        };
        let denied = {
            let mut state = self.state.lock();
            if state.closed {
                Denied::Closed
            } else if let Some(max) = self.max_threads.filter(|max| state.live.len() >= *max) {
                Denied::Full(max)
            } else {
                state.live.insert(entry.abort.id(), entry);
                return Ok(());
            }
        };
        drop(entry);
        Err(denied)
    }

    /// Removes a task that got no thread.
    pub(crate) fn withdraw(&self, id: TaskId) {
        let entry = {
            let mut state = self.state.lock();
            self.notify_if_closed(&state);
            state.live.remove(&id)
        };
        drop(entry);
    }

    /// The spawner calls this: the thread runs, or has already left.
    pub(crate) fn started(&self, id: TaskId, os: OsThread) {
        let by_leaver = false;
        let retired = {
            let mut state = self.state.lock();
            let entry = state.live.get_mut(&id).expect("listed by `enter`");
            entry.os = Some(os);
            if entry.left {
                Some(self.retire(&mut state, id, by_leaver))
            } else {
                None
            }
        };
        if let Some(retired) = retired {
            self.settle(retired);
        }
    }

    /// The thread calls this last: its task has ended.
    pub(crate) fn leave(&self, id: TaskId) {
        let by_leaver = true;
        let retired = {
            let mut state = self.state.lock();
            let entry = state.live.get_mut(&id).expect("listed by `enter`");
            entry.left = true;
            if entry.os.is_some() {
                Some(self.retire(&mut state, id, by_leaver))
            } else {
                None
            }
        };
        if let Some(retired) = retired {
            self.settle(retired);
        }
    }

    fn retire(&self, state: &mut MutexGuard<'_, State>, id: TaskId, by_leaver: bool) -> Retired {
        let mut entry = state.live.remove(&id).expect("listed by `enter`");
        state.polls += entry.thread.polls();
        state.parks += entry.thread.parks();
        // The leaving thread is not among them yet. It only joins others because it has nothing else to do; a spawner
        // has.
        let unjoined = if by_leaver {
            state.take_unjoined()
        } else {
            Vec::new()
        };
        state.unjoined.extend(entry.os.take());
        self.notify_if_closed(state);
        Retired { entry, unjoined }
    }

    /// Waits for no thread: those that have not exited are checked again later. (Until then, the leaving thread that
    /// has them is itself among the unjoined, see [`join`](ThreadList::join).)
    fn settle(&self, Retired { entry, unjoined }: Retired) {
        drop(entry);
        let running: Vec<_> = try_join(unjoined).collect();
        if !running.is_empty() {
            self.state.lock().unjoined.extend(running);
        }
    }

    /// Call this when a thread was refused. It joins threads that have exited but still have their stacks. If there are
    /// none, it yields a few times to those that are about to exit, and to those that have not begun: many tasks end
    /// soon. It returns true if a thread of the process has ended meanwhile, which may have made room.
    pub(crate) fn make_room(&self) -> bool {
        let before = thread_budget::ended();
        for _ in 0..MAX_YIELDS {
            let has_unjoined = {
                let mut state = self.state.lock();
                let tried = state.unjoined.len().min(JOINS_FOR_ROOM);
                let unjoined: Vec<_> = state.unjoined.drain(..tried).collect();
                // Under the lock, because it waits for no thread and runs no foreign code.
                state.unjoined.extend(try_join(unjoined));
                !state.unjoined.is_empty()
            };
            if thread_budget::ended() > before {
                return true;
            }
            if !has_unjoined && !thread_budget::is_any_starting() {
                return false;
            }
            std::thread::yield_now();
        }
        false
    }

    fn notify_if_closed(&self, state: &State) {
        if state.closed {
            self.left.notify_all();
        }
    }

    /// The tasks that have not ended.
    pub(crate) fn live_tasks(&self) -> Vec<LiveTask> {
        let live: Vec<AbortHandle> = {
            let state = self.state.lock();
            state.live.values().map(|it| it.abort.clone()).collect()
        };
        // Outside the lock: the last reference may free a task.
        live.iter().filter_map(AbortHandle::live_task).collect()
    }

    /// Whether the list accepts no more tasks.
    pub(crate) fn is_closed(&self) -> bool {
        self.state.lock().closed
    }

    /// Refuses new tasks and ends the present ones, each on its own thread.
    pub(crate) fn close(&self) {
        let live: Vec<_> = {
            let mut state = self.state.lock();
            state.closed = true;
            state
                .live
                .values()
                .map(|entry| (Arc::clone(&entry.thread), entry.abort.clone()))
                .collect()
        };
        for (thread, abort) in live {
            thread.close();
            abort.abort();
        }
    }

    /// Call this after [`close`](ThreadList::close). It waits until all tasks have ended, but for polls only until
    /// `deadline`. Returns the names of the tasks that are still in a poll.
    pub(crate) fn wait(&self, deadline: Option<Instant>) -> Vec<String> {
        let mut state = self.state.lock();
        while !state.live.is_empty() {
            match deadline {
                Some(deadline) if deadline > Instant::now() => {
                    self.left.wait_until(&mut state, deadline);
                }
                // The time is over: tasks that are not in a poll are about to leave.
                Some(_) if state.live.values().all(|entry| entry.thread.is_polling()) => break,
                _ => self.left.wait(&mut state),
            }
        }
        state.polling()
    }

    /// Calls `then` with the threads of all tasks if each of them [waits](ThreadState::waits) and nothing holds `clock`.
    /// No thread begins or stops waiting during the call. `begins` is a thread that waits from now on.
    ///
    /// After the list is closed, no time passes until all tasks have ended. Then it passes again, because a thread that
    /// has entered the runtime may still sleep.
    pub(crate) fn while_all_wait<R>(
        &self,
        clock: &Clock,
        begins: Option<&ThreadState>,
        then: impl FnOnce(Quiet, &[&ThreadState]) -> R,
    ) -> Option<R> {
        let state = self.state.lock();
        if let Some(thread) = begins {
            thread.set_waits(true);
        }
        if state.closed && state.live.values().any(|entry| !entry.left) {
            return None;
        }
        // After `begins`: code that releases the clock later finds that thread waiting. Before the other threads: code
        // that has released the clock has already woken the threads that it had to wake.
        let quiet = clock.quiet()?;
        let mut threads = Vec::new();
        for entry in state.live.values().filter(|entry| !entry.left) {
            if !entry.thread.waits() {
                return None;
            }
            threads.push(&*entry.thread);
        }
        Some(then(quiet, &threads))
    }

    /// Call this when a thread stops waiting.
    pub(crate) fn waits_no_more(&self, thread: &ThreadState) {
        let _state = self.state.lock();
        thread.set_waits(false);
    }

    /// The names of the tasks that are in a poll.
    pub(crate) fn polling(&self) -> Vec<String> {
        self.state.lock().polling()
    }

    /// Waits until the threads that have left have exited, or until `deadline`.
    pub(crate) fn join(&self, deadline: Option<Instant>) {
        loop {
            let unjoined = std::mem::take(&mut self.state.lock().unjoined);
            if unjoined.is_empty() {
                return;
            }
            for thread in unjoined {
                match deadline {
                    Some(deadline) => thread.join_until(deadline),
                    None => thread.join(),
                }
            }
            // An exiting thread may have put some back.
        }
    }

    pub(crate) fn counts(&self) -> Counts {
        let state = self.state.lock();
        let mut counts = Counts {
            live: 0,
            polls: state.polls,
            parks: state.parks,
        };
        for entry in state.live.values() {
            counts.live += u64::from(!entry.left);
            counts.polls += entry.thread.polls();
            counts.parks += entry.thread.parks();
        }
        counts
    }
}

impl State {
    /// Some of the threads that have left, but not the last ones.
    fn take_unjoined(&mut self) -> Vec<OsThread> {
        let ready = self.unjoined.len().saturating_sub(RECENTLY_LEFT);
        self.unjoined.drain(..ready.min(JOINS_PER_LEAVE)).collect()
    }

    fn polling(&self) -> Vec<String> {
        let polling = self.live.values().filter(|entry| entry.thread.is_polling());
        polling
            .map(|entry| entry.abort.name().unwrap_or_default().to_owned())
            .collect()
    }
}

/// Joins the threads that have exited. Yields the others.
fn try_join(threads: impl IntoIterator<Item = OsThread>) -> impl Iterator<Item = OsThread> {
    let threads = threads.into_iter();
    threads.filter_map(|thread| thread.try_join().err())
}
