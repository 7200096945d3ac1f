//! The results in a folder: the newest, and the earlier ones that `lab compare` keeps.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde_json::{Value, json};

use crate::report::charts;
use crate::results::Results;
use crate::summary::{self, Section};

/// The name of the newest results. The others are named after their folder.
const LAST: &str = "last";
/// The name that `lab compare` gives them.
const RESULTS: &str = "results.json";
const EARLIER: &str = "earlier";
/// More than anyone looks through.
const MAX_LISTED: usize = 200;

/// The results of a folder by name, newest first. Does not follow links, so that nothing outside the folder is
/// reachable.
fn all(folder: &Path) -> Vec<(String, PathBuf)> {
    let is_file = |path: &Path| fs::symlink_metadata(path).is_ok_and(|of| of.is_file());
    let mut named = Vec::new();
    let entries = fs::read_dir(folder.join(EARLIER));
    for entry in entries.into_iter().flatten().flatten() {
        let path = entry.path().join(RESULTS);
        let is_folder = entry.file_type().is_ok_and(|of| of.is_dir());
        if is_folder
            && is_file(&path)
            && let Ok(name) = entry.file_name().into_string()
        {
            named.push((name, path));
        }
    }
    // The names are times.
    named.sort_by(|one, other| other.cmp(one));
    named.truncate(MAX_LISTED);
    let last = folder.join(RESULTS);
    if is_file(&last) {
        named.insert(0, (LAST.to_owned(), last));
    }
    named
}

/// The list for the page.
pub(super) fn list(folder: &Path) -> Value {
    let one = |(name, path): (String, PathBuf)| {
        let of = fs::metadata(&path).ok();
        let written = of.as_ref().and_then(|of| of.modified().ok());
        let written = written.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        json!({
            "name": name,
            "unix_s": written.map(|since| since.as_secs()),
            "bytes": of.map(|of| of.len()),
        })
    };
    all(folder).into_iter().map(one).collect()
}

/// The results called `name`.
///
/// # Errors
/// One line: no results have this name, or what is wrong with them.
pub(super) fn read(folder: &Path, name: &str) -> Result<Results, String> {
    let found = all(folder).into_iter().find(|(one, _)| one == name);
    let (_, path) = found.ok_or("there are no results of this name")?;
    Results::read(&path).map_err(|error| error.to_string())
}

/// Sections, with the data for their charts.
pub(super) fn sections(results: &Results) -> Value {
    let sections = summary::sections(results);
    let Value::Array(charts) = charts::data(&sections) else {
        return Value::Null;
    };
    let one = |(section, chart): (&Section, Value)| {
        json!({
            "name": section.name(),
            "params": summary::parameters(&section.params),
            "chart": chart,
            "rows": section.rows.iter().map(|row| json!({
                "label": row.label,
                "rounds": row.ok,
                "verdict": summary::verdict(row),
                "failures": row.failures,
            })).collect::<Value>(),
        })
    };
    sections.iter().zip(charts).map(one).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    const EMPTY: &str =
        r#"{"schema":"lab.results/1","environments":[],"runs":[],"comparisons":[]}"#;

    #[test]
    fn only_files_of_the_folder_are_listed() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join(RESULTS), EMPTY).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let earlier = folder.path().join(EARLIER);
        for name in ["2026-01-01T00-00-00Z", "2026-01-02T00-00-00Z", "empty"] {
            fs::create_dir_all(earlier.join(name)).unwrap();
        }
        for name in ["2026-01-01T00-00-00Z", "2026-01-02T00-00-00Z"] {
            fs::write(earlier.join(name).join(RESULTS), EMPTY).unwrap();
        }
        fs::write(folder.path().join(RESULTS), EMPTY).unwrap();
        symlink(outside.path(), earlier.join("link")).unwrap();
        fs::create_dir(earlier.join("file-link")).unwrap();
        symlink(
            outside.path().join(RESULTS),
            earlier.join("file-link").join(RESULTS),
        )
        .unwrap();
        let names: Vec<String> = all(folder.path()).into_iter().map(|one| one.0).collect();
        assert_eq!(
            names,
            [LAST, "2026-01-02T00-00-00Z", "2026-01-01T00-00-00Z"]
        );
        assert!(read(folder.path(), LAST).is_ok());
        let out = format!("../../{}", outside.path().display());
        for name in ["link", "file-link", "..", "../earlier", "", "/etc", &out] {
            assert!(read(folder.path(), name).is_err(), "{name}");
        }
    }

    #[test]
    fn a_damaged_file_is_one_line() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(RESULTS), &EMPTY[..20]).unwrap();
        let said = read(folder.path(), LAST).unwrap_err();
        assert!(
            said.contains("is truncated") && !said.contains('\n'),
            "{said}"
        );
    }
}
