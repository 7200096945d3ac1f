//! The memory of a process by kind, at one instant.
//!
//! | part | from |
//! |---|---|
//! | stacks | anonymous pages of the mappings that a thread's stack pointer is in |
//! | user | all other anonymous pages |
//! | page tables | `VmPTE` |
//! | kernel | what the control group of `lab memory` counts, less page tables; else the machine's slabs and stacks |
//!
//! A runtime that keeps its tasks' stacks on its heap has them in the user part. Go's threads run on such stacks, so
//! its whole heap counts as stacks.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use super::group;
use crate::measure::Meter;
use crate::usage::kibibytes;

/// Bytes by purpose; `None` if the system does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reading {
    user: Option<i64>,
    stacks: Option<i64>,
    page_tables: Option<i64>,
    /// Includes page tables.
    kernel: Option<i64>,
}

/// The names of the parts in a run's figures, in display order.
pub(crate) const PARTS: [&str; 4] = [
    "grown_user_bytes",
    "grown_stack_bytes",
    "grown_kernel_bytes",
    "grown_page_table_bytes",
];

impl Reading {
    /// The memory of this process.
    pub(crate) fn of_this_process() -> Self {
        Self::of([std::process::id()])
    }

    /// The memory of several processes together.
    pub(crate) fn of(processes: impl IntoIterator<Item = u32>) -> Self {
        let mut sum = Self {
            user: Some(0),
            stacks: Some(0),
            page_tables: Some(0),
            kernel: kernel_bytes().and_then(|bytes| i64::try_from(bytes).ok()),
        };
        let add = |sum: &mut Option<i64>, more: Option<u64>| {
            let more = more.and_then(|more| i64::try_from(more).ok());
            *sum = sum.zip(more).map(|(sum, more)| sum + more);
        };
        for id in processes {
            let read = |name: &str| fs::read_to_string(format!("/proc/{id}/{name}")).ok();
            let split = read("smaps").map(|maps| split(&maps, &stack_pointers(id)));
            add(&mut sum.user, split.map(|(user, _)| user));
            add(&mut sum.stacks, split.map(|(_, stacks)| stacks));
            let status = read("status");
            add(
                &mut sum.page_tables,
                status.and_then(|status| kibibytes(&status, "VmPTE:")),
            );
        }
        sum
    }

    /// The growth since `earlier`. A part may also shrink.
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        let less =
            |one: Option<i64>, other: Option<i64>| one.zip(other).map(|(one, other)| one - other);
        Self {
            user: less(self.user, earlier.user),
            stacks: less(self.stacks, earlier.stacks),
            page_tables: less(self.page_tables, earlier.page_tables),
            kernel: less(self.kernel, earlier.kernel),
        }
    }

    /// Adds the parts to a run's figures.
    pub(crate) fn record(&self, meter: &mut Meter) {
        let counts_page_tables = group::own().is_some();
        let kernel = match (self.kernel, self.page_tables) {
            (Some(kernel), Some(tables)) if counts_page_tables => Some(kernel - tables),
            (kernel, _) => kernel,
        };
        let parts = [self.user, self.stacks, kernel, self.page_tables];
        for (name, bytes) in PARTS.into_iter().zip(parts) {
            if let Some(bytes) = bytes {
                meter.extra.insert(name, bytes as f64);
            }
        }
    }
}

/// The kernel's memory: that of our own control group if there is one, otherwise that of the whole machine.
fn kernel_bytes() -> Option<u64> {
    if let Some(folder) = group::own() {
        return group::kernel_bytes(&folder);
    }
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let slabs = kibibytes(&text, "Slab:")?;
    Some(slabs + kibibytes(&text, "KernelStack:")?)
}

/// The stack pointers of a process's threads, as far as they are known: for threads that wait in the kernel.
fn stack_pointers(id: u32) -> BTreeSet<u64> {
    let threads = fs::read_dir(PathBuf::from(format!("/proc/{id}/task")));
    threads
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|thread| {
            let call = fs::read_to_string(thread.path().join("syscall")).ok()?;
            stack_pointer(&call)
        })
        .collect()
}

/// The second to last number. The line has the number of the system call, its arguments, the stack pointer and the
/// program counter. For a running thread it is just `running`.
fn stack_pointer(call: &str) -> Option<u64> {
    let word = call.split_whitespace().rev().nth(1)?;
    u64::from_str_radix(word.strip_prefix("0x")?, 16).ok()
}

/// Anonymous bytes of mappings without and with a stack pointer in them.
fn split(maps: &str, pointers: &BTreeSet<u64>) -> (u64, u64) {
    let (mut user, mut stacks, mut is_stack) = (0, 0, false);
    for line in maps.lines() {
        if let Some(range) = range(line) {
            is_stack = pointers.range(range).next().is_some() || line.ends_with("[stack]");
        } else if line.starts_with("Anonymous:") {
            let bytes = kibibytes(line, "Anonymous:").unwrap_or(0);
            if is_stack {
                stacks += bytes;
            } else {
                user += bytes;
            }
        }
    }
    (user, stacks)
}

/// The address range of a mapping, from the first line of its entry.
fn range(line: &str) -> Option<std::ops::Range<u64>> {
    let (first, rest) = line.split_once('-')?;
    let (end, _) = rest.split_once(' ')?;
    let number = |text| u64::from_str_radix(text, 16).ok();
    Some(number(first)?..number(end)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAPS: &str = "\
7f00000000-7f00002000 rw-p 00000000 00:00 0 \n\
Size:                  8 kB\n\
Anonymous:             8 kB\n\
7f10000000-7f10001000 ---p 00000000 00:00 0 \n\
Anonymous:             0 kB\n\
7f10001000-7f10101000 rw-p 00000000 00:00 0 \n\
Anonymous:            12 kB\n\
7ffc000000-7ffc021000 rw-p 00000000 00:00 0                              [stack]\n\
Anonymous:             4 kB\n";

    #[test]
    fn a_mapping_is_a_stack_if_a_thread_stands_in_it() {
        let pointer =
            stack_pointer("202 0x7f1 0x80 0x2 0x0 0x0 0x0 0x7f10100ff0 0x7f5d\n").unwrap();
        assert_eq!(pointer, 0x007f_1010_0ff0);
        assert_eq!(stack_pointer("running\n"), None);
        assert_eq!(split(MAPS, &BTreeSet::from([pointer])), (8 << 10, 16 << 10));
        assert_eq!(split(MAPS, &BTreeSet::new()), (20 << 10, 4 << 10));
    }

    /// Runs in its own process, where no other test allocates and frees memory; see the test below.
    #[test]
    #[cfg(target_os = "linux")]
    #[ignore = "it looks at the memory of the whole process"]
    fn inner() {
        let before = Reading::of_this_process();
        let memory = std::hint::black_box(vec![1_u8; 8 << 20]);
        let (end, wait) = std::sync::mpsc::channel::<()>();
        let (touched, is_touched) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let deep = std::hint::black_box([1_u8; 128 << 10]);
            touched.send(deep[7]).unwrap();
            let _ = wait.recv();
            std::hint::black_box(deep);
        });
        is_touched.recv().unwrap();
        let grown = loop {
            let grown = Reading::of_this_process().since(&before);
            // The stack counts as a stack only once its thread waits.
            if grown.stacks.unwrap() > 0 {
                break grown;
            }
            std::thread::yield_now();
        };
        assert!(grown.stacks.unwrap() >= 128 << 10, "{grown:?}");
        assert!(grown.user.unwrap() >= 7 << 20, "{grown:?}");
        assert!(
            grown.page_tables.is_some() && grown.kernel.is_some(),
            "{grown:?}"
        );
        drop((memory, end));
        thread.join().unwrap();
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn touched_memory_is_the_user_s_and_a_waiting_thread_s_is_its_stack() {
        let mut inner = std::process::Command::new(std::env::current_exe().unwrap());
        inner.args(["--ignored", "--exact", "memory::reading::tests::inner"]);
        let output = inner.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{text}");
        assert!(text.contains("1 passed"), "{text}");
    }
}
