//! The list of live tasks: who must be ended at a shutdown, and whose threads are to be joined.
//!
//! One lock: a task takes it three times in its life, and costs a thread's creation besides. No code of the user's
//! runs under it: entries, whose last reference may free a task, are dropped outside.

use std::collections::{HashMap, VecDeque};
use std::thread::JoinHandle;
use std::time::Instant;

use parking_lot::{Condvar, Mutex, MutexGuard};
use runtime_kernel::task::{AbortHandle, SchedulerArc, TaskId};
use runtime_kernel::time::{Clock, Quiet};

use crate::task_thread::TaskThread;

/// Threads that have left and wait to be joined, at most. (A detached thread could outlive the runtime's end by a
/// moment.)
const UNJOINED: usize = 32;
/// So many of those that left last are not joined at once even if they are about to exit: by the time that another
/// one leaves they have exited, so that joining them costs nothing.
const JUST_LEFT: usize = 3;
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
    /// Left, but not joined; the oldest first.
    unjoined: VecDeque<JoinHandle<()>>,
    closed: bool,
    /// Of the threads that have left.
    polls: u64,
    parks: u64,
}

struct Entry {
    thread: SchedulerArc<TaskThread>,
    abort: AbortHandle,
    /// None until the spawner has put it here, which may be after the thread has left.
    os: Option<JoinHandle<()>>,
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

/// What is to be dropped and joined outside of the lock.
#[must_use]
struct Retired {
    entry: Entry,
    join: Vec<JoinHandle<()>>,
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
    pub(crate) fn started(&self, id: TaskId, os: JoinHandle<()>) {
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
            retired.settle();
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
            retired.settle();
        }
    }

    fn retire(&self, state: &mut MutexGuard<'_, State>, id: TaskId, by_leaver: bool) -> Retired {
        let mut entry = state.live.remove(&id).expect("listed by `enter`");
        state.polls += entry.thread.polls();
        state.parks += entry.thread.parks();
        // The leaver is not among them yet. Others may be anywhere, in a thread's last destructors too: they join
        // nobody.
        let join = if by_leaver {
            state.take_exited()
        } else {
            Vec::new()
        };
        state.unjoined.extend(entry.os.take());
        self.tell(state);
        Retired { entry, join }
    }

    /// The system has refused a thread. Joins those that have left, which still have their stacks; false if there are
    /// none left that could be joined: then there is no use in asking again.
    pub(crate) fn make_room(&self) -> bool {
        for _ in 0..PATIENCE {
            let (exited, rest) = {
                let mut state = self.state.lock();
                let all = std::mem::take(&mut state.unjoined);
                let (exited, rest): (Vec<_>, Vec<_>) =
                    all.into_iter().partition(JoinHandle::is_finished);
                state.unjoined = rest.into();
                (exited, state.unjoined.len())
            };
            if !exited.is_empty() {
                exited.into_iter().for_each(join);
                return true;
            }
            if rest == 0 {
                return false;
            }
            // They have nothing left to do.
            std::thread::yield_now();
        }
        false
    }

    fn tell(&self, state: &State) {
        if state.closed {
            self.left.notify_all();
        }
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

    /// Waits until the threads that have left have exited.
    pub(crate) fn join(&self) {
        let unjoined = std::mem::take(&mut self.state.lock().unjoined);
        unjoined.into_iter().for_each(join);
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
    /// Those who have left and exited since, but for the last ones; in any case the oldest of too many.
    fn take_exited(&mut self) -> Vec<JoinHandle<()>> {
        let mut exited = Vec::new();
        while self.unjoined.len() > JUST_LEFT
            && let Some(oldest) = self.unjoined.front()
            && (oldest.is_finished() || self.unjoined.len() >= UNJOINED)
        {
            exited.extend(self.unjoined.pop_front());
        }
        exited
    }

    fn polling(&self) -> Vec<String> {
        let polling = self.live.values().filter(|entry| entry.thread.is_polling());
        polling
            .map(|entry| entry.abort.name().unwrap_or_default().to_owned())
            .collect()
    }
}

impl Retired {
    fn settle(self) {
        drop(self.entry);
        self.join.into_iter().for_each(join);
    }
}

fn join(thread: JoinHandle<()>) {
    // What a task panics with is in its outcome; a thread's own end says nothing more.
    let _ = thread.join();
}
