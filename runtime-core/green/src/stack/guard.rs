//! Guard pages: light ones if the kernel has them.
//!
//! `mprotect` splits one mapping into three, and a process usually has at most 65,530 (`vm.max_map_count`): some
//! 32,000 stacks. Linux 6.13 has `MADV_GUARD_INSTALL`, which marks pages without a mapping of their own. If it is
//! refused (by an older kernel, or by a sandbox), `mprotect` is the fallback.
#![allow(unsafe_code)]

use std::ffi::c_int;
use std::io;
use std::ptr;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

const MADV_GUARD_INSTALL: c_int = 102;
const MADV_GUARD_REMOVE: c_int = 103;

/// How an overflow of a stack is caught.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Guards {
    /// By marks in the page table (since Linux 6.13): any number of stacks.
    Light,
    /// By mappings of their own: up to some 32,000 stacks, by the kernel's default limit on mappings.
    Mappings,
}

/// 0: light guards, until they are refused. 1: mappings.
static KIND: AtomicU8 = AtomicU8::new(0);

/// Sets the kind of guards for stacks that are created from now on. The default is light guards, or mappings if the
/// kernel refuses light guards.
pub fn set_guards(guards: Guards) {
    KIND.store(u8::from(guards == Guards::Mappings), Relaxed);
}

/// The kind of guards for new stacks.
pub(super) fn kind() -> Guards {
    match KIND.load(Relaxed) {
        0 => Guards::Light,
        _ => Guards::Mappings,
    }
}

/// Makes sure that touching those pages is caught.
///
/// # Safety
/// They are whole pages of a mapping of the caller's, and nobody uses them.
pub(super) unsafe fn install(start: usize, bytes: usize) -> io::Result<()> {
    let pages = ptr::with_exposed_provenance_mut(start);
    if kind() == Guards::Light {
        // SAFETY: by this function's contract.
        if unsafe { libc::madvise(pages, bytes, MADV_GUARD_INSTALL) } == 0 {
            return Ok(());
        }
        set_guards(Guards::Mappings);
    }
    // SAFETY: by this function's contract.
    if unsafe { libc::mprotect(pages, bytes, libc::PROT_NONE) } == 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    let message = format!(
        "no guard page for the stack of a green task: {error}. Without light guards (Linux 6.13 on) each stack takes \
         two mappings: raise vm.max_map_count for more than 32,000 stacks"
    );
    Err(io::Error::new(error.kind(), message))
}

/// Makes those pages accessible again. Async-signal-safe. `false` if the system refuses.
///
/// # Safety
/// They are whole pages of a guard, and its stack is never used again.
pub(crate) unsafe fn remove(start: usize, bytes: usize) -> bool {
    let pages = ptr::with_exposed_provenance_mut(start);
    // The kind may have changed since. The call that does not apply changes nothing.
    // SAFETY: by this function's contract.
    unsafe {
        libc::madvise(pages, bytes, MADV_GUARD_REMOVE);
        libc::mprotect(pages, bytes, libc::PROT_READ | libc::PROT_WRITE) == 0
    }
}
