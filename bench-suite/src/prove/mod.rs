//! `lab prove`: the lab measures itself, against a known truth and against itself, and writes a certificate.

pub mod certificate;
mod real;
mod simulation;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::cli::ProveArgs;
use crate::environment;
use crate::error::CommandError;
use crate::output::ensure_folder;
use crate::provenance::Build;
use crate::registry::Registry;
use crate::results::write_whole;
use crate::statistics::{LOOKS, METHOD};
use crate::terminal::{self, wrapped};
use crate::units;

use certificate::{Certificate, Power, SCHEMA, goals};
use real::Blocks;

/// What `lab compare` judges by if nothing else is asked for.
const MARGIN: f64 = 0.02;
const NAME: &str = "certificate.json";

/// The long form as it was measured for this version, on the machine that it names.
const EXAMPLE: &str = include_str!("../../certificates/example.json");

/// `lab prove`.
///
/// # Errors
/// [`CommandError::Usage`] if the folder takes no files; [`CommandError::Failed`] if a goal is missed, a process gives
/// no figure, or the certificate can't be written; [`CommandError::Interrupted`] after a signal.
pub(crate) fn run(
    registry: &Registry,
    build: &Build,
    arguments: &ProveArgs,
) -> Result<(), CommandError> {
    ensure_folder(&arguments.out, "--out")?;
    let quick = arguments.quick;
    let seed = arguments.seed.unwrap_or_else(|| fastrand::u64(..1_000_000));
    let tables = arguments.tables.unwrap_or(if quick { 120 } else { 2000 });
    let blocks = arguments.blocks.unwrap_or(if quick { 3 } else { 200 });
    let say = |line: &str| {
        if !arguments.no_progress {
            terminal::say(line);
        }
    };
    say(&format!(
        "{tables} synthetic tables and {blocks} blocks of processes; seed {seed}"
    ));
    let kinds = simulation::Noise::ALL.len() as u32;
    let simulated = simulation::simulate(tables.div_ceil(kinds), MARGIN, seed);
    let measured = (blocks > 0)
        .then(|| {
            let blocks = Blocks {
                registry,
                count: blocks,
                margin: MARGIN,
                seed,
                rounds: if quick {
                    LOOKS[0]
                } else {
                    LOOKS[LOOKS.len() - 1]
                },
            };
            blocks.measure(say)
        })
        .transpose()?;
    let certificate = Certificate {
        schema: SCHEMA.to_owned(),
        environment: environment::describe(seed, build),
        form: if quick { "quick" } else { "long" }.to_owned(),
        margin: MARGIN,
        method: METHOD.to_owned(),
        // The short form has too few rounds to find 3%, and says nothing of it.
        goals: goals(&simulated, measured.as_ref(), !quick),
        simulated,
        real: measured,
    };
    let path = arguments.out.join(NAME);
    let text = serde_json::to_vec_pretty(&certificate).map_err(std::io::Error::other);
    text.and_then(|mut text| {
        text.push(b'\n');
        write_whole(&path, &text)
    })
    .map_err(|error| {
        CommandError::Failed(format!(
            "cannot write {}: {error}; name another folder",
            path.display()
        ))
    })?;
    terminal::print(&in_words(&certificate, &path))?;
    if certificate.holds() {
        return Ok(());
    }
    let missed = certificate.goals.iter().filter(|goal| !goal.met);
    let missed: Vec<&str> = missed.map(|goal| goal.goal.as_str()).collect();
    Err(CommandError::Failed(format!(
        "not met: {}",
        missed.join("; ")
    )))
}

/// The certificate that results in `folder` show: the one that was written there, else the committed one.
///
/// # Errors
/// One line if there is one that can't be read.
pub(crate) fn certificate_for(folder: &Path) -> Result<Certificate, CommandError> {
    let path: PathBuf = folder.join(NAME);
    if path.exists() {
        return Certificate::read(&path).map_err(|error| CommandError::Usage(error.to_string()));
    }
    serde_json::from_str(EXAMPLE)
        .map_err(|error| CommandError::Failed(format!("the committed certificate: {error}")))
}

fn in_words(certificate: &Certificate, path: &Path) -> String {
    let mut text = String::new();
    let mut line = |line: String| {
        let _ = writeln!(text, "{}", wrapped(&line, terminal::width(), 2));
    };
    line(format!(
        "Against a known truth, margin {}:",
        units::percent(certificate.margin)
    ));
    for one in &certificate.simulated {
        let percent = |share: certificate::Share| format!("{:.1}%", share.rate() * 100.0);
        line(format!(
            "  {}, {} tables: {} of intervals hold the truth; a false difference in {} of tables; false \"no \
             difference\" in {}; {} of comparisons left open",
            one.noise,
            one.tables,
            percent(one.covered),
            percent(one.false_difference),
            percent(one.false_no_difference),
            percent(one.not_enough_data),
        ));
        line(format!("    found: {}", power(&one.power)));
    }
    if let Some(real) = &certificate.real {
        line(format!(
            "Real processes, {} of {}:",
            real.processes,
            real.workloads.join(", ")
        ));
        line(format!("    found: {}", power(&real.power)));
    }
    for goal in &certificate.goals {
        let [low, high] = goal.share.interval();
        line(format!(
            "{}: {}: {:.2}% [{:.2}, {:.2}], {} of {}",
            if goal.met { "met" } else { "NOT MET" },
            goal.goal,
            goal.share.rate() * 100.0,
            low * 100.0,
            high * 100.0,
            goal.share.happened,
            goal.share.of,
        ));
    }
    line(format!("certificate: {}", path.display()));
    text
}

/// `1% 22%, 3% 91%`.
fn power(power: &[Power]) -> String {
    let each = power.iter().map(|one| {
        format!(
            "{}% in {:.0}% of {}",
            one.percent,
            one.different.rate() * 100.0,
            one.different.of
        )
    });
    each.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_certificate_is_read_and_one_in_the_folder_comes_first() {
        let folder = tempfile::tempdir().unwrap();
        let committed = certificate_for(folder.path()).unwrap();
        assert!(committed.holds() && committed.form == "long");
        let own = Certificate {
            form: "quick".to_owned(),
            ..committed
        };
        let path = folder.path().join(NAME);
        std::fs::write(&path, serde_json::to_vec(&own).unwrap()).unwrap();
        assert_eq!(certificate_for(folder.path()).unwrap(), own);
        std::fs::write(&path, "{").unwrap();
        let error = certificate_for(folder.path()).unwrap_err();
        assert!(matches!(error, CommandError::Usage(_)), "{error}");
    }
}
