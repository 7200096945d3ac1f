//! A results file: written as a whole or not at all, and rejected with a one-line error if it is invalid.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{Results, SCHEMA, checks};
use crate::output::{Output, write_whole};

impl Results {
    /// Reads stored results.
    ///
    /// # Errors
    /// One line: what is wrong with the file, and what to do.
    pub fn read(path: &Path) -> Result<Self, ReadError> {
        let text = fs::read_to_string(path).map_err(|error| ReadError {
            path: path.to_owned(),
            what: format!("cannot be read ({error}); name a results.json that `lab compare` wrote"),
        })?;
        Self::parse(&text).map_err(|what| ReadError {
            path: path.to_owned(),
            what,
        })
    }

    fn parse(text: &str) -> Result<Self, String> {
        // Parse twice, so that the error for a file of another schema names the schema, and not one of our missing
        // fields.
        let value: serde_json::Value = serde_json::from_str(text).map_err(|error| {
            if error.is_eof() {
                format!("is truncated at line {}; measure again", error.line())
            } else {
                format!("is not JSON ({error}); name a results.json that `lab compare` wrote")
            }
        })?;
        match value.get("schema").and_then(serde_json::Value::as_str) {
            Some(SCHEMA) => {}
            Some(other) => {
                return Err(format!(
                    "has schema `{}`, and this lab reads `{SCHEMA}`; measure again or use the lab that wrote it",
                    other.escape_debug()
                ));
            }
            None => {
                return Err(format!(
                    "has no field `schema`, so it holds no results; name a file with `{SCHEMA}`"
                ));
            }
        }
        let results: Self = serde_json::from_value(value)
            .map_err(|error| format!("does not follow `{SCHEMA}` ({error}); measure again"))?;
        match checks::absurd(&results) {
            Some(what) => Err(format!(
                "contains an impossible value: {what}; measure again"
            )),
            None => Ok(results),
        }
    }

    /// Writes the results, as a whole or not at all.
    ///
    /// # Errors
    /// Those of [`write_whole`].
    pub fn write(&self, path: &Path) -> io::Result<()> {
        write_whole(path, &self.to_bytes()?)
    }

    /// Like [`write`](Results::write), to a resolved output.
    pub(crate) fn write_to(&self, output: &Output) -> io::Result<()> {
        output.write(&self.to_bytes()?)
    }

    fn to_bytes(&self) -> io::Result<Vec<u8>> {
        let mut text = serde_json::to_vec(self).map_err(io::Error::other)?;
        text.push(b'\n');
        Ok(text)
    }
}

/// The reason why a results file was rejected.
#[derive(Debug)]
pub struct ReadError {
    path: PathBuf,
    what: String,
}

impl ReadError {
    pub(crate) fn new(path: &Path, what: String) -> Self {
        Self {
            path: path.to_owned(),
            what,
        }
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.what)
    }
}

impl std::error::Error for ReadError {}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str =
        r#"{"schema":"lab.results/1","environments":[],"runs":[],"comparisons":[],"later":1}"#;

    #[test]
    fn unknown_fields_are_ignored() {
        assert!(Results::parse(EMPTY).unwrap().runs.is_empty());
    }

    #[test]
    fn a_truncated_file_is_reported_for_every_length() {
        for end in 1..EMPTY.len() - 1 {
            let what = Results::parse(&EMPTY[..end]).unwrap_err();
            assert!(what.contains("is truncated"), "{end}: {what}");
        }
    }

    #[test]
    fn another_schema_is_named() {
        let what = Results::parse(r#"{"schema":"lab.results/2"}"#).unwrap_err();
        assert!(
            what.contains("`lab.results/2`") && what.contains("`lab.results/1`"),
            "{what}"
        );
        assert!(
            Results::parse("[]")
                .unwrap_err()
                .contains("no field `schema`")
        );
        assert!(Results::parse("hello").unwrap_err().contains("not JSON"));
    }

    #[test]
    fn values_that_no_measurement_gives_are_refused_by_name() {
        use crate::comparisons::tests::{run, with};
        use crate::results::{Family, LookAt, Role};
        let mut runs = Vec::new();
        for round in 0..8 {
            runs.push(run("mn", Role::Arm, round, 1000));
            runs.push(run("n1", Role::Arm, round, 2000));
        }
        let whole = Results {
            schema: SCHEMA.into(),
            comparisons: with("mn", &runs, false),
            families: vec![Family {
                margin: 0.02,
                looks: Some(vec![LookAt {
                    rounds: 8,
                    share: 1.0,
                }]),
                ..Family::default()
            }],
            runs,
            ..Results::default()
        };
        let value = serde_json::to_value(&whole).unwrap();
        assert_eq!(Results::parse(&value.to_string()), Ok(whole));
        for (pointer, damage, part) in [
            ("/runs/3/wall_ns", serde_json::json!(-5), "does not follow"),
            (
                "/runs/3/wall_ns",
                serde_json::json!(u64::MAX),
                "run 3 (echo under n1): wall_ns is",
            ),
            ("/runs/3/wall_ns", serde_json::json!(0), "wall_ns is 0"),
            (
                "/runs/3/page_faults",
                serde_json::json!(u64::MAX),
                "page_faults is",
            ),
            (
                "/runs/3/extra",
                serde_json::json!({"bytes_per_task": -4.0}),
                "extra.bytes_per_task is -4",
            ),
            ("/runs/3/round", serde_json::json!(u32::MAX), "round is"),
            (
                "/comparisons/0/ratio",
                serde_json::json!(-1.0),
                "ratio is -1",
            ),
            (
                "/comparisons/0/ci95",
                serde_json::json!([2.0, 1.0]),
                "ci95 is [2, 1]",
            ),
            ("/comparisons/0/level", serde_json::json!(7.0), "level is 7"),
            ("/families/0/margin", serde_json::json!(0), "margin is 0"),
            (
                "/families/0/looks/0/share",
                serde_json::json!(1.5),
                "its looks spend 1.5",
            ),
        ] {
            let mut damaged = value.clone();
            *damaged.pointer_mut(pointer).unwrap() = damage;
            let what = Results::parse(&damaged.to_string()).unwrap_err();
            assert!(what.contains(part), "{pointer}: {what}");
        }
    }

    #[test]
    fn a_field_of_the_wrong_type_is_refused() {
        let text = EMPTY.replace(r#""runs":[]"#, r#""runs":[{"round":"x"}]"#);
        assert!(
            Results::parse(&text)
                .unwrap_err()
                .contains("does not follow")
        );
    }
}
