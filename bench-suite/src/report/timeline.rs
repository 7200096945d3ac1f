//! The start of each arm's timeline: a still picture of the threads, and the data from which a script builds a page
//! that you can zoom and search.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::colours;
use super::html::{Text, plural};
use super::time_split;
use crate::summary::{Row, Section};
use crate::timeline;
use crate::timeline::lanes::{Activity, COLUMNS, lanes};
use crate::trace::{Excerpt, Run};
use crate::units;

/// The most lanes per arm. Under 1:1 each task has a thread.
const MAX_LANES: usize = 6;
/// The most events in all timelines together: half a megabyte, so that the report stays below two.
const MAX_EVENTS: usize = 80_000;

/// The timelines of one section: each recorded arm with its events.
pub(super) type Timelines<'a> = Vec<(&'a Row, &'a Excerpt, Run)>;

/// The timelines of every section, cut so that all of them fit on one page.
pub(super) fn of(sections: &[Section]) -> Vec<Timelines<'_>> {
    let decoded = |section| -> Timelines<'_> {
        time_split::traced(section)
            .filter_map(|(row, excerpt)| Some((row, excerpt, excerpt.timeline()?)))
            .filter(|(_, _, run)| !run.events.is_empty())
            .collect()
    };
    let mut all: Vec<Timelines<'_>> = sections.iter().map(decoded).collect();
    let runs = all.iter().map(Vec::len).sum::<usize>();
    let most = MAX_EVENTS / runs.max(1);
    for (_, _, run) in all.iter_mut().flatten() {
        if run.events.len() > most {
            *run = run.first(most, run.wall_ns);
        }
    }
    all
}

/// The data from which the script builds pages: one entry per section.
pub(super) fn data(all: &[Timelines<'_>]) -> Value {
    all.iter()
        .map(|timelines| {
            let runs = timelines.iter();
            let runs = runs.map(|(row, _, run)| timeline::packed(run, &row.label));
            json!({ "runs": runs.collect::<Vec<Value>>() })
        })
        .collect()
}

pub(super) fn render(html: &mut String, index: usize, timelines: &Timelines<'_>) {
    if timelines.is_empty() {
        return;
    }
    let until = shared_ns(timelines);
    html.push_str("<h3>Timeline</h3>\n<div class=\"lanes\">\n");
    for (row, excerpt, run) in timelines {
        arm(html, row, excerpt, run, until);
    }
    axis(html, until);
    html.push_str("</div>\n");
    legend(html);
    let _ = writeln!(
        html,
        "<p class=\"caption\">What the threads did in the first {} of their traced runs, on one axis of time.</p>\n\
         <div class=\"timeline\" data-timeline=\"{index}\"><button type=\"button\" hidden>Open the tasks' \
         timeline</button></div>",
        units::duration_ns(until as f64),
    );
}

/// The axis below the lanes.
pub(crate) fn axis(html: &mut String, until_ns: u64) {
    let _ = writeln!(
        html,
        "<div class=\"lane axis\" aria-hidden=\"true\"><span></span><div><span>0</span><span>{}</span><span>{}</span>\
         </div></div>",
        units::duration_ns(until_ns as f64 / 2.0),
        units::duration_ns(until_ns as f64),
    );
}

/// The meaning of the marks in the lanes.
pub(crate) fn legend(html: &mut String) {
    html.push_str(
        "<ul class=\"legend\" aria-hidden=\"true\"><li><span class=\"key part-running\"></span>runs a task</li>\
         <li><span class=\"key part-scheduling\"></span>awake between tasks</li>\
         <li><span class=\"key part-searching\"></span>searches for work</li>\
         <li><span class=\"key lane-asleep\"></span>asleep</li></ul>\n",
    );
}

/// The length of the picture: as long as every truncated run still has events.
fn shared_ns(timelines: &Timelines<'_>) -> u64 {
    let cut = timelines
        .iter()
        .filter(|(_, excerpt, run)| run.wall_ns < excerpt.wall_ns);
    let shortest = cut.map(|(_, _, run)| run.wall_ns).min();
    let longest = timelines.iter().map(|(_, _, run)| run.wall_ns).max();
    shortest.or(longest).unwrap_or(0).max(1)
}

fn arm(html: &mut String, row: &Row, excerpt: &Excerpt, run: &Run, until: u64) {
    let whole = if run.wall_ns < excerpt.wall_ns {
        format!("of {}", units::duration_ns(excerpt.wall_ns as f64))
    } else {
        format!("{} in all", units::duration_ns(excerpt.wall_ns as f64))
    };
    picture(html, run, &row.label, &whole, until);
}

/// A still picture of a run's threads up to `until`, with a heading.
pub(crate) fn picture(html: &mut String, run: &Run, label: &str, small: &str, until: u64) {
    let lanes = lanes(run, until);
    let more = lanes.len().saturating_sub(MAX_LANES);
    let more = if more > 0 {
        format!("; {more} more thread{} not drawn", plural(more))
    } else {
        String::new()
    };
    let _ = writeln!(
        html,
        "<div class=\"arm\" style=\"--run: var(--run-{})\"><p><strong>{}</strong> <small>{}{more}</small></p>",
        colours::hue(&run.runtime),
        Text(label),
        Text(small),
    );
    for lane in lanes.iter().take(MAX_LANES) {
        let share = lane.running_ns as f64 / until as f64 * 100.0;
        let _ = write!(
            html,
            "<div class=\"lane\"><span title=\"{0}\">{0}</span><svg viewBox=\"0 0 {COLUMNS} 10\" \
             preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{0}: runs tasks for {share:.0}% of the time\">",
            Text(&lane.name)
        );
        for doing in Activity::ALL {
            let mut path = String::new();
            for (_, from, length) in lane.spans.iter().filter(|(what, _, _)| *what == doing) {
                let _ = write!(path, "M{from} 5h{length}");
            }
            if !path.is_empty() {
                let _ = write!(html, "<path class=\"lane-{}\" d=\"{path}\"/>", class(doing));
            }
        }
        html.push_str("</svg></div>\n");
    }
    html.push_str("</div>\n");
}

fn class(doing: Activity) -> &'static str {
    match doing {
        Activity::Running => "running",
        Activity::Searching => "searching",
        Activity::Scheduling => "scheduling",
        Activity::Asleep => "asleep",
    }
}
