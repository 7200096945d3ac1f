//! Arguments that are not valid text.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use crate::process::{QUICK, assert_code, folder, lab, results};

#[test]
fn non_utf8_words_are_wrong_usage_but_valid_file_names() {
    let folder = folder();
    let bad = OsStr::from_bytes(b"\xff\xfe");
    for line in [
        "",
        "list",
        "compare",
        "compare --runtime",
        "compare hash --param",
        "sweep --knob",
        "serve",
        "serve echo --runtime n1 --addr",
        "load echo --addr",
        "soak --duration",
        "child",
        "report",
    ] {
        let output = lab(folder.path(), line).arg(bad).output().unwrap();
        assert_code(&output, 2);
    }
    // Only programs start the hidden commands, but a person gets an exit code too.
    let output = lab(folder.path(), "__companion").arg(bad).output().unwrap();
    assert_code(&output, 1);

    let name = OsStr::from_bytes(b"results-\xff.json");
    let output = lab(folder.path(), &format!("{QUICK} --json"))
        .arg(name)
        .output()
        .unwrap();
    assert_code(&output, 0);
    let results = results(&folder.path().join(name));
    let command = results.environments[0].command.as_deref().unwrap();
    assert!(
        command.starts_with("lab compare hash") && command.contains('\u{fffd}'),
        "{command}"
    );
    let line = lab(folder.path(), "report")
        .arg(name)
        .args(["--out", "again"])
        .output()
        .unwrap();
    assert_code(&line, 0);
}
