//! One program in six styles: it fetches five pages at the same time, each at its cost, and adds up the costs. The
//! output is the same. The book shows the styles side by side.

mod async_fn;
mod callbacks;
mod deferreds;
mod generators;
mod green_tasks;
mod plain_threads;
mod site;

use site::Outcome;

/// A style's result for the five addresses: the outcomes, in the order of the addresses.
type Style = fn() -> Vec<Outcome>;

const STYLES: [(&str, Style); 6] = [
    ("callbacks", callbacks::fetch_all),
    ("deferreds", deferreds::fetch_all),
    ("generators by hand", generators::fetch_all),
    ("async fn", async_fn::fetch_all),
    ("green tasks", green_tasks::fetch_all),
    ("plain threads", plain_threads::fetch_all),
];

fn main() {
    for (name, fetch_all) in STYLES {
        println!("{name}:\n{}", site::report(&fetch_all()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPECTED: [&str; 6] = [
        "  http://one.example: 100 bytes, cost 20 ms",
        "  http://two.example: 200 bytes, cost 10 ms",
        "  http://three.example: no such host",
        "  http://four.example: 400 bytes, cost 15 ms",
        "  http://five.example: 500 bytes, cost 5 ms",
        "  4 pages, 1200 bytes, total cost 50 ms",
    ];

    #[test]
    fn every_style_prints_the_same() {
        for (name, fetch_all) in STYLES {
            let report = site::report(&fetch_all());
            assert!(report.lines().eq(EXPECTED), "{name}: {report}");
        }
    }

    /// The lines of code in a part of a file.
    fn lines(text: &str, part: &str) -> usize {
        let begin = format!("// ANCHOR: {part}\n");
        let (_, rest) = text.split_once(&begin).expect("it begins");
        let end = format!("// ANCHOR_END: {part}");
        let (part, _) = rest.split_once(&end).expect("it ends");
        let is_code = |line: &&str| !line.trim().is_empty() && !line.trim().starts_with("//");
        part.lines().filter(is_code).count()
    }

    #[test]
    fn the_book_counts_the_lines_of_each() {
        let book = include_str!("../../src/six-styles.md");
        let deferreds = include_str!("deferreds.rs");
        let generators = include_str!("generators.rs");
        let deferred = lines(deferreds, "deferred");
        let generator = deferred + lines(generators, "generator");
        for (name, own, library) in [
            ("callbacks", include_str!("callbacks.rs"), 0),
            ("deferreds", deferreds, deferred),
            ("generators by hand", generators, generator),
            ("`async fn`", include_str!("async_fn.rs"), 0),
            ("green tasks", include_str!("green_tasks.rs"), 0),
            ("plain threads", include_str!("plain_threads.rs"), 0),
        ] {
            let row = book
                .lines()
                .find(|line| line.starts_with(&format!("| {name} |")));
            let row = row.unwrap_or_else(|| panic!("{name} has a row"));
            let counted = format!("| {} | {library} |", lines(own, "style") + library);
            assert!(row.ends_with(&counted), "{row}: {counted}");
        }
    }
}
