//! One colour per runtime, the same on every page.
//!
//! The hues of the three models are those of Okabe and Ito, which readers with any kind of colour vision can
//! distinguish. They are darkened or lightened until each has a contrast of 3:1 to the page, light or dark. The
//! runtime's name is always shown beside its colour.

use std::fmt::Write as _;

/// The runtime's name, its colour on light pages, its colour on dark pages.
const COLOURS: [(&str, &str, &str); 27] = [
    ("n1", "#c75300", "#ff9448"),
    ("mn", "#0067a6", "#58b0ea"),
    ("threads", "#007f5f", "#35c79c"),
    ("n1xp", "#8a5a00", "#e0b050"),
    ("n1xproc", "#7d4a2d", "#d3a182"),
    ("std-blocking", "#4d5a52", "#a3b5aa"),
    ("pool", "#5c6670", "#aab4bf"),
    ("tokio-mt", "#8e3f8a", "#d98fd5"),
    ("tokio-ct", "#6a56b0", "#aea0f5"),
    ("smol", "#a8325e", "#ff8fb5"),
    ("may", "#7a6a00", "#d6c53f"),
    ("rayon", "#a5402f", "#f59a8a"),
    ("go", "#2a7585", "#62c8dc"),
    ("asyncio", "#4f6b00", "#a9cc46"),
    ("uvloop", "#3d7336", "#86cc7c"),
    ("gevent", "#806040", "#c9ad8d"),
    ("node", "#586e28", "#b4cc78"),
    ("java", "#b0451a", "#f4a27c"),
    ("trio", "#6b4fa0", "#c3aef0"),
    ("erlang", "#a0204a", "#ff86a6"),
    ("compio", "#00757a", "#4fd0d6"),
    ("epoll-loop", "#5d5a2e", "#c0bc80"),
    ("n1-green", "#9a4a10", "#f0ac70"),
    ("mn-green", "#235a94", "#86b8ec"),
    ("mn-green-moving", "#3f4f94", "#9fb0f0"),
    ("threads-green", "#1f6f50", "#74cfae"),
    ("sequential", "#59636e", "#a2abb6"),
];

/// The colours of a runtime that is not in the table.
const OTHER: (&str, &str, &str) = ("other", "#59636e", "#a2abb6");

/// The name of the runtime's colour: `--run-NAME` in the style sheet.
pub(crate) fn hue(runtime: &str) -> &'static str {
    COLOURS
        .iter()
        .find(|(name, _, _)| name.eq_ignore_ascii_case(runtime))
        .map_or(OTHER.0, |(name, _, _)| name)
}

/// The colours as a style sheet, for light and dark pages and for print.
pub(crate) fn style() -> String {
    let mut css = String::new();
    let mut rule = |open: &str, light: bool, close: &str| {
        css.push_str(open);
        for (name, on_light, on_dark) in COLOURS.iter().chain([&OTHER]) {
            let colour = if light { on_light } else { on_dark };
            let _ = write!(css, " --run-{name}: {colour};");
        }
        css.push_str(close);
    };
    rule(":root {", true, " }\n");
    rule(
        "@media screen and (prefers-color-scheme: dark) { :root {",
        false,
        " } }\n",
    );
    css
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance, as WCAG defines it.
    fn luminance(colour: &str) -> f64 {
        let part = |at: usize| {
            let value = u8::from_str_radix(&colour[at..at + 2], 16).unwrap();
            let value = f64::from(value) / 255.0;
            if value <= 0.04045 {
                value / 12.92
            } else {
                ((value + 0.055) / 1.055).powf(2.4)
            }
        };
        0.2126 * part(1) + 0.7152 * part(3) + 0.0722 * part(5)
    }

    fn contrast(one: &str, other: &str) -> f64 {
        let (one, other) = (luminance(one) + 0.05, luminance(other) + 0.05);
        one.max(other) / one.min(other)
    }

    #[test]
    fn every_colour_stands_out_from_its_paper() {
        for (name, light, dark) in COLOURS.iter().chain([&OTHER]) {
            assert!(contrast(light, "#ffffff") >= 4.5, "{name} on light paper");
            assert!(contrast(dark, "#14171a") >= 4.5, "{name} on dark paper");
        }
    }

    #[test]
    fn no_two_runtimes_share_a_colour_and_unknown_ones_have_one() {
        for (index, one) in COLOURS.iter().enumerate() {
            assert!(
                COLOURS[..index]
                    .iter()
                    .all(|other| other.1 != one.1 && other.2 != one.2)
            );
        }
        assert_eq!(hue("n1xProc"), "n1xproc");
        assert_eq!(hue("--x;}"), "other");
    }
}
