//! The servers of [`echo`] and [`http`] for clients from outside, under any runtime.
//!
//! Nothing is measured here, and so nothing ends by itself: a [`Session`] says when.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};

use runtime_core::task_list::TaskList;
use runtime_core::{
    JoinError, Launch, LaunchConfig, Metrics, Runtime, TaskHandle as _, TcpListener as _,
};

use super::{echo, http, mixed};
use crate::error::CommandError;
use crate::load::Protocol;

/// What to serve, and where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Service {
    pub(crate) protocol: Protocol,
    pub(crate) address: SocketAddr,
    /// Tasks beside the server that compute and sleep in turn.
    pub(crate) cpu_bound_tasks: usize,
}

/// What the served runtime counts, once it runs.
pub(crate) type Counted = Arc<OnceLock<Box<dyn Fn() -> Metrics + Send + Sync>>>;

/// The served runtime's live tasks, once it runs; `None` if it lists none.
pub(crate) type Listed = Arc<OnceLock<Box<dyn Fn() -> Option<TaskList> + Send + Sync>>>;

/// What a server tells whoever asked for it, and what it waits for.
pub(crate) struct Session {
    /// Is told the address as soon as clients can connect.
    pub(crate) ready: Box<dyn FnOnce(SocketAddr) -> Result<(), ServeError> + Send>,
    /// Is given the runtime's counters, if there is one runtime that has them.
    pub(crate) counted: Counted,
    /// Is given a way to the runtime's tasks, if there is one runtime.
    pub(crate) listed: Listed,
    /// Blocks until it is time to end.
    pub(crate) until: Box<dyn FnOnce() + Send>,
}

/// Serves until the session ends.
pub(crate) type ServeFn = fn(&LaunchConfig, Service, Session) -> Result<(), ServeError>;

/// Why a server did not serve.
#[derive(Debug)]
pub(crate) enum ServeError {
    Command(CommandError),
    Start(io::Error),
    Bind(io::Error),
    Metrics(io::Error),
    Tasks(io::Error),
    Signals(io::Error),
    CpuBoundTask(io::Error),
    /// Only threads: where the kernel schedules, a CPU-bound task is a thread like any other program's.
    NoCpuBoundTasks,
}

impl fmt::Display for ServeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(error) => write!(f, "the runtime did not start: {error}"),
            Self::Bind(error) if error.kind() == io::ErrorKind::AddrInUse => {
                write!(
                    f,
                    "the port is in use: end what listens there, or take another (0: a free one)"
                )
            }
            Self::Bind(error) | Self::Metrics(error) | Self::Tasks(error) => {
                write!(f, "can't listen there: {error}")
            }
            Self::Command(error) => error.fmt(f),
            Self::Signals(error) => write!(f, "can't wait for signals: {error}"),
            Self::CpuBoundTask(error) => write!(f, "a CPU-bound task did not start: {error}"),
            Self::NoCpuBoundTasks => f.write_str("there are no tasks that could be CPU-bound"),
        }
    }
}

/// Serves under the runtime that `L` launches.
///
/// # Errors
/// Why it did not.
pub(crate) fn under<L: Launch>(
    config: &LaunchConfig,
    service: Service,
    session: Session,
) -> Result<(), ServeError> {
    L::run(config, move |rt| serve(rt, service, session)).map_err(ServeError::Start)?
}

async fn serve<R: Runtime>(rt: R, service: Service, session: Session) -> Result<(), ServeError> {
    let read = rt.clone();
    // Nobody else fills it.
    let _ = session.counted.set(Box::new(move || read.metrics()));
    let read = rt.clone();
    let _ = session.listed.set(Box::new(move || read.tasks()));
    let listener = rt.bind(service.address).await.map_err(ServeError::Bind)?;
    let address = listener.local_addr().map_err(ServeError::Bind)?;
    let accepting = match service.protocol {
        Protocol::Echo => rt.spawn(echo::serve(rt.clone(), listener)),
        Protocol::Http => rt.spawn(http::serve(rt.clone(), listener)),
    };
    for _ in 0..service.cpu_bound_tasks {
        let task = rt.spawn(mixed::cpu_bound_task(
            rt.clone(),
            Arc::new(AtomicU64::new(0)),
        ));
        // One that was given no thread.
        if task.is_finished()
            && let Err(JoinError::SpawnFailed(error)) = task.await
        {
            return Err(ServeError::CpuBoundTask(error));
        }
    }
    (session.ready)(address)?;
    // Connections are dropped with the runtime when the root task returns.
    drop(accepting);
    let waited = rt.spawn_blocking(session.until).await;
    waited.map_err(|error| ServeError::Signals(io::Error::other(error)))
}
