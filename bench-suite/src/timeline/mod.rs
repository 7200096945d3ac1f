//! The page of a trace: one HTML file that shows the timelines of a program under several runtimes, offline.
//!
//! The runs are below each other on one time axis. The rows are the program's tasks, matched across the runs, or the
//! threads. The page's own script draws the picture on a canvas (`assets/`, one concern per file). The cost of a frame
//! depends on the number of pixels and not on the number of events. The page loads nothing, and its content security
//! policy forbids it. Names from the trace are inserted as text, never as markup.

mod columns;
pub(crate) mod lanes;
mod path;

use std::collections::HashMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::report::colours;
use crate::report::html::{Text, script_json};
use crate::trace::{Run, Trace};

const STYLE: [&str; 2] = [
    include_str!("../report/page.css"),
    include_str!("assets/timeline.css"),
];

/// In order of dependency.
const SCRIPT: [&str; 12] = [
    include_str!("assets/decode.js"),
    include_str!("assets/series.js"),
    include_str!("assets/model.js"),
    include_str!("assets/words.js"),
    include_str!("assets/rows.js"),
    include_str!("assets/draw.js"),
    include_str!("assets/overlay.js"),
    include_str!("assets/arrows.js"),
    include_str!("assets/view.js"),
    include_str!("assets/story.js"),
    include_str!("assets/controls.js"),
    include_str!("assets/main.js"),
];

const BODY: &str = include_str!("assets/body.html");

/// The page of `trace`, complete with style, script and data.
///
/// Events that were dropped during the recording are mentioned above the picture, in each run's heading, and beside
/// each story.
///
/// ```
/// use bench_suite::timeline;
/// use bench_suite::trace::{Run, Trace};
///
/// let trace = Trace {
///     workload: "spawn".to_owned(),
///     runs: vec![Run { runtime: "mn".to_owned(), ..Run::default() }],
///     ..Trace::default()
/// };
/// let page = timeline::page(&trace);
/// assert!(page.starts_with("<!doctype html>") && !page.contains("http://"));
/// ```
pub fn page(trace: &Trace) -> String {
    let labels = labels(trace);
    let runs = trace.runs.iter().zip(&labels);
    let runs: Vec<Value> = runs.map(|(run, label)| packed(run, label)).collect();
    let title = format!("Timeline of {}", trace.workload);
    let data = script_json(&json!({ "runs": runs }));
    whole(&title, &lead(trace, &labels), &data)
}

/// A page without data, for a script that has some. [`DATA`] marks the place of the data, which must be escaped so that
/// nothing in it can look like a tag.
pub(crate) fn template(lead: &str) -> String {
    whole("Timeline", lead, DATA)
}

/// The placeholder for the data in a [`template`].
pub(crate) const DATA: &str = "@the-data@";

fn whole(title: &str, lead: &str, data: &str) -> String {
    let mut html = String::new();
    html.push_str(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
         style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n",
    );
    let _ = write!(html, "<title>{}</title>\n<style>\n", Text(title));
    html.push_str(&STYLE.concat());
    html.push_str(&colours::style());
    let _ = write!(
        html,
        "</style>\n</head>\n<body>\n<header>\n<h1>{}</h1>\n<p class=\"how\">{}</p>\n</header>\n",
        Text(title),
        Text(lead),
    );
    html.push_str(BODY);
    let _ = write!(
        html,
        "<script type=\"application/json\" id=\"trace\">{data}</script>\n<script>\n(() => {{\n\"use strict\";\n",
    );
    for part in SCRIPT {
        html.push_str(part);
    }
    html.push_str("})();\n</script>\n</body>\n</html>\n");
    html
}

/// What was run, and under which runtimes.
fn lead(trace: &Trace, labels: &[String]) -> String {
    let mut text = format!("Under {}", labels.join(", "));
    for (name, value) in &trace.params {
        let _ = write!(text, "; {name} {}", plain(value));
    }
    let events: usize = trace.runs.iter().map(|run| run.events.len()).sum();
    let _ = write!(text, "; {events} events.");
    text
}

/// A name for each run: the runtime's, with its configuration if two runs have the same runtime.
fn labels(trace: &Trace) -> Vec<String> {
    let label = |run: &Run| {
        let same = |other: &&Run| other.runtime == run.runtime;
        if trace.runs.iter().filter(same).count() < 2 {
            return run.runtime.clone();
        }
        let config = run.config.iter();
        let config: Vec<String> = config
            .map(|(name, value)| format!("{name} {}", plain(value)))
            .collect();
        format!("{} ({})", run.runtime, config.join(", "))
    };
    trace.runs.iter().map(label).collect()
}

fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// A run in the format that the page's script reads.
pub(crate) fn packed(run: &Run, label: &str) -> Value {
    let mut names = Table::default();
    let mut sites = Table::default();
    let tasks = &run.tasks;
    let name: Vec<i64> = tasks.iter().map(|task| names.index(&task.name)).collect();
    let site = tasks.iter().map(|task| task.site.as_deref());
    let site: Vec<i64> = site
        .map(|site| site.map_or(-1, |site| sites.index(site)))
        .collect();
    let events = &run.events;
    json!({
        "runtime": run.runtime,
        "label": label,
        "hue": colours::hue(&run.runtime),
        "wall_ns": run.wall_ns,
        "dropped": run.dropped,
        "missing": run.missing,
        "threads": run.threads,
        "events": events.len(),
        "tasks": {
            "count": tasks.len(),
            "names": names.texts,
            "sites": sites.texts,
            "id": columns::numbers(tasks.iter().map(|task| i64::from(task.id))),
            "name": columns::numbers(name),
            "parent": columns::numbers(tasks.iter().map(|task| task.parent.map_or(-1, i64::from))),
            "site": columns::numbers(site),
        },
        "path": path::packed(run),
        "columns": {
            "t_ns": columns::rising(events.t_ns.iter().copied()),
            "thread": columns::numbers(events.thread.iter().map(|&id| i64::from(id))),
            "kind": columns::pack(&events.kind),
            "task": columns::steps(events.task.iter().copied()),
            "a": columns::numbers(events.a.iter().copied()),
            "b": columns::numbers(events.b.iter().copied()),
        },
    })
}

/// A table of strings, each stored once.
#[derive(Default)]
struct Table {
    texts: Vec<String>,
    places: HashMap<String, i64>,
}

impl Table {
    fn index(&mut self, text: &str) -> i64 {
        if let Some(&place) = self.places.get(text) {
            return place;
        }
        let place = self.texts.len() as i64;
        self.texts.push(text.to_owned());
        self.places.insert(text.to_owned(), place);
        place
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{Event, Events, Kind, Task, Thread, ThreadKind};

    /// A run with one task called `name`, and one poll of it.
    fn run(runtime: &str, name: &str) -> Run {
        let mut events = Events::default();
        for (t_ns, kind) in [(1, Kind::Spawn), (5, Kind::PollBegin), (9, Kind::PollEnd)] {
            events.push(Event {
                t_ns,
                thread: 0,
                kind,
                task: 7,
                a: -1,
                b: -1,
            });
        }
        Run {
            runtime: runtime.to_owned(),
            wall_ns: 10,
            threads: vec![Thread {
                id: 0,
                name: name.to_owned(),
                kind: ThreadKind::Worker,
            }],
            tasks: vec![Task {
                id: 7,
                name: name.to_owned(),
                parent: None,
                site: Some(name.to_owned()),
            }],
            events,
            ..Run::default()
        }
    }

    /// The data of a page, as its script would read it.
    fn data(page: &str) -> Value {
        let start = "<script type=\"application/json\" id=\"trace\">";
        let (_, rest) = page.split_once(start).unwrap();
        let (data, _) = rest.split_once("</script>").unwrap();
        serde_json::from_str(data).unwrap()
    }

    #[test]
    fn names_enter_the_page_as_text() {
        let hostile = "</script><script>alert(1)</script><!--";
        let trace = Trace {
            workload: hostile.to_owned(),
            runs: vec![run(hostile, hostile)],
            ..Trace::default()
        };
        let page = page(&trace);
        assert!(!page.contains("alert(1)</script>"));
        assert_eq!(data(&page)["runs"][0]["threads"][0]["name"], hostile);
        assert_eq!(data(&page)["runs"][0]["tasks"]["names"][0], hostile);
    }

    #[test]
    fn dropped_and_unseen_events_are_noted_on_the_page() {
        let mut one = run("mn", "a");
        one.dropped = 1234;
        one.missing = vec!["steals".to_owned()];
        let trace = Trace {
            runs: vec![one],
            ..Trace::default()
        };
        assert_eq!(data(&page(&trace))["runs"][0]["dropped"], 1234);
        assert_eq!(data(&page(&trace))["runs"][0]["missing"], json!(["steals"]));
    }

    #[test]
    fn the_critical_path_is_in_the_page_of_a_complete_run_only() {
        let whole = run("mn", "a");
        let cut = Run {
            dropped: 1,
            ..whole.clone()
        };
        let trace = Trace {
            runs: vec![whole, cut],
            ..Trace::default()
        };
        let data = data(&page(&trace));
        assert_eq!(data["runs"][0]["path"]["count"], 1);
        assert!(data["runs"][1]["path"].is_null());
    }

    #[test]
    fn two_runs_of_one_runtime_are_distinguished_by_their_configuration() {
        let with = |policy: &str| Run {
            config: [("policy".to_owned(), json!(policy))].into(),
            ..run("mn", "a")
        };
        let trace = Trace {
            runs: vec![with("go-like"), with("fifo"), run("n1", "a")],
            ..Trace::default()
        };
        assert_eq!(
            labels(&trace),
            ["mn (policy go-like)", "mn (policy fifo)", "n1"]
        );
    }

    #[test]
    fn a_million_events_take_a_few_megabytes() {
        let mut run = run("mn", "a");
        run.events = Events::default();
        for k in 0..1_000_000_u64 {
            run.events.push(Event {
                t_ns: k * 130 + k * k % 101,
                thread: (k % 2) as u32,
                kind: Kind::ALL[(k % 5) as usize],
                task: (k * 7 % 1000) as i64,
                a: (k * 13 % 1000) as i64,
                b: (k % 4) as i64 - 1,
            });
        }
        let trace = Trace {
            runs: vec![run],
            ..Trace::default()
        };
        let size = page(&trace).len();
        assert!(size < 8_000_000, "{size} bytes");
    }
}
