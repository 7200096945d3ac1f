//! An open file.

use std::fs::Metadata;
use std::future::poll_fn;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_io::{AsyncRead, AsyncSeek, AsyncWrite};

use super::offload::{self, Job, run};
use super::options::OpenOptions;
use runtime_kernel::blocking::BlockingPool;
use runtime_kernel::budget;

/// The maximum number of bytes that one job reads or writes.
const MAX_TRANSFER: usize = 1 << 20;

/// An open file, with the `futures-io` traits.
///
/// Flush it before dropping it if it was written: see the [module](super).
#[derive(Debug)]
pub struct File {
    file: Arc<std::fs::File>,
    /// Reading and writing may wait for ever, so they use separate threads.
    may_wait: bool,
    state: State,
    /// The error of a write whose own call has long returned; for the next write, flush or sync.
    write_error: Option<io::Error>,
}

#[derive(Debug)]
enum State {
    Idle(Buffer),
    Busy(Job<(Buffer, Outcome)>),
}

/// Bytes that move into a job and back. Those in `unread` were read from the file but not yet requested: the system's
/// position is ahead of the user's by that many.
#[derive(Debug, Default)]
struct Buffer {
    bytes: Vec<u8>,
    unread: Range<usize>,
}

#[derive(Debug)]
enum Outcome {
    Read(io::Result<()>),
    Written(io::Result<()>),
    /// With what was asked for: a call that finds another call's outcome asks again.
    Sought(SeekFrom, io::Result<u64>),
}

impl Buffer {
    fn take_into(&mut self, target: &mut [u8]) -> usize {
        let taken = self.unread.len().min(target.len());
        let start = self.unread.start;
        target[..taken].copy_from_slice(&self.bytes[start..start + taken]);
        self.unread.start += taken;
        taken
    }

    /// Reads up to `wanted` bytes; drops what was unread.
    fn fill(&mut self, mut file: &std::fs::File, wanted: usize) -> io::Result<()> {
        self.unread = 0..0;
        if self.bytes.len() < wanted {
            self.bytes.resize(wanted, 0);
        }
        let read = retry(|| file.read(&mut self.bytes[..wanted]))?;
        self.unread = 0..read;
        Ok(())
    }

    /// Gives unread bytes back to the file, by seeking.
    fn rewind(&mut self, mut file: &std::fs::File) -> io::Result<()> {
        if !self.unread.is_empty() {
            file.seek(SeekFrom::Current(-(self.unread.len() as i64)))?;
            self.unread = 0..0;
        }
        Ok(())
    }

    fn seek(&mut self, mut file: &std::fs::File, to: SeekFrom) -> io::Result<u64> {
        // Relative to the user's position, not to the system's.
        let to = match to {
            SeekFrom::Current(offset) => {
                SeekFrom::Current(offset.saturating_sub_unsigned(self.unread.len() as u64))
            }
            absolute => absolute,
        };
        let position = file.seek(to)?;
        self.unread = 0..0;
        Ok(position)
    }
}

fn retry<T>(mut operation: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match operation() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

impl OpenOptions {
    /// Opens a file.
    ///
    /// # Errors
    /// Those of `open`; [`InvalidInput`](io::ErrorKind::InvalidInput) for options that contradict one another.
    ///
    /// # Panics
    /// Outside a runtime.
    pub async fn open(&self, path: impl AsRef<Path>) -> io::Result<File> {
        let options = self.as_std().clone();
        let path = path.as_ref().to_owned();
        let job = {
            let path = path.clone();
            move || options.open(path)
        };
        let file = offload::open("fs::OpenOptions::open", &[&path], job).await?;
        Ok(File::from_std(file))
    }
}

impl File {
    /// Opens a file for reading.
    ///
    /// # Errors
    /// Those of `open`.
    ///
    /// # Panics
    /// Outside a runtime.
    pub async fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        OpenOptions::new().read(true).open(path).await
    }

    /// Creates a file for writing, or truncates an existing one.
    ///
    /// # Errors
    /// Those of `open`.
    ///
    /// # Panics
    /// Outside a runtime.
    pub async fn create(path: impl AsRef<Path>) -> io::Result<Self> {
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .open(path)
            .await
    }

    /// A file that the standard library has opened.
    pub fn from_std(file: std::fs::File) -> Self {
        Self {
            may_wait: offload::may_wait(&file.metadata()),
            file: Arc::new(file),
            state: State::Idle(Buffer::default()),
            write_error: None,
        }
    }

    /// The file's metadata. Writes in progress may or may not be included.
    ///
    /// # Errors
    /// Those of `fstat`.
    ///
    /// # Panics
    /// Outside a runtime.
    pub async fn metadata(&self) -> io::Result<Metadata> {
        let file = Arc::clone(&self.file);
        run("fs::File::metadata", move || file.metadata()).await
    }

    /// Truncates the file to `bytes`, or extends it with zeros, after the writes in progress.
    ///
    /// # Errors
    /// Those of the writes and of `ftruncate`.
    ///
    /// # Panics
    /// Outside a runtime.
    pub async fn set_len(&mut self, bytes: u64) -> io::Result<()> {
        self.flushed().await?;
        let file = Arc::clone(&self.file);
        run("fs::File::set_len", move || file.set_len(bytes)).await
    }

    /// Waits until the written data and the metadata are on the disk.
    ///
    /// # Errors
    /// Those of the writes and of `fsync`.
    ///
    /// # Panics
    /// Outside a runtime.
    pub async fn sync_all(&mut self) -> io::Result<()> {
        self.flushed().await?;
        let file = Arc::clone(&self.file);
        run("fs::File::sync_all", move || file.sync_all()).await
    }

    /// Waits until the written data is on the disk.
    ///
    /// # Errors
    /// Those of the writes and of `fdatasync`.
    ///
    /// # Panics
    /// Outside a runtime.
    pub async fn sync_data(&mut self) -> io::Result<()> {
        self.flushed().await?;
        let file = Arc::clone(&self.file);
        run("fs::File::sync_data", move || file.sync_data()).await
    }

    async fn flushed(&mut self) -> io::Result<()> {
        poll_fn(|cx| Pin::new(&mut *self).poll_flush(cx)).await
    }

    /// Waits for the job in progress. A read's bytes are then in the buffer; a write's error is kept.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Outcome>>> {
        let State::Busy(job) = &mut self.state else {
            return Poll::Ready(Ok(None));
        };
        let done = ready!(Pin::new(job).poll(cx));
        // A lost job took the buffer with it.
        let (buffer, outcome) =
            done.inspect_err(|_| self.state = State::Idle(Buffer::default()))?;
        self.state = State::Idle(buffer);
        match outcome {
            Outcome::Written(written) => {
                if let Err(error) = written {
                    self.write_error = Some(error);
                }
                Poll::Ready(Ok(None))
            }
            other => Poll::Ready(Ok(Some(other))),
        }
    }

    /// The idle file's buffer.
    fn buffer(&mut self) -> &mut Buffer {
        match &mut self.state {
            State::Idle(buffer) => buffer,
            State::Busy(_) => unreachable!("`poll_idle` has completed"),
        }
    }

    /// The pool for reads and writes of this file; `None`: the calling thread.
    fn pool(&self, what: &str) -> Option<Arc<BlockingPool>> {
        if self.may_wait {
            Some(Arc::clone(offload::apart()))
        } else {
            offload::pool(what)
        }
    }

    /// Starts `job` on the idle file.
    fn start(
        &mut self,
        pool: &Arc<BlockingPool>,
        job: impl FnOnce(&std::fs::File, &mut Buffer) -> Outcome + Send + 'static,
    ) {
        let mut buffer = std::mem::take(self.buffer());
        let file = Arc::clone(&self.file);
        self.state = State::Busy(Job(pool.spawn(move || {
            let outcome = job(&file, &mut buffer);
            (buffer, outcome)
        })));
    }
}

impl AsyncRead for File {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        target: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let begun = ready!(budget::poll_begin(cx));
        let read = ready!(self.poll_read_some(cx, target));
        begun.completed();
        Poll::Ready(read)
    }
}

impl File {
    fn poll_read_some(
        &mut self,
        cx: &mut Context<'_>,
        target: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut outcome = ready!(self.poll_idle(cx))?;
        loop {
            let ended = match outcome {
                Some(Outcome::Read(read)) => {
                    read?;
                    true
                }
                _ => false,
            };
            let taken = self.buffer().take_into(target);
            if taken > 0 || ended || target.is_empty() {
                return Poll::Ready(Ok(taken));
            }
            let Some(pool) = self.pool("fs::File::poll_read") else {
                // On this very thread, and nothing is unread: the buffer is not needed.
                return Poll::Ready(retry(|| (&*self.file).read(target)));
            };
            let wanted = target.len().min(MAX_TRANSFER);
            self.start(&pool, move |file, buffer| {
                Outcome::Read(buffer.fill(file, wanted))
            });
            outcome = ready!(self.poll_idle(cx))?;
        }
    }
}

impl AsyncWrite for File {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        source: &[u8],
    ) -> Poll<io::Result<usize>> {
        let begun = ready!(budget::poll_begin(cx));
        let written = ready!(self.poll_write_some(cx, source));
        begun.completed();
        Poll::Ready(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let begun = ready!(budget::poll_begin(cx));
        let idle = ready!(self.poll_idle(cx));
        begun.completed();
        idle?;
        Poll::Ready(self.write_error.take().map_or(Ok(()), Err))
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}

impl File {
    fn poll_write_some(&mut self, cx: &mut Context<'_>, source: &[u8]) -> Poll<io::Result<usize>> {
        // A dropped read left its bytes unread, and its error does not concern a write.
        ready!(self.poll_idle(cx))?;
        if let Some(error) = self.write_error.take() {
            return Poll::Ready(Err(error));
        }
        if source.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let Some(pool) = self.pool("fs::File::poll_write") else {
            let file = Arc::clone(&self.file);
            self.buffer().rewind(&file)?;
            return Poll::Ready(retry(|| (&*file).write(source)));
        };
        let taken = &source[..source.len().min(MAX_TRANSFER)];
        let buffer = self.buffer();
        // Only the number of unread bytes is given back to the file; the bytes themselves make room.
        buffer.unread = 0..buffer.unread.len();
        buffer.bytes.clear();
        buffer.bytes.extend_from_slice(taken);
        self.start(&pool, |mut file, buffer| {
            let written = buffer
                .rewind(file)
                .and_then(|()| file.write_all(&buffer.bytes));
            Outcome::Written(written)
        });
        Poll::Ready(Ok(taken.len()))
    }
}

impl AsyncSeek for File {
    fn poll_seek(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        to: SeekFrom,
    ) -> Poll<io::Result<u64>> {
        let begun = ready!(budget::poll_begin(cx));
        let position = ready!(self.poll_seek_to(cx, to));
        begun.completed();
        Poll::Ready(position)
    }
}

impl File {
    fn poll_seek_to(&mut self, cx: &mut Context<'_>, to: SeekFrom) -> Poll<io::Result<u64>> {
        let mut outcome = ready!(self.poll_idle(cx))?;
        loop {
            if let Some(Outcome::Sought(asked, position)) = outcome
                && asked == to
            {
                return Poll::Ready(position);
            }
            let Some(pool) = self.pool("fs::File::poll_seek") else {
                let file = Arc::clone(&self.file);
                return Poll::Ready(self.buffer().seek(&file, to));
            };
            self.start(&pool, move |file, buffer| {
                Outcome::Sought(to, buffer.seek(file, to))
            });
            outcome = ready!(self.poll_idle(cx))?;
        }
    }
}
