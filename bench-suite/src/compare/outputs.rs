//! Where results and report go. Found out to be writable before anything is measured; whole or not at all; and what was
//! there before is kept.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::error::CommandError;
use crate::output::{Output, ensure_folder};
use crate::report;
use crate::results::{Certificate, Results};
use crate::units;

const DEFAULT_FOLDER: &str = "lab-out";
/// Below the folder: a folder for each earlier run, named by when it was written.
const EARLIER: &str = "earlier";
const RESULTS: &str = "results.json";
const UNFINISHED: &str = "results.unfinished.json";

pub(crate) struct Outputs {
    folder: PathBuf,
    /// As it was named, and where that leads.
    json: Option<(PathBuf, Output)>,
    /// The comparisons as a table, likewise.
    csv: Option<(PathBuf, Output)>,
}

impl Outputs {
    /// # Errors
    /// When something can't be written where it shall be.
    pub(crate) fn prepare(
        folder: Option<PathBuf>,
        json: Option<PathBuf>,
        csv: Option<PathBuf>,
    ) -> Result<Self, CommandError> {
        let folder = folder.unwrap_or_else(|| PathBuf::from(DEFAULT_FOLDER));
        let json = json
            .map(|path| Output::prepare(&path, "--json").map(|output| (path, output)))
            .transpose()?;
        let csv = csv
            .map(|path| Output::prepare(&path, "--csv").map(|output| (path, output)))
            .transpose()?;
        ensure_folder(&folder, "--out")?;
        let outputs = Self { folder, json, csv };
        // Left by a run that was killed: it may be all that there is of it.
        outputs.keep(&[UNFINISHED]).map_err(|error| {
            CommandError::Usage(format!(
                "--out {}: cannot keep what an earlier run left unfinished there ({error}); name another folder",
                outputs.folder.display()
            ))
        })?;
        outputs.discard_unfinished();
        Ok(outputs)
    }

    /// Whether standard output is for the results, and for nothing else.
    pub(super) fn take_standard_output(&self) -> bool {
        let to_standard =
            |output: &Option<(PathBuf, Output)>| matches!(output, Some((_, Output::Standard)));
        to_standard(&self.json) || to_standard(&self.csv)
    }

    /// The certificate to be shown.
    ///
    /// # Errors
    /// When there is one in the folder that can't be read.
    pub(super) fn certificate(&self) -> Result<Certificate, CommandError> {
        Certificate::of_folder(&self.folder).map_err(|error| CommandError::Usage(error.to_string()))
    }

    fn results(&self) -> PathBuf {
        self.folder.join(RESULTS)
    }

    fn unfinished(&self) -> PathBuf {
        self.folder.join(UNFINISHED)
    }

    /// Keeps what has been measured so far, under a name that says that it is not all: for when this process is killed.
    pub(super) fn keep_unfinished(&self, results: &Results) {
        // Losing this copy loses nothing yet; a full disk is reported when the results are written.
        let _ = results.write(&self.unfinished());
    }

    pub(crate) fn discard_unfinished(&self) {
        let _ = fs::remove_file(self.unfinished());
    }

    /// Writes results and report; what to tell the user about where they are.
    ///
    /// # Errors
    /// When one can't be written; the others are tried all the same.
    pub(super) fn write(&self, results: &Results) -> Result<String, CommandError> {
        let mut said = String::new();
        let mut first_error = None;
        let page = report::file_in(&self.folder);
        let kept = self.keep(&[RESULTS, "report.html"]);
        if let Ok(Some(earlier)) = &kept {
            let _ = writeln!(said, "earlier: {}", earlier.display());
        }
        match kept {
            Ok(_) => {
                let path = self.results();
                note(&mut first_error, &path, results.write(&path));
                note(&mut first_error, &page, report::write(results, &page));
            }
            // Not over what can't be kept.
            Err(error) => {
                self.keep_unfinished(results);
                first_error = Some(CommandError::Failed(format!(
                    "cannot keep the earlier results in {} ({error}); the new ones are in {}",
                    self.folder.display(),
                    self.unfinished().display()
                )));
            }
        }
        // Last: a FIFO waits for its reader.
        if let Some((path, output)) = &self.json {
            note(&mut first_error, path, results.write_to(output));
        }
        if let Some((path, output)) = &self.csv {
            let text = results.comparisons_csv();
            note(&mut first_error, path, output.write(text.as_bytes()));
        }
        if let Some(error) = first_error {
            return Err(error);
        }
        self.discard_unfinished();
        let _ = writeln!(said, "results: {}", self.results().display());
        if let Some((path, _)) = &self.json {
            let _ = writeln!(said, "results: {}", path.display());
        }
        if let Some((path, _)) = &self.csv {
            let _ = writeln!(said, "comparisons: {}", path.display());
        }
        let _ = writeln!(said, "report: {}", page.display());
        Ok(said)
    }

    /// Puts the files of these names that are in the folder into a new folder below [`EARLIER`], from where nothing
    /// takes them; they stay where they are, too. Where that is, if there were any.
    fn keep(&self, names: &[&str]) -> io::Result<Option<PathBuf>> {
        let there: Vec<(&str, PathBuf)> = names
            .iter()
            .map(|&name| (name, self.folder.join(name)))
            .filter(|(_, path)| path.is_file())
            .collect();
        let Some((_, first)) = there.first() else {
            return Ok(None);
        };
        let written = fs::metadata(first)?.modified().unwrap_or(UNIX_EPOCH);
        let kept = new_folder(&self.folder.join(EARLIER), written)?;
        for (name, path) in &there {
            let copy = kept.join(name);
            // A rename over the old name leaves this one alone. A link to a link would not do that.
            if path.is_symlink() || fs::hard_link(path, &copy).is_err() {
                fs::copy(path, &copy)?;
            }
        }
        Ok(Some(kept))
    }
}

/// Makes a folder in `parent` that is named by a time: `2026-01-31T09-05-59Z`, and `-2` and so on if there is one.
fn new_folder(parent: &Path, time: SystemTime) -> io::Result<PathBuf> {
    fs::create_dir_all(parent)?;
    let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let name = units::utc_name(since.as_secs());
    let mut path = parent.join(&name);
    for number in 2.. {
        match fs::create_dir(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                path = parent.join(format!("{name}-{number}"));
            }
            outcome => return outcome.map(|()| path),
        }
    }
    unreachable!("numbers do not end")
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
