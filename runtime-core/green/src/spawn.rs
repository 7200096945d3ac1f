//! Starting green tasks.
#![allow(unsafe_code)]

use std::panic::Location;

use runtime_kernel::context::{self, Ambient};
use runtime_kernel::spawn::spawn_pinnable_on;
use runtime_kernel::task::{SchedulerRef, Task, bind_pinnable};
use runtime_kernel::{Attributes, JoinHandle, Native};

use crate::stack::DEFAULT_STACK_BYTES;
use crate::task::{Green, Settings};
use crate::wait::with_room;

/// The stack that spawning needs: the rest of the work is done on the worker's own stack.
const SPAWN_BYTES: usize = 16 * 1024;

/// Starts a green task on the runtime that the calling thread belongs to: `function` runs on its own stack, where it
/// may [`wait`](crate::wait()). The handle is an ordinary task handle.
///
/// The stack has [`DEFAULT_STACK_BYTES`]; use a [`Builder`] for another size. It is allocated when the task first
/// runs, and freed when the task ends. Only pages that are touched use memory.
///
/// Under M:N another worker may take the task before it has begun. Once it has begun, it stays on its worker.
///
/// # Panics
/// Outside a runtime.
///
/// # Errors
/// The handle yields [`SpawnFailed`](runtime_kernel::JoinError::SpawnFailed) if there is no memory for a stack, and
/// [`StackOverflow`](runtime_kernel::JoinError::StackOverflow) if it was too small.
///
/// ```
/// use std::time::Duration;
/// use runtime_core::green;
///
/// let runtime = runtime_mn::Runtime::new()?;
/// let text = runtime.block_on(async {
///     let task = green::spawn(|| {
///         green::sleep(Duration::from_millis(1));
///         "after a millisecond"
///     });
///     task.await.unwrap()
/// });
/// assert_eq!(text, "after a millisecond");
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn spawn<F, T>(function: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    Builder::new().spawn(function)
}

/// Like [`spawn`], on the given runtime, from any thread.
#[track_caller]
pub fn spawn_on<R, F, T>(runtime: &R, function: F) -> JoinHandle<T>
where
    R: Native,
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    Builder::new().spawn_on(runtime, function)
}

/// Makes a green task of a scheduler, which must queue, run or cancel it: [`bind`](runtime_kernel::task::bind) for
/// green tasks. It is meant for authors of schedulers. A scheduler that moves tasks must obey [`Task::home`].
pub fn bind<F, T>(scheduler: &SchedulerRef, function: F) -> (Task, JoinHandle<T>)
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let Builder { settings, .. } = Builder::new();
    let green = Green::new(function, settings);
    bind_pinnable(scheduler, None, Attributes::default(), green)
}

/// Starts a green task with settings.
///
/// ```
/// use runtime_core::green;
///
/// let event_loop = runtime_n1::Loop::new()?;
/// let sum = event_loop.block_on(async {
///     let task = green::Builder::new()
///         .name("adder")
///         .stack_bytes(256 * 1024)
///         .spawn(|| 3 + 4);
///     task.await.unwrap()
/// });
/// assert_eq!(sum, 7);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder starts nothing by itself"]
pub struct Builder {
    name: Option<Box<str>>,
    attributes: Attributes,
    settings: Settings,
}

impl Default for Builder {
    fn default() -> Self {
        Self::new()
    }
}

impl Builder {
    /// The defaults.
    pub fn new() -> Self {
        Self {
            name: None,
            attributes: Attributes::default(),
            settings: Settings {
                stack_bytes: DEFAULT_STACK_BYTES,
                moves: false,
            },
        }
    }

    /// Sets a name, which monitors, reports and errors show. The default is the type of the task's function.
    pub fn name(mut self, name: impl Into<Box<str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sets attributes for the scheduler's policy, such as a tag.
    pub fn attributes(mut self, attributes: Attributes) -> Self {
        self.attributes = attributes;
        self
    }

    /// Sets the size of the stack in bytes, which is rounded up to the next power of two. It must be between
    /// [`MIN_STACK_BYTES`](crate::MIN_STACK_BYTES) and [`MAX_STACK_BYTES`](crate::MAX_STACK_BYTES). Otherwise the
    /// handle yields [`SpawnFailed`](runtime_kernel::JoinError::SpawnFailed).
    pub fn stack_bytes(mut self, bytes: usize) -> Self {
        self.settings.stack_bytes = bytes;
        self
    }

    /// Lets the scheduler resume the task on any thread.
    ///
    /// # Safety
    /// Whenever the task is suspended, all values on its stack may be sent to another thread, including those of
    /// functions that it has called; and no value on it is the address of a thread-local or was computed from one. The
    /// compiler checks neither. It may itself keep the address of a thread-local across a wait where the source reads
    /// it twice (unsafe-code-guidelines#602, llvm#98479). So in general you can't promise this. The lab uses it to
    /// measure what staying on one worker costs.
    pub unsafe fn may_move(mut self) -> Self {
        self.settings.moves = true;
        self
    }

    /// Starts `function`, as [`spawn`] does.
    ///
    /// # Panics
    /// Outside a runtime.
    #[track_caller]
    pub fn spawn<F, T>(self, function: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let ambient = context::with("green::spawn", std::sync::Arc::clone);
        self.spawn_on_ambient(&*ambient, function)
    }

    /// Starts `function` on the given runtime, as [`spawn_on`] does.
    #[track_caller]
    pub fn spawn_on<R, F, T>(self, runtime: &R, function: F) -> JoinHandle<T>
    where
        R: Native,
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.spawn_on_ambient(&**runtime.ambient(), function)
    }

    #[track_caller]
    fn spawn_on_ambient<F, T>(self, ambient: &dyn Ambient, function: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let Self {
            name,
            attributes,
            settings,
        } = self;
        let name = name.map(|name| (name, Location::caller()));
        with_room(SPAWN_BYTES, || {
            spawn_pinnable_on(ambient, name, attributes, Green::new(function, settings))
        })
    }
}
