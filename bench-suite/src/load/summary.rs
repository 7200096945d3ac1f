//! Formats a report for people.

use std::fmt::Write as _;

use super::options::Protocol;
use super::report::{LoadReport, Percentiles};
use crate::terminal::wrapped;

/// The text, in lines of at most `width`.
pub(super) fn of(report: &LoadReport, width: Option<usize>) -> String {
    let options = &report.options;
    let seconds = report.wall_ns as f64 / 1e9;
    let mut text = match options.protocol {
        Protocol::Echo => format!("echo of {} bytes", options.bytes),
        Protocol::Http => "http GET /".to_owned(),
    };
    let pace = match options.rate {
        Some(rate) => format!("open loop at {rate} requests/s"),
        None => "closed loop".to_owned(),
    };
    let _ = writeln!(
        text,
        " at {}, {} connections, {pace}, {seconds:.2} s",
        options.server, options.connections
    );
    let per_second = match report.requests {
        0 => String::new(),
        requests => format!(" ({} per second)", rate(requests as f64 / seconds)),
    };
    let _ = writeln!(
        text,
        "requests   {}{per_second}, all answers correct",
        report.requests
    );
    if report.interrupted {
        let _ = writeln!(
            text,
            "interrupted {} in flight: these are the results so far",
            report.unanswered
        );
    }
    if report.unstarted > 0 {
        let _ = writeln!(
            text,
            "unstarted  {}: due, but no connection was free; the server can't sustain this rate",
            report.unstarted
        );
    }
    let _ = writeln!(text, "latency    {}", percentiles(&report.latency_ns));
    if let Some(lateness) = &report.client_late_ns {
        let _ = writeln!(text, "lateness   {}", percentiles(lateness));
    }
    let busy = 100.0 * report.client_cpu_ns as f64 / report.wall_ns as f64;
    let note = if report.client_bound() {
        ": it may be what limits the rate"
    } else {
        ""
    };
    let _ = writeln!(text, "client     {busy:.0}% of one core{note}");
    let lines = text.lines().map(|line| wrapped(line, width, 11) + "\n");
    lines.collect()
}

/// A rate per second; small ones have decimals.
fn rate(per_second: f64) -> String {
    let digits = match per_second {
        ..10.0 => 2,
        ..100.0 => 1,
        _ => 0,
    };
    format!("{per_second:.digits$}")
}

fn percentiles(p: &Percentiles) -> String {
    format!(
        "p50 {}  p90 {}  p99 {}  p99.9 {}  max {}",
        duration(p.p50),
        duration(p.p90),
        duration(p.p99),
        duration(p.p999),
        duration(p.max)
    )
}

fn duration(ns: u64) -> String {
    let ns = ns as f64;
    if ns < 1e3 {
        format!("{ns:.0} ns")
    } else if ns < 1e6 {
        format!("{:.1} us", ns / 1e3)
    } else if ns < 1e9 {
        format!("{:.2} ms", ns / 1e6)
    } else {
        format!("{:.2} s", ns / 1e9)
    }
}

#[cfg(test)]
mod tests {
    use super::{duration, rate};

    #[test]
    fn slow_rates_keep_their_digits() {
        assert_eq!([0.5, 12.34, 1118.4].map(rate), ["0.50", "12.3", "1118"]);
    }

    #[test]
    fn durations_have_the_unit_that_suits_them() {
        assert_eq!(
            [999, 1_500, 2_340_000, 61_000_000_000].map(duration),
            ["999 ns", "1.5 us", "2.34 ms", "61.00 s"]
        );
    }
}
