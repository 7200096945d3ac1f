//! Two fences that order two threads, where one thread pays for both.
//!
//! **Purpose.** Thread A writes `x` and then reads `y`; thread B writes `y` and then reads `x`. At least one of the
//! two must see what the other wrote. That takes a full fence between the write and the read on both sides. Here A
//! does this often and B rarely: A owns a deque and B steals from it, or A releases a lock and B goes to sleep for it.
//! A therefore executes [`light`], which only restrains the compiler, and B executes [`heavy`]: `membarrier(2)`, a
//! system call of some microseconds that makes every thread of the process execute a fence.
//!
//! **Why that is enough.** During the heavy fence, each processor that runs a thread of this process passes a full
//! fence at some moment; a thread that is not running passes one when it is switched in. The compiler keeps A's write
//! before A's read, so there are two cases. If A's processor passes its fence before the write, then the read also
//! comes after the fence, and sees what B wrote before its heavy fence. If it passes its fence after the write, then
//! the write is visible before B's heavy fence ends, and B's read sees it. Two heavy fences order two threads as well.
//!
//! **Where the kernel lacks this call**, or forbids it, both sides execute an ordinary fence. All threads must use the
//! same kind, so the first answer holds for the process: [`prepare`] asks the kernel, and must be called before the
//! first fence. Miri does not support the call. The threads of loom and shuttle are coroutines, and both sides need a
//! fence that the model checker knows.
//!
//! Sources: the membarrier manual page; liburcu; folly's `asymmetric_thread_fence`.

#[cfg(not(any(lab_loom, lab_shuttle)))]
mod imp {
    use std::sync::atomic::{
        AtomicU8,
        Ordering::{Relaxed, SeqCst},
        compiler_fence, fence,
    };

    use rustix::thread::{MembarrierCommand, membarrier};

    const UNKNOWN: u8 = 0;
    /// The side that executes the heavy fence pays for both.
    const ASYMMETRIC: u8 = 1;
    const SYMMETRIC: u8 = 2;

    static KIND: AtomicU8 = AtomicU8::new(if cfg!(miri) { SYMMETRIC } else { UNKNOWN });

    /// Call this before the first fence of a process.
    #[inline]
    pub fn prepare() {
        if KIND.load(Relaxed) == UNKNOWN {
            register();
        }
    }

    #[cold]
    fn register() {
        // The kernel keeps this for the process, and a second time does no harm.
        let registered = membarrier(MembarrierCommand::RegisterPrivateExpedited);
        let works = registered.and_then(|()| membarrier(MembarrierCommand::PrivateExpedited));
        let kind = if works.is_ok() { ASYMMETRIC } else { SYMMETRIC };
        // The first answer holds: both sides must use the same kind.
        let _ = KIND.compare_exchange(UNKNOWN, kind, Relaxed, Relaxed);
    }

    /// Whether the heavy fence is a system call, which is worth avoiding.
    #[inline]
    pub fn heavy_is_expensive() -> bool {
        KIND.load(Relaxed) == ASYMMETRIC
    }

    /// The fence for the frequent side.
    #[inline]
    pub fn light() {
        if KIND.load(Relaxed) != ASYMMETRIC {
            fence(SeqCst);
        }
        // After the other fence this does nothing, so it needs no branch around it.
        compiler_fence(SeqCst);
    }

    /// The fence for the rare side.
    pub fn heavy() {
        if KIND.load(Relaxed) == ASYMMETRIC {
            let passed = membarrier(MembarrierCommand::PrivateExpedited);
            passed.expect("it worked when it was registered");
        } else {
            fence(SeqCst);
        }
    }
}

#[cfg(any(lab_loom, lab_shuttle))]
mod imp {
    use crate::primitives::atomic::{Ordering::SeqCst, fence};

    /// Call this before the first fence of a process.
    pub fn prepare() {}

    /// Whether the heavy fence is a system call, which is worth avoiding. Models try both ways.
    pub fn heavy_is_expensive() -> bool {
        true
    }

    /// The fence for the frequent side.
    pub fn light() {
        fence(SeqCst);
    }

    /// The fence for the rare side.
    pub fn heavy() {
        fence(SeqCst);
    }
}

pub use imp::{heavy, heavy_is_expensive, light, prepare};

/// The former name of [`heavy_is_expensive`].
#[deprecated(note = "it is called `heavy_is_expensive`")]
#[inline]
pub fn heavy_is_dear() -> bool {
    heavy_is_expensive()
}
