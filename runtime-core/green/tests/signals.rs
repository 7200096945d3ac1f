//! A signal arrives when a green task has nearly used up its stack.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![allow(unsafe_code)]

use std::hint::black_box;

use runtime_core::green::{self, wait};
use runtime_core::signal::{SignalKind, signal};

const STACK_BYTES: usize = 16 * 1024;

fn raise() {
    // SAFETY: there is a handler.
    assert_eq!(unsafe { libc::raise(libc::SIGUSR1) }, 0);
}

fn address() -> usize {
    let here = 0_u8;
    std::ptr::from_ref(black_box(&here)).addr()
}

/// Raises a signal where at most `left` bytes are left of the stack, which began near `top`.
fn raise_with(left: usize, top: usize) {
    if top - address() + left < STACK_BYTES {
        raise_with(left, black_box(top));
        black_box(());
    } else {
        raise();
    }
}

#[test]
fn a_signals_handler_needs_none_of_a_green_tasks_stack() {
    let event_loop = runtime_n1::Loop::new().unwrap();
    event_loop.block_on(async {
        let mut signals = signal(SignalKind::USER1).unwrap();
        // The dynamic linker binds some functions at their first call, which needs more stack.
        raise();
        signals.recv().await.unwrap();
        for left in (1600..4000).step_by(400) {
            let builder = green::Builder::new().stack_bytes(STACK_BYTES);
            let task = builder.spawn(move || raise_with(left, address()));
            task.await.unwrap();
            signals.recv().await.unwrap();
        }
        let task = green::spawn(|| wait(async {}));
        task.await.unwrap();
    });
}
