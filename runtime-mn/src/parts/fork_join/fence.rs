//! Two fences that order two threads, of which one pays for both.

#[cfg(not(any(lab_loom, lab_shuttle)))]
mod imp {
    use std::sync::atomic::{
        AtomicU8,
        Ordering::{Relaxed, SeqCst},
        compiler_fence, fence,
    };

    use rustix::thread::{MembarrierCommand, membarrier};

    const UNKNOWN: u8 = 0;
    /// Whoever passes the heavy one pays for both.
    const ASYMMETRIC: u8 = 1;
    /// The kernel has no membarrier, or forbids it.
    const SYMMETRIC: u8 = 2;

    static KIND: AtomicU8 = AtomicU8::new(UNKNOWN);

    /// Before the first fence of a process.
    pub(crate) fn prepare() {
        if KIND.load(Relaxed) == UNKNOWN {
            // Miri knows no such call. The kernel keeps this for the process, and a second time does no harm.
            let works = !cfg!(miri)
                && membarrier(MembarrierCommand::RegisterPrivateExpedited)
                    .and_then(|()| membarrier(MembarrierCommand::PrivateExpedited))
                    .is_ok();
            let kind = if works { ASYMMETRIC } else { SYMMETRIC };
            // The first answer holds: owners and thieves must not go by two.
            let _ = KIND.compare_exchange(UNKNOWN, kind, Relaxed, Relaxed);
        }
    }

    #[inline]
    pub(crate) fn light() {
        if KIND.load(Relaxed) == ASYMMETRIC {
            compiler_fence(SeqCst);
        } else {
            fence(SeqCst);
        }
    }

    pub(crate) fn heavy() {
        if KIND.load(Relaxed) == ASYMMETRIC {
            let passed = membarrier(MembarrierCommand::PrivateExpedited);
            passed.expect("it worked when it was registered");
        } else {
            fence(SeqCst);
        }
    }
}

/// The threads of a model are coroutines: both sides need a fence that it knows.
#[cfg(any(lab_loom, lab_shuttle))]
mod imp {
    use runtime_core::primitives::atomic::{Ordering::SeqCst, fence};

    pub(crate) fn prepare() {}

    pub(crate) fn light() {
        fence(SeqCst);
    }

    pub(crate) fn heavy() {
        fence(SeqCst);
    }
}

pub(crate) use imp::{heavy, light, prepare};
