//! `lab zoo` with a registry of its own: our runtimes, which survive, and one with planted faults, which must not.
//!
//! This test program is its own `lab`: with `LAB_UNDER_TEST` in the environment it hands its command line to
//! [`bench_suite::main`], as any other crate's binary would, so that each cell is a real process of it.
#![cfg(target_os = "linux")]

mod cells;
mod faulty;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

/// Set in the environment of what is tested.
const UNDER_TEST: &str = "LAB_UNDER_TEST";

fn main() -> ExitCode {
    if std::env::var_os(UNDER_TEST).is_some() {
        return bench_suite::main(faulty::registry());
    }
    let trials = cells::tests().into_iter().map(|(name, test)| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}
