//! The tables of `lab scale`.

use std::fmt::Write as _;

use super::{Curve, Fitted, Measured};
use crate::terminal::{self, wrapped};
use crate::{environment, summary, units};

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
    let mut table = comfy_table::Table::new();
    table.load_preset(comfy_table::presets::NOTHING);
    table.set_content_arrangement(comfy_table::ContentArrangement::Dynamic);
    if let Some(width) = width {
        table.set_width(u16::try_from(width).unwrap_or(u16::MAX));
    }
    table.set_header([
        "workers",
        "ops/s",
        "speed-up [95% CI]",
        "efficiency",
        "CPU/op",
    ]);
    for point in &curve.points {
        let shown = |value: Option<f64>, show: &dyn Fn(f64) -> String| {
            value.map_or_else(|| "-".to_owned(), |value| show(value).trim().to_owned())
        };
        table.add_row([
            format!(
                "{}{}",
                point.workers,
                if point.oversubscribed { "*" } else { "" }
            ),
            shown(point.rate_per_s, &units::rate),
            units::ratio(point.speed_up, point.speed_up_ci95),
            shown(point.efficiency, &units::percent),
            shown(point.cpu_ns_per_op, &units::duration_ns),
        ]);
    }
    let _ = writeln!(text, "{table}");
    let line = match (&curve.error, &curve.law) {
        (Some(error), _) => format!("Not complete: {error}"),
        (None, Some(law)) => in_words(law),
        (None, None) => "Too few numbers of workers for the universal scalability law.".to_owned(),
    };
    let _ = writeln!(text, "{}", wrapped(&line, width, 2));
}

fn in_words(law: &Fitted) -> String {
    let interval = |interval: Option<[f64; 2]>| {
        interval.map_or_else(String::new, |[low, high]| format!(" [{low:.4}, {high:.4}]"))
    };
    let most = match law.most_workers {
        Some(most) => format!("slower from {most:.0} workers on"),
        None => "no number from which it gets slower".to_owned(),
    };
    let about = if law.oversubscribed {
        "; with points beyond the cores, so that it is about threads and not about cores"
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
