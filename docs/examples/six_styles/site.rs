//! What the six programs share: five addresses, the results of the fetches, and the report.

use std::fmt::Write as _;
use std::time::Duration;

pub(crate) const URLS: [&str; 5] = [
    "http://one.example",
    "http://two.example",
    "http://three.example",
    "http://four.example",
    "http://five.example",
];

/// A fetched page.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Page {
    pub(crate) bytes: u64,
    pub(crate) cost_ms: u64,
}

pub(crate) type Outcome = Result<Page, &'static str>;

/// How long the network takes to answer, and the answer.
pub(crate) fn network(url: &str) -> (Duration, Outcome) {
    let (cost_ms, bytes) = match url {
        "http://one.example" => (20, 100),
        "http://two.example" => (10, 200),
        "http://four.example" => (15, 400),
        "http://five.example" => (5, 500),
        _ => return (Duration::from_millis(1), Err("no such host")),
    };
    (Duration::from_millis(cost_ms), Ok(Page { bytes, cost_ms }))
}

/// One line per address, and the sums.
pub(crate) fn report(outcomes: &[Outcome]) -> String {
    let mut text = String::new();
    for (url, outcome) in URLS.iter().zip(outcomes) {
        let line = match outcome {
            Ok(page) => format!("{} bytes, cost {} ms", page.bytes, page.cost_ms),
            Err(error) => (*error).to_owned(),
        };
        writeln!(text, "  {url}: {line}").expect("text grows");
    }
    let pages: Vec<&Page> = outcomes.iter().flatten().collect();
    let bytes: u64 = pages.iter().map(|page| page.bytes).sum();
    let cost_ms: u64 = pages.iter().map(|page| page.cost_ms).sum();
    let count = pages.len();
    writeln!(
        text,
        "  {count} pages, {bytes} bytes, total cost {cost_ms} ms"
    )
    .expect("text grows");
    text
}
