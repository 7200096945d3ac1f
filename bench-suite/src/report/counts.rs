//! What was counted in each arm's own process: system calls, wake-ups, instructions.

use std::fmt::Write as _;

use super::html::Text;
use crate::results::{Count, Results};
use crate::summary::Section;
use crate::units;

pub(super) fn render(html: &mut String, section: &Section, results: &Results) {
    let of_section = |count: &&Count| {
        count.workload == section.workload.name
            && count.params == section.params
            && section.choices_of.is_none()
    };
    let counts: Vec<&Count> = results.counts.iter().filter(of_section).collect();
    if counts.is_empty() {
        return;
    }
    html.push_str(
        "<h3>Counted apart</h3>\n\
         <div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"Counted apart\"><table>\n\
         <thead><tr><th scope=\"col\">runtime</th><th scope=\"col\" class=\"figure\">system calls/op</th>\
         <th scope=\"col\" class=\"figure\">wake-ups/op</th><th scope=\"col\" class=\"figure\">instructions/op</th>\
         <th scope=\"col\">counted by</th></tr></thead>\n<tbody>\n",
    );
    for count in counts {
        let _ = write!(html, "<tr><th scope=\"row\">{}</th>", Text(&count.runtime));
        for number in [count.syscalls, count.wakeups, count.instructions] {
            let per_op = number.filter(|_| count.ops > 0);
            let per_op = per_op.map(|number| units::count(number as f64 / count.ops as f64));
            let _ = write!(
                html,
                "<td class=\"figure\">{}</td>",
                per_op.as_deref().unwrap_or("–")
            );
        }
        let why = count.error.as_deref();
        let why = why.map_or_else(String::new, |why| format!("; {why}"));
        let _ = writeln!(
            html,
            "<td>{}{}</td></tr>",
            Text(&count.counted_by),
            Text(&why)
        );
    }
    html.push_str(
        "</tbody></table></div>\n<p class=\"caption\">One process of each arm, apart from the rounds: counting takes \
         time itself.</p>\n",
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::comparisons::tests::run;
    use crate::results::Role;
    use crate::summary;

    #[test]
    fn unknown_counts_are_not_zero_and_reasons_are_escaped() {
        let results = Results {
            runs: vec![run("mn", Role::Arm, 0, 1000)],
            counts: vec![Count {
                workload: "echo".into(),
                runtime: "mn".into(),
                ops: 10,
                syscalls: Some(25),
                counted_by: "strace".into(),
                error: Some("<b>".into()),
                ..Count::default()
            }],
            ..Results::default()
        };
        let mut html = String::new();
        render(&mut html, &summary::sections(&results)[0], &results);
        assert!(
            html.contains("<td class=\"figure\">2.50</td><td class=\"figure\">–</td>"),
            "{html}"
        );
        assert!(html.contains("strace; &lt;b&gt;"), "{html}");
    }
}
