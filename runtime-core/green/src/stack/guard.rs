//! Guard pages: light ones where the kernel has them.
//!
//! `mprotect` makes three mappings of one, and a process has 65,530 as a rule (`vm.max_map_count`): some 32,000 stacks.
//! Linux 6.13 has `MADV_GUARD_INSTALL`, which marks pages without a mapping of their own. Where it is refused (an older
//! kernel, or a sandbox that forbids it), `mprotect` is the fallback.
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
    /// By marks in the page table (Linux 6.13 on): any number of stacks.
    Light,
    /// By mappings of their own: up to some 32,000 stacks, by the kernel's default limit on mappings.
    Mappings,
}

/// 0: light ones, until they are refused. 1: mappings.
static KIND: AtomicU8 = AtomicU8::new(0);

/// Which guards stacks get that are made from now on. Light ones are the default, and mappings where the kernel refuses
/// light ones.
pub fn set_guards(guards: Guards) {
    KIND.store(u8::from(guards == Guards::Mappings), Relaxed);
}

/// What stacks get that are made now.
pub(super) fn kind() -> Guards {
    match KIND.load(Relaxed) {
        0 => Guards::Light,
        _ => Guards::Mappings,
    }
}

/// Sees to it that touching those pages is caught.
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

/// Lets those pages be touched again. Async-signal-safe. False: it is refused.
///
/// # Safety
/// They are whole pages of a guard, of a stack that is never used again.
pub(crate) unsafe fn remove(start: usize, bytes: usize) -> bool {
    let pages = ptr::with_exposed_provenance_mut(start);
    // The kind may have changed since: what does not apply changes nothing.
    // SAFETY: by this function's contract.
    unsafe {
        libc::madvise(pages, bytes, MADV_GUARD_REMOVE);
        libc::mprotect(pages, bytes, libc::PROT_READ | libc::PROT_WRITE) == 0
    }
}
