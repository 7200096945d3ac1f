//! Waits for children that nobody else waits for, so that none stays a zombie.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::process::Child;
use std::thread;

use runtime_kernel::primitives::real_locks::Mutex;
use signal_hook::SigId;
use signal_hook::consts::SIGCHLD;
use signal_hook::low_level::{pipe, unregister};

use crate::signal::{SignalKind, use_signal_stack};

struct Reaper {
    children: Vec<Child>,
    /// Wakes the thread. The thread exists exactly while this is set.
    bell: Option<UnixStream>,
}

static REAPER: Mutex<Reaper> = Mutex::new(Reaper {
    children: Vec::new(),
    bell: None,
});

/// Takes over a child that nobody will wait for. Never blocks.
pub(super) fn adopt(mut child: Child) {
    if has_ended(&mut child) {
        return;
    }
    let mut reaper = REAPER.lock();
    reaper.children.push(child);
    match &mut reaper.bell {
        // It may have ended before it was in the list, so wake the thread. A write that would block means that it is
        // already being woken.
        Some(bell) => drop(bell.write(&[0])),
        // If descriptors or threads are exhausted, they stay in the list, for the next child's thread.
        None => reaper.bell = start().ok(),
    }
}

/// True if there is nothing left to wait for.
fn has_ended(child: &mut Child) -> bool {
    // An error means that somebody else has waited for it.
    !matches!(child.try_wait(), Ok(None))
}

/// Starts the thread. Returns the socket that wakes it.
fn start() -> io::Result<UnixStream> {
    let (bell, ears) = UnixStream::pair()?;
    bell.set_nonblocking(true)?;
    let signals = pipe::register(SIGCHLD, bell.try_clone()?)?;
    use_signal_stack(SignalKind::CHILD)?;
    let thread = thread::Builder::new().name("reaper".to_owned());
    match thread.spawn(move || reap(ears, signals)) {
        Ok(_detached) => Ok(bell),
        Err(error) => {
            unregister(signals);
            Err(error)
        }
    }
}

/// The thread's main function: runs until no children are left.
fn reap(mut ears: UnixStream, signals: SigId) {
    loop {
        {
            let mut reaper = REAPER.lock();
            reaper.children.retain_mut(|child| !has_ended(child));
            if reaper.children.is_empty() {
                // Under the lock: a child that arrives from now on starts another thread.
                reaper.bell = None;
                break;
            }
        }
        // If a child has ended since the check above, a byte is in the socket, and this returns at once.
        let _ = ears.read(&mut [0; 64]);
    }
    unregister(signals);
}

#[cfg(all(test, not(any(lab_loom, lab_shuttle))))]
pub(super) fn is_idle() -> bool {
    REAPER.lock().bell.is_none()
}

#[cfg(all(test, not(any(lab_loom, lab_shuttle))))]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    #[test]
    fn children_left_behind_do_not_stay_zombies_and_the_thread_ends_with_them() {
        let mut held = Vec::new();
        for _ in 0..20 {
            let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
            held.push(child.stdin.take().unwrap());
            adopt(child);
        }
        assert!(!is_idle());
        drop(held);
        let deadline = Instant::now() + Duration::from_secs(60);
        while !is_idle() {
            assert!(Instant::now() < deadline, "some child was not waited for");
            thread::yield_now();
        }
    }
}
