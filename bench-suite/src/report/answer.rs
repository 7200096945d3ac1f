//! The answer in words, above all figures.

use std::fmt::Write as _;

use super::html::Text;
use crate::answer::{Overview, answers};
use crate::results::Results;
use crate::summary::Section;

pub(super) fn render(html: &mut String, results: &Results, sections: &[Section]) {
    let answers = answers(results, sections);
    let Some(overview) = Overview::of(sections).filter(|_| !answers.is_empty()) else {
        return;
    };
    html.push_str(
        "<section id=\"answer\">\n<h2>The answer on this machine</h2>\n\
         <p>Ratios to the model that says 1; less is better; open: not enough data.</p>\n<div class=\"scroll\"><table>\n<thead><tr>",
    );
    let class = |index: usize| if index > 1 { " class=\"figure\"" } else { "" };
    for (index, title) in overview.header.iter().enumerate() {
        let _ = write!(
            html,
            "<th scope=\"col\"{}>{}</th>",
            class(index),
            Text(title)
        );
    }
    html.push_str("</tr></thead>\n<tbody>\n");
    for row in &overview.rows {
        html.push_str("<tr>");
        for (index, cell) in row.iter().enumerate() {
            let _ = write!(html, "<td{}>{}</td>", class(index), Text(cell));
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</tbody></table></div>\n");
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
