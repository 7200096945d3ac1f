//! A workload as it is listed: its name, its parameters, and what its figures mean.

use std::collections::BTreeMap;

/// The kind of question that a workload answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// The program mostly waits.
    Io,
    /// Only more cores help.
    Cpu,
    /// The costs of the scheduler itself.
    Scheduling,
}

impl Group {
    /// All groups, in display order.
    pub const ALL: [Self; 3] = [Self::Io, Self::Cpu, Self::Scheduling];

    /// The group's name in headings.
    pub fn title(self) -> &'static str {
        match self {
            Self::Io => "IO-bound",
            Self::Cpu => "CPU-bound",
            Self::Scheduling => "Scheduling",
        }
    }
}

/// How load is generated, which determines the meaning of latency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Requests start at intended times, whether or not earlier ones have ended.
    Open,
    /// A connection's next request starts when its last one has ended.
    Closed,
    /// A fixed amount of work, timed as a whole.
    Batch,
}

impl Mode {
    /// The mode's name in results.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
            Self::Batch => "batch",
        }
    }
}

/// A parameter of a workload.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    /// The name, as in `--param NAME=VALUE`.
    pub name: &'static str,
    /// Its meaning in one line, with its unit.
    pub about: &'static str,
    /// The default value.
    pub default: u64,
    /// The smallest allowed value.
    pub min: u64,
    /// The largest allowed value.
    pub max: u64,
}

/// A workload as `lab list` shows it.
#[derive(Clone, Copy, Debug)]
pub struct Workload {
    /// The name in commands and results.
    pub name: &'static str,
    /// The kind of question.
    pub group: Group,
    /// How load is generated with the default parameters; see [`mode_with`](Workload::mode_with).
    pub mode: Mode,
    /// What it stresses, in one line.
    pub about: &'static str,
    /// What one operation is, in one line.
    pub op: &'static str,
    /// Its parameters. `--size` sets the one named `size`.
    pub parameters: &'static [Parameter],
    /// The figure that verdicts are about: `wall_ns_per_op`, `cpu_ns_per_op`, `latency_p99_ns` or `bytes_per_task`.
    pub metric: &'static str,
}

impl Workload {
    /// How load is generated with these parameters: a parameter named `rate` selects the open loop, or the closed
    /// loop if it is 0.
    pub fn mode_with(&self, values: &BTreeMap<String, u64>) -> Mode {
        match values.get("rate") {
            Some(0) => Mode::Closed,
            Some(_) => Mode::Open,
            None => self.mode,
        }
    }
}
