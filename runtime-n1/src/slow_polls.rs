//! Reports tasks whose polls last too long: asyncio's `slow_callback_duration`.
//!
//! The loop notes which task it polls, and since when. It reads the clock after the poll, and calls the hook if the
//! poll was too long. The loop itself can't report a poll that never returns. A separate thread therefore checks
//! whether the noted poll has lasted too long. While the loop is idle, this thread sleeps without a time limit, and
//! the next poll wakes it.
//!
//! All of this exists only if the builder was given a hook. The note is under a lock, which costs a few dozen
//! nanoseconds per poll. No hook runs under the lock.

use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use runtime_kernel::context::stay_in;
use runtime_kernel::primitives::real_locks::{Condvar, Mutex};
use runtime_kernel::task::{AbortHandle, Ran, Task};

/// The shortest limit. The watching thread checks at most this often.
const MIN_LIMIT: Duration = Duration::from_millis(1);

/// A poll that has lasted too long. See [`Builder::on_slow_poll`](crate::Builder::on_slow_poll).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SlowPoll {
    /// The task's name. Without one, the type of its future, which contains the name of the function with its code.
    pub task: String,
    /// Where the task was spawned, if it was spawned with a name.
    pub spawned_at: Option<&'static Location<'static>>,
    /// How long the poll took. If it has not returned, how long it has lasted so far, at least.
    pub lasted: Duration,
    /// Whether the poll has returned. If not, nothing else runs on the loop at this moment.
    pub returned: bool,
}

impl fmt::Display for SlowPoll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task `{}`", self.task)?;
        if let Some(location) = self.spawned_at {
            write!(f, " (spawned at {location})")?;
        }
        let has_kept = if self.returned { "kept" } else { "has kept" };
        write!(
            f,
            " {has_kept} the loop for {} ms without reaching an `await` that waits",
            self.lasted.as_millis()
        )
    }
}

/// The settings from the builder.
#[derive(Clone)]
pub(crate) struct Settings {
    limit: Duration,
    hook: Arc<dyn Fn(&SlowPoll) + Send + Sync>,
}

impl Settings {
    pub(crate) fn new(limit: Duration, hook: impl Fn(&SlowPoll) + Send + Sync + 'static) -> Self {
        Self {
            limit: limit.max(MIN_LIMIT),
            hook: Arc::new(hook),
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

/// The loop's part. Dropping it ends the thread, but does not wait for it, because the hook may take long.
pub(crate) struct Watch {
    shared: Arc<Shared>,
}

struct Shared {
    settings: Settings,
    state: Mutex<State>,
    /// For the thread, when it sleeps without a time limit.
    wake: Condvar,
}

#[derive(Default)]
struct State {
    running: Option<Running>,
    /// The thread waits to be woken.
    asleep: bool,
    ended: bool,
}

/// A poll in progress. The handle keeps the task's name.
struct Running {
    task: AbortHandle,
    since: Instant,
    /// The hook was called for it.
    reported: bool,
}

impl Watch {
    pub(crate) fn start(settings: Settings) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            settings,
            state: Mutex::default(),
            wake: Condvar::new(),
        });
        let watching = Arc::clone(&shared);
        thread::Builder::new()
            .name("n1-watch".to_owned())
            .spawn(move || watching.watch())?;
        Ok(Self { shared })
    }

    /// Polls the task once, watched.
    pub(crate) fn run(&self, task: Task) -> Ran {
        let around = self.shared.begin(task.abort_handle());
        let ran = task.run();
        self.shared.end(around);
        ran
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.shared.state.lock().ended = true;
        self.shared.wake.notify_one();
    }
}

impl Shared {
    /// Returns the poll that this one runs inside, if any.
    fn begin(&self, task: AbortHandle) -> Option<Running> {
        let mut state = self.state.lock();
        let around = state.running.replace(Running {
            task,
            since: Instant::now(),
            reported: false,
        });
        if std::mem::take(&mut state.asleep) {
            drop(state);
            self.wake.notify_one();
        }
        around
    }

    fn end(&self, around: Option<Running>) {
        let ended = std::mem::replace(&mut self.state.lock().running, around);
        // Outside the lock, because the handle may be the task's last reference.
        if let Some(Running { task, since, .. }) = ended {
            let lasted = since.elapsed();
            if lasted >= self.settings.limit {
                self.report(&task, lasted, true);
            }
        }
    }

    /// The main function of the thread.
    fn watch(&self) {
        let mut state = self.state.lock();
        while !state.ended {
            match &mut state.running {
                Some(running) if !running.reported => {
                    let due = running.since.checked_add(self.settings.limit);
                    if due.is_some_and(|due| due <= Instant::now()) {
                        running.reported = true;
                        let (task, lasted) = (running.task.clone(), running.since.elapsed());
                        drop(state);
                        self.report(&task, lasted, false);
                        drop(task);
                        state = self.state.lock();
                    } else if let Some(due) = due {
                        self.wake.wait_until(&mut state, due);
                    } else {
                        self.wake.wait(&mut state);
                    }
                }
                _ => {
                    state.asleep = true;
                    self.wake.wait(&mut state);
                    state.asleep = false;
                }
            }
        }
    }

    fn report(&self, task: &AbortHandle, lasted: Duration, returned: bool) {
        let poll = SlowPoll {
            task: task.name().unwrap_or_default().to_owned(),
            spawned_at: task.spawned_at(),
            lasted,
            returned,
        };
        // A panic of the hook affects neither the task nor the loop, and neither does a runtime that it enters and
        // doesn't leave.
        let reported = catch_unwind(AssertUnwindSafe(|| {
            stay_in(|| (self.settings.hook)(&poll));
        }));
        if let Err(payload) = reported {
            // The payload's own destructor may panic, too. A panic from that one is leaked.
            let _ = catch_unwind(AssertUnwindSafe(|| drop(payload))).map_err(std::mem::forget);
        }
    }
}
