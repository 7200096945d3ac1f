//! Files, which 1:1 handles on the task's own thread; processes and signals.

use std::future::Future;
use std::io::SeekFrom;
use std::process::Stdio;

use futures_lite::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
use rustix::process::{Signal, getpid, kill_process};

use super::super::files::Scratch;
use super::operation::{Loops, Operation, operation};
use runtime_library::Runtime;
use runtime_library::fs::{self, File, OpenOptions};
use runtime_library::process::Command;
use runtime_library::signal::{SignalKind, signal};

/// Repeats an operation on files, whatever its result.
async fn again<R, F: Future>(loops: &Loops<R>, mut operation: impl FnMut() -> F) {
    for _ in loops.rounds() {
        let _ = operation().await;
    }
}

pub(super) fn operations<R: Runtime>() -> Vec<Operation<R>> {
    let mut all = vec![
        operation(
            "whole files",
            &[
                "fs/mod.rs: read",
                "fs/mod.rs: read_to_string",
                "fs/mod.rs: write",
                "fs/mod.rs: create_dir_all",
                "fs/mod.rs: remove_dir_all",
                "fs/mod.rs: metadata",
                "fs/mod.rs: try_exists",
                "fs/mod.rs: remove_file",
                "fs/mod.rs: rename",
                "fs/mod.rs: copy",
                "fs/mod.rs: set_permissions",
                "fs/mod.rs: canonicalize",
            ],
            |loops: Loops<R>| async move {
                let scratch = Scratch::new("ready");
                let (file, missing) = (&scratch.path("file"), &scratch.path("missing"));
                again(&loops, || fs::write(file, "text")).await;
                again(&loops, || fs::read(file)).await;
                again(&loops, || fs::read_to_string(file)).await;
                again(&loops, || fs::create_dir_all(scratch.path("directory"))).await;
                again(&loops, || fs::remove_dir_all(missing)).await;
                let permissions = fs::metadata(file).await.expect("it is there").permissions();
                again(&loops, || fs::metadata(file)).await;
                again(&loops, || fs::try_exists(missing)).await;
                again(&loops, || fs::remove_file(missing)).await;
                again(&loops, || fs::rename(file, file)).await;
                again(&loops, || fs::copy(file, scratch.path("copy"))).await;
                again(&loops, || fs::set_permissions(file, permissions.clone())).await;
                again(&loops, || fs::canonicalize(file)).await;
            },
        ),
        operation(
            "open files",
            &[
                "fs/file.rs: open",
                "fs/file.rs: create",
                "fs/file.rs: metadata",
                "fs/file.rs: set_len",
                "fs/file.rs: sync_all",
                "fs/file.rs: sync_data",
                "fs/file.rs: AsyncRead for File",
                "fs/file.rs: AsyncWrite for File",
                "fs/file.rs: AsyncSeek for File",
            ],
            |loops: Loops<R>| async move {
                let scratch = Scratch::new("ready");
                let path = &scratch.path("file");
                again(&loops, || File::create(path)).await;
                again(&loops, || File::open(path)).await;
                let mut options = OpenOptions::new();
                options.read(true).write(true);
                again(&loops, || options.open(path)).await;
                let mut file = options.open(path).await.expect("it is there");
                for _ in loops.rounds() {
                    file.metadata().await.expect("metadata");
                }
                for _ in loops.rounds() {
                    file.set_len(0).await.expect("cut");
                }
                // On a device that refuses it, because this takes long on a shared disk.
                let mut device = File::open("/dev/null").await.expect("it is there");
                for _ in loops.rounds() {
                    _ = device.sync_all().await;
                }
                for _ in loops.rounds() {
                    _ = device.sync_data().await;
                }
                for _ in loops.rounds() {
                    assert_eq!(file.read(&mut [0]).await.expect("the end"), 0);
                }
                for _ in loops.rounds() {
                    assert_eq!(file.read(&mut []).await.expect("nothing"), 0);
                }
                for _ in loops.rounds() {
                    assert_eq!(file.write(b"").await.expect("nothing"), 0);
                }
                for _ in loops.rounds() {
                    assert_eq!(file.write(b"x").await.expect("a byte"), 1);
                }
                for _ in loops.rounds() {
                    assert_eq!(file.seek(SeekFrom::Start(1)).await.expect("seek"), 1);
                }
                for _ in loops.rounds() {
                    file.flush().await.expect("flush");
                }
                for _ in loops.rounds() {
                    file.close().await.expect("close");
                }
            },
        ),
        operation(
            "directories",
            &[
                "fs/directory.rs: read_dir",
                "fs/directory.rs: next_entry",
                "fs/directory.rs: metadata",
                "fs/directory.rs: file_type",
            ],
            |loops: Loops<R>| async move {
                let scratch = Scratch::new("ready");
                let directory = scratch.path("directory");
                std::fs::create_dir(&directory).expect("a directory");
                for round in loops.rounds() {
                    std::fs::write(directory.join(round.to_string()), "").expect("a file");
                    fs::read_dir(&directory).await.expect("it is there");
                }
                let mut entries = fs::read_dir(&directory).await.expect("it is there");
                let mut last = None;
                for _ in loops.rounds() {
                    last = entries.next_entry().await.expect("an entry").or(last);
                }
                for _ in loops.rounds() {
                    assert!(entries.next_entry().await.expect("the end").is_none());
                }
                let last = last.expect("there were some");
                again(&loops, || last.metadata()).await;
                again(&loops, || last.file_type()).await;
            },
        ),
    ];
    all.extend(processes());
    all
}

fn processes<R: Runtime>() -> Vec<Operation<R>> {
    vec![
        operation(
            "processes that do not start",
            &["process/command.rs: status", "process/command.rs: output"],
            |loops: Loops<R>| async move {
                let mut missing = Command::new("/no/such/program");
                for _ in loops.rounds() {
                    assert!(missing.status().await.is_err());
                }
                for _ in loops.rounds() {
                    assert!(missing.output().await.is_err());
                }
            },
        ),
        operation(
            "a process that has ended, and its pipes",
            &[
                "process/child.rs: wait",
                "process/child.rs: kill",
                "process/pipes.rs: AsyncRead for ChildStdout",
                "process/pipes.rs: AsyncRead for ChildStderr",
                "process/pipes.rs: AsyncWrite for ChildStdin",
            ],
            |loops: Loops<R>| async move {
                let mut command = Command::new("true");
                command.stdin(Stdio::piped());
                command.stdout(Stdio::piped()).stderr(Stdio::piped());
                let mut child = command.spawn().expect("it starts");
                let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
                let (Some(mut input), Some(mut output), Some(mut errors)) = pipes else {
                    panic!("all are piped")
                };
                child.wait().await.expect("its end");
                for _ in loops.rounds() {
                    child.wait().await.expect("its end, again");
                }
                for _ in loops.rounds() {
                    child.kill().await.expect("its end, again");
                }
                for _ in loops.rounds() {
                    assert_eq!(output.read(&mut [0]).await.expect("the end"), 0);
                }
                for _ in loops.rounds() {
                    assert_eq!(errors.read(&mut []).await.expect("nothing"), 0);
                }
                for _ in loops.rounds() {
                    assert!(input.write(b"x").await.is_err());
                }
                for _ in loops.rounds() {
                    input.flush().await.expect("flush");
                }
                for _ in loops.rounds() {
                    input.close().await.expect("close");
                }
                for _ in loops.rounds() {
                    assert!(input.write(b"x").await.is_err());
                }
            },
        ),
        operation(
            "signals that have come",
            &[
                "signal/stream.rs: recv",
                "signal/stream.rs: Stream for SignalStream",
            ],
            |loops: Loops<R>| async move {
                if cfg!(lab_tsan) {
                    // ThreadSanitizer holds a signal back until the thread that got it makes a call that it knows. A
                    // futex is none, and the thread may be the test harness's, which waits for the end of this case.
                    return;
                }
                // No other test is affected: this signal is ignored by default.
                let mut signals = signal(SignalKind::WINDOW_CHANGE).expect("a signal");
                for _ in loops.rounds() {
                    kill_process(getpid(), Signal::WINCH).expect("sent");
                    signals.recv().await.expect("it came");
                }
                for _ in loops.rounds() {
                    kill_process(getpid(), Signal::WINCH).expect("sent");
                    futures_lite::StreamExt::next(&mut signals)
                        .await
                        .expect("it came");
                }
            },
        ),
    ]
}
