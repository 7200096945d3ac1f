//! Formats figures for people: three significant digits and a suitable unit.

/// A duration, such as `1.23 µs`.
pub(crate) fn duration_ns(nanoseconds: f64) -> String {
    scaled(nanoseconds, 1000.0, &["ns", "µs", "ms", "s"])
}

/// An amount of memory, such as `4.20 MiB`.
pub(crate) fn bytes(bytes: f64) -> String {
    scaled(bytes, 1024.0, &["B", "KiB", "MiB", "GiB"])
}

/// A plain number. Small ones keep their digits, so that 0.00012 switches per op don't read as none.
pub(crate) fn count(value: f64) -> String {
    if value == 0.0 {
        "0".to_owned()
    } else if value.abs() < 0.001 {
        format!("{value:.1e}")
    } else {
        digits(value)
    }
}

/// A rate per second, such as `4.20 M`.
pub(crate) fn rate(per_second: f64) -> String {
    scaled(per_second, 1000.0, &["", "k", "M", "G"])
        .trim_end()
        .to_owned()
}

/// A number with a regular English noun: `1 round`, `12 rounds`, `2 processes`.
pub(crate) fn counted(count: usize, noun: &str) -> String {
    let plural = if noun.ends_with('s') { "es" } else { "s" };
    format!("{count} {noun}{}", if count == 1 { "" } else { plural })
}

/// A value of the metric called `name`, in the unit that its name ends in.
pub(crate) fn metric(name: &str, value: f64) -> String {
    if name.ends_with("_ns") || name.contains("_ns_per_") {
        duration_ns(value)
    } else if name.contains("bytes") {
        bytes(value)
    } else {
        count(value)
    }
}

/// The name of a metric in headings.
pub(crate) fn metric_title(name: &str) -> String {
    match name {
        "wall_ns_per_op" => "time per op".to_owned(),
        "cpu_ns_per_op" => "CPU time per op".to_owned(),
        "cpu_user_ns_per_op" => "CPU time outside of the kernel per op".to_owned(),
        "cpu_system_ns_per_op" => "CPU time in the kernel per op".to_owned(),
        "latency_p50_ns" => "median latency".to_owned(),
        "latency_p99_ns" => "p99 latency".to_owned(),
        "latency_p999_ns" => "p99.9 latency".to_owned(),
        "client_late_p50_ns" => "median lateness of the client".to_owned(),
        "client_late_p99_ns" => "p99 lateness of the client".to_owned(),
        other => other.replace('_', " "),
    }
}

/// The name of a metric above a column.
pub(crate) fn metric_column(name: &str) -> String {
    match name {
        "wall_ns_per_op" => "time/op".to_owned(),
        "cpu_ns_per_op" => "CPU/op".to_owned(),
        "cpu_user_ns_per_op" => "user/op".to_owned(),
        "cpu_system_ns_per_op" => "system/op".to_owned(),
        "switches_per_op" => "switches/op".to_owned(),
        "page_faults_per_op" => "faults/op".to_owned(),
        "peak_rss_bytes" => "peak RSS".to_owned(),
        "latency_p50_ns" => "p50".to_owned(),
        "latency_p99_ns" => "p99".to_owned(),
        "latency_p999_ns" => "p99.9".to_owned(),
        "client_late_p50_ns" => "client late p50".to_owned(),
        "client_late_p99_ns" => "client late p99".to_owned(),
        "bytes_per_task" => "bytes/task".to_owned(),
        "warm_up_ms" => "warm-up, ms".to_owned(),
        "warm_up_repetitions" => "warm-up runs".to_owned(),
        other => other.replace('_', " "),
    }
}

/// A ratio and its interval, such as `0.93x [0.91, 0.95]`.
pub(crate) fn ratio(ratio: Option<f64>, interval: Option<[f64; 2]>) -> String {
    match (ratio, interval) {
        (Some(ratio), Some([low, high])) => {
            format!("{}x [{}, {}]", digits(ratio), digits(low), digits(high))
        }
        (Some(ratio), None) => format!("{}x", digits(ratio)),
        (None, _) => "n/a".to_owned(),
    }
}

/// A percentage with no more digits than it needs: `2%`, `0.5%`.
pub(crate) fn percent(share: f64) -> String {
    let percent = (share * 1e4).round() / 100.0;
    format!("{percent}%")
}

/// A time for people, from seconds since 1970.
pub(crate) fn utc(seconds: u64) -> String {
    let (year, month, day) = date(seconds / 86_400);
    let (hour, minute) = (seconds / 3600 % 24, seconds / 60 % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02} UTC")
}

/// A time for programs, in ISO 8601, from seconds since 1970.
pub(crate) fn utc_iso(seconds: u64) -> String {
    let (year, month, day) = date(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// A time for file names, from seconds since 1970. The names sort in the order of the times.
pub(crate) fn utc_name(seconds: u64) -> String {
    let (year, month, day) = date(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}-{minute:02}-{second:02}Z")
}

/// Year, month and day, from days since 1970, in the Gregorian calendar. Counts days from March, so that the leap day
/// comes last.
fn date(days: u64) -> (i64, i64, i64) {
    let days = i64::try_from(days).unwrap_or(i64::MAX / 2) + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

fn scaled(value: f64, step: f64, units: &[&str]) -> String {
    let mut value = value;
    let mut units = units.iter();
    let mut unit = units.next().copied().unwrap_or_default();
    // 999.5 would round to 1000, so use the next unit.
    while value.abs() >= step * 0.9995 {
        let Some(next) = units.next() else { break };
        value /= step;
        unit = next;
    }
    format!("{} {unit}", digits(value))
}

/// Three significant digits, without an exponent.
fn digits(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude == 0.0 {
        "0".to_owned()
    } else if magnitude < 0.9995 {
        format!("{value:.3}")
    } else if magnitude < 9.995 {
        format!("{value:.2}")
    } else if magnitude < 99.95 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_right_around_leap_days() {
        assert_eq!(utc(0), "1970-01-01 00:00 UTC");
        assert_eq!(utc(951_782_400), "2000-02-29 00:00 UTC");
        assert_eq!(utc(1_709_251_199), "2024-02-29 23:59 UTC");
        assert_eq!(utc(1_709_251_200), "2024-03-01 00:00 UTC");
        assert_eq!(utc_name(1_709_251_199), "2024-02-29T23-59-59Z");
    }

    #[test]
    fn three_digits_and_the_unit_that_fits() {
        assert_eq!(duration_ns(0.5), "0.500 ns");
        assert_eq!(duration_ns(27.53), "27.5 ns");
        assert_eq!(duration_ns(999.9), "1.00 µs");
        assert_eq!(duration_ns(1_234_567.0), "1.23 ms");
        assert_eq!(duration_ns(5e12), "5000 s");
        assert_eq!(bytes(0.0), "0 B");
        assert_eq!(bytes(447.0), "447 B");
        assert_eq!(bytes(1024.0 * 1024.0 * 4.2), "4.20 MiB");
        assert_eq!(rate(12.34), "12.3");
        assert_eq!(rate(4_200_000.0), "4.20 M");
        assert_eq!(count(0.00012), "1.2e-4");
        assert_eq!(metric("bytes_per_task", 2048.0), "2.00 KiB");
        assert_eq!(metric("cpu_ns_per_op", 2048.0), "2.05 µs");
        assert_eq!(
            ratio(Some(0.934), Some([0.9, 12.0])),
            "0.934x [0.900, 12.0]"
        );
        assert_eq!(ratio(None, None), "n/a");
    }
}
