//! Instruction counts from callgrind, for machines without a hardware counter. Its simulated processor counts exactly.
//!
//! It runs one thread at a time. Threads that spin for each other would give wrong counts, so arms with several threads
//! are not measured with it. A time-out expires after many more instructions than on a real processor, so an arm's
//! timers take part in fewer operations.
#![allow(unsafe_code)]

use std::ffi::OsString;
use std::fs;
use std::hint::black_box;
use std::path::Path;

/// Marks the start of a timed part. Callgrind resets its counts when it enters this function.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn lab_counted_part_begins() {
    // This value differs from that in the other function. The compiler would merge two identical functions into one.
    black_box(1_u8);
}

/// Marks the end of a timed part. Callgrind dumps its counts when it enters this function.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn lab_counted_part_ends() {
    black_box(2_u8);
}

/// The command line that runs a program under callgrind. The counts go into `folder`.
pub(crate) fn command(folder: &Path) -> Vec<OsString> {
    let mut file = OsString::from("--callgrind-out-file=");
    file.push(folder.join("counts"));
    let mut words: Vec<OsString> = [
        "valgrind",
        "--tool=callgrind",
        "--zero-before=lab_counted_part_begins",
        "--dump-before=lab_counted_part_ends",
    ]
    .map(OsString::from)
    .to_vec();
    words.push(file);
    words
}

/// Whether callgrind is installed.
pub(crate) fn is_installed() -> bool {
    let asked = std::process::Command::new("valgrind")
        .arg("--version")
        .stdin(std::process::Stdio::null())
        .output();
    asked.is_ok_and(|output| output.status.success())
}

/// The instructions of all timed parts; `None` if there are none.
pub(crate) fn instructions(folder: &Path) -> Option<u64> {
    let dumps = fs::read_dir(folder).into_iter().flatten().flatten();
    let parts = dumps.filter_map(|dump| {
        let text = fs::read_to_string(dump.path()).ok()?;
        in_part(&text)
    });
    let parts: Vec<u64> = parts.collect();
    (!parts.is_empty()).then(|| parts.iter().sum())
}

/// The instructions in a dump from the end of a part; `None` for any other dump.
fn in_part(dump: &str) -> Option<u64> {
    let value = |key: &str| dump.lines().find_map(|line| line.strip_prefix(key));
    let trigger = value("desc: Trigger:")?;
    if !trigger.contains("lab_counted_part_ends") {
        return None;
    }
    let totals = value("totals:").or_else(|| value("summary:"))?;
    totals.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_dumps_at_the_end_of_a_part_count() {
        let folder = tempfile::tempdir().unwrap();
        let dump = |name: &str, trigger: &str, totals: u32| {
            let text = format!(
                "version: 1\ndesc: Trigger: {trigger}\nsummary: 1\n\nfn=x\ntotals: {totals}\n"
            );
            fs::write(folder.path().join(name), text).unwrap();
        };
        assert_eq!(instructions(folder.path()), None);
        dump("counts.1", "--dump-before=lab_counted_part_ends", 70);
        dump("counts.2", "--dump-before=lab_counted_part_ends", 30);
        dump("counts", "Program termination", 9999);
        assert_eq!(instructions(folder.path()), Some(100));
    }
}
