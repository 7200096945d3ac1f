//! Naming the tasks whose polls last too long: asyncio's `slow_callback_duration`.
//!
//! The loop notes which task it polls, and since when. It asks for the time after the poll, and tells the hook if that
//! was too long. A poll that never returns can't be told of by the loop itself. So there is a thread, which looks
//! whether the poll that is noted has lasted too long. It sleeps without a time limit while the loop is idle, and is
//! woken by the next poll.
//!
//! All of this exists only if the builder was given a hook. The note is under a lock, which costs a few dozen
//! nanoseconds for each poll. No hook runs under it.

use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use runtime_kernel::task::{AbortHandle, Ran, Task};

/// The shortest limit: the watching thread looks that often, at most.
const SHORTEST_LIMIT: Duration = Duration::from_millis(1);

/// A poll that has lasted too long. See [`Builder::on_slow_poll`](crate::Builder::on_slow_poll).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SlowPoll {
    /// The task's name, else the type of its future, which names the function that its code stands in.
    pub task: String,
    /// Where the task was spawned, if it was spawned with a name.
    pub spawned_at: Option<&'static Location<'static>>,
    /// How long it took; for at least how long it has lasted so far, if it has not returned.
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

/// What the builder was told.
#[derive(Clone)]
pub(crate) struct Settings {
    limit: Duration,
    hook: Arc<dyn Fn(&SlowPoll) + Send + Sync>,
}

impl Settings {
    pub(crate) fn new(limit: Duration, hook: impl Fn(&SlowPoll) + Send + Sync + 'static) -> Self {
        Self {
            limit: limit.max(SHORTEST_LIMIT),
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

/// The loop's side. Dropped, it ends the thread, and does not wait for it: the hook may take its time.
pub(crate) struct Watch {
    shared: Arc<Shared>,
}

struct Shared {
    settings: Settings,
    state: Mutex<State>,
    /// For the thread, when it sleeps without a limit.
    wake: Condvar,
}

#[derive(Default)]
struct State {
    running: Option<Running>,
    /// The thread waits to be woken.
    asleep: bool,
    ended: bool,
}

/// A poll that goes on. The handle keeps the task's name.
struct Running {
    task: AbortHandle,
    since: Instant,
    /// The hook knows of it.
    told: bool,
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

    /// Runs the task once, watched.
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
    /// Returns the poll that this one runs inside of, if any.
    fn begin(&self, task: AbortHandle) -> Option<Running> {
        let mut state = self.state.lock();
        let around = state.running.replace(Running {
            task,
            since: Instant::now(),
            told: false,
        });
        if std::mem::take(&mut state.asleep) {
            drop(state);
            self.wake.notify_one();
        }
        around
    }

    fn end(&self, around: Option<Running>) {
        let ended = std::mem::replace(&mut self.state.lock().running, around);
        // Outside of the lock: the handle may be the task's last.
        if let Some(Running { task, since, .. }) = ended {
            let lasted = since.elapsed();
            if lasted >= self.settings.limit {
                self.tell(&task, lasted, true);
            }
        }
    }

    /// The thread's life.
    fn watch(&self) {
        let mut state = self.state.lock();
        while !state.ended {
            match &mut state.running {
                Some(running) if !running.told => {
                    let due = running.since.checked_add(self.settings.limit);
                    if due.is_some_and(|due| due <= Instant::now()) {
                        running.told = true;
                        let (task, lasted) = (running.task.clone(), running.since.elapsed());
                        drop(state);
                        self.tell(&task, lasted, false);
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

    fn tell(&self, task: &AbortHandle, lasted: Duration, returned: bool) {
        let poll = SlowPoll {
            task: task.name().unwrap_or_default().to_owned(),
            spawned_at: task.spawned_at(),
            lasted,
            returned,
        };
        // The hook's panic is neither the task's nor the loop's.
        let told = catch_unwind(AssertUnwindSafe(|| (self.settings.hook)(&poll)));
        if let Err(payload) = told {
            // The payload's own destructor may panic, too: there the chain is cut.
            let _ = catch_unwind(AssertUnwindSafe(|| drop(payload))).map_err(std::mem::forget);
        }
    }
}
