//! The servers of [`echo`] and [`http`] for outside clients, under any runtime.
//!
//! Nothing is measured here, so nothing ends by itself. A [`Session`] says when to end.

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
    /// Tasks beside the server that compute and sleep alternately.
    pub(crate) cpu_bound_tasks: usize,
}

/// The counters of the served runtime, once it runs.
pub(crate) type Counted = Arc<OnceLock<Box<dyn Fn() -> Metrics + Send + Sync>>>;

/// The live tasks of the served runtime, once it runs; `None` if it does not list them.
pub(crate) type Listed = Arc<OnceLock<Box<dyn Fn() -> Option<TaskList> + Send + Sync>>>;

/// The connection between a server and the code that started it.
pub(crate) struct Session {
    /// Called with the address as soon as clients can connect.
    pub(crate) ready: Box<dyn FnOnce(SocketAddr) -> Result<(), ServeError> + Send>,
    /// Receives the runtime's counters, if there is a single runtime that has them.
    pub(crate) counted: Counted,
    /// Receives access to the runtime's tasks, if there is a single runtime.
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
    /// There are only threads. If the kernel schedules, a CPU-bound task is just another thread.
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
            Self::NoCpuBoundTasks => {
                f.write_str("this server has no tasks, so none can be CPU-bound")
            }
        }
    }
}

/// Serves under the runtime that `L` launches.
///
/// # Errors
/// Why it could not serve.
pub(crate) fn under<L: Launch>(
    config: &LaunchConfig,
    service: Service,
    session: Session,
) -> Result<(), ServeError> {
    L::run(config, move |rt| serve(rt, service, session)).map_err(ServeError::Start)?
}

async fn serve<R: Runtime>(rt: R, service: Service, session: Session) -> Result<(), ServeError> {
    let read = rt.clone();
    // Only this line sets it, so it can't fail.
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
        // A task that got no thread is already finished.
        if task.is_finished()
            && let Err(JoinError::SpawnFailed(error)) = task.await
        {
            return Err(ServeError::CpuBoundTask(error));
        }
    }
    (session.ready)(address)?;
    // The runtime drops the connections when the root task returns.
    drop(accepting);
    let waited = rt.spawn_blocking(session.until).await;
    waited.map_err(|error| ServeError::Signals(io::Error::other(error)))
}
