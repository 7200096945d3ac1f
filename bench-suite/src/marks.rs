//! Small pictures in a line of text: a bar, and an interval around 1.

/// The greatest width of a bar.
pub(crate) const BAR: usize = 10;
/// The width of an interval's picture. The value 1 is in the middle.
pub(crate) const INTERVAL: usize = 2 * SIDE + 1;
const SIDE: usize = 8;

/// A bar of length `value / most * BAR`, drawn in eighths of a character. A positive value always shows.
pub(crate) fn bar(value: f64, most: f64) -> String {
    const PARTS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    if !(value > 0.0 && most > 0.0) {
        return String::new();
    }
    let eighths = (value / most * (BAR * 8) as f64).round();
    let eighths = (eighths as usize).clamp(1, BAR * 8);
    "█".repeat(eighths / 8) + PARTS[eighths % 8]
}

/// The limit of a scale from `1/limit` to `limit` that shows these ratios. Extreme ratios are cut off, so that one of
/// them does not squash the rest.
pub(crate) fn limit(ratios: impl IntoIterator<Item = f64>) -> f64 {
    const STEPS: [f64; 6] = [1.1, 1.25, 1.5, 2.0, 4.0, 8.0];
    let far = |ratio: f64| if ratio < 1.0 { 1.0 / ratio } else { ratio };
    let most = ratios.into_iter().filter(|ratio| *ratio > 0.0).map(far);
    let most = most.fold(1.0, f64::max);
    STEPS.into_iter().find(|step| *step >= most).unwrap_or(16.0)
}

/// A scale's heading: its ends and its middle.
pub(crate) fn scale(limit: f64) -> String {
    let (left, right) = (format!("{:.2}x", 1.0 / limit), format!("{limit}x"));
    let left = left.replace("0.", ".");
    let gap = SIDE - left.len();
    format!("{left}{:gap$}1{right:>SIDE$}", "")
}

/// `├──●───┤  │`: a ratio with its interval on a logarithmic scale, and a line at 1. An arrow stands for an end beyond
/// the scale.
pub(crate) fn interval(ratio: Option<f64>, ends: Option<[f64; 2]>, limit: f64) -> String {
    let place = |ratio: f64| SIDE as f64 * (1.0 + ratio.ln() / limit.ln());
    let last = (INTERVAL - 1) as f64;
    let cell = |ratio: f64| place(ratio).round().clamp(0.0, last) as usize;
    let mut line = [' '; INTERVAL];
    if let Some([low, high]) = ends.filter(|ends| ends[0] > 0.0) {
        line[cell(low)..=cell(high)].fill('─');
        line[cell(low)] = if place(low) < -0.5 { '◂' } else { '├' };
        line[cell(high)] = if place(high) > last + 0.5 {
            '▸'
        } else {
            '┤'
        };
    }
    line[SIDE] = match line[SIDE] {
        '─' => '┼',
        ' ' => '│',
        other => other,
    };
    if let Some(ratio) = ratio.filter(|ratio| *ratio > 0.0) {
        line[cell(ratio)] = '●';
    }
    line.iter().collect::<String>().trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_long_as_its_value() {
        assert_eq!(bar(10.0, 10.0), "█".repeat(BAR));
        assert_eq!(bar(5.0, 10.0), "█".repeat(BAR / 2));
        assert_eq!(bar(0.6, 10.0), "▋");
        assert_eq!(bar(0.000_1, 10.0), "▏");
        assert_eq!(bar(0.0, 10.0), "");
    }

    #[test]
    fn an_interval_stands_where_its_figures_are() {
        assert_eq!(interval(Some(1.0), None, 2.0), "        ●");
        assert_eq!(interval(None, None, 2.0), "        │");
        assert_eq!(
            interval(Some(1.414), Some([1.19, 1.68]), 2.0),
            "        │ ├─●─┤"
        );
        assert_eq!(interval(Some(0.5), Some([0.2, 0.7]), 2.0), "●───┤   │");
        assert_eq!(
            interval(Some(0.6), Some([0.2, 4.0]), 2.0),
            "◂─●─────┼───────▸"
        );
    }

    #[test]
    fn no_mark_leaves_the_picture_for_any_figures() {
        for ratio in [1e-9, 0.3, 1.0, 1e9, f64::INFINITY] {
            for low in [0.0, 1e-12, 0.5, 1.0, 1e9] {
                let ends = [low, f64::max(low, 1e12)];
                let line = interval(Some(ratio), Some(ends), 1.1);
                assert!(line.chars().count() <= INTERVAL, "{line}");
                assert!(line.contains('●'), "{ratio} {low}: {line}");
            }
        }
    }

    #[test]
    fn a_scale_holds_its_ratios() {
        assert_eq!(limit([1.0]), 1.1);
        assert_eq!(limit([0.6, 1.2]), 2.0);
        assert_eq!(limit([100.0, 0.5]), 16.0);
        for limit in [1.1, 1.25, 1.5, 2.0, 4.0, 8.0, 16.0] {
            let scale = scale(limit);
            assert_eq!(scale.chars().count(), INTERVAL, "{scale}");
            assert_eq!(scale.chars().nth(SIDE), Some('1'), "{scale}");
        }
    }
}
