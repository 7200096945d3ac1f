//! The suite on a scheduler that is too simple to be wrong, with one worker and with several.

mod reference;

mod one_worker {
    use super::reference::Reference;

    runtime_core::conformance!(Reference<1>, ambient, send_owner);
    runtime_core::io_conformance!(Reference<1>);
}

mod two_workers {
    use super::reference::Reference;

    runtime_core::conformance!(Reference<2>, ambient, send_owner);
    runtime_core::io_conformance!(Reference<2>);
}

/// A case that is written and not listed would never run.
#[test]
fn every_case_is_listed() {
    let sources = [
        ("lifecycle", include_str!("../src/testing/lifecycle.rs")),
        ("waiting", include_str!("../src/testing/waiting.rs")),
        ("shutdown", include_str!("../src/testing/shutdown.rs")),
        (
            "shutdown_waits",
            include_str!("../src/testing/shutdown_waits.rs"),
        ),
        (
            "blocking_entry",
            include_str!("../src/testing/blocking_entry.rs"),
        ),
        ("wakers", include_str!("../src/testing/wakers.rs")),
        ("channel", include_str!("../src/testing/channel.rs")),
        (
            "cancel_waiters",
            include_str!("../src/testing/cancel_waiters.rs"),
        ),
        ("timers", include_str!("../src/testing/timers.rs")),
        ("fairness", include_str!("../src/testing/fairness.rs")),
        ("stress", include_str!("../src/testing/stress.rs")),
    ];
    let listed = runtime_core::testing::cases::<reference::Reference<1>>();
    for (module, source) in sources {
        for line in source.lines().filter(|line| line.starts_with("pub fn ")) {
            let name = line
                .trim_start_matches("pub fn ")
                .split('<')
                .next()
                .expect("a name");
            let found = listed
                .iter()
                .any(|case| (case.module, case.name) == (module, name));
            assert!(found, "`{module}::{name}` is not in the list of cases");
        }
    }
}
