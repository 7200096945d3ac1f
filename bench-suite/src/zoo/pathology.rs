//! A pathology: a program that is hard on schedulers, its measurement, and the bound that it must keep.

use std::fmt;

use super::client::Target;
use super::stage::Stage;

/// A problem that runtimes are known for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pathology {
    /// The name in commands and results.
    pub(crate) name: &'static str,
    /// The measurement, in one line.
    pub(crate) measured: &'static str,
    /// A paragraph on what goes wrong, and on what the program does.
    pub(crate) about: &'static str,
    /// The public issue behind it.
    pub(crate) issue: &'static str,
    /// The bound that the figure must keep.
    pub(crate) bound: Bound,
    /// The number of tasks, timers or connections.
    pub(crate) size: u64,
    /// The size with `--quick`.
    pub(crate) quick_size: u64,
    /// The program for Rust runtimes.
    pub(crate) program: Program,
    /// The lab's side, if the program is a server or is observed while it runs.
    pub(crate) drive: Option<Drive>,
    /// The program's limit on descriptors; `None` for the system's limit.
    pub(crate) descriptors: Option<u64>,
}

/// Runs under a Rust runtime in its own process. Returns the figure, or why the runtime failed.
pub(crate) type Program = fn(&Stage) -> Result<f64, String>;

/// Runs in the lab's process beside the program. Returns the figure, or why the runtime failed.
pub(crate) type Drive = fn(&Target) -> Result<f64, String>;

/// A bound for a figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Bound {
    /// Equal to the pathology's size, or more.
    All(&'static str),
    /// At least this much.
    AtLeast(f64, &'static str),
    /// At most this much.
    AtMost(f64, &'static str),
}

impl Bound {
    /// Whether `value` keeps the bound at `size`.
    pub(crate) fn holds(self, value: f64, size: u64) -> bool {
        match self {
            // A NaN keeps no bound.
            Self::All(_) => value >= size as f64,
            Self::AtLeast(least, _) => value >= least,
            Self::AtMost(most, _) => value <= most,
        }
    }

    /// The unit of the figure and the bound.
    pub(crate) fn unit(self) -> &'static str {
        match self {
            Self::All(unit) | Self::AtLeast(_, unit) | Self::AtMost(_, unit) => unit,
        }
    }

    /// The bound in words, at `size`.
    pub(crate) fn words(self, size: u64) -> String {
        match self {
            Self::All(unit) => format!("all {size} {unit}"),
            Self::AtLeast(least, unit) => format!("at least {} {unit}", Number(least)),
            Self::AtMost(most, unit) => format!("at most {} {unit}", Number(most)),
        }
    }
}

/// A figure as shown in a table: three digits, or all digits of a whole number.
pub(crate) struct Number(pub(crate) f64);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.0;
        if value.fract() == 0.0 || value.abs() >= 100.0 {
            write!(f, "{value:.0}")
        } else if value.abs() >= 10.0 {
            write!(f, "{value:.1}")
        } else {
            write!(f, "{value:.2}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_includes_its_own_value_and_excludes_nan() {
        assert!(Bound::All("x").holds(10.0, 10) && !Bound::All("x").holds(9.0, 10));
        assert!(Bound::AtLeast(3.0, "x").holds(3.0, 0) && !Bound::AtLeast(3.0, "x").holds(2.9, 0));
        assert!(Bound::AtMost(3.0, "x").holds(3.0, 0) && !Bound::AtMost(3.0, "x").holds(3.1, 0));
        for bound in [
            Bound::All("x"),
            Bound::AtLeast(0.0, "x"),
            Bound::AtMost(9.0, "x"),
        ] {
            assert!(!bound.holds(f64::NAN, 0), "{bound:?}");
        }
    }

    #[test]
    fn figures_are_short() {
        for (value, text) in [
            (10.0, "10"),
            (123_456.7, "123457"),
            (12.34, "12.3"),
            (0.123, "0.12"),
        ] {
            assert_eq!(Number(value).to_string(), text);
        }
    }
}
