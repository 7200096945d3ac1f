//! Child processes under a scheduler: each case is a root task for a fresh runtime that enters the ambient context.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use futures_lite::io::BufReader;
use futures_lite::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, future};
use rustix::process::{Pid, test_kill_process};

use runtime_kernel::{spawn, time, yield_now};
use runtime_library::process::{Child, Command, Stdio};
use runtime_library::signal::SignalKind;
use runtime_library::sync::oneshot;

fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

/// A process that reads its input to the end and then exits.
fn reader() -> Child {
    let mut command = Command::new("cat");
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command.spawn().expect("spawn")
}

/// Whether the system has a process with that number, including a zombie.
fn is_known(id: u32) -> bool {
    let pid = Pid::from_raw(id as i32).expect("a number");
    test_kill_process(pid).is_ok()
}

/// A waiter learns how a process ended, whether it waits at once or late, once or repeatedly.
pub async fn ends_are_reported() {
    let status = shell("exit 3").status().await.expect("status");
    assert_eq!(status.code(), Some(3));
    let mut child = shell("kill -TERM $$").spawn().expect("spawn");
    assert!(child.id().is_some());
    let status = child.wait().await.expect("wait");
    assert_eq!(status.signal(), Some(SignalKind::TERMINATE.as_raw()));
    assert_eq!(child.wait().await.expect("again"), status);
    assert_eq!(child.try_wait().expect("again"), Some(status));
    assert_eq!(child.id(), None);
    let error = child.terminate().expect_err("it has ended");
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    let missing = Command::new("/no/such/program").spawn();
    assert_eq!(
        missing.expect_err("missing").kind(),
        io::ErrorKind::NotFound
    );
}

/// Many processes at once, each with a task that waits for it.
pub async fn many_processes_at_once() {
    let children: Vec<_> = (0..20)
        .map(|number| {
            spawn(async move {
                let status = shell(&format!("exit {number}")).status().await;
                assert_eq!(status.expect("status").code(), Some(number));
            })
        })
        .collect();
    for child in children {
        child.await.expect("a task");
    }
}

/// Input and output go through pipes, line by line and to the end; closing the input ends the process.
pub async fn conversations_through_pipes() {
    let mut child = reader();
    let mut input = child.stdin.take().expect("piped");
    let mut output = BufReader::new(child.stdout.take().expect("piped"));
    for round in 0..10 {
        let line = format!("line {round}\n");
        input.write_all(line.as_bytes()).await.expect("write");
        let mut back = String::new();
        output.read_line(&mut back).await.expect("read");
        assert_eq!(back, line);
    }
    assert!(child.try_wait().expect("try_wait").is_none());
    input.close().await.expect("close");
    let error = input.write(b"more").await.expect_err("closed");
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    assert_eq!(output.read(&mut [0]).await.expect("read"), 0);
    assert!(child.wait().await.expect("wait").success());
}

/// Output that is larger than the pipe buffers, on both streams at once, is collected completely.
pub async fn output_larger_than_the_pipes() {
    const BYTES: usize = 300_000;
    let script = format!("head -c {BYTES} /dev/zero; head -c {BYTES} /dev/zero >&2; exit 5");
    let output = shell(&script).output().await.expect("output");
    assert_eq!(output.status.code(), Some(5));
    assert_eq!(output.stdout, vec![0; BYTES]);
    assert_eq!(output.stderr, vec![0; BYTES]);
    // A writer that is ahead of its reader waits.
    let mut child = reader();
    let mut input = child.stdin.take().expect("piped");
    let writing = spawn(async move { input.write_all(&vec![7; BYTES]).await });
    let output = child.wait_with_output().await.expect("output");
    writing.await.expect("a task").expect("write");
    assert_eq!(output.stdout, vec![7; BYTES]);
}

/// A killed process reports that; if a wait is given up, you can wait again.
pub async fn killing_and_giving_up() {
    let mut child = reader();
    let input = child.stdin.take();
    let waited = time::timeout(Duration::from_millis(2), child.wait()).await;
    assert!(waited.is_err(), "it reads its input");
    assert!(future::poll_once(child.wait()).await.is_none());
    let status = child.kill().await.expect("kill");
    assert_eq!(status.signal(), Some(SignalKind::KILL.as_raw()));
    assert_eq!(child.kill().await.expect("again"), status);
    drop(input);
}

/// A dropped child continues, or is killed if requested; in both cases it leaves no zombie.
pub async fn dropped_children() {
    let mut child = reader();
    let (mut input, mut output) = (child.stdin.take(), child.stdout.take());
    let id = child.id().expect("it runs");
    drop(child);
    let mut pipe = input.take().expect("piped");
    pipe.write_all(b"alive").await.expect("write");
    drop(pipe);
    let mut text = String::new();
    let read = output.as_mut().expect("piped").read_to_string(&mut text);
    read.await.expect("read");
    assert_eq!(text, "alive");
    while is_known(id) {
        yield_now().await;
    }

    let mut command = Command::new("sleep");
    let child = command.arg("1000").kill_on_drop(true).spawn();
    let id = child.expect("spawn").id().expect("it runs");
    while is_known(id) {
        yield_now().await;
    }
    // When a task is aborted, its process is killed.
    let (started, has_started) = oneshot::channel();
    let task = spawn(async move {
        let mut child = command.spawn().expect("spawn");
        started.send(child.id()).expect("the case waits");
        child.wait().await
    });
    let id = has_started.await.expect("sent").expect("it runs");
    task.abort();
    assert!(task.await.expect_err("aborted").is_cancelled());
    while is_known(id) {
        yield_now().await;
    }
}
