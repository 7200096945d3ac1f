//! The pool, as its users see it.

use std::fmt;
use std::future::Future;
use std::io;
use std::num::NonZero;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};

use crate::sync::oneshot;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::call::Call;
use super::error::CallError;
use super::functions::{event_loop, registered};
use super::inbox::{Inbox, Order, Request};
use super::supervisor::supervise;

/// The options of a [`ProcessPool`].
#[derive(Clone, Copy, Debug)]
pub struct Builder {
    processes: usize,
    calls_per_process: usize,
}

impl Default for Builder {
    fn default() -> Self {
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        Self {
            // One processor is left for the parent.
            processes: (cores - 1).max(1),
            calls_per_process: 1000,
        }
    }
}

impl Builder {
    /// The number of processes. Default: one less than there are processors, at least 1.
    ///
    /// # Panics
    /// If it is zero.
    #[must_use]
    pub fn processes(mut self, processes: usize) -> Self {
        assert!(
            processes > 0,
            "a process pool of 0 processes runs nothing: give 1 or more"
        );
        self.processes = processes;
        self
    }

    /// The maximum number of async calls that one process runs at a time; others wait in the parent. Default: 1000.
    ///
    /// # Panics
    /// If it is zero.
    #[must_use]
    pub fn calls_per_process(mut self, calls: usize) -> Self {
        assert!(
            calls > 0,
            "processes that run 0 calls at a time run nothing: give 1 or more"
        );
        self.calls_per_process = calls;
        self
    }

    /// Starts the processes, without waiting for them.
    ///
    /// # Errors
    /// When the system refuses a thread or descriptors. If it refuses *processes*, the calls report that.
    ///
    /// # Panics
    /// Before [`init_on`](super::init_on).
    pub fn build(self) -> io::Result<ProcessPool> {
        registered();
        let inbox = Inbox::new(self.processes);
        let (started, has_started) = mpsc::channel::<io::Result<()>>();
        let supervisor = {
            let inbox = Arc::clone(&inbox);
            let thread = thread::Builder::new().name("process-pool".to_owned());
            thread.spawn(move || {
                let runs = started.clone();
                let supervised = async move {
                    let _ = runs.send(Ok(()));
                    // Closed however it ends, so that no call waits for a supervisor that is gone.
                    let _closing = CloseOnDrop(Arc::clone(&inbox));
                    supervise(inbox, self.calls_per_process).await;
                };
                if let Err(error) = (event_loop().run)(Box::pin(supervised)) {
                    drop(started.send(Err(error)));
                }
            })?
        };
        // Waits until the loop was created, which takes equally long on any thread.
        has_started.recv().map_err(io::Error::other)??;
        Ok(ProcessPool {
            inbox,
            next_call: AtomicU64::new(1),
            supervisor: Some(supervisor),
        })
    }
}

struct CloseOnDrop(Arc<Inbox>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Processes of this program, each with its own loop, for the functions that were passed to
/// [`init_on`](super::init_on). See the [module](super) for how it works.
///
/// In asyncio this is `ProcessPoolExecutor`.
///
/// - *Fairness*: calls are assigned in the order in which they came, each to the process with the fewest calls. Calls
///   for a certain process come before those for any process.
/// - *Cost*: a thread in this process, and for each child a process and a socket. A call is encoded, copied through
///   the socket and decoded, and so is its answer; it wakes four threads. A function that takes less time than that is
///   faster in this process.
///
/// Dropping the pool ends the processes, whatever they are doing, and waits until they are gone; calls without an
/// answer report [`CallError::Closed`]. To let the calls finish first, see [`close`](ProcessPool::close).
pub struct ProcessPool {
    inbox: Arc<Inbox>,
    next_call: AtomicU64,
    supervisor: Option<JoinHandle<()>>,
}

impl ProcessPool {
    /// A pool with the defaults.
    ///
    /// # Errors
    /// The same as those of [`Builder::build`].
    ///
    /// # Panics
    /// Before [`init_on`](super::init_on).
    pub fn new() -> io::Result<Self> {
        Builder::default().build()
    }

    /// The options.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Calls a function that computes or blocks, on the process with the fewest calls. A process runs one such
    /// function at a time and gets no other call meanwhile; further calls wait in order. This method never waits.
    ///
    /// # Panics
    /// If the function was not added in [`init_on`](super::init_on).
    pub fn call<F, A, R>(&self, function: F, argument: A) -> Call<R>
    where
        F: Fn(A) -> R + Copy + Send + Sync + 'static,
        A: Serialize,
        R: DeserializeOwned,
    {
        let _ = function;
        self.request::<F, R>(true, None, encode(&argument))
    }

    /// Calls an async function. It runs on a process's loop, together with at most
    /// [`calls_per_process`](Builder::calls_per_process) others. A function that computes without a pause delays the
    /// others: use [`call`](ProcessPool::call) for it.
    ///
    /// # Panics
    /// If the function was not added in [`init_on`](super::init_on).
    pub fn call_async<F, A, C>(&self, function: F, argument: A) -> Call<C::Output>
    where
        F: Fn(A) -> C + Copy + Send + Sync + 'static,
        A: Serialize,
        C: Future,
        C::Output: DeserializeOwned,
    {
        let _ = function;
        self.request::<F, C::Output>(false, None, encode(&argument))
    }

    /// Calls an async function once in each process, for example to make each of them listen on the same port, or load
    /// data for later calls. A process that later replaces one that died does not get this call.
    ///
    /// # Panics
    /// If the function was not added in [`init_on`](super::init_on).
    pub fn call_on_each<F, A, C>(
        &self,
        function: F,
        mut argument: impl FnMut(usize) -> A,
    ) -> Vec<Call<C::Output>>
    where
        F: Fn(A) -> C + Copy + Send + Sync + 'static,
        A: Serialize,
        C: Future,
        C::Output: DeserializeOwned,
    {
        let _ = function;
        (0..self.processes())
            .map(|place| self.request::<F, C::Output>(false, Some(place), encode(&argument(place))))
            .collect()
    }

    fn request<F: 'static, R>(
        &self,
        blocking: bool,
        place: Option<usize>,
        argument: Result<Vec<u8>, CallError>,
    ) -> Call<R> {
        let function = registered().number_of::<F>();
        // Relaxed: it only matters that no number is assigned twice.
        let id = self.next_call.fetch_add(1, Ordering::Relaxed);
        let (answer, promise) = oneshot::channel();
        match argument {
            Ok(argument) => self.inbox.send(Order::Run(Request {
                id,
                function,
                blocking,
                place,
                argument,
                answer,
            })),
            Err(error) => drop(answer.send(Err(error))),
        }
        Call::new(id, Arc::clone(&self.inbox), promise)
    }

    /// The configured number of processes.
    pub fn processes(&self) -> usize {
        self.inbox.ids.lock().len()
    }

    /// The process ids of the processes that are ready now.
    pub fn ids(&self) -> Vec<u32> {
        self.inbox.ids.lock().iter().flatten().copied().collect()
    }

    /// Ends the pool when all calls were answered. Blocks the calling thread until then.
    ///
    /// # Panics
    /// Inside a task of any runtime: await the calls there, and drop the pool.
    pub fn close(mut self) {
        runtime_kernel::context::assert_may_block(
            "ProcessPool::close",
            "await the calls and drop the pool instead, or close it in `spawn_blocking`",
        );
        self.inbox.send(Order::Finish);
        self.join();
    }

    fn join(&mut self) {
        let Some(supervisor) = self.supervisor.take() else {
            return;
        };
        // If it is dropped on the supervisor's own thread, by the destructor of something that a call's waker held, it
        // can't wait for itself.
        if supervisor.thread().id() != thread::current().id() {
            let _ = supervisor.join();
        }
    }
}

impl Drop for ProcessPool {
    fn drop(&mut self) {
        self.inbox.send(Order::End);
        self.join();
    }
}

impl fmt::Debug for ProcessPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessPool")
            .field("ids", &self.ids())
            .finish_non_exhaustive()
    }
}

fn encode<A: Serialize>(argument: &A) -> Result<Vec<u8>, CallError> {
    postcard::to_stdvec(argument).map_err(|error| CallError::Codec(error.to_string()))
}
