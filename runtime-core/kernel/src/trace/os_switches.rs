//! How the kernel switched a thread, by its own counts.
//!
//! When the kernel takes a thread off its processor, it counts that as voluntary if the thread waits for something,
//! and as involuntary if other threads get their turn. A thread may ask for its own counts, at the price of a system
//! call: some 300 ns. It does not learn when the switches were. So the counts are read where they say most: around
//! each poll of a task that has its own thread, under 1:1, where the kernel is the scheduler.
#![allow(unsafe_code)]

/// How often the kernel has taken a thread off its processor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Switches {
    /// Because the thread waited for something.
    pub(super) voluntary: u64,
    /// Because it was another thread's turn.
    pub(super) involuntary: u64,
}

impl Switches {
    /// Those of the calling thread so far. `None`: this system does not provide them.
    #[cfg(all(target_os = "linux", not(miri)))]
    pub(super) fn so_far() -> Option<Self> {
        let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
        // SAFETY: there is room for what the call writes.
        let answer = unsafe { libc::getrusage(libc::RUSAGE_THREAD, usage.as_mut_ptr()) };
        // SAFETY: numbers, all of which may be zero.
        let usage = unsafe { usage.assume_init() };
        (answer == 0).then_some(Self {
            voluntary: usage.ru_nvcsw as u64,
            involuntary: usage.ru_nivcsw as u64,
        })
    }

    #[cfg(not(all(target_os = "linux", not(miri))))]
    pub(super) fn so_far() -> Option<Self> {
        None
    }

    /// The switches after `before`.
    pub(super) fn since(self, before: Self) -> Self {
        Self {
            voluntary: self.voluntary.saturating_sub(before.voluntary),
            involuntary: self.involuntary.saturating_sub(before.involuntary),
        }
    }
}

#[cfg(all(test, target_os = "linux", not(any(miri, lab_loom, lab_shuttle))))]
mod tests {
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_thread_that_sleeps_is_switched_voluntarily() {
        let before = Switches::so_far().unwrap();
        thread::sleep(Duration::from_millis(1));
        let slept = Switches::so_far().unwrap().since(before);
        assert!(slept.voluntary >= 1, "{slept:?}");
    }
}
