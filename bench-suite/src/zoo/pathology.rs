//! What a pathology is: a program that is hard on schedulers, what is measured in it, and the bound to be kept.

use std::fmt;

use super::client::Target;
use super::stage::Stage;

/// One trouble that runtimes are known for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pathology {
    /// The name in commands and results.
    pub(crate) name: &'static str,
    /// What is measured, in one line.
    pub(crate) measured: &'static str,
    /// A paragraph: what goes wrong, and what the program does.
    pub(crate) about: &'static str,
    /// The public issue that it comes from.
    pub(crate) issue: &'static str,
    /// What the figure must keep to.
    pub(crate) bound: Bound,
    /// How much of it: tasks, timers, connections.
    pub(crate) size: u64,
    /// The same with `--quick`.
    pub(crate) quick_size: u64,
    /// The program under a Rust runtime.
    pub(crate) program: Program,
    /// What the lab does from outside, if the program is a server or is looked at while it runs.
    pub(crate) drive: Option<Drive>,
    /// Descriptors that the program may have; `None` is the system's limit.
    pub(crate) descriptors: Option<u64>,
}

/// Runs under a Rust runtime, in a process of its own; the figure, or why the runtime failed.
pub(crate) type Program = fn(&Stage) -> Result<f64, String>;

/// Runs in the lab's process while the program runs in another; the figure, or why the runtime failed.
pub(crate) type Drive = fn(&Target) -> Result<f64, String>;

/// What a figure must keep to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Bound {
    /// Of the pathology's size, all.
    All(&'static str),
    /// So much or more.
    AtLeast(f64, &'static str),
    /// So much or less.
    AtMost(f64, &'static str),
}

impl Bound {
    /// Whether `value` keeps to it, at a size.
    pub(crate) fn holds(self, value: f64, size: u64) -> bool {
        match self {
            // What isn't a number keeps no bound.
            Self::All(_) => value >= size as f64,
            Self::AtLeast(least, _) => value >= least,
            Self::AtMost(most, _) => value <= most,
        }
    }

    /// The unit of figure and bound.
    pub(crate) fn unit(self) -> &'static str {
        match self {
            Self::All(unit) | Self::AtLeast(_, unit) | Self::AtMost(_, unit) => unit,
        }
    }

    /// The bound in words, at a size.
    pub(crate) fn words(self, size: u64) -> String {
        match self {
            Self::All(unit) => format!("all {size} {unit}"),
            Self::AtLeast(least, unit) => format!("at least {} {unit}", Number(least)),
            Self::AtMost(most, unit) => format!("at most {} {unit}", Number(most)),
        }
    }
}

/// A figure as it stands in a table: three digits, or all of a whole number.
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
    fn a_bound_is_kept_up_to_its_own_value_and_never_by_what_is_no_number() {
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
