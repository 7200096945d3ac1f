//! Where a signal's handler runs.
#![allow(unsafe_code)]

use std::io;
use std::mem::MaybeUninit;
use std::ptr;

use super::SignalKind;

/// Makes the handler that the program has installed for signals of `kind` run on the thread's signal stack, which each
/// thread of the standard library has.
///
/// Otherwise it runs on the thread's current stack. That may be the small one of a green task: if too little is left
/// of it, the kernel ends the process. [`signal`](super::signal()) does this by itself; a program that installs a
/// handler by other means calls this once.
///
/// # Errors
/// [`InvalidInput`](io::ErrorKind::InvalidInput) for a kind that does not exist.
///
/// ```
/// use runtime_core::signal::{SignalKind, use_signal_stack};
///
/// // ... install a handler ...
/// use_signal_stack(SignalKind::HANGUP)?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn use_signal_stack(kind: SignalKind) -> io::Result<()> {
    let mut action = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: without a new action nothing is changed; the place for the old one is valid.
    let asked = unsafe { libc::sigaction(kind.as_raw(), ptr::null(), action.as_mut_ptr()) };
    if asked != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has succeeded, so it has filled it.
    let mut action = unsafe { action.assume_init() };
    let has_handler = ![libc::SIG_DFL, libc::SIG_IGN].contains(&action.sa_sigaction);
    if !has_handler || action.sa_flags & libc::SA_ONSTACK != 0 {
        return Ok(());
    }
    action.sa_flags |= libc::SA_ONSTACK;
    // SAFETY: the action is the current one, except for a flag that works with every handler.
    let set = unsafe { libc::sigaction(kind.as_raw(), &raw const action, ptr::null_mut()) };
    if set == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
