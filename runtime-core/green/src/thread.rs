//! What a thread needs before it runs its first green task.
#![allow(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::mem;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::overflow;

/// Where a thread leaves a stack that has overflowed: there is no room on that stack itself.
const EXIT_BYTES: usize = 16 * 1024;
/// A signal stack, for threads that have none. The standard library's threads have one.
const SIGNAL_BYTES: usize = 64 * 1024;

/// A thread's own memory for emergencies.
struct Reserve {
    _exit: Box<[u8]>,
    /// A signal stack, if the thread had none.
    signal: Option<Box<[u8]>>,
}

thread_local! {
    static NUMBER: Cell<u64> = const { Cell::new(0) };
    /// The top of the exit stack; 0 if the thread has none.
    static EXIT_TOP: Cell<usize> = const { Cell::new(0) };
    static RESERVE: RefCell<Option<Reserve>> = const { RefCell::new(None) };
}

/// What tells the calling thread from all others, also from those that have ended.
#[inline]
pub(crate) fn number() -> u64 {
    match NUMBER.get() {
        0 => first_number(),
        number => number,
    }
}

#[cold]
fn first_number() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let number = LAST.fetch_add(1, Relaxed) + 1;
    NUMBER.set(number);
    number
}

/// The top of the calling thread's exit stack. Async-signal-safe.
pub(crate) fn exit_top() -> usize {
    EXIT_TOP.get()
}

/// The calling thread is about to run a green task.
#[inline]
pub(crate) fn prepare() {
    if EXIT_TOP.get() == 0 {
        make_reserve();
    }
}

#[cold]
fn make_reserve() {
    overflow::install();
    let mut exit = vec![0_u8; EXIT_BYTES].into_boxed_slice();
    let top = exit.as_mut_ptr_range().end.expose_provenance();
    let reserve = Reserve {
        _exit: exit,
        signal: own_signal_stack(),
    };
    // A thread that is past its thread-locals keeps it until the process ends.
    if RESERVE
        .try_with(|place| place.replace(Some(reserve)))
        .is_ok()
    {
        EXIT_TOP.set(top & !63);
    }
}

/// Gives the thread a signal stack if it has none.
fn own_signal_stack() -> Option<Box<[u8]>> {
    // SAFETY: all zeros is a value of this struct of integers and a pointer.
    let mut now: libc::stack_t = unsafe { mem::zeroed() };
    // SAFETY: nothing is changed; the pointer is to a struct of our own.
    let asked = unsafe { libc::sigaltstack(ptr::null(), &raw mut now) };
    if asked != 0 || now.ss_flags & libc::SS_DISABLE == 0 {
        return None;
    }
    let mut memory = vec![0_u8; SIGNAL_BYTES].into_boxed_slice();
    let stack = libc::stack_t {
        ss_sp: memory.as_mut_ptr().cast(),
        ss_flags: 0,
        ss_size: memory.len(),
    };
    // SAFETY: the memory is the thread's own until `Reserve` takes it back.
    let set = unsafe { libc::sigaltstack(&raw const stack, ptr::null_mut()) };
    (set == 0).then_some(memory)
}

impl Drop for Reserve {
    fn drop(&mut self) {
        EXIT_TOP.set(0);
        if self.signal.is_some() {
            // SAFETY: all zeros is a value of it.
            let mut none: libc::stack_t = unsafe { mem::zeroed() };
            none.ss_flags = libc::SS_DISABLE;
            // SAFETY: nothing of the memory is used any more: no handler runs now.
            unsafe { libc::sigaltstack(&raw const none, ptr::null_mut()) };
        }
    }
}
