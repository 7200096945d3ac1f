//! The measurements of one model.

use crate::answer::Model;
use crate::results::Capacity;

/// The measurements of one model.
pub(super) struct Known<'a> {
    pub(super) model: Model,
    pub(super) capacity: &'a Capacity,
    pub(super) cpu_ns: Option<f64>,
    pub(super) p99_ns: Option<f64>,
    pub(super) rss_bytes: Option<f64>,
}
