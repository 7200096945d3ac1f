//! The list of live tasks: who must be ended at a shutdown, and whose threads are to be joined.
//!
//! One lock: a task takes it three times in its life, and costs a thread's creation besides. No code of the user's
//! runs under it: entries, whose last reference may free a task, are dropped outside.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use parking_lot::{Condvar, Mutex, MutexGuard};
use runtime_kernel::task::{AbortHandle, SchedulerArc, TaskId};
use runtime_kernel::task_list::LiveTask;
use runtime_kernel::time::{Clock, Quiet};

use crate::os_thread::OsThread;
use crate::task_thread::TaskThread;

/// So many of those that left last are not joined yet: they are about to exit.
const JUST_LEFT: usize = 3;
/// So many of the others a thread that leaves looks at: more than come, and so few that it costs little.
const LOOKED_AT: usize = 2;
/// How often one that the system has refused a thread gives those that are about to exit the time to do so.
const PATIENCE: u32 = 100;

pub(crate) struct Registry {
    max_threads: Option<usize>,
    state: Mutex<State>,
    /// A task has left after the closing.
    left: Condvar,
}

#[derive(Default)]
struct State {
    live: HashMap<TaskId, Entry>,
    /// Left, but not joined: in their last destructors, or exited. Those first that were not looked at for longest.
    unjoined: VecDeque<OsThread>,
    closed: bool,
    /// Of the threads that have left.
    polls: u64,
    parks: u64,
}

struct Entry {
    thread: SchedulerArc<TaskThread>,
    abort: AbortHandle,
    /// None until the spawner has put it here, which may be after the thread has left.
    os: Option<OsThread>,
    left: bool,
}

/// Why a task may not start.
pub(crate) enum Denied {
    Closed,
    /// As many live as may.
    Full(usize),
}

/// Counters, since the start.
pub(crate) struct Counts {
    pub(crate) live: u64,
    pub(crate) polls: u64,
    pub(crate) parks: u64,
}

/// What is to be dropped, and joined if it has exited, outside of the lock.
#[must_use]
struct Retired {
    entry: Entry,
    unjoined: Vec<OsThread>,
}

impl Registry {
    pub(crate) fn new(max_threads: Option<usize>) -> Self {
        Self {
            max_threads,
            state: Mutex::default(),
            left: Condvar::new(),
        }
    }

    /// Lists a task that is about to get its thread.
    pub(crate) fn enter(
        &self,
        thread: SchedulerArc<TaskThread>,
        abort: AbortHandle,
    ) -> Result<(), Denied> {
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

    /// Takes a task off the list that got no thread.
    pub(crate) fn withdraw(&self, id: TaskId) {
        let entry = {
            let mut state = self.state.lock();
            self.tell(&state);
            state.live.remove(&id)
        };
        drop(entry);
    }

    /// The spawner: the thread runs, or has already left.
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

    /// The thread, as the last thing that it does: its task has ended.
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
        // The leaver is not among them yet. It leaves anyway; others may have better to do.
        let unjoined = if by_leaver {
            state.take_unjoined()
        } else {
            Vec::new()
        };
        state.unjoined.extend(entry.os.take());
        self.tell(state);
        Retired { entry, unjoined }
    }

    /// Waits for nobody: those that have not exited are looked at again later. (Until then the leaver that has them is
    /// itself among the unjoined, see [`join`](Registry::join).)
    fn settle(&self, Retired { entry, unjoined }: Retired) {
        drop(entry);
        let running: Vec<_> = try_join(unjoined).collect();
        if !running.is_empty() {
            self.state.lock().unjoined.extend(running);
        }
    }

    /// The system has refused a thread. Joins those that have exited, which still have their stacks; false if there
    /// are none: then there is no use in asking again.
    pub(crate) fn make_room(&self) -> bool {
        for _ in 0..PATIENCE {
            let mut state = self.state.lock();
            let unjoined = std::mem::take(&mut state.unjoined);
            let before = unjoined.len();
            // Under the lock, as it waits for nobody and runs nobody's code.
            state.unjoined = try_join(unjoined).collect();
            match state.unjoined.len() {
                0 if before == 0 => return false,
                now if now < before => return true,
                _ => drop(state),
            }
            // Most have nothing left to do.
            std::thread::yield_now();
        }
        false
    }

    fn tell(&self, state: &State) {
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
        // Outside of the lock: the last reference may free a task.
        live.iter().filter_map(AbortHandle::live_task).collect()
    }

    /// Lets no more tasks in and ends those that are there, each on its own thread.
    pub(crate) fn close(&self) {
        let live: Vec<_> = {
            let mut state = self.state.lock();
            state.closed = true;
            state
                .live
                .values()
                .map(|entry| (entry.thread.clone(), entry.abort.clone()))
                .collect()
        };
        for (thread, abort) in live {
            thread.close();
            abort.abort();
        }
    }

    /// After [`close`](Registry::close): waits until all tasks have ended, but for polls only until `deadline`.
    /// Returns the names of the tasks that are still in theirs.
    pub(crate) fn wait(&self, deadline: Option<Instant>) -> Vec<String> {
        let mut state = self.state.lock();
        while !state.live.is_empty() {
            match deadline {
                Some(deadline) if deadline > Instant::now() => {
                    self.left.wait_until(&mut state, deadline);
                }
                // The time is over: what is not in a poll is about to leave.
                Some(_) if state.live.values().all(|entry| entry.thread.is_polling()) => break,
                _ => self.left.wait(&mut state),
            }
        }
        state.polling()
    }

    /// Calls `then` with all tasks if the thread of each [waits](TaskThread::waits), nobody holds `clock`, and nothing
    /// has closed the registry. No thread begins or stops to wait while it runs. `begins` is one that waits from now
    /// on.
    pub(crate) fn while_all_wait<R>(
        &self,
        clock: &Clock,
        begins: Option<&TaskThread>,
        then: impl FnOnce(Quiet, &[&TaskThread]) -> R,
    ) -> Option<R> {
        let state = self.state.lock();
        if let Some(thread) = begins {
            thread.set_waits(true);
        }
        if state.closed {
            return None;
        }
        // After `begins`: who lets go of the clock later finds it waiting. Before the others: who has let go has woken
        // whom it was to wake.
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

    /// A thread stops to wait.
    pub(crate) fn waits_no_more(&self, thread: &TaskThread) {
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
            // It may have put some back before it exited.
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
    /// Some of those that have left, not the last ones.
    fn take_unjoined(&mut self) -> Vec<OsThread> {
        let ready = self.unjoined.len().saturating_sub(JUST_LEFT);
        self.unjoined.drain(..ready.min(LOOKED_AT)).collect()
    }

    fn polling(&self) -> Vec<String> {
        let polling = self.live.values().filter(|entry| entry.thread.is_polling());
        polling
            .map(|entry| entry.abort.name().unwrap_or_default().to_owned())
            .collect()
    }
}

/// Joins those that have exited. Those that have not are left.
fn try_join(threads: impl IntoIterator<Item = OsThread>) -> impl Iterator<Item = OsThread> {
    let threads = threads.into_iter();
    threads.filter_map(|thread| thread.try_join().err())
}
