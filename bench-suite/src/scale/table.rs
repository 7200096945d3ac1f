//! The tables of `lab scale`.

use std::fmt::Write as _;

use super::measured::{Curve, Fitted, Measured, Point};
use crate::terminal::{self, wrapped};
use crate::{environment, narrow, summary, units};

pub(super) fn terminal(measured: &Measured) -> String {
    let width = terminal::width();
    let mut text = String::new();
    for curve in &measured.curves {
        one(&mut text, curve, width);
    }
    let legend = "Speed-up: rate / rate with one worker, in the same round. Efficiency: speed-up for each core in use. \
                  * more workers than cores.";
    let _ = writeln!(text, "{}", wrapped(legend, width, 2));
    if let Some(doubts) = environment::doubts(&measured.environment) {
        let _ = writeln!(text, "{}", wrapped(&format!("Note: {doubts}."), width, 2));
    }
    text
}

fn one(text: &mut String, curve: &Curve, width: Option<usize>) {
    let parameters = summary::parameters(&curve.params);
    let _ = writeln!(
        text,
        "\n{} ({parameters}) under {}",
        curve.workload, curve.runtime
    );
    let rows: Vec<Vec<String>> = curve.points.iter().map(row).collect();
    let header = [
        "workers",
        "ops/s",
        "speed-up [95% CI]",
        "efficiency",
        "CPU/op",
    ];
    text.push_str(&narrow::table(&header, &rows, width));
    let line = match (&curve.error, &curve.law) {
        (Some(error), _) => format!("Not complete: {error}"),
        (None, Some(law)) => in_words(law),
        (None, None) => "Too few numbers of workers for the universal scalability law.".to_owned(),
    };
    let _ = writeln!(text, "{}", wrapped(&line, width, 2));
}

fn row(point: &Point) -> Vec<String> {
    let shown = |value: Option<f64>, show: &dyn Fn(f64) -> String| {
        value.map_or_else(|| "-".to_owned(), |value| show(value).trim().to_owned())
    };
    let mark = if point.oversubscribed { "*" } else { "" };
    vec![
        format!("{}{mark}", point.workers),
        shown(point.rate_per_s, &units::rate),
        units::ratio(point.speed_up, point.speed_up_ci95),
        shown(point.efficiency, &units::percent),
        shown(point.cpu_ns_per_op, &units::duration_ns),
    ]
}

fn in_words(law: &Fitted) -> String {
    let interval = |interval: Option<[f64; 2]>| {
        interval.map_or_else(String::new, |[low, high]| format!(" [{low:.4}, {high:.4}]"))
    };
    let most = match law.most_workers {
        Some(most) => format!("slower from {most:.0} workers on"),
        None => "never gets slower".to_owned(),
    };
    let about = if law.oversubscribed {
        "; with points beyond the cores, so it describes threads, not cores"
    } else {
        ""
    };
    format!(
        "Universal scalability law: contention {:.4}{}, coherence {:.4}{}, {most}{about}.",
        law.sigma,
        interval(law.sigma_ci95),
        law.kappa,
        interval(law.kappa_ci95)
    )
}
