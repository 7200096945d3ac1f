//! Additional figures that a peer reports about itself.

use std::collections::BTreeMap;

use crate::measure::Meter;

/// The names of figures that a peer may add to its results.
const EXTRAS: [&str; 1] = ["hog_cores"];

/// Keeps the figures that the lab knows.
pub(super) fn keep(extra: BTreeMap<String, f64>, meter: &mut Meter) {
    for name in EXTRAS {
        if let Some(&value) = extra.get(name).filter(|value| value.is_finite()) {
            meter.extra.insert(name, value);
        }
    }
}
