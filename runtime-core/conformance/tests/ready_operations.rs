//! Checks that the table of operations that can complete at once is complete: every operation in the sources has a
//! program in it, or a reason why not.

mod reference;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use runtime_core::testing::Subject;
use runtime_core::testing::ready::{WITHOUT_PROGRAM, operations};

/// Traits whose methods are operations.
const TRAITS: [&str; 7] = [
    "Future",
    "Stream",
    "AsyncRead",
    "AsyncWrite",
    "AsyncSeek",
    "Read",
    "Write",
];

/// The operations in one source file, without those of its tests.
fn operations_of(file: &str, text: &str, found: &mut BTreeSet<String>) {
    let mut of_a_trait = false;
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let test_module = line.starts_with("#[cfg(all(test") || line == "#[cfg(test)]";
        if test_module && lines.peek().is_some_and(|next| next.ends_with("tests {")) {
            return;
        }
        let line = line.trim();
        if line.starts_with("impl") {
            of_a_trait = line.contains(" for ");
            for name in TRAITS {
                if let Some((before, of)) = line.split_once(&format!("{name} for "))
                    && before.ends_with([' ', '>', ':'])
                {
                    let of = of
                        .split(|c: char| !(c.is_alphanumeric() || c == '$'))
                        .next();
                    let of = of.unwrap_or_default();
                    found.insert(format!("{file}: {name} for {of}"));
                }
            }
        }
        let function = |before: &str| {
            let rest = line.strip_prefix(before)?;
            rest.split(|c: char| !(c.is_alphanumeric() || c == '_'))
                .next()
        };
        let polls = function("pub fn ").filter(|name| name.starts_with("poll_"));
        let in_trait = function("async fn ").filter(|_| of_a_trait);
        let opaque = if line.contains("-> impl Future") {
            function("pub fn ").or_else(|| function("fn "))
        } else {
            None
        };
        let name = function("pub async fn ").or(polls).or(in_trait).or(opaque);
        found.extend(name.map(|name| format!("{file}: {name}")));
    }
}

fn walk(base: &Path, folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("the sources") {
        let path = entry.expect("an entry").path();
        let name = path
            .file_stem()
            .and_then(|name| name.to_str())
            .expect("a name");
        if name.ends_with("tests") {
            continue;
        }
        if path.is_dir() {
            walk(base, &path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let file = path
                .strip_prefix(base)
                .expect("below it")
                .to_str()
                .expect("a name");
            let text = fs::read_to_string(&path).expect("a source");
            operations_of(file, &text, found);
        }
    }
}

#[test]
fn every_operation_has_a_program() {
    let mut found = BTreeSet::new();
    for sources in ["../kernel/src", "../library/src"] {
        let base = Path::new(env!("CARGO_MANIFEST_DIR")).join(sources);
        walk(&base, &base, &mut found);
    }
    assert!(found.len() > 100, "the sources are read wrongly: {found:?}");
    let table = operations::<<reference::Reference<1> as Subject>::Runtime>();
    let with = table.iter().flat_map(|operation| operation.places());
    let without = WITHOUT_PROGRAM.iter().map(|(place, _)| place);
    let known: BTreeSet<String> = with
        .chain(without)
        .map(|place| (*place).to_owned())
        .collect();
    let missing: Vec<_> = found.difference(&known).collect();
    assert!(
        missing.is_empty(),
        "give each a program in `src/ready` that loops over it, or a reason: {missing:#?}"
    );
    let gone: Vec<_> = known.difference(&found).collect();
    assert!(
        gone.is_empty(),
        "in the table, but not in the sources: {gone:#?}"
    );
}
