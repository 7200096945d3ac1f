//! The page as a whole: what was measured, how, and an overview.

use std::fmt::Write as _;

use super::answer;
use super::charts;
use super::colours;
use super::html::{Text, anchor, plural, script_json};
use super::latency;
use super::runs;
use super::sections;
use super::sweep;
use super::timeline;
use crate::matrix;
use crate::results::{Environment, Results, Role, Status, Verdict};
use crate::summary::{self, Section};
use crate::timeline as timeline_page;
use crate::units;

pub(crate) const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("report.js");
/// The script that opens timelines from the elements `timeline-data` and `timeline-page`.
pub(crate) const TIMELINES: &str = include_str!("timelines.js");

/// The caption of the report's timelines.
const SECTION_INTRO: &str =
    "The start of each run, as far as a report keeps it. `lab trace` records a whole run.";

/// The whole page.
pub(crate) fn render(results: &Results) -> String {
    let sections = summary::sections(results);
    let mut html = String::with_capacity(1 << 20);
    html.push_str(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
         style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n\
         <title>Concurrency runtimes compared</title>\n",
    );
    let _ = write!(
        html,
        "<style>\n{STYLE}{}</style>\n</head>\n<body>\n<header>\n<h1>Concurrency runtimes compared</h1>\n",
        colours::style(),
    );
    lead(&mut html, results, &sections);
    html.push_str("</header>\n");
    contents(&mut html, results, &sections);
    html.push_str("<main>\n");
    answer::render(&mut html, results, &sections);
    if results.sweep.is_some() {
        let matrices = matrix::matrices(results, &sections);
        sweep::render(&mut html, &matrices, &matrix::legend(results));
    } else {
        overview(&mut html, &sections);
    }
    latency::render(&mut html, results, &sections);
    notes(&mut html, results);
    let timelines = timeline::of(&sections);
    for (index, section) in sections.iter().enumerate() {
        sections::render(&mut html, index, section, &timelines[index], results);
    }
    method(&mut html, results);
    environments(&mut html, results);
    html.push_str(
        "</main>\n<footer><p>Made by <code>lab report</code> from stored results; charts by Observable Plot and d3 \
         (ISC).</p></footer>\n",
    );
    let tables = sections.iter().map(|section| runs::table(results, section));
    for (id, data) in [
        ("chart-data", charts::data(&sections)),
        ("run-data", tables.collect()),
        ("timeline-data", timeline::data(&timelines)),
        (
            "timeline-page",
            timeline_page::template(SECTION_INTRO).into(),
        ),
    ] {
        let data = script_json(&data);
        let _ = writeln!(
            html,
            "<script type=\"application/json\" id=\"{id}\">{data}</script>"
        );
    }
    for script in charts::SCRIPTS.into_iter().chain([SCRIPT, TIMELINES]) {
        let _ = writeln!(html, "<script>\n{script}</script>");
    }
    html.push_str("</body>\n</html>\n");
    html
}

fn lead(html: &mut String, results: &Results, sections: &[Section]) {
    let ok = results
        .runs
        .iter()
        .filter(|run| run.status == Status::Ok)
        .count();
    let failed = results.runs.len() - ok;
    let rounds = results
        .runs
        .iter()
        .map(|run| run.round + 1)
        .max()
        .unwrap_or(0);
    // Sections about one runtime's choices repeat their workload.
    let sections = sections
        .iter()
        .filter(|section| section.choices_of.is_none())
        .count();
    let _ = writeln!(
        html,
        "<p class=\"lead\">{} workload{}, {rounds} round{}, {} measured processes, {}.</p>",
        sections,
        plural(sections),
        plural(rounds as usize),
        results.runs.len(),
        if failed == 0 {
            "all of them with the right answer".to_owned()
        } else {
            format!("<strong>{failed} of them without a figure</strong>")
        },
    );
    for environment in &results.environments {
        let cpu = environment.cpu.as_deref().unwrap_or("unknown processor");
        let kernel = environment.kernel.as_deref().unwrap_or("unknown");
        let _ = writeln!(
            html,
            "<p class=\"how\">On {}, {} core{}, kernel {}; {} build; seed {}{}. \
             <a href=\"#method\">How it was measured</a>, <a href=\"#environment\">where and with what</a>.</p>",
            Text(cpu),
            environment.cores,
            plural(environment.cores as usize),
            Text(kernel),
            Text(&environment.profile),
            environment.seed,
            environment
                .started_unix_s
                .map_or_else(String::new, |at| format!("; {}", units::utc(at))),
        );
    }
}

/// Links to all parts, so that you don't have to scroll.
fn contents(html: &mut String, results: &Results, sections: &[Section]) {
    html.push_str("<nav aria-label=\"Contents\">\n<ul>\n");
    let mut link = |target: &str, name: &str| {
        let _ = writeln!(html, "<li><a href=\"#{target}\">{}</a></li>", Text(name));
    };
    if results.sweep.is_some() {
        link("sweep", "Every combination");
    } else {
        link("overview", "Decision table");
    }
    for (index, section) in sections.iter().enumerate() {
        link(&anchor(index, &section.name()), &section.name());
    }
    link("method", "Method");
    link("environment", "Environment");
    html.push_str("</ul>\n</nav>\n");
}

fn notes(html: &mut String, results: &Results) {
    if results.notes.is_empty() {
        return;
    }
    html.push_str("<ul class=\"notes\">\n");
    for note in &results.notes {
        let _ = writeln!(html, "<li>{}.</li>", Text(note));
    }
    html.push_str("</ul>\n");
}

/// One row per workload, one column per runtime: the ratio to the baseline.
fn overview(html: &mut String, sections: &[Section]) {
    let mut runtimes: Vec<&str> = Vec::new();
    for row in sections.iter().flat_map(|section| &section.rows) {
        if row.role == Role::Arm && !runtimes.contains(&row.label.as_str()) {
            runtimes.push(&row.label);
        }
    }
    html.push_str(
        "<section id=\"overview\">\n<h2>Decision table</h2>\n\
         <p>Ratio to the baseline in the workload's own metric; less is better. A ratio within the noise floor, the \
         last column, says nothing. Open: there is not enough data for a verdict.</p>\n\
         <div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"Decision table\"><table class=\"overview\">\n\
         <thead><tr><th scope=\"col\">workload</th><th scope=\"col\">metric</th>",
    );
    for runtime in &runtimes {
        let _ = write!(
            html,
            "<th scope=\"col\" class=\"figure\">{}{}</th>",
            swatch(runtime),
            Text(runtime)
        );
    }
    html.push_str("<th scope=\"col\" class=\"figure\">noise</th></tr></thead>\n<tbody>\n");
    for (index, section) in sections.iter().enumerate() {
        let parameters = summary::parameters(&section.params);
        let _ = write!(
            html,
            "<tr><th scope=\"row\"><a href=\"#{}\">{}</a> <small>{}</small></th><td>{}</td>",
            anchor(index, &section.name()),
            Text(&section.name()),
            Text(&parameters),
            Text(&units::metric_title(&section.metric)),
        );
        for runtime in &runtimes {
            let row = section
                .rows
                .iter()
                .find(|row| row.role == Role::Arm && row.label == *runtime);
            // Only the runtime itself takes part in a comparison of its choices.
            html.push_str(&match (row, &section.choices_of) {
                (None, Some(_)) => "<td></td>".to_owned(),
                (row, _) => overview_cell(row),
            });
        }
        let noise = section
            .noise_floor
            .map_or_else(|| "–".to_owned(), |floor| format!("{:.1}%", floor * 100.0));
        let _ = writeln!(html, "<td class=\"figure\">{noise}</td></tr>");
    }
    html.push_str("</tbody></table></div>\n</section>\n");
}

/// A runtime's colour beside its name. The name of an arm begins with that of its runtime.
fn swatch(label: &str) -> String {
    let runtime = label.split([' ', ',']).next().unwrap_or(label);
    let hue = colours::hue(runtime);
    format!("<span class=\"swatch\" style=\"background: var(--run-{hue})\"></span>")
}

fn overview_cell(row: Option<&summary::Row>) -> String {
    let Some(row) = row else {
        return "<td class=\"figure none\">n/a</td>".to_owned();
    };
    if row.baseline && row.ok > 0 {
        return "<td class=\"figure none\">1</td>".to_owned();
    }
    match row
        .comparison
        .as_ref()
        .and_then(|one| Some((one.ratio?, one.verdict)))
    {
        Some((ratio, verdict)) => {
            let (class, word) = match verdict {
                Some(Verdict::Better) => ("better", "better"),
                Some(Verdict::Worse) => ("worse", "worse"),
                Some(Verdict::NoDifference) => ("none", "alike"),
                Some(Verdict::NotEnoughData) => ("none", "open"),
                None => ("none", ""),
            };
            let ratio = units::ratio(Some(ratio), None);
            format!("<td class=\"figure {class}\">{ratio} <small>{word}</small></td>")
        }
        None => {
            // Only the kind of failure. The section has the details.
            let kind = row.failed.map_or("no figure", Status::describe);
            format!("<td class=\"figure failed\">{kind}</td>")
        }
    }
}

fn environments(html: &mut String, results: &Results) {
    html.push_str("<section id=\"environment\">\n<h2>Where and with what</h2>\n");
    for environment in &results.environments {
        environment_list(html, environment);
    }
    html.push_str("</section>\n");
}

/// `release (debug-assertions false, opt-level 3)`.
fn profile(environment: &Environment) -> String {
    let settings: Vec<String> = environment
        .profile_settings
        .iter()
        .map(|(name, value)| format!("{name} {value}"))
        .collect();
    if settings.is_empty() {
        environment.profile.clone()
    } else {
        format!("{} ({})", environment.profile, settings.join(", "))
    }
}

fn environment_list(html: &mut String, environment: &Environment) {
    let unknown = || "unknown".to_owned();
    let text = |value: &Option<String>| value.clone().unwrap_or_else(unknown);
    let versions: Vec<String> = environment
        .versions
        .iter()
        .map(|(name, version)| format!("{name} {version}"))
        .collect();
    let facts = [
        ("Processor", text(&environment.cpu)),
        ("Cores", environment.cores.to_string()),
        (
            "Memory",
            environment
                .memory_bytes
                .map_or_else(unknown, |bytes| units::bytes(bytes as f64)),
        ),
        ("Kernel", text(&environment.kernel)),
        ("Compiler", text(&environment.rustc)),
        ("Profile", profile(environment)),
        ("Program", text(&environment.program)),
        ("Commit", text(&environment.commit)),
        ("Measured by", text(&environment.lab)),
        ("Seed", environment.seed.to_string()),
        (
            "Measured",
            environment.started_unix_s.map_or_else(unknown, units::utc),
        ),
        ("Command", text(&environment.command)),
    ];
    html.push_str("<dl class=\"facts\">\n");
    for (name, value) in facts {
        let _ = writeln!(html, "<div><dt>{name}</dt><dd>{}</dd></div>", Text(&value));
    }
    html.push_str("</dl>\n");
    if !versions.is_empty() {
        let _ = writeln!(
            html,
            "<details><summary>Versions of {} crates</summary><p>{}</p></details>",
            versions.len(),
            Text(&versions.join(", ")),
        );
    }
}

fn method(html: &mut String, results: &Results) {
    html.push_str(
        "<section id=\"method\">\n<h2>How it was measured</h2>\n\
         <p>Every figure is of a process of its own. In each round every runtime runs once, next to the others, \
         in an order drawn from the seed. \
         The baseline runs twice in each round: what it differs from itself by is the <em>noise floor</em>.</p>\n",
    );
    if let Some(method) = &results.method {
        let _ = writeln!(html, "<p>Ratios: {}.</p>", Text(method));
    }
    html.push_str(
        "<p>There are four verdicts. <em>Better</em> and <em>worse</em>: the interval leaves out 1, \
         and the ratio is beyond the noise floor. \
         <em>No difference beyond x%</em>: the whole interval lies within x% of 1, which is an equivalence \
         test. <em>Not enough data</em>: neither, \
         with the rounds that it would take beyond these, if the noise stays as it is. \
         The interval and the test always agree. \
         Time per operation carries no verdict where client and server share the cores \
         (<code>shares_cores</code>) or the client is the limit \
         (<code>client_bound</code>): CPU time per operation stands in for it.</p>\n",
    );
    if let Some(certificate) = &results.certificate {
        let _ = writeln!(
            html,
            "<p id=\"certificate\">How often this lab errs, as <code>lab prove</code> measured: {}.</p>",
            Text(&certificate.summary())
        );
    }
    html.push_str("</section>\n");
}
