//! Where each arm's time went, as a stacked bar that adds up to the whole, and as a table.

use std::fmt::Write as _;

use super::colours;
use super::html::Text;
use crate::analysis::time_split::TimeSplit;
use crate::summary::{Row, Section};
use crate::trace::Excerpt;
use crate::units;

/// The style sheet's classes for the parts of [`TimeSplit::parts`].
const CLASSES: [&str; 7] = [
    "running",
    "scheduling",
    "searching",
    "asleep",
    "kernel",
    "waiting",
    "idle",
];

pub(super) fn render(html: &mut String, section: &Section) {
    let traced: Vec<(&Row, &Excerpt)> = traced(section).collect();
    let failed: Vec<String> = section.rows.iter().filter_map(without_a_trace).collect();
    if traced.is_empty() && failed.is_empty() {
        return;
    }
    html.push_str("<h3>Where the time went</h3>\n");
    if !traced.is_empty() {
        html.push_str("<div class=\"splits\" aria-hidden=\"true\">\n");
        for (row, excerpt) in &traced {
            bar(html, row, excerpt);
        }
        legend(html);
        html.push_str("</div>\n");
        table(html, &traced);
    }
    html.push_str(
        "<p class=\"caption\">Threads times time, from one short traced process of each arm, apart from the rounds: \
         recording takes time itself. Workers count, and under 1:1 the tasks' own threads. \
         <em>Asleep with work queued</em>: the thread slept while a task was due that no thread ran. \
         <em>Queued while a worker slept</em>: the same from the tasks' side, all of them together, and the longest \
         one.",
    );
    for line in failed {
        let _ = write!(html, " Not recorded: {}.", Text(&line));
    }
    html.push_str("</p>\n");
}

/// The rows that were recorded. A section about one runtime's choices has none, because they are in the section of all
/// runtimes.
pub(super) fn traced(section: &Section) -> impl Iterator<Item = (&Row, &Excerpt)> {
    let rows = section.rows.iter();
    rows.filter(|_| section.choices_of.is_none())
        .filter_map(|row| Some((row, row.traced.as_ref()?.excerpt.as_ref()?)))
}

fn without_a_trace(row: &Row) -> Option<String> {
    let error = row.traced.as_ref()?.error.as_ref()?;
    Some(format!("{}, {error}", row.label))
}

/// The parts as shares of their sum. If the sum is 0, all shares are 0.
fn shares(time: &TimeSplit) -> [(&'static str, f64); 7] {
    let whole: f64 = time.parts().iter().map(|(_, ns)| *ns as f64).sum();
    time.parts()
        .map(|(name, ns)| (name, if whole > 0.0 { ns as f64 / whole } else { 0.0 }))
}

fn bar(html: &mut String, row: &Row, excerpt: &Excerpt) {
    let time = &excerpt.time;
    let _ = write!(
        html,
        "<div class=\"split\" style=\"--run: var(--run-{})\"><div><strong>{}</strong> <small>{} thread{}, {} in \
         all</small></div><div class=\"bar\">",
        colours::hue(&row.runtime),
        Text(&row.label),
        time.threads,
        super::html::plural(time.threads),
        units::duration_ns(time.total_ns as f64),
    );
    for ((name, share), class) in shares(time).into_iter().zip(CLASSES) {
        if share > 0.0 {
            let _ = write!(
                html,
                "<span class=\"part-{class}\" style=\"width: {:.3}%\" title=\"{name}: {:.1}%\"></span>",
                share * 100.0,
                share * 100.0
            );
        }
    }
    html.push_str("</div></div>\n");
}

fn legend(html: &mut String) {
    html.push_str("<ul class=\"legend\">");
    for ((name, _), class) in TimeSplit::default().parts().into_iter().zip(CLASSES) {
        let _ = write!(
            html,
            "<li><span class=\"key part-{class}\"></span>{name}</li>"
        );
    }
    html.push_str("</ul>\n");
}

fn table(html: &mut String, traced: &[(&Row, &Excerpt)]) {
    html.push_str(
        "<div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"Where the time went\"><table>\n\
         <thead><tr><th scope=\"col\">runtime</th>",
    );
    for (name, _) in TimeSplit::default().parts() {
        // Two lines, so that the table fits beside the bars.
        let name = match name.split_once(" with ") {
            Some((what, rest)) => format!("{what} with<br>{rest}"),
            None => name.replacen(' ', "<br>", 1),
        };
        let _ = write!(html, "<th scope=\"col\" class=\"figure\">{name}</th>");
    }
    html.push_str(
        "<th scope=\"col\" class=\"figure\">queued while<br>a worker slept</th>\
         <th scope=\"col\" class=\"figure\">longest</th><th scope=\"col\" class=\"figure\">recorded</th></tr></thead>\n\
         <tbody>\n",
    );
    for (row, excerpt) in traced {
        let _ = write!(html, "<tr><th scope=\"row\">{}</th>", Text(&row.label));
        for (_, share) in shares(&excerpt.time) {
            let _ = write!(html, "<td class=\"figure\">{:.1}%</td>", share * 100.0);
        }
        for ns in [
            excerpt.queued_while_a_worker_slept_ns,
            excerpt.longest_queued_while_a_worker_slept_ns,
        ] {
            let _ = write!(
                html,
                "<td class=\"figure\">{}</td>",
                units::duration_ns(ns as f64)
            );
        }
        let (window, wall) = (excerpt.window_ns, excerpt.wall_ns);
        let recorded = if window < wall {
            format!(
                "the first {} of {}",
                units::duration_ns(window as f64),
                units::duration_ns(wall as f64)
            )
        } else {
            format!("all {}", units::duration_ns(wall as f64))
        };
        let _ = writeln!(html, "<td class=\"figure\">{recorded}</td></tr>");
    }
    html.push_str("</tbody></table></div>\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up_to_the_whole_for_any_stored_total() {
        let time = TimeSplit {
            running_ns: 3,
            asleep_with_work_ns: 1,
            total_ns: u64::MAX,
            ..TimeSplit::default()
        };
        let shares = shares(&time);
        assert_eq!(shares[0], ("running tasks", 0.75));
        assert_eq!(shares[3], ("asleep with work queued", 0.25));
        let huge = TimeSplit {
            running_ns: u64::MAX,
            kernel_ns: u64::MAX,
            ..TimeSplit::default()
        };
        let sum: f64 = super::shares(&huge).iter().map(|(_, share)| share).sum();
        assert!((sum - 1.0).abs() < 1e-9);
        assert_eq!(super::shares(&TimeSplit::default())[0].1, 0.0);
    }
}
