//! What `lab sweep` measured: a matrix per workload.

use std::fmt::Write as _;

use super::html::{Text, plural};
use crate::matrix::{Column, Matrix};

pub(super) fn render(html: &mut String, matrices: &[Matrix], legend: &str) {
    let _ = write!(
        html,
        "<section id=\"sweep\">\n<h2>Every combination</h2>\n<p>The median over processes; {}. \
         Ratios are to the row that has 1.</p>\n",
        Text(legend),
    );
    for matrix in matrices {
        let _ = writeln!(
            html,
            "<h3>{} <small>{} combination{}</small></h3>",
            Text(&matrix.title),
            matrix.rows.len(),
            plural(matrix.rows.len()),
        );
        if !matrix.op.is_empty() {
            let _ = writeln!(
                html,
                "<p class=\"how\"><strong>One op:</strong> {}.</p>",
                Text(matrix.op.trim_end_matches('.'))
            );
        }
        table(html, matrix);
    }
    html.push_str("</section>\n");
}

fn table(html: &mut String, matrix: &Matrix) {
    let class = |column: &Column| {
        if column.figure {
            " class=\"figure\""
        } else {
            ""
        }
    };
    html.push_str(
        "<div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"Combinations\"><table>\n\
         <thead><tr>",
    );
    for column in &matrix.columns {
        let _ = write!(
            html,
            "<th scope=\"col\"{}>{}</th>",
            class(column),
            Text(&column.title)
        );
    }
    html.push_str("</tr></thead>\n<tbody>\n");
    for row in &matrix.rows {
        html.push_str("<tr>");
        for (cell, column) in row.iter().zip(&matrix.columns) {
            let _ = write!(html, "<td{}>{}</td>", class(column), Text(cell));
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</tbody></table></div>\n");
}
