//! The answer in words, above all figures.

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
        let _ = write!(
            html,
            "<p><strong>{}</strong>.<br>CPU and peak memory: {}.",
            Text(&answer.sentence()),
            Text(&answer.cost)
        );
        if let Some(beside) = &answer.beside {
            let _ = write!(html, " Beside them: {}.", Text(beside));
        }
        if let Some(uneven) = &answer.uneven {
            let _ = write!(html, "<br>Rounds are not all alike: {}.", Text(uneven));
        }
        html.push_str("</p>\n");
    }
    html.push_str("</section>\n");
}
