//! The suite on a scheduler that is too simple to be wrong, with one worker and with several.

mod reference;

mod one_worker {
    use super::reference::Reference;

    runtime_core::conformance!(Reference<1>, ambient, send_owner);
}

mod two_workers {
    use super::reference::Reference;

    runtime_core::conformance!(Reference<2>, ambient, send_owner);
}

/// A case that is written and not listed would never run.
#[test]
fn every_case_is_listed() {
    let list = include_str!("../src/testing/cases.rs");
    let sources = [
        include_str!("../src/testing/ambient.rs"),
        include_str!("../src/testing/blocking_entry.rs"),
        include_str!("../src/testing/cancel_waiters.rs"),
        include_str!("../src/testing/channel.rs"),
        include_str!("../src/testing/combine_calls.rs"),
        include_str!("../src/testing/combine_gather.rs"),
        include_str!("../src/testing/combine_handles.rs"),
        include_str!("../src/testing/combine_scope.rs"),
        include_str!("../src/testing/fairness.rs"),
        include_str!("../src/testing/lifecycle.rs"),
        include_str!("../src/testing/owner.rs"),
        include_str!("../src/testing/shutdown.rs"),
        include_str!("../src/testing/shutdown_waits.rs"),
        include_str!("../src/testing/stress.rs"),
        include_str!("../src/testing/timers.rs"),
        include_str!("../src/testing/waiting.rs"),
        include_str!("../src/testing/wakers.rs"),
    ];
    for line in sources.iter().flat_map(|source| source.lines()) {
        let Some((name, _)) = line
            .strip_prefix("pub fn ")
            .and_then(|rest| rest.split_once("<S:"))
        else {
            continue;
        };
        let listed = list.lines().any(|listed| listed.trim() == name);
        assert!(listed, "`{name}` is not in the list of cases");
    }
}
