//! Files under a scheduler: each case is a root task for a fresh runtime that enters the ambient context.

use std::io::{self, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_lite::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt, future};

use super::skip;
use runtime_kernel::blocking::{Executor, set_default_executor};
use runtime_kernel::{spawn, spawn_blocking, time};
use runtime_library::fs::{self, File, OpenOptions};

/// A separate directory, removed at the end.
pub(super) struct Scratch(PathBuf);

impl Scratch {
    pub(super) fn new(name: &str) -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("lab-{name}-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a scratch directory");
        Self(path)
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Whole files: written, read, copied, renamed, removed; errors keep their kind.
pub async fn whole_files() {
    let scratch = Scratch::new("whole-files");
    let (one, two) = (scratch.path("one"), scratch.path("two"));
    let missing = fs::read(&one).await.expect_err("it is not there");
    assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    assert!(!fs::try_exists(&one).await.expect("try_exists"));

    fs::write(&one, "content").await.expect("write");
    assert_eq!(fs::read(&one).await.expect("read"), b"content");
    assert_eq!(fs::metadata(&one).await.expect("metadata").len(), 7);
    assert_eq!(fs::copy(&one, &two).await.expect("copy"), 7);
    fs::write(&one, vec![0xff]).await.expect("write");
    let invalid = fs::read_to_string(&one).await.expect_err("not UTF-8");
    assert_eq!(invalid.kind(), io::ErrorKind::InvalidData);
    fs::rename(&two, &one).await.expect("rename");
    assert_eq!(fs::read_to_string(&one).await.expect("read"), "content");
    assert!(!fs::try_exists(&two).await.expect("try_exists"));
    fs::remove_file(&one).await.expect("remove");
    let missing = fs::remove_file(&one).await.expect_err("removed");
    assert_eq!(missing.kind(), io::ErrorKind::NotFound);
}

/// Directories: created with their parents, listed in full, removed.
pub async fn directories() {
    const FILES: usize = 150;
    let scratch = Scratch::new("directories");
    let deep = scratch.path("a/b/c");
    fs::create_dir_all(&deep).await.expect("create");
    fs::create_dir_all(&deep).await.expect("it may be there");
    for number in 0..FILES {
        fs::write(deep.join(number.to_string()), "")
            .await
            .expect("write");
    }
    let mut entries = fs::read_dir(&deep).await.expect("read_dir");
    let mut seen = [false; FILES];
    loop {
        // Dropping a call loses no entry.
        let polled = future::poll_once(entries.next_entry()).await;
        let entry = match polled {
            Some(entry) => entry,
            None => entries.next_entry().await,
        };
        let Some(entry) = entry.expect("next_entry") else {
            break;
        };
        assert!(entry.file_type().await.expect("file_type").is_file());
        assert_eq!(entry.metadata().await.expect("metadata").len(), 0);
        assert_eq!(entry.path(), deep.join(entry.file_name()));
        let number: usize = entry
            .file_name()
            .to_str()
            .expect("text")
            .parse()
            .expect("a number");
        assert!(
            !std::mem::replace(&mut seen[number], true),
            "{number} twice"
        );
    }
    assert!(seen.iter().all(|seen| *seen));
    fs::remove_dir_all(scratch.path("a")).await.expect("remove");
    assert!(fs::read_dir(&deep).await.is_err());
}

/// A file is written, read back, and its position moved, with the same results as a blocking file.
pub async fn reads_writes_and_seeks() {
    let scratch = Scratch::new("seeks");
    let path = scratch.path("file");
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&path)
        .await
        .expect("open");
    let taken = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&path)
        .await;
    assert_eq!(
        taken.expect_err("there").kind(),
        io::ErrorKind::AlreadyExists
    );

    file.write_all(b"0123456789").await.expect("write");
    assert_eq!(file.seek(SeekFrom::Start(2)).await.expect("seek"), 2);
    let mut two = [0; 2];
    file.read_exact(&mut two).await.expect("read");
    assert_eq!(&two, b"23");
    assert_eq!(file.seek(SeekFrom::Current(1)).await.expect("seek"), 5);
    file.read_exact(&mut two).await.expect("read");
    assert_eq!(&two, b"56");
    // At the place where reading stopped.
    file.write_all(b"xy").await.expect("write");
    assert_eq!(file.seek(SeekFrom::End(-3)).await.expect("seek"), 7);
    let mut rest = String::new();
    file.read_to_string(&mut rest).await.expect("read");
    assert_eq!(rest, "xy9");
    file.set_len(4).await.expect("set_len");
    file.sync_all().await.expect("sync_all");
    file.sync_data().await.expect("sync_data");
    assert_eq!(file.metadata().await.expect("metadata").len(), 4);
    assert_eq!(fs::read(&path).await.expect("read"), b"0123");
    assert!(file.seek(SeekFrom::Current(-100)).await.is_err());
}

/// After a flush, everyone sees what was written, however much it is.
pub async fn flushed_writes_are_there() {
    let scratch = Scratch::new("flush");
    let path = scratch.path("file");
    let data: Vec<u8> = (0..5 << 20).map(|index| (index % 249) as u8).collect();
    let mut file = File::create(&path).await.expect("create");
    for part in data.chunks(300_000) {
        file.write_all(part).await.expect("write");
    }
    file.flush().await.expect("flush");
    assert!(fs::read(&path).await.expect("read") == data);
    file.close().await.expect("close");

    let mut read = Vec::new();
    let mut file = File::open(&path).await.expect("open");
    file.read_to_end(&mut read).await.expect("read");
    assert!(read == data);
}

/// The error of a write in the background is not lost: the next operation that waits for writes reports it.
pub async fn a_failed_write_is_reported() {
    let full = Path::new("/dev/full");
    if !full.exists() {
        skip("there is no /dev/full, to which each write fails");
    }
    let mut file = OpenOptions::new()
        .write(true)
        .open(full)
        .await
        .expect("open");
    let written = match file.write_all(b"does not fit").await {
        Ok(()) => file.flush().await,
        failed => failed,
    };
    let error = written.expect_err("the device is full");
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    file.flush().await.expect("an error is reported once");
}

/// A read that is dropped before it completes loses no bytes.
pub async fn a_cancelled_read_loses_nothing() {
    let scratch = Scratch::new("cancelled-read");
    let path = scratch.path("file");
    let data: Vec<u8> = (0..100_000).map(|index| (index % 247) as u8).collect();
    fs::write(&path, data.clone()).await.expect("write");
    let mut file = File::open(&path).await.expect("open");
    let mut read = Vec::new();
    let mut buffer = [0; 1000];
    loop {
        let polled = future::poll_once(file.read(&mut buffer)).await;
        let length = match polled {
            Some(done) => done.expect("read"),
            // It was dropped; ask again, for less.
            None => file.read(&mut buffer[..10]).await.expect("read"),
        };
        if length == 0 {
            break;
        }
        read.extend_from_slice(&buffer[..length]);
    }
    assert!(read == data);
}

/// A FIFO.
fn fifo(scratch: &Scratch, name: &str) -> PathBuf {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    let path = scratch.path(name);
    mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("mkfifo");
    path
}

/// You can give up opening a FIFO that no other process opens; it then occupies no thread that others need.
pub async fn fifos_that_nobody_opens_hold_nobody_up() {
    let scratch = Scratch::new("fifo");
    // Two FIFOs, because a writer that was given up would let a reader in.
    let (readers, writers) = (fifo(&scratch, "readers"), fifo(&scratch, "writers"));
    let plain = scratch.path("plain");
    set_default_executor(Executor::new("two", 2));
    let limit = Duration::from_millis(3);
    for _ in 0..3 {
        assert!(time::timeout(limit, File::open(&readers)).await.is_err());
        assert!(time::timeout(limit, fs::read(&readers)).await.is_err());
        let written = time::timeout(limit, fs::write(&writers, "x"));
        assert!(written.await.is_err());
    }
    assert_eq!(spawn_blocking(|| 1).await.expect("a job runs"), 1);
    fs::write(&plain, "text").await.expect("write");
    assert_eq!(fs::read(&plain).await.expect("read"), b"text");
    // Ends any thread that still waits in one of them.
    for fifo in [&readers, &writers] {
        let both = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open(fifo);
        drop(both.expect("open"));
    }
}

/// A FIFO that is opened at both ends transfers bytes, and ends with its writer.
pub async fn conversations_through_a_fifo() {
    let scratch = Scratch::new("fifo");
    let path = fifo(&scratch, "fifo");
    let reader = spawn({
        let path = path.clone();
        async move {
            let mut file = File::open(path).await?;
            let mut text = String::new();
            file.read_to_string(&mut text).await?;
            io::Result::Ok(text)
        }
    });
    let mut file = OpenOptions::new()
        .write(true)
        .open(&path)
        .await
        .expect("open");
    for word in ["one ", "two ", "three"] {
        file.write_all(word.as_bytes()).await.expect("write");
        file.flush().await.expect("flush");
    }
    drop(file);
    let text = reader.await.expect("a task").expect("read");
    assert_eq!(text, "one two three");
}
