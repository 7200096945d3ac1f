//! The stack that the system gave to a thread, for code that runs on another one.
//!
//! A task may have its own stack. That stack is suspended in the middle of whatever runs on it, and is abandoned for
//! ever when it overflows. Some code must not be interrupted like that: a loop that runs other tasks, code that
//! replaces a worker for a while, a wait that runs closures of others. Such code calls [`on_thread_stack`].
//!
//! Code that switches stacks notes in a thread-local which stack the thread is on. With [`set_switch`], it defines how
//! to call a function on the stack that the thread was switched from.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr;
use std::sync::OnceLock;
use std::thread_local;

thread_local! {
    static OTHER: Cell<*const ()> = const { Cell::new(ptr::null()) };
    /// How many critical sections the thread is in: see [`InTheMiddle`].
    static MIDDLE: Cell<u32> = const { Cell::new(0) };
}

/// Calls the function on the stack that the calling thread has switched from.
static SWITCH: OnceLock<fn(&mut dyn FnMut())> = OnceLock::new();

/// Defines how to call a function on the stack that a thread has switched from, at once and on the same thread. Only
/// the first call has an effect.
///
/// # Safety
/// `switch` calls the function on that stack: code that runs on a system stack relies on never being abandoned
/// half-way.
pub unsafe fn set_switch(switch: fn(&mut dyn FnMut())) {
    let _ = SWITCH.set(switch);
}

/// Notes which stack the calling thread is on from now on: null for its own. Returns the previous note.
///
/// # Safety
/// `other` is null, or what the code that called [`set_switch`] expects to find, for as long as it is noted.
#[inline]
pub unsafe fn replace_other(other: *const ()) -> *const () {
    OTHER.replace(other)
}

/// The calling thread's [note](replace_other); null: it is on its own stack.
#[inline]
pub fn other() -> *const () {
    OTHER.try_with(Cell::get).unwrap_or(ptr::null())
}

/// While it exists, the calling thread is in the middle of something that others wait for, or would find half done.
/// The thread does not abandon its stack meanwhile: see [`is_in_the_middle`].
#[derive(Debug)]
#[must_use = "it ends when it is dropped"]
pub struct InTheMiddle(PhantomData<*const ()>);

/// The calling thread begins something that must not be left half-way. It calls no user code before the end.
#[inline]
pub fn in_the_middle() -> InTheMiddle {
    MIDDLE.set(MIDDLE.get().wrapping_add(1));
    InTheMiddle(PhantomData)
}

impl Drop for InTheMiddle {
    #[inline]
    fn drop(&mut self) {
        MIDDLE.set(MIDDLE.get().wrapping_sub(1));
    }
}

/// Sets how many such sections the calling thread is in. Returns the previous number.
///
/// For code that switches stacks: this count belongs to the stack. Otherwise, a waker that suspends a task in the
/// middle of a batch would leave the thread's other tasks in the middle of it.
///
/// # Safety
/// The number is 0, or was returned by this function when the thread left the stack on which it now continues.
#[inline]
pub unsafe fn replace_middle(middle: u32) -> u32 {
    MIDDLE.replace(middle)
}

/// Whether the calling thread is in such a section. Async-signal-safe: for a handler that would abandon the stack.
pub fn is_in_the_middle() -> bool {
    MIDDLE.get() != 0
}

/// Calls `function` on the system's stack of the calling thread, which usually is the present one.
///
/// # Panics
/// If `function` panics.
#[inline]
pub fn on_thread_stack<R>(function: impl FnOnce() -> R) -> R {
    if other().is_null() {
        return function();
    }
    switched(function)
}

#[cold]
fn switched<R>(function: impl FnOnce() -> R) -> R {
    let Some(switch) = SWITCH.get() else {
        return function();
    };
    let (mut function, mut output) = (Some(function), None);
    switch(&mut || {
        let function = function.take().expect("it is called once");
        // That stack may in turn belong to another task.
        output = Some(catch_unwind(AssertUnwindSafe(|| on_thread_stack(function))));
    });
    match output.expect("it was called") {
        Ok(output) => output,
        Err(payload) => resume_unwind(payload),
    }
}

#[cfg(all(test, not(any(lab_loom, lab_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_in_the_middle_until_the_outermost_end() {
        assert!(!is_in_the_middle());
        let outer = in_the_middle();
        drop(in_the_middle());
        assert!(is_in_the_middle());
        drop(outer);
        assert!(!is_in_the_middle());
    }

    #[test]
    #[cfg_attr(
        lab_asan,
        ignore = "locals are on AddressSanitizer's stacks, wherever those are"
    )]
    fn a_thread_on_its_own_stack_calls_the_function_there() {
        let here = 0_u8;
        let distance = on_thread_stack(|| {
            let there = 0_u8;
            ptr::from_ref(&here)
                .addr()
                .abs_diff(ptr::from_ref(&there).addr())
        });
        assert!(distance < 1 << 16, "{distance} bytes");
        assert!(catch_unwind(|| on_thread_stack(|| panic!("this is part of the test"))).is_err());
    }
}
