//! Where results and report go. Found out to be writable before anything is measured; whole or not at all.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::CommandError;
use crate::report;
use crate::results::{self, Results};

const DEFAULT_FOLDER: &str = "lab-out";

pub(super) struct Outputs {
    folder: PathBuf,
    json: Option<PathBuf>,
}

impl Outputs {
    /// # Errors
    /// When something can't be written where it shall be.
    pub(super) fn prepare(
        folder: Option<PathBuf>,
        json: Option<PathBuf>,
    ) -> Result<Self, CommandError> {
        let folder = folder.unwrap_or_else(|| PathBuf::from(DEFAULT_FOLDER));
        ensure_folder(&folder, "--out")?;
        if let Some(json) = &json {
            let refuse = |why: &str| {
                CommandError::Usage(format!(
                    "--json {}: {why}; name another file",
                    json.display()
                ))
            };
            if json.is_dir() {
                return Err(refuse("is a folder"));
            }
            probe(results::folder_of(json)).map_err(|error| refuse(&error.to_string()))?;
        }
        Ok(Self { folder, json })
    }

    fn results(&self) -> PathBuf {
        self.folder.join("results.json")
    }

    fn unfinished(&self) -> PathBuf {
        self.folder.join("results.unfinished.json")
    }

    /// Keeps what has been measured so far, under a name that says that it is not all: for when this process is killed.
    pub(super) fn keep_unfinished(&self, results: &Results) {
        // Losing this copy loses nothing yet; a full disk is reported when the results are written.
        let _ = results.write(&self.unfinished());
    }

    pub(super) fn discard_unfinished(&self) {
        let _ = fs::remove_file(self.unfinished());
    }

    /// Writes results and report; what to tell the user about where they are.
    ///
    /// # Errors
    /// When one can't be written; the others are tried all the same.
    pub(super) fn write(&self, results: &Results) -> Result<String, CommandError> {
        let mut said = String::new();
        let mut first_error = None;
        let mut files = vec![("results", self.results())];
        files.extend(self.json.iter().map(|path| ("results", path.clone())));
        for (_, path) in &files {
            note(&mut first_error, path, results.write(path));
        }
        let page = report::file_in(&self.folder);
        files.push(("report", page.clone()));
        note(&mut first_error, &page, report::write(results, &page));
        if let Some(error) = first_error {
            return Err(error);
        }
        self.discard_unfinished();
        for (what, path) in files {
            let _ = writeln!(said, "{what}: {}", path.display());
        }
        Ok(said.trim_end().to_owned())
    }
}

fn note(first: &mut Option<CommandError>, path: &Path, outcome: io::Result<()>) {
    if let Err(error) = outcome {
        first.get_or_insert_with(|| {
            CommandError::Failed(format!(
                "cannot write {}: {error}; free the place and measure again",
                path.display()
            ))
        });
    }
}

/// Makes sure that `folder` is there and takes files.
///
/// # Errors
/// One line that names the option it was given with.
pub(crate) fn ensure_folder(folder: &Path, option: &str) -> Result<(), CommandError> {
    fs::create_dir_all(folder)
        .and_then(|()| probe(folder))
        .map_err(|error| {
            CommandError::Usage(format!(
                "{option} {}: cannot be written to ({error}); name another folder",
                folder.display()
            ))
        })
}

fn probe(folder: &Path) -> io::Result<()> {
    tempfile::Builder::new()
        .prefix(".lab-")
        .tempfile_in(folder)
        .map(drop)
}
