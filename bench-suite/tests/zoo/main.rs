//! `lab zoo` with its own registry: our runtimes, which survive, and one with planted faults, which must not.
//!
//! This test program is its own `lab`. With `LAB_UNDER_TEST` in the environment, it passes its command line to
//! [`bench_suite::main`], as another crate's binary would. Each cell is then a real process of this program.
#![cfg(target_os = "linux")]

mod cells;
mod faulty;
mod faulty_lock;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

/// Set in the environment of the program under test.
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
