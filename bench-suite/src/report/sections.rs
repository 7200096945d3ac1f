//! One section per workload: what one op is, charts, figures, failures, latency.

use std::fmt::Write as _;

use super::charts;
use super::counts;
use super::html::{Text, anchor, plural};
use super::latency;
use super::runs;
use super::time_split;
use super::timeline::{self, Timelines};
use crate::results::{Results, Verdict};
use crate::summary::{self, Row, Section};
use crate::units;

pub(super) fn render(
    html: &mut String,
    index: usize,
    section: &Section,
    timelines: &Timelines<'_>,
    results: &Results,
) {
    let parameters = summary::parameters(&section.params);
    let _ = writeln!(
        html,
        "<section class=\"workload\" id=\"{}\">\n<h2>{} <small>{}</small></h2>",
        anchor(index, &section.name()),
        Text(&section.name()),
        Text(&section.workload.group),
    );
    if !section.workload.about.is_empty() {
        let _ = writeln!(html, "<p>{}</p>", Text(&sentence(&section.workload.about)));
    }
    html.push_str("<p class=\"how\">");
    if !section.workload.op.is_empty() {
        let _ = write!(
            html,
            "<strong>One op:</strong> {} ",
            Text(&sentence(&section.workload.op))
        );
    }
    let _ = write!(
        html,
        "<strong>Load:</strong> {}. ",
        Text(load(&section.mode))
    );
    if !parameters.is_empty() {
        let _ = write!(html, "<strong>Parameters:</strong> {}. ", Text(&parameters));
    }
    for flag in &section.flags {
        let _ = write!(html, "<span class=\"flag\">{}</span> ", Text(flag));
    }
    html.push_str("</p>\n");
    plots(html, index, section);
    figures(html, section);
    latency(html, index, section);
    latency::curves(html, section, results);
    counts::render(html, section, results);
    time_split::render(html, section);
    timeline::render(html, index, timelines);
    failures(html, section);
    remarks(html, section);
    raw(html, index, runs::of(results, section).len());
    environment(html, results);
    html.push_str("</section>\n");
}

fn sentence(text: &str) -> String {
    let text = text.trim();
    if text.ends_with('.') {
        text.to_owned()
    } else {
        format!("{text}.")
    }
}

fn load(mode: &str) -> &str {
    match mode {
        "open" => "open loop, requests start at intended times",
        "closed" => "closed loop, the next request starts when the last has ended",
        "batch" => "a fixed amount of work, timed as a whole",
        other => other,
    }
}

/// Places for the charts, which the script draws. Each of their figures is also in a table.
fn plots(html: &mut String, index: usize, section: &Section) {
    if section.rows.iter().all(|row| row.ok == 0) {
        return;
    }
    html.push_str("<div class=\"plots\">\n");
    let mut place = |kind: &str| {
        let _ = writeln!(
            html,
            "<figure data-chart=\"{index}\" data-kind=\"{kind}\"></figure>"
        );
    };
    place("values");
    place("ratios");
    let (cpu, memory) = charts::costs(section);
    if cpu {
        place("cpu");
    }
    if memory {
        place("memory");
    }
    let metric = units::metric_title(&section.metric);
    let _ = writeln!(
        html,
        "</div>\n<p class=\"caption\">First chart: {}. The median is a {}, its 95% interval a line with ends, and each \
         round a dot{}. Second chart: the ratio to the baseline with its 95% interval; the grey band is the noise \
         floor. Less is better in all of them.</p>",
        Text(&metric),
        if charts::is_logarithmic(section) {
            "thick mark"
        } else {
            "bar"
        },
        if charts::is_logarithmic(section) {
            ", on a logarithmic axis"
        } else {
            ""
        },
    );
}

fn figures(html: &mut String, section: &Section) {
    let columns = section.columns();
    let (judged, others) = columns.split_first().expect("what is judged");
    // Latencies have their own table.
    let others: Vec<&str> = others
        .iter()
        .map(String::as_str)
        .filter(|metric| !metric.starts_with("latency_") && !metric.starts_with("client_late_"))
        .collect();
    let _ = write!(
        html,
        "<div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"Figures\"><table>\n\
         <thead><tr><th scope=\"col\">runtime</th>\
         <th scope=\"col\" class=\"figure\">{}</th>\
         <th scope=\"col\" class=\"figure\">ratio [95% CI]<br><small>of {}</small></th><th scope=\"col\">verdict</th>",
        Text(&units::metric_column(judged)),
        Text(&units::metric_title(judged)),
    );
    for metric in &others {
        let _ = write!(
            html,
            "<th scope=\"col\" class=\"figure\">{}</th>",
            Text(&units::metric_column(metric))
        );
    }
    html.push_str("<th scope=\"col\" class=\"figure\">processes</th></tr></thead>\n<tbody>\n");
    for row in &section.rows {
        figures_row(html, judged, &others, row);
    }
    html.push_str("</tbody></table></div>\n");
}

fn figures_row(html: &mut String, judged: &str, others: &[&str], row: &Row) {
    let value = |metric: &str| {
        row.medians
            .get(metric)
            .map_or_else(|| "–".to_owned(), |&value| units::metric(metric, value))
    };
    let cell = |text: String| format!("<td class=\"figure\">{}</td>", Text(&text));
    let class = match row.comparison.as_ref().and_then(|one| one.verdict) {
        Some(Verdict::Better) => "better",
        Some(Verdict::Worse) => "worse",
        _ => "none",
    };
    let ratio = row
        .comparison
        .as_ref()
        .map_or_else(|| "–".to_owned(), |one| units::ratio(one.ratio, one.ci95));
    let _ = write!(html, "<tr><th scope=\"row\">{}</th>", Text(&row.label));
    let verdict = format!(
        "<td class=\"{class}\">{}</td>",
        Text(&summary::verdict(row))
    );
    html.push_str(&[cell(value(judged)), cell(ratio), verdict].concat());
    for metric in others {
        html.push_str(&cell(value(metric)));
    }
    html.push_str(&cell(row.ok.to_string()));
    html.push_str("</tr>\n");
}

fn latency(html: &mut String, index: usize, section: &Section) {
    if section.rows.iter().all(|row| row.latency.is_none()) {
        return;
    }
    let _ = writeln!(
        html,
        "<h3>Latency</h3>\n<figure data-chart=\"{index}\" data-kind=\"latency\"></figure>"
    );
    html.push_str(
        "<div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"Latencies\"><table>\n\
         <thead><tr><th scope=\"col\">runtime</th>\
         <th scope=\"col\" class=\"figure\">p50</th><th scope=\"col\" class=\"figure\">p90</th>\
         <th scope=\"col\" class=\"figure\">p99</th>\
         <th scope=\"col\" class=\"figure\">p99.9</th><th scope=\"col\" class=\"figure\">max</th>",
    );
    // The client's own lateness, which is part of the latencies in an open loop.
    const LATE: [(&str, &str); 2] = [
        ("client_late_p50_ns", "client late p50"),
        ("client_late_p99_ns", "client late p99"),
    ];
    let is_timed = |metric: &str| {
        section
            .rows
            .iter()
            .any(|row| row.medians.contains_key(metric))
    };
    let late: Vec<(&str, &str)> = LATE
        .into_iter()
        .filter(|(metric, _)| is_timed(metric))
        .collect();
    for (_, title) in &late {
        let _ = write!(html, "<th scope=\"col\" class=\"figure\">{title}</th>");
    }
    html.push_str("</tr></thead>\n<tbody>\n");
    for row in &section.rows {
        let Some(latency) = row.latency else { continue };
        let _ = write!(html, "<tr><th scope=\"row\">{}</th>", Text(&row.label));
        for value in [
            latency.p50,
            latency.p90,
            latency.p99,
            latency.p999,
            latency.max,
        ] {
            let _ = write!(
                html,
                "<td class=\"figure\">{}</td>",
                units::duration_ns(value as f64)
            );
        }
        for (metric, _) in &late {
            let value = row.medians.get(*metric);
            let text = value.map_or_else(|| "–".to_owned(), |&value| units::duration_ns(value));
            let _ = write!(html, "<td class=\"figure\">{text}</td>");
        }
        html.push_str("</tr>\n");
    }
    html.push_str(
        "</tbody></table></div>\n<p class=\"caption\">Of the process with the median p99.",
    );
    if section.mode == "closed" {
        html.push_str(
            " In a closed loop a slow server is asked less often, so these leave out the waiting \
             that clients with a schedule of their own would see.",
        );
    }
    if !late.is_empty() {
        html.push_str(
            " The client's own lateness is part of what it measures: where it comes near a latency, \
             that one says little.",
        );
    }
    html.push_str("</p>\n");
}

fn failures(html: &mut String, section: &Section) {
    let failed: Vec<(&str, &str)> = section
        .rows
        .iter()
        .flat_map(|row| {
            row.failures
                .iter()
                .map(|failure| (row.label.as_str(), failure.as_str()))
        })
        .chain(
            section
                .absent
                .iter()
                .map(|(runtime, reason)| (runtime.as_str(), reason.as_str())),
        )
        .collect();
    if failed.is_empty() {
        return;
    }
    html.push_str("<h3>Without a figure</h3>\n<ul class=\"failures\">\n");
    for (label, failure) in failed {
        let _ = writeln!(
            html,
            "<li><strong>{}</strong>: {}.</li>",
            Text(label),
            Text(failure)
        );
    }
    html.push_str("</ul>\n");
}

/// What the medians hide.
fn remarks(html: &mut String, section: &Section) {
    let remarks: Vec<(&str, &str)> = section
        .rows
        .iter()
        .filter_map(|row| Some((row.label.as_str(), row.remark.as_deref()?)))
        .collect();
    if remarks.is_empty() {
        return;
    }
    html.push_str("<h3>Uneven rounds</h3>\n<ul>\n");
    for (label, remark) in remarks {
        let _ = writeln!(
            html,
            "<li><strong>{}</strong>: {}.</li>",
            Text(label),
            Text(remark)
        );
    }
    html.push_str("</ul>\n");
}

/// Where it was measured, in one line.
fn environment(html: &mut String, results: &Results) {
    for environment in &results.environments {
        let cpu = environment.cpu.as_deref().unwrap_or("unknown processor");
        let kernel = environment.kernel.as_deref().unwrap_or("unknown");
        let _ = writeln!(
            html,
            "<p class=\"how\"><strong>Environment:</strong> {}, {} core{}, kernel {}; {} build. \
             <a href=\"#environment\">All of it</a>.</p>",
            Text(cpu),
            environment.cores,
            plural(environment.cores as usize),
            Text(kernel),
            Text(&environment.profile),
        );
    }
}

/// The place for the long table of all runs. The script builds it when you open it.
fn raw(html: &mut String, index: usize, runs: usize) {
    if runs > 0 {
        let _ = writeln!(
            html,
            "<details class=\"raw\" data-runs=\"{index}\"><summary>All {runs} runs</summary>\n\
             <div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"All runs\"></div></details>"
        );
    }
}
