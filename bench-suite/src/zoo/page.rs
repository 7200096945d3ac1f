//! The zoo's page: which runtime survives what, the figures of each pathology, and the timeline of each failure.
//!
//! Like the report, it is one file that loads nothing. It uses the report's style and pictures.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::results::{Row, Timeline, ZooResults};
use super::verdict::Verdict;
use crate::report::colours;
use crate::report::html::{Text, plural, script_json};
use crate::report::page::{STYLE, TIMELINES};
use crate::report::timeline::{axis, legend, picture};
use crate::timeline;
use crate::trace::Run;
use crate::trace::excerpt::unpacked;
use crate::units;

/// The most events in all timelines together. The page then has some two megabytes.
const MAX_EVENTS: usize = 160_000;

const LEAD: &str = "The last events of a cell that failed, from one more run that was traced.";

/// Lets long names and addresses break on a phone.
const NARROW: &str =
    "h2, h3, p, button { overflow-wrap: anywhere; }\n.timeline button { max-width: 100%; }\n";

/// A timeline on the page.
type Shown<'a> = (&'a Timeline, Run);

/// The whole page.
pub(crate) fn render(results: &ZooResults) -> String {
    let shown = shown(results);
    let mut html = String::with_capacity(1 << 20);
    let _ = write!(
        html,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
         style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n\
         <title>Who survives what</title>\n<style>\n{STYLE}{}{NARROW}</style>\n</head>\n<body>\n<header>\n\
         <h1>Who survives what</h1>\n<p class=\"lead\">{} pathologies of runtimes, each with a bound, under {} \
         runtimes.</p>\n<p class=\"how\">{} worker{} where a runtime has several; {} sizes. <strong>ok</strong> keeps \
         the bound, <strong>FAILS</strong> does not, <strong>-</strong> can't run.</p>\n</header>\n<main>\n",
        colours::style(),
        results.pathologies.len(),
        results.runtimes.len(),
        results.workers,
        plural(results.workers),
        if results.quick { "small" } else { "full" },
    );
    table(&mut html, results);
    for (index, row) in results.pathologies.iter().enumerate() {
        pathology(&mut html, index, row, results, &shown);
    }
    html.push_str("</main>\n<footer><p>Made by <code>lab zoo</code>.</p></footer>\n");
    let runs = shown.iter();
    let runs = runs.map(|(_, run)| json!({ "runs": [timeline::packed(run, &run.runtime)] }));
    for (id, data) in [
        ("timeline-data", runs.collect::<Value>()),
        ("timeline-page", timeline::template(LEAD).into()),
    ] {
        let data = script_json(&data);
        let _ = writeln!(
            html,
            "<script type=\"application/json\" id=\"{id}\">{data}</script>"
        );
    }
    let _ = write!(html, "<script>\n{TIMELINES}</script>\n</body>\n</html>\n");
    html
}

/// The timelines, cut so that all of them fit on one page.
fn shown(results: &ZooResults) -> Vec<Shown<'_>> {
    let run = |timeline: &Timeline| timeline.deflate_base64.as_deref().and_then(unpacked);
    let each = results.timelines.iter();
    let mut all: Vec<Shown<'_>> = each
        .filter_map(|timeline| Some((timeline, run(timeline)?)))
        .collect();
    let most = MAX_EVENTS / all.len().max(1);
    for (_, run) in &mut all {
        *run = run.last(most);
    }
    all
}

/// The id of a pathology on the page, or of one of its failures. It is a number, because a name can contain anything.
fn anchor(row: usize, runtime: Option<usize>) -> String {
    runtime.map_or_else(|| format!("p{row}"), |runtime| format!("p{row}-{runtime}"))
}

fn table(html: &mut String, results: &ZooResults) {
    html.push_str(
        "<section>\n<h2>The table</h2>\n<div class=\"scroll\" tabindex=\"0\" role=\"group\" \
         aria-label=\"Who survives what\"><table class=\"overview\">\n<thead><tr><th scope=\"col\">pathology</th>",
    );
    for runtime in &results.runtimes {
        let _ = write!(
            html,
            "<th scope=\"col\" class=\"figure\">{}</th>",
            Text(&runtime.name)
        );
    }
    html.push_str("</tr></thead>\n<tbody>\n");
    for (index, row) in results.pathologies.iter().enumerate() {
        let _ = write!(
            html,
            "<tr><th scope=\"row\"><a href=\"#{}\">{}</a></th>",
            anchor(index, None),
            Text(&row.name)
        );
        for (column, runtime) in results.runtimes.iter().enumerate() {
            let verdict = row.cells.get(&runtime.name);
            let mark = Text(verdict.map_or("", Verdict::mark));
            let _ = match verdict {
                Some(Verdict::Fails { .. }) => write!(
                    html,
                    "<td class=\"figure failed\"><a href=\"#{}\">{mark}</a></td>",
                    anchor(index, Some(column))
                ),
                _ => write!(html, "<td class=\"figure\">{mark}</td>"),
            };
        }
        html.push_str("</tr>\n");
    }
    html.push_str("<tr><th scope=\"row\">survived</th>");
    for runtime in &results.runtimes {
        let (survived, ran) = results.survived(&runtime.name);
        let _ = write!(html, "<td class=\"figure\">{survived} of {ran}</td>");
    }
    html.push_str("</tr>\n</tbody></table></div>\n</section>\n");
}

fn pathology(
    html: &mut String,
    index: usize,
    row: &Row,
    results: &ZooResults,
    shown: &[Shown<'_>],
) {
    let _ = write!(
        html,
        "<section class=\"workload\" id=\"{}\">\n<h2>{}</h2>\n<p>{}</p>\n<p class=\"how\"><strong>Measured:</strong> \
         {}. <strong>Bound:</strong> {}. <strong>From</strong> {}.</p>\n",
        anchor(index, None),
        Text(&row.name),
        Text(&row.about),
        Text(&row.measured),
        Text(&row.bound),
        issue(&row.issue),
    );
    let (mut survive, mut cannot) = (Vec::new(), Vec::new());
    for runtime in &results.runtimes {
        let verdict = row.cells.get(&runtime.name);
        let words = || verdict.map(|verdict| verdict.words(&row.unit));
        match verdict {
            Some(Verdict::Survives { .. }) => {
                survive.push(format!(
                    "{} ({})",
                    runtime.name,
                    words().unwrap_or_default()
                ));
            }
            Some(Verdict::CannotRun { .. }) => {
                cannot.push(format!(
                    "{} ({})",
                    runtime.name,
                    words().unwrap_or_default()
                ));
            }
            _ => {}
        }
    }
    for (title, names) in [("Survive", survive), ("Can't run", cannot)] {
        if !names.is_empty() {
            let names = names.join(", ");
            let _ = writeln!(html, "<p><strong>{title}:</strong> {}.</p>", Text(&names));
        }
    }
    let mut pictures = false;
    for (column, runtime) in results.runtimes.iter().enumerate() {
        if let Some(verdict @ Verdict::Fails { .. }) = row.cells.get(&runtime.name) {
            let _ = writeln!(
                html,
                "<div id=\"{}\"><h3>{} fails <small>{}</small></h3>",
                anchor(index, Some(column)),
                Text(&runtime.name),
                Text(&verdict.words(&row.unit)),
            );
            pictures |= failure(html, row, &runtime.name, results, shown);
            html.push_str("</div>\n");
        }
    }
    if pictures {
        legend(html);
    }
    html.push_str("</section>\n");
}

/// A link, if the address is safe for a browser.
fn issue(address: &str) -> String {
    let text = Text(address);
    match address.starts_with("https://") {
        true => format!("<a href=\"{text}\">{text}</a>"),
        false => text.to_string(),
    }
}

/// Writes the timeline of one failure, or why there is none. Returns whether there is a picture.
fn failure(
    html: &mut String,
    row: &Row,
    runtime: &str,
    results: &ZooResults,
    shown: &[Shown<'_>],
) -> bool {
    let is_of = |timeline: &Timeline| timeline.pathology == row.name && timeline.runtime == runtime;
    let Some(timeline) = results.timelines.iter().find(|timeline| is_of(timeline)) else {
        return false;
    };
    let place = shown.iter().position(|(timeline, _)| is_of(timeline));
    let Some(place) = place else {
        let note = Text(&timeline.note);
        let _ = writeln!(html, "<p class=\"caption\">No timeline: {note}.</p>");
        return false;
    };
    let run = &shown[place].1;
    let until = run.wall_ns.max(1);
    let dropped = match run.dropped {
        0 => "from its start".to_owned(),
        dropped => format!("after {dropped} that are left out"),
    };
    html.push_str("<div class=\"lanes\">\n");
    picture(html, run, runtime, "when it was traced", until);
    axis(html, until);
    let _ = writeln!(
        html,
        "</div>\n<p class=\"caption\">The last {} events, {dropped}: {}, up to where the lab ended the process. The \
         traced run came to: {}.</p>\n<div class=\"timeline\" data-timeline=\"{place}\" data-name=\"{3} under {4}\">\
         <button type=\"button\" hidden>Open the timeline of {3} under {4}</button></div>",
        run.events.len(),
        units::duration_ns(until as f64),
        Text(&timeline.note),
        Text(&row.name),
        Text(runtime),
    );
    true
}
