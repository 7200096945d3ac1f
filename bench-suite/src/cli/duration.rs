//! Parses durations.

use std::time::Duration;

/// Seconds as a number, or a number with one of the units `ms`, `s` and `m`.
pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    let (number, scale) = if let Some(number) = text.strip_suffix("ms") {
        (number, 1e-3)
    } else if let Some(number) = text.strip_suffix('m') {
        (number, 60.0)
    } else {
        (text.strip_suffix('s').unwrap_or(text), 1.0)
    };
    let seconds: f64 = number
        .trim()
        .parse()
        .map_err(|_| "expected seconds, such as 5 or 500ms".to_owned())?;
    // At most a day. More is probably a typing error, and would overflow in later arithmetic.
    if !(seconds * scale > 0.0 && seconds * scale <= 86_400.0) {
        return Err("expected more than 0 s and at most a day".to_owned());
    }
    Ok(Duration::from_secs_f64(seconds * scale))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units_and_bounds() {
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("2s"), Ok(Duration::from_secs(2)));
        assert_eq!(parse_duration("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(parse_duration("0.5"), Ok(Duration::from_millis(500)));
        for bad in ["0", "-1", "nan", "inf", "1e300", "five"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }
}
