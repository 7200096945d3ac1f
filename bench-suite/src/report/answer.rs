//! The answer in words, at the top of the page.

use std::fmt::Write as _;

use super::html::Text;
use crate::answer::answers;
use crate::results::Results;
use crate::summary::Section;

pub(super) fn render(html: &mut String, results: &Results, sections: &[Section]) {
    let answers = answers(results, sections);
    if answers.is_empty() {
        return;
    }
    html.push_str("<section id=\"answer\">\n<h2>The answer on this machine</h2>\n");
    let mut kind = "";
    for answer in &answers {
        if answer.kind != kind {
            kind = answer.kind;
            let _ = writeln!(html, "<h3>{}</h3>", Text(kind));
        }
        let _ = write!(html, "<p><strong>{}.</strong>", Text(&answer.sentence()));
        for line in answer.details() {
            let _ = write!(html, "<br>{}", Text(&line));
        }
        html.push_str("</p>\n");
    }
    html.push_str("</section>\n");
}
