//! Where functions that block on files run.

use std::fs::{FileType, Metadata};
use std::future::Future;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use runtime_kernel::blocking::{BlockingConfig, BlockingPool};
use runtime_kernel::budget::consume_budget;
use runtime_kernel::context;
use runtime_kernel::task::JoinHandle;

use crate::owned_job::OwnedJob;

/// The pool for file operations of this thread's runtime; `None` if they run on the calling thread.
pub(super) fn pool(what: &str) -> Option<Arc<BlockingPool>> {
    context::with(what, |ambient| {
        (!ambient.files_inline()).then(|| Arc::clone(ambient.blocking_pool()))
    })
}

/// The process's threads for operations that may wait for ever: no runtime's pool runs out of threads because of them,
/// and no task's thread gets stuck in one.
pub(super) fn apart() -> &'static Arc<BlockingPool> {
    static APART: OnceLock<Arc<BlockingPool>> = OnceLock::new();
    APART.get_or_init(|| {
        BlockingPool::new(BlockingConfig {
            keep_alive: Duration::from_secs(1),
            thread_name: "special-file".to_owned(),
            ..BlockingConfig::default()
        })
    })
}

/// Whether opening, reading or writing it may wait for another process without bound: a FIFO, a terminal.
pub(super) fn may_wait(file: &io::Result<Metadata>) -> bool {
    let waits = |kind: FileType| kind.is_fifo() || kind.is_char_device() || kind.is_socket();
    file.as_ref()
        .is_ok_and(|file| waits(file.file_type()) && !is_memory_device(file))
}

/// `/dev/null`, `zero`, `urandom` and the like: on Linux they have the major number 1. They never block.
fn is_memory_device(file: &Metadata) -> bool {
    cfg!(target_os = "linux") && file.file_type().is_char_device() && (file.rdev() >> 8) == 1
}

/// Runs `job` where the ambient runtime handles files. If it is dropped before the job begins, the job does not run.
pub(super) async fn run<T, F>(what: &'static str, job: F) -> io::Result<T>
where
    F: FnOnce() -> io::Result<T> + Send + 'static,
    T: Send + 'static,
{
    run_in(pool(what), job).await
}

async fn run_in<T, F>(pool: Option<Arc<BlockingPool>>, job: F) -> io::Result<T>
where
    F: FnOnce() -> io::Result<T> + Send + 'static,
    T: Send + 'static,
{
    consume_budget().await;
    match pool {
        None => job(),
        Some(pool) => OwnedJob::new(pool.spawn(job))
            .await
            .map_err(io::Error::other)?,
    }
}

/// Like [`run`], for a job that opens `paths`: on [separate threads](apart()) if one of them may make it wait.
pub(super) async fn open<T, F>(what: &'static str, paths: &[&Path], job: F) -> io::Result<T>
where
    F: FnOnce() -> io::Result<T> + Send + 'static,
    T: Send + 'static,
{
    let pool = pool(what);
    let paths: Vec<PathBuf> = paths.iter().map(|path| path.to_path_buf()).collect();
    let attempt = move || {
        if paths.iter().any(|path| may_wait(&std::fs::metadata(path))) {
            return Ok(Err(job));
        }
        job().map(Ok)
    };
    match run_in(pool, attempt).await? {
        Ok(done) => Ok(done),
        Err(job) => run_in(Some(Arc::clone(apart())), job).await,
    }
}

/// A job in progress. It yields its own error if it was lost: it panicked, or the runtime shut down before it began.
#[derive(Debug)]
pub(super) struct Job<T>(pub(super) JoinHandle<T>);

impl<T> Future for Job<T> {
    type Output = io::Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map_err(io::Error::other)
    }
}
