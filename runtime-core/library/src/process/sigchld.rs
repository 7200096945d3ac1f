//! What the program does when a child ends, as far as that is set for the whole program.
#![allow(unsafe_code)]

use std::io;
use std::mem::MaybeUninit;
use std::ptr;

/// Ensures that the system keeps the status of an ended child until somebody asks for it.
///
/// If a program ignores `SIGCHLD`, the system forgets ended children at once, and waiting for one fails. This may not
/// be the program's own doing: a program inherits ignored signals from the program that started it (a shell after
/// `trap '' CHLD`, some supervisors). This function then restores the signal's default action, which does nothing and
/// keeps the child. It keeps a handler, but removes the flag `SA_NOCLDWAIT`, which has the same effect as ignoring.
///
/// [`Command`](super::Command) does it before each start. A program that starts children by other means calls it once.
///
/// # Errors
/// Those of `sigaction`; none are known.
pub fn keep_ended_children() -> io::Result<()> {
    let mut action = current()?;
    let ignored = action.sa_sigaction == libc::SIG_IGN;
    if !ignored && action.sa_flags & libc::SA_NOCLDWAIT == 0 {
        return Ok(());
    }
    if ignored {
        action.sa_sigaction = libc::SIG_DFL;
    }
    action.sa_flags &= !libc::SA_NOCLDWAIT;
    // SAFETY: the action is the current one, except for its handler, which becomes the default, and one flag.
    let set = unsafe { libc::sigaction(libc::SIGCHLD, &raw const action, ptr::null_mut()) };
    if set == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

fn current() -> io::Result<libc::sigaction> {
    let mut action = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: without a new action nothing is changed; the place for the old one is valid.
    let asked = unsafe { libc::sigaction(libc::SIGCHLD, ptr::null(), action.as_mut_ptr()) };
    if asked != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has succeeded, so it has filled it.
    Ok(unsafe { action.assume_init() })
}

/// The error of a wait for `child`, with the reason why there is nothing to wait for.
pub(super) fn explained(error: io::Error) -> io::Error {
    if error.raw_os_error() != Some(libc::ECHILD) {
        return error;
    }
    io::Error::other(
        "how the process ended is lost: SIGCHLD is ignored (see `process::keep_ended_children`), or something else in this \
         program has waited for the process",
    )
}

#[cfg(all(test, not(any(lab_loom, lab_shuttle))))]
mod tests {
    use std::os::unix::process::CommandExt as _;
    use std::process::Command;

    use super::*;
    use crate::process::Child;
    use runtime_kernel::context::IoDriver;
    use runtime_kernel::park::block_on_current_thread as block_on;

    /// Runs in a process that was started with `SIGCHLD` ignored: see the test below.
    #[test]
    #[ignore = "ignores a signal for the whole process"]
    fn inner() {
        let mut lost = Command::new("true").spawn().expect("it starts");
        let error = explained(lost.wait().expect_err("the system keeps no children"));
        assert!(error.to_string().contains("keep_ended_children"), "{error}");
        keep_ended_children().expect("set");
        for _ in 0..5 {
            let started = Command::new("sh").args(["-c", "exit 3"]).spawn();
            let child = Child::new(started.expect("it starts"), &IoDriver::OwnThread, false);
            let status = block_on(child.expect("registered").wait());
            assert_eq!(status.expect("its end").code(), Some(3));
        }
        let before = current().expect("asked").sa_sigaction;
        assert_eq!(before, libc::SIG_DFL);
        keep_ended_children().expect("nothing to set");
    }

    #[test]
    fn a_program_that_inherits_sigchld_ignored_learns_how_its_children_end() {
        let mut inner = Command::new(std::env::current_exe().expect("the path of this test"));
        inner.args(["--ignored", "--exact", "process::sigchld::tests::inner"]);
        // SAFETY: between `fork` and `exec` it makes only one system call.
        unsafe {
            inner.pre_exec(|| {
                libc::signal(libc::SIGCHLD, libc::SIG_IGN);
                Ok(())
            });
        }
        let output = inner.output().expect("it starts");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{text}");
        assert!(text.contains("1 passed"), "{text}");
    }
}
