//! Results in a file: written whole or not at all, and refused in one line if they are not what they should be.

use std::fmt;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::{Results, SCHEMA};

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
        // Twice: a file of another schema shall be told that, and not which of our fields it lacks.
        let value: serde_json::Value = serde_json::from_str(text).map_err(|error| {
            if error.is_eof() {
                format!("is cut short at line {}; measure again", error.line())
            } else {
                format!("is no JSON ({error}); name a results.json that `lab compare` wrote")
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
        serde_json::from_value(value)
            .map_err(|error| format!("does not follow `{SCHEMA}` ({error}); measure again"))
    }

    /// Writes the results, whole or not at all.
    ///
    /// # Errors
    /// Those of [`write_whole`].
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let mut text = serde_json::to_string(self).map_err(io::Error::other)?;
        text.push('\n');
        write_whole(path, text.as_bytes())
    }
}

/// Replaces the file at `path` in one step: it is written beside, then renamed, so that nothing partial ever stands there.
///
/// # Errors
/// Those of creating, writing and renaming; the old file then stands as it was.
pub fn write_whole(path: &Path, contents: &[u8]) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let mut file = tempfile::Builder::new()
        .prefix(".lab-")
        .permissions(fs::Permissions::from_mode(0o644))
        .tempfile_in(folder_of(path))?;
    file.write_all(contents)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// The folder that a file of this name stands in.
pub fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Why a results file was refused.
#[derive(Debug)]
pub struct ReadError {
    path: PathBuf,
    what: String,
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
    fn a_file_cut_short_says_so_wherever_it_is_cut() {
        for end in 1..EMPTY.len() - 1 {
            let what = Results::parse(&EMPTY[..end]).unwrap_err();
            assert!(what.contains("cut short"), "{end}: {what}");
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
        assert!(Results::parse("hello").unwrap_err().contains("no JSON"));
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

    #[test]
    fn a_failed_write_leaves_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("results.json");
        write_whole(&path, b"old").unwrap();
        write_whole(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        // A folder stands under the final name: the rename fails, and nothing is left beside it.
        let taken = folder.path().join("taken");
        fs::create_dir(&taken).unwrap();
        fs::write(taken.join("file"), b"x").unwrap();
        assert!(write_whole(&taken, b"new").is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
