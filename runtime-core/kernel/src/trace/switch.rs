//! Whether there is a recording or a watch: the one word that every hook checks.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// The number of the recording in progress; 0: none. With [`WATCHED`], the hooks serve a
/// [watch](crate::task_list::watch).
static ON: AtomicU32 = AtomicU32::new(0);

/// Like [`ON`], for those hooks of this crate that are not in a generic function. A static that only such functions
/// use is not a symbol that another library could replace, so they read it directly, without looking up its address.
static ON_HERE: AtomicU32 = AtomicU32::new(0);

/// A bit of [`ON`]: there is a watch for what tasks wait for.
pub(super) const WATCHED: u32 = 1 << 31;

/// Whether there is a recording or a watch. A load and a branch: the cost of a hook when there is neither.
#[inline(always)]
pub fn is_on() -> bool {
    // Relaxed: a few events more or less at the start and at the end do not matter.
    ON.load(Relaxed) != 0
}

/// Like [`is_on`], for functions of this crate that are neither generic nor inlined elsewhere.
#[inline(always)]
pub(crate) fn is_on_here() -> bool {
    // Relaxed: as in `is_on`.
    ON_HERE.load(Relaxed) != 0
}

/// Whether there is a watch for what tasks wait for.
#[inline(always)]
pub(crate) fn is_watched() -> bool {
    // Relaxed: as in `is_on`.
    ON.load(Relaxed) & WATCHED != 0
}

/// Sets whether there is a watch.
pub(crate) fn set_watched(watched: bool) {
    set(WATCHED, if watched { WATCHED } else { 0 });
}

/// Sets the recording in progress; 0: none.
pub(super) fn set_recording(number: u32) {
    set(!WATCHED, number);
}

/// Sets the bits in `mask` to `bits`.
fn set(mask: u32, bits: u32) {
    for on in [&ON, &ON_HERE] {
        // The closure always returns `Some`.
        let _ = on.fetch_update(Relaxed, Relaxed, |on| Some(on & !mask | bits));
    }
}

/// Like [`is_watched`], for functions of this crate that are neither generic nor inlined elsewhere.
#[inline(always)]
pub(super) fn is_watched_here() -> bool {
    // Relaxed: as in `is_on`.
    ON_HERE.load(Relaxed) & WATCHED != 0
}

/// The recording in progress; 0: none. For the same functions as [`is_on_here`].
#[inline(always)]
pub(super) fn recording() -> u32 {
    ON_HERE.load(Relaxed) & !WATCHED
}

/// Like [`recording`], for generic functions. If one of them used `ON_HERE`, it would become a symbol for all others
/// as well.
#[inline(always)]
pub(super) fn recording_for_generic() -> u32 {
    // Relaxed: as in `is_on`.
    ON.load(Relaxed) & !WATCHED
}
