//! Prefetches memory that will be needed soon.
#![allow(unsafe_code)]

/// Asks the processor to load the cache line at `pointer`. It may point anywhere, and nothing is read through it.
#[inline(always)]
pub(super) fn prefetch<T>(pointer: *const T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a hint; an address that is not mapped is ignored.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(pointer.cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = pointer;
}
