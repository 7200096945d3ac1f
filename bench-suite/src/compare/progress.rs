//! Progress: a bar on a terminal, plain lines elsewhere, or nothing on request.

use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::terminal;

/// Shows progress on standard error. Draws nothing while a child runs, because that would cost the child time.
#[derive(Debug)]
pub(super) enum Progress {
    Bar(ProgressBar),
    Lines,
    Silent,
}

impl Progress {
    pub(super) fn new(processes: u64, silent: bool) -> Self {
        if silent {
            Self::Silent
        } else if std::io::stderr().is_terminal() {
            // No ticker thread: redraw only between processes.
            let bar = ProgressBar::with_draw_target(
                Some(processes),
                ProgressDrawTarget::stderr_with_hz(4),
            );
            let style = ProgressStyle::with_template("{bar:24} {pos}/{len} {elapsed} {wide_msg}")
                .unwrap_or_else(|_| ProgressStyle::default_bar());
            bar.set_style(style);
            Self::Bar(bar)
        } else {
            Self::Lines
        }
    }

    /// Begins a round.
    pub(super) fn round(&self, round: u32, rounds: u32, elapsed: Duration) {
        if let Self::Lines = self {
            let seconds = elapsed.as_secs_f64();
            terminal::say(&format!("round {} of {rounds}, {seconds:.0} s", round + 1));
        }
    }

    /// Begins a process.
    pub(super) fn process(&self, round: u32, workload: &str, runtime: &str) {
        if let Self::Bar(bar) = self {
            bar.set_message(format!("round {}: {workload} under {runtime}", round + 1));
        }
    }

    /// Ends a process, or skips it.
    pub(super) fn done(&self) {
        if let Self::Bar(bar) = self {
            bar.inc(1);
        }
    }

    /// Prints something that the user should know now.
    pub(super) fn say(&self, line: &str) {
        match self {
            Self::Bar(bar) => bar.suspend(|| terminal::say(line)),
            Self::Lines => terminal::say(line),
            Self::Silent => {}
        }
    }

    pub(super) fn finish(&self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}
