//! Waiting for children that nobody waits for any more, so that none stays a zombie.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::process::Child;
use std::thread;

use parking_lot::Mutex;
use signal_hook::SigId;
use signal_hook::consts::SIGCHLD;
use signal_hook::low_level::{pipe, unregister};

struct Reaper {
    children: Vec<Child>,
    /// Wakes the thread; there is one exactly while there is this.
    bell: Option<UnixStream>,
}

static REAPER: Mutex<Reaper> = Mutex::new(Reaper {
    children: Vec::new(),
    bell: None,
});

/// Takes a child that nobody will wait for. Never blocks.
pub(super) fn adopt(mut child: Child) {
    if has_ended(&mut child) {
        return;
    }
    let mut reaper = REAPER.lock();
    reaper.children.push(child);
    match &mut reaper.bell {
        // Its end may have come before it was in the list. A bell that can't ring is ringing already.
        Some(bell) => drop(bell.write(&[0])),
        // Without descriptors or threads they stay in the list, for the next one's thread.
        None => reaper.bell = start().ok(),
    }
}

/// True if there is nothing to wait for any more.
fn has_ended(child: &mut Child) -> bool {
    // An error says that somebody else has waited for it.
    !matches!(child.try_wait(), Ok(None))
}

/// Starts the thread, and says how to wake it.
fn start() -> io::Result<UnixStream> {
    let (bell, ears) = UnixStream::pair()?;
    bell.set_nonblocking(true)?;
    let signals = pipe::register(SIGCHLD, bell.try_clone()?)?;
    let thread = thread::Builder::new().name("reaper".to_owned());
    match thread.spawn(move || reap(ears, signals)) {
        Ok(_detached) => Ok(bell),
        Err(error) => {
            unregister(signals);
            Err(error)
        }
    }
}

/// The thread's life: until there are no children left.
fn reap(mut ears: UnixStream, signals: SigId) {
    loop {
        {
            let mut reaper = REAPER.lock();
            reaper.children.retain_mut(|child| !has_ended(child));
            if reaper.children.is_empty() {
                // Under the lock: who brings a child from now on starts another thread.
                reaper.bell = None;
                break;
            }
        }
        // A child that ends after it was asked above has rung by the time that this returns.
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
