//! Listing directories.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::{FileType, Metadata};
use std::future::poll_fn;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use super::offload::{Job, pool, run};
use runtime_kernel::budget;

/// The number of entries that one job reads.
const BATCH: usize = 64;

/// Lists a directory, without `.` and `..`, in no particular order.
///
/// # Errors
/// Those of opening it.
///
/// # Panics
/// Outside a runtime.
pub async fn read_dir(path: impl AsRef<Path>) -> io::Result<ReadDir> {
    let path = path.as_ref().to_owned();
    let entries = run("fs::read_dir", move || std::fs::read_dir(path)).await?;
    Ok(ReadDir {
        read: VecDeque::new(),
        state: State::Idle(entries),
    })
}

type Entries = VecDeque<io::Result<std::fs::DirEntry>>;

/// A directory being listed; see [`read_dir`].
#[derive(Debug)]
pub struct ReadDir {
    read: Entries,
    state: State,
}

#[derive(Debug)]
enum State {
    Idle(std::fs::ReadDir),
    Busy(Job<(Entries, Option<std::fs::ReadDir>)>),
    Ended,
}

impl ReadDir {
    /// The next entry; `None` at the end. Cancel safe: a dropped call loses no entry.
    ///
    /// # Errors
    /// Those of reading the directory; the entries after it may still be read.
    ///
    /// # Panics
    /// Outside a runtime.
    pub async fn next_entry(&mut self) -> io::Result<Option<DirEntry>> {
        poll_fn(|cx| self.poll_next_entry(cx)).await
    }

    fn poll_next_entry(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<DirEntry>>> {
        let begun = ready!(budget::poll_begin(cx));
        let entry = ready!(self.poll_next_of_batch(cx));
        begun.completed();
        Poll::Ready(entry)
    }

    fn poll_next_of_batch(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<DirEntry>>> {
        loop {
            if let Some(entry) = self.read.pop_front() {
                return Poll::Ready(entry.map(|entry| Some(DirEntry(Arc::new(entry)))));
            }
            self.state = match std::mem::replace(&mut self.state, State::Ended) {
                State::Ended => return Poll::Ready(Ok(None)),
                State::Idle(directory) => match pool("fs::ReadDir::next_entry") {
                    Some(pool) => State::Busy(Job(pool.spawn(move || next_batch(directory)))),
                    None => {
                        let (read, rest) = next_batch(directory);
                        self.read = read;
                        rest.map_or(State::Ended, State::Idle)
                    }
                },
                State::Busy(mut job) => match Pin::new(&mut job).poll(cx) {
                    Poll::Pending => {
                        self.state = State::Busy(job);
                        return Poll::Pending;
                    }
                    Poll::Ready(done) => {
                        let (read, rest) = done?;
                        self.read = read;
                        rest.map_or(State::Ended, State::Idle)
                    }
                },
            };
        }
    }
}

fn next_batch(mut directory: std::fs::ReadDir) -> (Entries, Option<std::fs::ReadDir>) {
    let read: Entries = directory.by_ref().take(BATCH).collect();
    let ended = read.len() < BATCH;
    (read, (!ended).then_some(directory))
}

/// An entry of a directory.
#[derive(Clone, Debug)]
pub struct DirEntry(Arc<std::fs::DirEntry>);

impl DirEntry {
    /// The directory's path joined with the name.
    pub fn path(&self) -> PathBuf {
        self.0.path()
    }

    /// Only the file name.
    pub fn file_name(&self) -> OsString {
        self.0.file_name()
    }

    /// The entry's metadata; for a link, those of the link itself.
    ///
    /// # Errors
    /// Those of `stat`.
    ///
    /// # Panics
    /// Outside a runtime.
    pub async fn metadata(&self) -> io::Result<Metadata> {
        let entry = Arc::clone(&self.0);
        run("fs::DirEntry::metadata", move || entry.metadata()).await
    }

    /// Whether it is a file, a directory or a link. Most file systems return this with the name.
    ///
    /// # Errors
    /// Those of `stat`.
    ///
    /// # Panics
    /// Outside a runtime.
    pub async fn file_type(&self) -> io::Result<FileType> {
        let entry = Arc::clone(&self.0);
        run("fs::DirEntry::file_type", move || entry.file_type()).await
    }
}
