//! The files of results and the report. The lab checks that they are writable before it measures anything. It writes
//! each file as a whole or not at all, and keeps earlier files.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{FlockOperation, flock};

use crate::cli::FormatArgs;
use crate::error::CommandError;
use crate::formats;
use crate::output::{Output, ensure_folder, folder_of};
use crate::report;
use crate::results::{Certificate, Results};
use crate::units;

pub(super) const DEFAULT_FOLDER: &str = "lab-out";
/// The subfolder for earlier runs. Each run has a folder there, named after the time when it was written.
const EARLIER: &str = "earlier";
const RESULTS: &str = "results.json";
const UNFINISHED: &str = "results.unfinished.json";

pub(crate) struct Outputs {
    folder: PathBuf,
    /// The path as given, and where it leads.
    json: Option<(PathBuf, Output)>,
    /// The comparisons as a table: the path as given, and where it leads.
    csv: Option<(PathBuf, Output)>,
    formats: Formats,
    /// The lock on the folder, held as long as this run may write.
    _lock: Option<File>,
}

impl Outputs {
    /// # Errors
    /// If something can't be written to its path.
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
        let lock = lock(&folder)?;
        let outputs = Self {
            folder,
            json,
            csv,
            formats: Formats::default(),
            _lock: lock,
        };
        // A killed run left this file, and it may be the only trace of that run.
        outputs.keep(&[UNFINISHED]).map_err(|error| {
            CommandError::Usage(format!(
                "--out {}: cannot keep what an earlier run left unfinished there ({error}); name another folder",
                outputs.folder.display()
            ))
        })?;
        outputs.discard_unfinished();
        Ok(outputs)
    }

    /// Adds the results in other formats.
    pub(super) fn with(self, formats: Formats) -> Self {
        Self { formats, ..self }
    }

    /// Whether the results go to standard output, so that nothing else may be printed there.
    pub(super) fn take_standard_output(&self) -> bool {
        let to_standard =
            |output: &Option<(PathBuf, Output)>| matches!(output, Some((_, Output::Standard)));
        to_standard(&self.json) || to_standard(&self.csv) || self.formats.take_standard_output()
    }

    /// The certificate to show.
    ///
    /// # Errors
    /// If the folder contains a certificate that can't be read.
    pub(super) fn certificate(&self) -> Result<Certificate, CommandError> {
        Certificate::of_folder(&self.folder).map_err(|error| CommandError::Usage(error.to_string()))
    }

    fn results(&self) -> PathBuf {
        self.folder.join(RESULTS)
    }

    fn unfinished(&self) -> PathBuf {
        self.folder.join(UNFINISHED)
    }

    /// Stores what has been measured so far, under a name that says that it is incomplete, in case this process is
    /// killed.
    pub(super) fn keep_unfinished(&self, results: &Results) {
        // Losing this copy loses nothing yet. A full disk is reported when the results are written.
        let _ = results.write(&self.unfinished());
    }

    pub(crate) fn discard_unfinished(&self) {
        let _ = fs::remove_file(self.unfinished());
    }

    /// Writes results and report, and returns a line for the user about where they are.
    ///
    /// # Errors
    /// If one of them can't be written. The others are still tried.
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
                if let Err(error) = results.write(&path) {
                    first_error = Some(self.rescue(results, &path, &error));
                }
                note(
                    &mut first_error,
                    &page,
                    report::write(results, &page),
                    &self.results(),
                );
            }
            // Don't overwrite files that can't be kept.
            Err(error) => {
                self.keep_unfinished(results);
                first_error = Some(CommandError::Failed(format!(
                    "cannot keep the earlier results in {} ({error}); the new ones are in {}",
                    self.folder.display(),
                    self.unfinished().display()
                )));
            }
        }
        // Last, because writing to a FIFO waits for a reader.
        if let Some((path, output)) = &self.json {
            note(
                &mut first_error,
                path,
                results.write_to(output),
                &self.results(),
            );
        }
        if let Some((path, output)) = &self.csv {
            let text = results.comparisons_csv();
            let written = output.write(text.as_bytes());
            note(&mut first_error, path, written, &self.results());
        }
        if let Some(error) = self.formats.write(results, &mut said) {
            first_error.get_or_insert(error);
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

    /// Saves results that can't be written to their folder. Returns the error, which names the new place.
    fn rescue(&self, results: &Results, path: &Path, error: &io::Error) -> CommandError {
        let place = self.json.as_ref().and_then(|(path, output)| {
            // A FIFO may have no reader, and standard output belongs to its own reader.
            let file = matches!(output, Output::File(_)) && results.write_to(output).is_ok();
            file.then(|| path.clone())
        });
        let place = place.or_else(|| elsewhere(results));
        let kept = match place {
            Some(place) => format!("what was measured is in {}", place.display()),
            None if results.write_to(&Output::Standard).is_ok() => {
                "what was measured is on standard output, as JSON".to_owned()
            }
            None => "and the results could not be saved elsewhere either".to_owned(),
        };
        CommandError::Failed(format!("cannot write {}: {error}; {kept}", path.display()))
    }

    /// Copies the files with these names into a new folder below [`EARLIER`], where nothing removes them. The originals
    /// stay in place. Returns the new folder if there were any files.
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
            // A later rename over the original does not affect a hard link to it. A link to a symlink would be
            // affected.
            if path.is_symlink() || fs::hard_link(path, &copy).is_err() {
                fs::copy(path, &copy)?;
            }
        }
        Ok(Some(kept))
    }
}

/// Creates a folder in `parent` with a time as its name: `2026-01-31T09-05-59Z`, or `...-2` and so on if that exists.
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

/// Writes the results to another place if their folder does not accept them, and returns that place.
fn elsewhere(results: &Results) -> Option<PathBuf> {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let places = [std::env::temp_dir(), "/var/tmp".into(), "/dev/shm".into()];
    places.into_iter().chain(home).find_map(|folder| {
        let path = folder.join(format!("lab-results-{}.json", std::process::id()));
        results.write(&path).is_ok().then_some(path)
    })
}

fn note(first: &mut Option<CommandError>, path: &Path, outcome: io::Result<()>, kept: &Path) {
    if let Err(error) = outcome {
        first.get_or_insert_with(|| {
            CommandError::Failed(format!(
                "cannot write {}: {error}; what was measured is in {}",
                path.display(),
                kept.display()
            ))
        });
    }
}

/// Locks `folder`, so that only this run writes there; `None` if the file system has no locks.
fn lock(folder: &Path) -> Result<Option<File>, CommandError> {
    let Ok(opened) = File::open(folder) else {
        return Ok(None);
    };
    match flock(&opened, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(opened)),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(CommandError::Usage(format!(
            "--out {}: another run writes there; wait for its end, or name another folder",
            folder.display()
        ))),
        Err(_) => Ok(None),
    }
}

/// The results in the formats of other programs, each in its own file.
#[derive(Default)]
pub(crate) struct Formats(Vec<Format>);

struct Format {
    kind: Kind,
    /// The path as given, and where it leads.
    path: PathBuf,
    output: Output,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Markdown,
    OpenMetrics,
    Bencher,
    History,
    Runs,
}

impl Kind {
    fn option(self) -> &'static str {
        match self {
            Self::Markdown => "--markdown",
            Self::OpenMetrics => "--openmetrics",
            Self::Bencher => "--bencher",
            Self::History => "--history",
            Self::Runs => "--runs-csv",
        }
    }
}

impl Formats {
    /// # Errors
    /// [`CommandError::Usage`] if something can't be written to its path, or if a history file is invalid.
    pub(crate) fn prepare(asked: &FormatArgs) -> Result<Self, CommandError> {
        let named = [
            (Kind::Markdown, &asked.markdown),
            (Kind::OpenMetrics, &asked.openmetrics),
            (Kind::Bencher, &asked.bencher),
            (Kind::History, &asked.history),
            (Kind::Runs, &asked.runs_csv),
        ];
        let mut formats = Vec::new();
        for (kind, path) in named {
            let Some(path) = path else { continue };
            let output = Output::prepare(path, kind.option())?;
            let format = Format {
                kind,
                path: path.clone(),
                output,
            };
            // Find out before measuring whether the history can be continued.
            if kind == Kind::History
                && let Err(error) = format.text(&Results::default())
            {
                return Err(CommandError::Usage(format!(
                    "--history {}: {error}; name another file",
                    path.display()
                )));
            }
            formats.push(format);
        }
        Ok(Self(formats))
    }

    /// Whether one of them goes to standard output.
    pub(crate) fn take_standard_output(&self) -> bool {
        self.0
            .iter()
            .any(|format| format.output == Output::Standard)
    }

    /// Writes all of them and says where. Returns the first error after trying all.
    pub(crate) fn write(&self, results: &Results, said: &mut String) -> Option<CommandError> {
        let mut first = None;
        for format in &self.0 {
            match format.write(results) {
                Ok(()) => {
                    let name = format.kind.option().trim_start_matches('-');
                    let _ = writeln!(said, "{name}: {}", format.path.display());
                }
                Err(error) => {
                    first.get_or_insert_with(|| {
                        CommandError::Failed(format!(
                            "cannot write {}: {error}; the results themselves are kept",
                            format.path.display()
                        ))
                    });
                }
            }
        }
        first
    }
}

impl Format {
    fn write(&self, results: &Results) -> io::Result<()> {
        // Two runs may append to one history, so each waits until the other is done.
        let folder = match &self.output {
            Output::File(path) if self.kind == Kind::History => File::open(folder_of(path)).ok(),
            _ => None,
        };
        if let Some(folder) = &folder {
            // If the file system has no locks, the rename still leaves a complete file.
            let _ = flock(folder, FlockOperation::LockExclusive);
        }
        self.output.write(self.text(results)?.as_bytes())
    }

    fn text(&self, results: &Results) -> io::Result<String> {
        Ok(match self.kind {
            Kind::Markdown => formats::markdown(results),
            Kind::OpenMetrics => formats::open_metrics(results),
            Kind::Bencher => formats::bencher(results),
            Kind::Runs => formats::runs_csv(results),
            Kind::History => {
                let old = match &self.output {
                    Output::File(path) if path.exists() => fs::read_to_string(path)?,
                    _ => String::new(),
                };
                formats::history(results, &old).map_err(io::Error::other)?
            }
        })
    }
}
