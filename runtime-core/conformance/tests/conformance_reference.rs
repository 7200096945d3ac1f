//! The suite on a scheduler that is too simple to be wrong, with one worker and with several.

mod reference;

use std::fs;
use std::path::Path;

use runtime_core::testing::user_wakers;

mod one_worker {
    use super::reference::Reference;

    runtime_core::conformance!(Reference<1>, ambient, send_owner);
}

mod two_workers {
    use super::reference::Reference;

    runtime_core::conformance!(Reference<2>, ambient, send_owner);
}

/// A case that is written but not listed would never run.
#[test]
fn every_case_is_listed() {
    let list = include_str!("../src/cases.rs");
    let sources = [
        include_str!("../src/ambient.rs"),
        include_str!("../src/blocking_entry.rs"),
        include_str!("../src/blocking_forms.rs"),
        include_str!("../src/cancel_waiters.rs"),
        include_str!("../src/channel.rs"),
        include_str!("../src/combine_calls.rs"),
        include_str!("../src/combine_gather.rs"),
        include_str!("../src/combine_handles.rs"),
        include_str!("../src/combine_scope.rs"),
        include_str!("../src/fairness.rs"),
        include_str!("../src/lifecycle.rs"),
        include_str!("../src/owner.rs"),
        include_str!("../src/shutdown.rs"),
        include_str!("../src/shutdown_waits.rs"),
        include_str!("../src/stress.rs"),
        include_str!("../src/timers.rs"),
        include_str!("../src/user_values.rs"),
        include_str!("../src/user_wakers.rs"),
        include_str!("../src/waiting.rs"),
        include_str!("../src/wakers.rs"),
    ];
    for line in sources.iter().flat_map(|source| source.lines()) {
        let Some((name, _)) = line
            .strip_prefix("pub fn ")
            .and_then(|rest| rest.split_once("<S:"))
        else {
            continue;
        };
        // Cases return nothing; a function that returns something is a part of a case.
        if line.contains("->") {
            continue;
        }
        let listed = list.lines().any(|listed| listed.trim() == name);
        assert!(listed, "`{name}` is not in the list of cases");
    }
}

/// Nobody would check a future that is missing from the table of hostile wakers.
#[test]
fn every_future_is_in_the_table_of_wakers() {
    fn visit(folder: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(folder).expect("a folder of sources") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.contains("test") {
                continue;
            }
            if path.is_dir() {
                visit(&path, found);
                continue;
            }
            let text = fs::read_to_string(&path).expect("a source");
            // Everything after the first test module is tests.
            let text = text.split("#[cfg(all(test").next().unwrap_or_default();
            for line in text.lines().filter(|line| line.starts_with("impl")) {
                for name in ["Future for ", "Stream for "] {
                    let Some((_, implementor)) = line.split_once(name) else {
                        continue;
                    };
                    let end = implementor.find(|letter: char| !letter.is_alphanumeric());
                    found.push(implementor[..end.unwrap_or(implementor.len())].to_owned());
                }
            }
        }
    }
    let mut found = Vec::new();
    for sources in ["../kernel/src", "../library/src"] {
        visit(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join(sources),
            &mut found,
        );
    }
    assert!(
        found.len() > 20,
        "the sources are not where they were: {found:?}"
    );
    for future in found {
        assert!(
            user_wakers::is_known(&future),
            "`{future}` is new: put it into the table in `user_wakers.rs`"
        );
    }
}
