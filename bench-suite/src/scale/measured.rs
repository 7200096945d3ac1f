//! The figures in their stored form.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::results::Environment;

/// A workload under a runtime.
#[derive(Debug, Serialize)]
pub(super) struct Curve {
    pub(super) workload: String,
    pub(super) params: BTreeMap<String, u64>,
    pub(super) runtime: String,
    pub(super) points: Vec<Point>,
    /// The universal scalability law; null with too few numbers of workers.
    pub(super) law: Option<Fitted>,
    /// Why figures are missing.
    pub(super) error: Option<String>,
}

/// The figures for one number of workers.
#[derive(Debug, Serialize)]
pub(super) struct Point {
    pub(super) workers: usize,
    /// Whether there are more workers than cores.
    pub(super) oversubscribed: bool,
    /// Operations per second, the median.
    pub(super) rate_per_s: Option<f64>,
    /// The ratio of rates to that of one worker.
    pub(super) speed_up: Option<f64>,
    pub(super) speed_up_ci95: Option<[f64; 2]>,
    /// Speed-up per core that the workers can use.
    pub(super) efficiency: Option<f64>,
    pub(super) cpu_ns_per_op: Option<f64>,
    /// Round, operations per second, CPU time per operation.
    pub(super) rounds: Vec<(u32, f64, f64)>,
}

#[derive(Debug, Serialize)]
pub(super) struct Fitted {
    pub(super) lambda_per_s: f64,
    pub(super) sigma: f64,
    pub(super) sigma_ci95: Option<[f64; 2]>,
    pub(super) kappa: f64,
    pub(super) kappa_ci95: Option<[f64; 2]>,
    /// The number of workers beyond which more workers make it slower.
    pub(super) most_workers: Option<f64>,
    /// Whether points with more workers than cores were fitted. The law is then about threads, not cores.
    pub(super) oversubscribed: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct Measured {
    pub(super) schema: &'static str,
    pub(super) environment: Environment,
    pub(super) curves: Vec<Curve>,
}
