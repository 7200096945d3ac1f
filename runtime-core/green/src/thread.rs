//! What a thread needs before it runs its first green task.
#![allow(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::mem;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use runtime_kernel::thread_stack;

use crate::exit_stack;
use crate::overflow;
use crate::wait::on_poller;

/// The size of an exit stack.
const EXIT_BYTES: usize = 16 * 1024;
/// The size of a signal stack, for threads that have none. Threads of the standard library have one.
const SIGNAL_BYTES: usize = 64 * 1024;

/// A thread's memory for emergencies.
struct Reserve {
    _exit: Box<[u8]>,
    /// A signal stack, if the thread had none.
    signal: Option<Box<[u8]>>,
}

thread_local! {
    static NUMBER: Cell<u64> = const { Cell::new(0) };
    static RESERVE: RefCell<Option<Reserve>> = const { RefCell::new(None) };
}

/// Distinguishes the calling thread from all others, including those that have ended.
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

/// Call this when the calling thread is about to run a green task.
#[inline]
pub(crate) fn prepare() {
    if exit_stack::top() == 0 {
        make_reserve();
    }
}

#[cold]
fn make_reserve() {
    overflow::install();
    // SAFETY: it calls the function on the stack of the poll.
    unsafe { thread_stack::set_switch(on_poller) };
    let mut exit = vec![0_u8; EXIT_BYTES].into_boxed_slice();
    let top = exit.as_mut_ptr_range().end.expose_provenance();
    let reserve = Reserve {
        _exit: exit,
        signal: own_signal_stack(),
    };
    let mut reserve = Some(reserve);
    let _ = RESERVE.try_with(|place| place.replace(reserve.take()));
    // If the thread-locals are gone, the thread keeps it until the process ends.
    mem::forget(reserve);
    exit_stack::set_top(top & !63);
}

/// Gives the thread a signal stack if it has none.
fn own_signal_stack() -> Option<Box<[u8]>> {
    // SAFETY: all zeros is a value of this struct of integers and a pointer.
    let mut now: libc::stack_t = unsafe { mem::zeroed() };
    // SAFETY: nothing is changed; the pointer is to our own struct.
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
    // SAFETY: the memory belongs to the thread until `Reserve` takes it back.
    let set = unsafe { libc::sigaltstack(&raw const stack, ptr::null_mut()) };
    (set == 0).then_some(memory)
}

impl Drop for Reserve {
    fn drop(&mut self) {
        exit_stack::set_top(0);
        if self.signal.is_some() {
            // SAFETY: all zeros is a value of it.
            let mut none: libc::stack_t = unsafe { mem::zeroed() };
            none.ss_flags = libc::SS_DISABLE;
            // SAFETY: nothing uses the memory any more: no handler runs now.
            unsafe { libc::sigaltstack(&raw const none, ptr::null_mut()) };
        }
    }
}
