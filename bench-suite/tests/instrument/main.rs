//! The instrument with its own registry: workloads that behave, and workloads that crash, hang, lie, print and refuse.
//!
//! This test program is its own `lab`. With `LAB_UNDER_TEST` in the environment, it passes its command line to
//! [`bench_suite::main`], as another crate's binary would. The measured child is then a real process of this program.

mod choices;
mod chooser;
mod failing;
#[path = "../hang_up/mod.rs"]
mod hang_up;
mod interrupting;
mod leaky;
mod loaded;
mod measuring;
mod parts;
mod process;
mod registry;
#[path = "../schema/mod.rs"]
mod schema;
mod soaking;
mod usage;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

/// Set in the environment of the program under test.
const UNDER_TEST: &str = "LAB_UNDER_TEST";

fn main() -> ExitCode {
    if std::env::var_os(UNDER_TEST).is_some() {
        return bench_suite::main(registry::registry());
    }
    let tests = [
        measuring::TESTS,
        loaded::TESTS,
        choices::TESTS,
        parts::TESTS,
        failing::TESTS,
        interrupting::TESTS,
        soaking::TESTS,
        usage::TESTS,
    ];
    let trials = tests
        .concat()
        .into_iter()
        .map(|(name, test)| {
            Trial::test(name, move || {
                test();
                Ok(())
            })
        })
        .collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
