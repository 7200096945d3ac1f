//! What a child does: read calls, run them on the loop, answer.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::panic::AssertUnwindSafe;
use std::process;
use std::rc::Rc;

use crate::net::UnixStream;
use crate::signal::{SignalKind, signal};
use crate::sync::{Sender, channel};
use futures_lite::FutureExt as _;
use futures_lite::io::BufReader;
use runtime_kernel::task::AbortHandle;
use rustix::process::{Signal, getppid, set_parent_process_death_signal};

use super::functions::Functions;
use super::functions::{event_loop, spawn_local};
use super::wire::{Frame, Kind};

/// The first argument of a process that a pool has started; the second one is the parent's process id.
pub(super) const MARK: &str = "--process-pool-child";

/// The capacity for answers that wait to be written. When it is full, calls that end wait with their answers.
const ANSWERS: usize = 64;

/// The parent's process id, if a pool has started this process.
pub(super) fn parent_if_child() -> Option<i32> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next()? != MARK {
        return None;
    }
    arguments.next()?.to_str()?.parse().ok()
}

/// Serves calls until the parent closes the socket, which is standard input, and then ends the process.
pub(super) fn serve(functions: &'static Functions, parent: i32) -> ! {
    die_with_parent(parent);
    let code = match run(functions) {
        Ok(()) => 0,
        // The parent is gone, or did not wait: answers were still on their way to it.
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => 0,
        Err(error) => {
            eprintln!("a process of a pool, started by {parent}: {error}");
            1
        }
    };
    process::exit(code)
}

fn run(functions: &'static Functions) -> io::Result<()> {
    let socket = take_standard_input()?;
    let outcome = Rc::new(Cell::new(Ok(())));
    let result = Rc::clone(&outcome);
    // The loop drops what is still running.
    (event_loop().run)(Box::pin(async move {
        result.set(answer_calls(socket, functions).await);
    }))?;
    outcome.replace(Ok(()))
}

fn die_with_parent(parent: i32) {
    // Not available on other systems and in some sandboxes. There, the end of the socket remains.
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    // A parent that died before that call sends no signal.
    if getppid().is_none_or(|now| now.as_raw_pid() != parent) {
        process::exit(1);
    }
}

/// Moves the socket away from standard input, which is empty from now on: neither the functions nor processes that
/// they start should read or hold the pool's socket.
fn take_standard_input() -> io::Result<std::os::unix::net::UnixStream> {
    let socket = io::stdin().as_fd().try_clone_to_owned()?;
    rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
    Ok(socket.into())
}

/// Calls that were not answered yet.
type Calls = Rc<RefCell<HashMap<u64, AbortHandle>>>;

async fn answer_calls(
    socket: std::os::unix::net::UnixStream,
    functions: &'static Functions,
) -> io::Result<()> {
    // Kept as long as the process lives, so that an interrupt does not end it.
    let _interrupts = signal(SignalKind::INTERRUPT)?;
    let (read, mut write) = UnixStream::from_std(socket)?.into_split();
    let mut read = BufReader::new(read);
    let (answers, to_write) = channel::<Frame>(ANSWERS);
    drop(spawn_local(async move {
        while let Some(frame) = to_write.recv().await {
            // The parent is gone, as the reader will notice.
            if frame.write(&mut write).await.is_err() {
                break;
            }
        }
    }));
    let ready = functions.fingerprint().to_le_bytes().to_vec();
    send(&answers, Kind::Ready, 0, ready).await;
    let calls = Calls::default();
    while let Some(frame) = Frame::read(&mut read).await? {
        let call = frame.call;
        match frame.kind {
            Kind::Run => begin(functions, frame, &calls, &answers),
            Kind::Cancel => {
                // Otherwise its answer is on its way.
                let running = calls.borrow_mut().remove(&call);
                if let Some(running) = running {
                    running.abort();
                    drop(spawn_local(confirm(running, call, answers.clone())));
                }
            }
            _ => return Err(io::ErrorKind::InvalidData.into()),
        }
    }
    Ok(())
}

fn begin(functions: &Functions, frame: Frame, calls: &Calls, answers: &Sender<Frame>) {
    let Frame { call, function, .. } = frame;
    let running = functions.run(function, &frame.body);
    let (entered, answers) = (Rc::clone(calls), answers.clone());
    let task = spawn_local(async move {
        let (kind, body) = match running {
            None => (Kind::Undecodable, b"no such function".to_vec()),
            Some(running) => match AssertUnwindSafe(running).catch_unwind().await {
                Ok(answer) => answer,
                Err(payload) => (Kind::Panicked, panic_message(&*payload).into()),
            },
        };
        // From here on it can't be cancelled, so it is answered only once.
        let entry = entered.borrow_mut().remove(&call);
        drop(entry);
        send(&answers, kind, call, body).await;
    });
    calls.borrow_mut().insert(call, task.abort_handle());
}

/// Answers an aborted call, once its future was dropped.
async fn confirm(aborted: AbortHandle, call: u64, answers: Sender<Frame>) {
    while !aborted.is_finished() {
        runtime_kernel::task::yield_now().await;
    }
    send(&answers, Kind::Cancelled, call, Vec::new()).await;
}

async fn send(answers: &Sender<Frame>, kind: Kind, call: u64, body: Vec<u8>) {
    let frame = Frame {
        kind,
        function: 0,
        call,
        body,
    };
    // When the parent is gone, nobody writes any more.
    let _ = answers.send(frame).await;
}

fn panic_message(payload: &(dyn Any + Send)) -> &str {
    if let Some(message) = payload.downcast_ref::<&'static str>() {
        message
    } else if let Some(message) = payload.downcast_ref::<String>() {
        message
    } else {
        "a payload that is no text"
    }
}
