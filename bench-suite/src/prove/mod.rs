//! `lab prove`: measures the lab itself, against a known truth and against itself, and writes a certificate.

mod goals;
mod real;
mod simulation;

use std::fmt::Write as _;
use std::path::Path;

use crate::cli::ProveArgs;
use crate::environment;
use crate::error::CommandError;
use crate::output::ensure_folder;
use crate::provenance::Build;
use crate::registry::Registry;
use crate::results::{CERTIFICATE_SCHEMA, Certificate, Power, Share, write_whole};
use crate::statistics::{LOOKS, METHOD};
use crate::terminal::{self, wrapped};
use crate::units;

use goals::{goals, interval};
use real::Blocks;

/// The default margin of `lab compare`.
const MARGIN: f64 = 0.02;

/// `lab prove`.
///
/// # Errors
/// [`CommandError::Usage`] if the folder can't be written to; [`CommandError::Failed`] if a goal is missed, a process
/// gives no figure, or the certificate can't be written; [`CommandError::Interrupted`] after a signal.
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
        schema: CERTIFICATE_SCHEMA.to_owned(),
        environment: environment::describe(seed, build),
        form: if quick { "quick" } else { "long" }.to_owned(),
        margin: MARGIN,
        method: METHOD.to_owned(),
        // The short form has too few rounds to find 3%, so it makes no claim about power.
        goals: goals(&simulated, measured.as_ref(), !quick),
        simulated,
        real: measured,
    };
    let path = Certificate::file_in(&arguments.out);
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
        let percent = |share: Share| format!("{:.1}%", share.rate() * 100.0);
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
        let [low, high] = interval(goal.share);
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
