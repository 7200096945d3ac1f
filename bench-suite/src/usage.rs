//! What the kernel counts about this process. The unsafe calls are here because rustix has no `getrusage`.
#![allow(unsafe_code)]

use std::mem::MaybeUninit;
use std::time::Duration;

/// Counters of all threads of this process, including those that have ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    pub(crate) voluntary_switches: u64,
    pub(crate) involuntary_switches: u64,
    pub(crate) page_faults: u64,
    /// CPU time outside the kernel, as the kernel splits it.
    pub(crate) user_ns: u64,
    /// CPU time in the kernel.
    pub(crate) system_ns: u64,
}

impl Counters {
    /// What was counted since `earlier`.
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            voluntary_switches: self
                .voluntary_switches
                .saturating_sub(earlier.voluntary_switches),
            involuntary_switches: self
                .involuntary_switches
                .saturating_sub(earlier.involuntary_switches),
            page_faults: self.page_faults.saturating_sub(earlier.page_faults),
            user_ns: self.user_ns.saturating_sub(earlier.user_ns),
            system_ns: self.system_ns.saturating_sub(earlier.system_ns),
        }
    }

    /// Adds the counters of another process.
    pub(crate) fn add(&mut self, other: Self) {
        self.voluntary_switches += other.voluntary_switches;
        self.involuntary_switches += other.involuntary_switches;
        self.page_faults += other.page_faults;
        self.user_ns += other.user_ns;
        self.system_ns += other.system_ns;
    }
}

/// The counters now.
pub(crate) fn counters() -> Counters {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the pointer is to writable memory of the type that getrusage fills in.
    let result = unsafe { libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr()) };
    debug_assert_eq!(result, 0, "RUSAGE_SELF is always valid");
    // SAFETY: all-zero bytes are a valid `rusage`, and getrusage wrote one over them.
    let usage = unsafe { usage.assume_init() };
    let count = |value: libc::c_long| u64::try_from(value).unwrap_or(0);
    Counters {
        voluntary_switches: count(usage.ru_nvcsw),
        involuntary_switches: count(usage.ru_nivcsw),
        page_faults: count(usage.ru_minflt) + count(usage.ru_majflt),
        user_ns: nanoseconds(usage.ru_utime),
        system_ns: nanoseconds(usage.ru_stime),
    }
}

fn nanoseconds(time: libc::timeval) -> u64 {
    let (seconds, microseconds) = (u64::try_from(time.tv_sec), u64::try_from(time.tv_usec));
    seconds.unwrap_or(0) * 1_000_000_000 + microseconds.unwrap_or(0) * 1000
}

/// CPU time of all threads of this process, user and system. Doesn't use rustix, which looks for the clock in the vDSO;
/// callgrind hides those pages.
pub(crate) fn process_cpu_time() -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the pointer is to a `timespec` that is written to.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    debug_assert_eq!(result, 0, "every process has this clock");
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or(0),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}

/// CPU time of all threads of the process `id`, user and system; `None` if there is no such process.
pub(crate) fn cpu_time_of(id: u32) -> Option<Duration> {
    let mut clock: libc::clockid_t = 0;
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let id = libc::pid_t::try_from(id).ok()?;
    // SAFETY: the pointer is to a clock id that is written to.
    if unsafe { libc::clock_getcpuclockid(id, &raw mut clock) } != 0 {
        return None;
    }
    // SAFETY: the pointer is to a `timespec` that is written to.
    if unsafe { libc::clock_gettime(clock, &raw mut time) } != 0 {
        return None;
    }
    Some(Duration::new(
        u64::try_from(time.tv_sec).ok()?,
        u32::try_from(time.tv_nsec).ok()?,
    ))
}

/// The counters of the process `id`, without its threads that have ended; zeros if `/proc` does not say.
pub(crate) fn counters_of(id: u32) -> Counters {
    let mut counters = Counters::default();
    let threads = std::fs::read_dir(format!("/proc/{id}/task"));
    for thread in threads.into_iter().flatten().flatten() {
        let status = std::fs::read_to_string(thread.path().join("status")).unwrap_or_default();
        let count = |key| {
            let line = status.lines().find_map(|line| line.strip_prefix(key));
            line.and_then(|number| number.trim().parse().ok())
                .unwrap_or(0)
        };
        counters.voluntary_switches += count("voluntary_ctxt_switches:");
        counters.involuntary_switches += count("nonvoluntary_ctxt_switches:");
    }
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    // The name, in parentheses, may contain anything. After it, minor and major faults are fields 10 and 12 of the
    // whole line, and user and system time are fields 14 and 15.
    if let Some((_, rest)) = stat.rsplit_once(") ") {
        let fields: Vec<&str> = rest.split(' ').collect();
        let count = |field: usize| {
            fields
                .get(field)
                .and_then(|field| field.parse::<u64>().ok())
        };
        counters.page_faults = count(7).unwrap_or(0) + count(9).unwrap_or(0);
        // In clock ticks, of which every Linux has 100 per second.
        counters.user_ns = count(11).unwrap_or(0) * 10_000_000;
        counters.system_ns = count(12).unwrap_or(0) * 10_000_000;
    }
    counters
}

/// [`peak_rss_bytes`] of the process `id`.
pub(crate) fn peak_rss_bytes_of(id: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    kibibytes(&status, "VmHWM:")
}

/// The most memory that this process ever had resident: `VmHWM`, which an exec resets, unlike `ru_maxrss`. `None` if
/// `/proc` does not say.
pub(crate) fn peak_rss_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    kibibytes(&status, "VmHWM:")
}

/// The value of a line such as `VmHWM:   123 kB`, in bytes.
pub(crate) fn kibibytes(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    let number: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(number * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_grows_with_work() {
        let before = process_cpu_time();
        let mut sum = 0_u64;
        while process_cpu_time() == before {
            sum = std::hint::black_box(sum + 1);
        }
        assert!(process_cpu_time() > before);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn another_process_is_seen_as_it_sees_itself() {
        let own = std::process::id();
        let before = process_cpu_time();
        let seen = cpu_time_of(own).unwrap();
        assert!(before <= seen && seen <= process_cpu_time());
        assert!(counters_of(own).page_faults > 0);
        assert!(peak_rss_bytes_of(own).is_some());
        // Larger than the largest process id on Linux.
        assert_eq!(cpu_time_of(1 << 23), None);
        assert_eq!(counters_of(1 << 23), Counters::default());
    }

    #[test]
    fn proc_lines_are_read_in_bytes() {
        let text = "VmPeak:\t  10 kB\nVmHWM:\t   4 kB\n";
        assert_eq!(kibibytes(text, "VmHWM:"), Some(4096));
        assert_eq!(kibibytes(text, "VmRSS:"), None);
    }
}
