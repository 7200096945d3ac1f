//! Reports which task's stack has overflowed, and which setting determines its size.
//!
//! A stack ends in a page that can't be touched. A thread that touches it gets `SIGSEGV`, and the standard library's
//! handler ends the process with the thread's name, which is usually a number. Our handler therefore runs first. If
//! the address is below the stack of one of our threads, it writes one line. In any case it then calls the handler
//! that was installed before.
//!
//! The handler runs on the signal stack that the standard library has created for the thread, in the middle of
//! whatever the thread was doing. It only reads a thread-local without a destructor, formats into an array, and calls
//! `write`: all of that is allowed there.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::mem;
use std::ptr;
use std::sync::{Once, OnceLock};

/// How far below the stack's end an address counts as its overflow. The guard is one page, of at most 64 KiB.
const MAX_GUARD_BYTES: usize = 64 * 1024;
/// A task without a name is called by its future's type, which may be long.
const MAX_NAME_BYTES: usize = 512;

/// The text for the calling thread's stack, if it overflows.
#[derive(Clone, Copy)]
pub(crate) struct Stack<'a> {
    /// What kind of thread it is: "task".
    pub(crate) whose: &'static str,
    pub(crate) name: &'a str,
    pub(crate) bytes: usize,
    /// The setting that gives it more.
    pub(crate) knob: &'static str,
}

/// The same, as the handler sees it.
struct Watched<'a> {
    stack: Stack<'a>,
    /// An address near the beginning of the stack.
    top: usize,
}

thread_local! {
    static WATCHED: Cell<*const Watched<'static>> = const { Cell::new(ptr::null()) };
}

/// The handler that was installed before ours.
static BEFORE: OnceLock<libc::sigaction> = OnceLock::new();

impl Stack<'_> {
    /// Calls `body` from near the beginning of this stack.
    pub(crate) fn watch<R>(self, body: impl FnOnce() -> R) -> R {
        struct Unwatch;
        impl Drop for Unwatch {
            fn drop(&mut self) {
                WATCHED.set(ptr::null());
            }
        }
        install();
        let mark = 0_u8;
        let watched = Watched {
            stack: self,
            top: ptr::from_ref(&mark).addr(),
        };
        WATCHED.set(ptr::from_ref(&watched).cast());
        // Runs before `watched` is dropped, also in a panic.
        let _unwatch = Unwatch;
        body()
    }
}

fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        // SAFETY: all zeros is a value of this struct of integers and an optional pointer; the fields that matter are
        // set below.
        let mut action: libc::sigaction = unsafe { mem::zeroed() };
        let handler: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) = on_fault;
        action.sa_sigaction = handler as libc::sighandler_t;
        // SAFETY: as above.
        let mut before: libc::sigaction = unsafe { mem::zeroed() };
        // SAFETY: nothing is changed; the pointer is to our own struct.
        if unsafe { libc::sigaction(libc::SIGSEGV, ptr::null(), &raw mut before) } != 0 {
            return;
        }
        // The previous handler runs inside ours: we block the signals that it asked for, and no others.
        action.sa_mask = before.sa_mask;
        action.sa_flags =
            libc::SA_SIGINFO | libc::SA_ONSTACK | (before.sa_flags & libc::SA_NODEFER);
        // Before ours is installed, because a fault may happen at once.
        let _ = BEFORE.set(before);
        // SAFETY: the pointer is to our own struct, and the handler has the form that the flags announce.
        unsafe { libc::sigaction(libc::SIGSEGV, &raw const action, ptr::null_mut()) };
    });
}

extern "C" fn on_fault(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: it belongs to this thread, and `watch` keeps it alive for as long as the pointer is set.
    if let Some(watched) = unsafe { WATCHED.get().as_ref() } {
        // SAFETY: the kernel passes its information to a handler of this form; for this signal it has an address.
        let address = unsafe { (*info).si_addr() }.addr();
        if is_overflow(address, watched.top, watched.stack.bytes) {
            write_line(&watched.stack);
        }
    }
    hand_on(signal, info, context);
}

/// Whether an access to `address` is an overflow of the stack of `bytes` bytes that begins a little above `top`.
fn is_overflow(address: usize, top: usize, bytes: usize) -> bool {
    top.checked_sub(address)
        .is_some_and(|below| below <= bytes.saturating_add(MAX_GUARD_BYTES))
}

fn write_line(stack: &Stack<'_>) {
    let mut line = Line::default();
    for part in ["\nThe stack of the 1:1 ", stack.whose, " `"] {
        line.push(part);
    }
    let name = stack.name.as_bytes();
    line.push_bytes(&name[..name.len().min(MAX_NAME_BYTES)]);
    line.push("` has overflowed. It has ");
    line.push_number(stack.bytes / 1024);
    line.push(" KiB: give it more by ");
    line.push(stack.knob);
    line.push(", or put large values into boxes.\n");
    // SAFETY: the bytes are there. An error of `write` can't be handled.
    let _ = unsafe { libc::write(libc::STDERR_FILENO, line.bytes.as_ptr().cast(), line.filled) };
}

/// Text in an array: a handler may not allocate.
struct Line {
    bytes: [u8; 1024],
    filled: usize,
}

impl Default for Line {
    fn default() -> Self {
        Self {
            bytes: [0; 1024],
            filled: 0,
        }
    }
}

impl Line {
    fn push(&mut self, text: &str) {
        self.push_bytes(text.as_bytes());
    }

    /// Adds as many bytes as fit.
    fn push_bytes(&mut self, bytes: &[u8]) {
        let room = &mut self.bytes[self.filled..];
        let added = bytes.len().min(room.len());
        room[..added].copy_from_slice(&bytes[..added]);
        self.filled += added;
    }

    fn push_number(&mut self, number: usize) {
        if number >= 10 {
            self.push_number(number / 10);
        }
        const DIGITS: &str = "0123456789";
        let digit = number % 10;
        self.push(&DIGITS[digit..=digit]);
    }
}

/// Calls the handler that was installed before.
fn hand_on(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    let before = BEFORE.get();
    let handler = before.map_or(libc::SIG_DFL, |before| before.sa_sigaction);
    if handler == libc::SIG_DFL || handler == libc::SIG_IGN {
        // The instruction is repeated, and ends the process.
        // SAFETY: all zeros is a value of it, and means the default action.
        let default: libc::sigaction = unsafe { mem::zeroed() };
        // SAFETY: the pointer is to our own struct.
        unsafe { libc::sigaction(signal, &raw const default, ptr::null_mut()) };
    } else if before.is_some_and(|before| before.sa_flags & libc::SA_SIGINFO != 0) {
        type Handler = extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);
        // SAFETY: it was installed as a handler of this form, and is neither of the two numbers that are not handlers.
        let handler = unsafe { mem::transmute::<libc::sighandler_t, Handler>(handler) };
        handler(signal, info, context);
    } else {
        // SAFETY: as above, of the other form.
        let handler =
            unsafe { mem::transmute::<libc::sighandler_t, extern "C" fn(c_int)>(handler) };
        handler(signal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_just_below_a_stack_are_its_overflow() {
        const TOP: usize = 1 << 30;
        const BYTES: usize = 1 << 20;
        for (below, expected) in [
            (BYTES - 4096, true),
            (BYTES + 4096, true),
            (BYTES + MAX_GUARD_BYTES, true),
            (BYTES + MAX_GUARD_BYTES + 1, false),
            (TOP, false),
        ] {
            assert_eq!(is_overflow(TOP - below, TOP, BYTES), expected, "{below}");
        }
        assert!(!is_overflow(TOP + 1, TOP, BYTES));
    }

    #[test]
    fn a_line_is_cut_to_its_capacity() {
        let mut line = Line::default();
        line.push_number(1_048_576);
        assert_eq!(&line.bytes[..line.filled], b"1048576");
        line.push(&"x".repeat(2000));
        line.push("y");
        assert_eq!(line.filled, line.bytes.len());
    }
}
