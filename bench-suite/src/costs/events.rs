//! The kernel's performance events, read at the ends of the timed part.
//!
//! An event is opened for a thread, and threads that it starts inherit the event. If you open it before a runtime
//! starts, it counts all of the runtime's threads and none of the load generator's process. For another process, open
//! it for each of its threads.
#![allow(unsafe_code)]

use std::fs;
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

use super::{Counted, strace};

/// What is counted, in the order in which it is read at the end of a part. System calls come first, because each read
/// is a system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Syscalls,
    Wakeups,
    Instructions,
}

const EVENTS: [Event; 3] = [Event::Syscalls, Event::Wakeups, Event::Instructions];

impl Event {
    fn name(self) -> &'static str {
        match self {
            Self::Syscalls => "system calls",
            Self::Wakeups => "wake-ups",
            Self::Instructions => "instructions",
        }
    }

    /// The kernel's type and number of the event.
    fn attributes(self) -> io::Result<(u32, u64)> {
        /// `PERF_TYPE_HARDWARE` and `PERF_COUNT_HW_INSTRUCTIONS`.
        const INSTRUCTIONS: (u32, u64) = (0, 1);
        const TRACEPOINT: u32 = 2;
        match self {
            Self::Syscalls => Ok((TRACEPOINT, tracepoint("raw_syscalls/sys_enter")?)),
            Self::Wakeups => Ok((TRACEPOINT, tracepoint("sched/sched_waking")?)),
            Self::Instructions => Ok(INSTRUCTIONS),
        }
    }
}

fn tracepoint(name: &str) -> io::Result<u64> {
    let read = |root: &str| fs::read_to_string(format!("{root}/events/{name}/id"));
    let text = read("/sys/kernel/tracing").or_else(|_| read("/sys/kernel/debug/tracing"))?;
    text.trim().parse().map_err(io::Error::other)
}

/// Version 5 of `struct perf_event_attr`, which every kernel since 4.1 knows.
#[repr(C)]
#[derive(Default)]
struct Attributes {
    kind: u32,
    size: u32,
    config: u64,
    sample_period: u64,
    sample_type: u64,
    read_format: u64,
    flags: u64,
    wakeup_events: u32,
    breakpoint_type: u32,
    config1: u64,
    config2: u64,
    branch_sample_type: u64,
    sample_registers_user: u64,
    sample_stack_user: u32,
    clock_id: i32,
    sample_registers_interrupt: u64,
    auxiliary_watermark: u32,
    sample_most_stack: u16,
    reserved: u16,
}

/// Who inherits an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Inheritance {
    Threads,
    ThreadsAndProcesses,
}

fn open(event: Event, thread: i32, inheritance: Inheritance) -> io::Result<OwnedFd> {
    const INHERIT: u64 = 1 << 1;
    const EXCLUDE_KERNEL: u64 = 1 << 5;
    const EXCLUDE_HYPERVISOR: u64 = 1 << 6;
    const INHERIT_THREAD: u64 = 1 << 35;
    const CLOSE_ON_EXEC: libc::c_ulong = 1 << 3;
    let (kind, config) = event.attributes()?;
    let mut flags = INHERIT;
    if inheritance == Inheritance::Threads {
        flags |= INHERIT_THREAD;
    }
    if event == Event::Instructions {
        flags |= EXCLUDE_KERNEL | EXCLUDE_HYPERVISOR;
    }
    let attributes = Attributes {
        kind,
        size: u32::try_from(size_of::<Attributes>()).map_err(io::Error::other)?,
        config,
        flags,
        ..Attributes::default()
    };
    // SAFETY: the first argument points to a structure of the size that it states; the others are plain numbers.
    let opened = unsafe {
        libc::syscall(
            libc::SYS_perf_event_open,
            &raw const attributes,
            thread,
            -1,
            -1,
            CLOSE_ON_EXEC,
        )
    };
    let opened = i32::try_from(opened).map_err(io::Error::other)?;
    if opened < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just returned this descriptor, and nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(opened) })
}

fn value(counter: &OwnedFd) -> Option<u64> {
    let mut bytes = [0_u8; 8];
    // SAFETY: the buffer has the stated length.
    let read = unsafe { libc::read(counter.as_raw_fd(), bytes.as_mut_ptr().cast(), bytes.len()) };
    (read == 8).then(|| u64::from_ne_bytes(bytes))
}

/// The counters of some threads, and what they counted in the timed parts.
#[derive(Debug, Default)]
pub(crate) struct Events {
    /// For each event, one counter per thread.
    counters: Vec<(Event, Vec<OwnedFd>)>,
    marks: Vec<Option<u64>>,
    /// Whether a tracer counts, and only needs marks at the ends of the parts.
    traced: bool,
    counted: Counted,
}

impl Events {
    /// Counts this thread, and all threads that it starts from now on.
    pub(crate) fn of_this_thread() -> Self {
        Self::of(&[0], Inheritance::Threads)
    }

    /// Counts these threads, and all threads and processes that they start from now on.
    pub(crate) fn of_threads(threads: &[u32]) -> Self {
        let threads: Vec<i32> = threads
            .iter()
            .filter_map(|&id| i32::try_from(id).ok())
            .collect();
        Self::of(&threads, Inheritance::ThreadsAndProcesses)
    }

    /// Counts nothing, because the tracer of this process counts.
    pub(crate) fn of_the_tracer() -> Self {
        Self {
            traced: true,
            ..Self::default()
        }
    }

    fn of(threads: &[i32], inheritance: Inheritance) -> Self {
        let mut events = Self::default();
        for event in EVENTS {
            let opened: io::Result<Vec<OwnedFd>> = threads
                .iter()
                .map(|&thread| open(event, thread, inheritance))
                .collect();
            match opened {
                Ok(counters) => events.counters.push((event, counters)),
                Err(error) => events.explain(&format!("{}: {error}", event.name())),
            }
        }
        events
    }

    fn explain(&mut self, why: &str) {
        let error = self.counted.error.get_or_insert_default();
        if !error.is_empty() {
            error.push_str("; ");
        }
        error.push_str(why);
    }

    /// Begins a timed part. Call it last before the part.
    pub(crate) fn start(&mut self) {
        // Read system calls last, so that the reads of the others are not counted.
        self.marks = self.counters.iter().rev().map(|(_, of)| sum(of)).collect();
        self.marks.reverse();
        if self.traced {
            strace::begin();
        }
    }

    /// Ends a timed part. Call it first after the part.
    pub(crate) fn stop(&mut self) {
        if self.traced {
            strace::end();
        }
        for ((event, counters), mark) in self.counters.iter().zip(&self.marks) {
            let Some((end, mark)) = sum(counters).zip(*mark) else {
                continue;
            };
            let mut more = end.saturating_sub(mark);
            let place = match event {
                Event::Syscalls => {
                    // Subtract the call that reads the counter.
                    more = more.saturating_sub(1);
                    &mut self.counted.syscalls
                }
                Event::Wakeups => &mut self.counted.wakeups,
                Event::Instructions => &mut self.counted.instructions,
            };
            *place = Some(place.unwrap_or(0) + more);
        }
    }

    /// Adds the counts of `other`.
    pub(crate) fn absorb(&mut self, other: &Self) {
        let add = |own: &mut Option<u64>, other: Option<u64>| {
            *own = own.zip(other).map(|(one, other)| one + other);
        };
        add(&mut self.counted.syscalls, other.counted.syscalls);
        add(&mut self.counted.wakeups, other.counted.wakeups);
        add(&mut self.counted.instructions, other.counted.instructions);
    }

    /// What was counted so far.
    pub(crate) fn counted(&self) -> Counted {
        self.counted.clone()
    }
}

fn sum(counters: &[OwnedFd]) -> Option<u64> {
    counters.iter().map(value).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_calls_of_this_thread_and_its_children_are_counted() {
        let mut events = Events::of_this_thread();
        if !events
            .counters
            .iter()
            .any(|(event, _)| *event == Event::Syscalls)
        {
            println!("not allowed here: {:?}", events.counted.error);
            assert!(events.counted.error.is_some() && events.counted().syscalls.is_none());
            return;
        }
        let calls = |count: u32| (0..count).for_each(|_| _ = rustix::process::getppid());
        events.start();
        calls(100);
        events.stop();
        assert_eq!(events.counted().syscalls, Some(100));
        events.start();
        std::thread::spawn(move || calls(1000)).join().unwrap();
        events.stop();
        let all = events.counted().syscalls.unwrap();
        // Starting and ending a thread takes some dozens of calls.
        assert!((1100..1200).contains(&all), "{all}");
        assert!(events.counted().wakeups.is_some());
    }

    #[test]
    fn uncountable_events_are_unknown_and_give_the_reason() {
        // Larger than the largest thread id on Linux.
        let mut events = Events::of_threads(&[1 << 23]);
        events.start();
        events.stop();
        let counted = events.counted();
        assert_eq!(
            (counted.syscalls, counted.wakeups, counted.instructions),
            (None, None, None)
        );
        assert!(counted.error.unwrap().contains("system calls: "));
    }
}
