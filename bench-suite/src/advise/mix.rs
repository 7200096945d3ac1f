//! The mix of a service, from flags or answers.

use crate::cli::AdviseArgs;
use crate::error::{CommandError, usage};

/// What a service does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Mix {
    pub(super) connections: u64,
    pub(super) wait_us: u64,
    pub(super) cpu_us: u64,
    /// The share of requests that block, from 0 to 1.
    pub(super) blocking: f64,
    pub(super) block_us: u64,
    pub(super) p99_ms: f64,
}

impl Default for Mix {
    fn default() -> Self {
        Self {
            connections: 64,
            wait_us: 500,
            cpu_us: 50,
            blocking: 0.0,
            block_us: 1_000,
            p99_ms: 10.0,
        }
    }
}

impl Mix {
    /// The values of the flags, with defaults for the rest.
    ///
    /// # Errors
    /// [`CommandError::Usage`] for an invalid share.
    pub(super) fn of(arguments: &AdviseArgs) -> Result<Self, CommandError> {
        let usual = Self::default();
        let blocking = arguments.blocking.as_deref().map(share).transpose();
        let mix = Self {
            connections: arguments.connections.unwrap_or(usual.connections),
            wait_us: arguments.wait_us.unwrap_or(usual.wait_us),
            cpu_us: arguments.cpu_us.unwrap_or(usual.cpu_us),
            blocking: blocking
                .map_err(|why| usage(format!("--blocking {why}")))?
                .unwrap_or(usual.blocking),
            block_us: arguments.block_us.unwrap_or(usual.block_us),
            p99_ms: arguments.p99_ms.unwrap_or(usual.p99_ms),
        };
        let least_ms = (mix.wait_us + mix.cpu_us) as f64 / 1e3;
        if mix.p99_ms <= least_ms {
            return Err(usage(format!(
                "--p99-ms {}: a request alone waits and computes for {least_ms} ms; take a longer target or less work",
                mix.p99_ms
            )));
        }
        Ok(mix)
    }

    /// As values of the workload's parameters, for `--param`.
    pub(super) fn params(&self) -> Vec<String> {
        [
            ("connections", self.connections),
            ("wait_us", self.wait_us),
            ("cpu_us", self.cpu_us),
            ("block_percent", (self.blocking * 100.0).round() as u64),
            ("block_us", self.block_us),
        ]
        .map(|(name, value)| format!("{name}={value}"))
        .to_vec()
    }
}

/// Parses `0.05` or `5%` as a share of all.
pub(super) fn share(text: &str) -> Result<f64, String> {
    let (number, scale) = match text.trim().strip_suffix('%') {
        Some(number) => (number, 0.01),
        None => (text, 1.0),
    };
    let share = number.trim().parse::<f64>().map(|number| number * scale);
    match share {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err(format!(
            "{}: expected a share of the requests from 0 to 1, or a percentage such as 5%",
            text.escape_debug()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_number_or_a_percentage() {
        assert_eq!((share("0.05"), share("5%")), (Ok(0.05), Ok(0.05)));
        assert_eq!((share("1"), share(" 100 %")), (Ok(1.0), Ok(1.0)));
        for bad in ["5", "-0.1", "many", "", "nan", "120%"] {
            assert!(share(bad).is_err(), "{bad}");
        }
    }
}
