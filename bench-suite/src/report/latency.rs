//! Curves of latency against load, capacities and advice.

use std::fmt::Write as _;

use super::colours;
use super::html::Text;
use crate::curves::{by_cell, capacity_lines};
use crate::results::{LoadCurve, Results};
use crate::summary::{self, Section};
use crate::units;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 320.0;
const LEFT: f64 = 70.0;
const BOTTOM: f64 = 40.0;

/// Advice, capacities, and the curves of workloads without a section.
pub(super) fn render(html: &mut String, results: &Results, sections: &[Section]) {
    if let Some(advice) = &results.advice {
        html.push_str("<section id=\"advice\">\n<h2>Advice</h2>\n");
        for line in &advice.said {
            let _ = writeln!(html, "<p>{}</p>", Text(line));
        }
        html.push_str("</section>\n");
    }
    let named = |workload: &str, params| format!("{workload} ({})", summary::parameters(params));
    for capacities in by_cell(&results.capacities, |one| {
        (one.workload.clone(), one.params.clone())
    }) {
        let first = capacities[0];
        let _ = write!(
            html,
            "<section class=\"capacity\">\n<h2>Capacity at p99 &le; {}: {}</h2>\n<ul>\n",
            Text(&units::duration_ns(first.p99_target_ns)),
            Text(&named(&first.workload, &first.params))
        );
        for line in capacity_lines(&capacities) {
            let _ = writeln!(html, "<li>{}</li>", Text(&line));
        }
        html.push_str("</ul>\n</section>\n");
    }
    for curves in by_cell(&results.curves, |one| {
        (one.workload.clone(), one.params.clone())
    }) {
        let first = curves[0];
        let has_section = |section: &Section| is_of(section, first);
        if !sections.iter().any(has_section) {
            let _ = writeln!(
                html,
                "<section class=\"curves\">\n<h2>Latency against load: {}</h2>",
                Text(&named(&first.workload, &first.params))
            );
            drawn(html, &curves);
            html.push_str("</section>\n");
        }
    }
}

/// The curves of one section.
pub(super) fn curves(html: &mut String, section: &Section, results: &Results) {
    let curves: Vec<&LoadCurve> = results
        .curves
        .iter()
        .filter(|one| is_of(section, one))
        .collect();
    if !curves.is_empty() {
        html.push_str("<h3>Latency against load</h3>\n");
        drawn(html, &curves);
    }
}

fn is_of(section: &Section, curve: &LoadCurve) -> bool {
    section.choices_of.is_none()
        && section.workload.name == curve.workload
        && section.params == curve.params
}

fn drawn(html: &mut String, curves: &[&LoadCurve]) {
    html.push_str(
        "<p>p99 from intended starts (open loop, lines) over requests a second; squares: the closed loop, which \
         hides waiting where all connections wait; hollow points do not count or are saturated.</p>\n",
    );
    chart(html, curves);
}

/// A logarithmic axis.
struct Axis {
    low: f64,
    high: f64,
}

impl Axis {
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let (low, high) = values
            .filter(|value| value.is_finite() && *value > 0.0)
            .fold((f64::INFINITY, 0.0_f64), |(low, high), value| {
                (low.min(value), high.max(value))
            });
        Self {
            low: low * 0.8,
            high: high * 1.25,
        }
    }

    /// A value's position on the axis, from 0 to 1.
    fn place(&self, value: f64) -> f64 {
        ((value / self.low).ln() / (self.high / self.low).ln()).clamp(0.0, 1.0)
    }

    /// Powers of ten, and their multiples by two and five.
    fn ticks(&self) -> Vec<f64> {
        let first = self.low.log10().floor() as i32;
        let last = self.high.log10().ceil() as i32;
        (first..=last)
            .flat_map(|power| [1.0, 2.0, 5.0].map(|digit| digit * 10_f64.powi(power)))
            .filter(|tick| (self.low..=self.high).contains(tick))
            .collect()
    }
}

fn chart(html: &mut String, curves: &[&LoadCurve]) {
    let points = || {
        let all = curves
            .iter()
            .flat_map(|curve| curve.points.iter().chain(&curve.closed));
        all.filter(|point| point.p99_ns > 0.0)
    };
    if points().next().is_none() {
        return;
    }
    let rates = Axis::of(points().map(|point| point.offered_per_s.unwrap_or(point.answered_per_s)));
    let latencies = Axis::of(points().map(|point| point.p99_ns));
    let x = |rate: f64| LEFT + rates.place(rate) * (WIDTH - LEFT - 10.0);
    let y = |ns: f64| (HEIGHT - BOTTOM) - latencies.place(ns) * (HEIGHT - BOTTOM - 10.0);
    let _ = writeln!(
        html,
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"p99 latency against load\" \
         style=\"max-width:{WIDTH}px;width:100%\" font-size=\"11\" fill=\"currentColor\">"
    );
    for tick in rates.ticks() {
        let _ = writeln!(
            html,
            "<line x1=\"{0:.1}\" x2=\"{0:.1}\" y1=\"10\" y2=\"{1}\" stroke=\"currentColor\" stroke-opacity=\"0.15\"/>\
             <text x=\"{0:.1}\" y=\"{2}\" text-anchor=\"middle\">{3}/s</text>",
            x(tick),
            HEIGHT - BOTTOM,
            HEIGHT - BOTTOM + 16.0,
            Text(&units::rate(tick))
        );
    }
    for tick in latencies.ticks() {
        let _ = writeln!(
            html,
            "<line x1=\"{LEFT}\" x2=\"{1}\" y1=\"{0:.1}\" y2=\"{0:.1}\" stroke=\"currentColor\" \
             stroke-opacity=\"0.15\"/>\
             <text x=\"{2}\" y=\"{0:.1}\" text-anchor=\"end\" dominant-baseline=\"middle\">{3}</text>",
            y(tick),
            WIDTH - 10.0,
            LEFT - 6.0,
            Text(&units::duration_ns(tick))
        );
    }
    for curve in curves {
        let colour = format!("var(--run-{})", colours::hue(&curve.runtime));
        let open = curve.points.iter();
        let places: Vec<(f64, f64, bool, String)> = open
            .filter(|point| point.p99_ns > 0.0)
            .map(|point| {
                let rate = point.offered_per_s.unwrap_or(point.answered_per_s);
                let said = format!(
                    "{} at {}/s: p99 {}{}",
                    curve.runtime,
                    units::rate(rate),
                    units::duration_ns(point.p99_ns),
                    point
                        .doubt
                        .as_ref()
                        .map_or_else(String::new, |doubt| format!("; {doubt}"))
                );
                let counts = point.doubt.is_none() && !point.saturated;
                (x(rate), y(point.p99_ns), counts, said)
            })
            .collect();
        let line: Vec<String> = places
            .iter()
            .map(|(x, y, _, _)| format!("{x:.1},{y:.1}"))
            .collect();
        let _ = writeln!(
            html,
            "<polyline points=\"{}\" style=\"fill:none;stroke:{colour};stroke-width:1.5\"/>",
            line.join(" ")
        );
        for (x, y, counts, said) in &places {
            let fill = if *counts { colour.as_str() } else { "none" };
            let _ = writeln!(
                html,
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\" style=\"fill:{fill};stroke:{colour}\">\
                 <title>{}</title></circle>",
                Text(said)
            );
        }
        if let Some(closed) = &curve.closed {
            let said = format!(
                "{}, closed loop: p99 {}{}",
                curve.runtime,
                units::duration_ns(closed.p99_ns),
                closed
                    .doubt
                    .as_ref()
                    .map_or_else(String::new, |doubt| format!("; {doubt}"))
            );
            let fill = if closed.doubt.is_none() {
                colour.as_str()
            } else {
                "none"
            };
            let _ = writeln!(
                html,
                "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"8\" height=\"8\" \
                 style=\"fill:{fill};stroke:{colour}\"><title>{}</title></rect>",
                x(closed.answered_per_s) - 4.0,
                y(closed.p99_ns) - 4.0,
                Text(&said)
            );
        }
    }
    for (index, curve) in curves.iter().enumerate() {
        let colour = format!("var(--run-{})", colours::hue(&curve.runtime));
        let at = LEFT + index as f64 * 95.0;
        let _ = writeln!(
            html,
            "<circle cx=\"{at:.1}\" cy=\"{1}\" r=\"4\" style=\"fill:{colour}\"/>\
             <text x=\"{2:.1}\" y=\"{1}\" dominant-baseline=\"middle\">{0}</text>",
            Text(&curve.runtime),
            HEIGHT - 8.0,
            at + 8.0
        );
    }
    html.push_str("</svg>\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::{Advice, Capacity, LoadPoint};

    #[test]
    fn curves_capacities_and_advice_are_drawn_and_names_are_text() {
        let point = |rate: f64, p99_ns: f64, doubt: Option<&str>| LoadPoint {
            offered_per_s: Some(rate),
            answered_per_s: rate,
            p99_ns,
            doubt: doubt.map(str::to_owned),
            ..LoadPoint::default()
        };
        let results = Results {
            curves: vec![LoadCurve {
                workload: "echo".into(),
                runtime: "<mn>".into(),
                closed: Some(LoadPoint {
                    answered_per_s: 9000.0,
                    p99_ns: 3e6,
                    ..LoadPoint::default()
                }),
                points: vec![point(100.0, 1e5, None), point(10_000.0, 5e7, Some("late"))],
                ..LoadCurve::default()
            }],
            capacities: vec![Capacity {
                workload: "echo".into(),
                runtime: "n1".into(),
                per_s: Some(5000.0),
                p99_target_ns: 5e6,
                ..Capacity::default()
            }],
            advice: Some(Advice {
                said: vec!["Take M:N.".into()],
                ..Advice::default()
            }),
            ..Results::default()
        };
        let mut html = String::new();
        render(&mut html, &results, &[]);
        assert!(
            html.contains("<p>Take M:N.</p>") && html.contains("n1: 5.00 k/s"),
            "{html}"
        );
        assert!(
            html.contains("&lt;mn&gt; at 10.0 k/s: p99 50.0 ms; late") && !html.contains("<mn>")
        );
        assert_eq!(
            html.matches("r=\"4\" style=\"fill:none").count(),
            1,
            "what does not count is hollow"
        );
        assert!(!html.contains("NaN") && !html.contains("inf"), "{html}");
        let mut nothing = String::new();
        render(&mut nothing, &Results::default(), &[]);
        assert!(nothing.is_empty());
    }

    #[test]
    fn a_curve_stands_in_the_section_of_its_workload_and_only_there() {
        use crate::comparisons::tests::run;
        use crate::results::Role;

        let results = Results {
            runs: vec![run("mn", Role::Arm, 0, 1000)],
            curves: vec![LoadCurve {
                workload: "echo".into(),
                runtime: "mn".into(),
                ..LoadCurve::default()
            }],
            ..Results::default()
        };
        let sections = summary::sections(&results);
        let mut above = String::new();
        render(&mut above, &results, &sections);
        assert!(above.is_empty(), "{above}");
        let mut within = String::new();
        curves(&mut within, &sections[0], &results);
        assert!(within.contains("<h3>Latency against load</h3>"), "{within}");
        render(&mut above, &results, &[]);
        assert!(above.contains("<h2>Latency against load: echo"), "{above}");
    }
}
