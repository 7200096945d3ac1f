//! Adapts text for the book. Text that the book includes was written for other places: the modules' READMEs are also
//! part of rustdoc, where a name in brackets is a link, and parts of programs are indented like the code around them.

/// `markdown` with its rustdoc links replaced by their texts, ``[`Task`]`` and ``[the task](crate::task)``, and its
/// code blocks moved to the left. Other links and code spans stay as they are.
///
/// ```
/// use docs::included::for_the_book;
///
/// assert_eq!(for_the_book("A [`Task`] is due."), "A `Task` is due.");
/// assert_eq!(for_the_book("its [budget](crate::budget)"), "its budget");
/// assert_eq!(for_the_book("[book](life.md)"), "[book](life.md)");
/// assert_eq!(for_the_book("```\n    a\n      b\n```\n"), "```\na\n  b\n```\n");
/// ```
pub fn for_the_book(markdown: &str) -> String {
    let mut fitted = String::with_capacity(markdown.len());
    let mut code = Vec::new();
    let mut prose = String::new();
    let mut in_code = false;
    for line in markdown.split_inclusive('\n') {
        if line.starts_with("```") {
            // A link may span two lines, so process prose as a whole.
            unlink(&std::mem::take(&mut prose), &mut fitted);
            move_left(&std::mem::take(&mut code), &mut fitted);
            fitted.push_str(line);
            in_code = !in_code;
        } else if in_code {
            code.push(line);
        } else {
            prose.push_str(line);
        }
    }
    unlink(&prose, &mut fitted);
    move_left(&code, &mut fitted);
    fitted
}

/// Removes the indentation that all lines have in common.
fn move_left(lines: &[&str], fitted: &mut String) {
    let common = lines
        .iter()
        .filter(|line| !line.trim().is_empty())
        .map(|line| line.len() - line.trim_start_matches(' ').len())
        .min()
        .unwrap_or(0);
    for line in lines {
        // An empty line may be shorter than the indentation.
        fitted.push_str(line.get(common..).unwrap_or("\n"));
    }
}

fn unlink(text: &str, fitted: &mut String) {
    let mut rest = text;
    while let Some(at) = rest.find(['`', '[']) {
        fitted.push_str(&rest[..at]);
        rest = &rest[at..];
        let taken = if rest.starts_with('`') {
            let end = code_span(rest);
            fitted.push_str(&rest[..end]);
            end
        } else if let Some((text, end)) = rustdoc_link(rest) {
            fitted.push_str(text);
            end
        } else {
            fitted.push('[');
            1
        };
        rest = &rest[taken..];
    }
    fitted.push_str(rest);
}

/// The end of the code span with which `text` begins, or of its first backticks if there is no span.
pub(crate) fn code_span(text: &str) -> usize {
    let ticks = text.len() - text.trim_start_matches('`').len();
    let close = &text[..ticks];
    text[ticks..]
        .find(close)
        .map_or(ticks, |at| ticks + at + ticks)
}

/// If `text` begins with a link to a Rust item, the link's text and its end.
fn rustdoc_link(text: &str) -> Option<(&str, usize)> {
    let close = text.find(']')?;
    let label = &text[1..close];
    let after = &text[close + 1..];
    if let Some(target) = after.strip_prefix('(') {
        let end = target.find(')')?;
        let path = &target[..end];
        let item = path.contains("::") || is_name(path);
        return item.then_some((label, close + 1 + end + 2));
    }
    let one_name = label.len() > 2 && label.starts_with('`') && label.ends_with('`');
    // `[a][b]` and `[a]: b` are links with explicit targets.
    (one_name && !after.starts_with(['[', ':'])).then_some((label, close + 1))
}

/// Whether a link's target is the name of an item and can't be a file's: `Queue` in `[the queue](Queue)`.
fn is_name(target: &str) -> bool {
    target.starts_with(|first: char| first.is_alphabetic())
        && target
            .chars()
            .all(|letter| letter.is_alphanumeric() || letter == '_')
}

#[cfg(test)]
mod tests {
    use super::for_the_book as fitted;

    #[test]
    fn code_keeps_its_brackets() {
        for text in [
            "`[x](a::b)`",
            "```rust\nlet x = [`a`](b::c);\n```\n",
            "#[doc = `x`]",
            "a `b` [c",
        ] {
            assert_eq!(fitted(text), text);
        }
    }

    #[test]
    fn links_that_lead_somewhere_stay() {
        for text in [
            "[a](b.md)",
            "[`a`](../b.rs)",
            "[`a`][b]",
            "[`a`]: b",
            "[a](https://b.example/c)",
        ] {
            assert_eq!(fitted(text), text);
        }
    }

    #[test]
    fn names_become_text_also_across_lines() {
        assert_eq!(fitted("see [`a::b`]."), "see `a::b`.");
        assert_eq!(fitted("see [a\nb](crate::c), d"), "see a\nb, d");
        assert_eq!(fitted("[`A`] and [`B`](c::B)"), "`A` and `B`");
        assert_eq!(fitted("[`A`](A), [b](b.rs)"), "`A`, [b](b.rs)");
    }

    #[test]
    fn code_moves_left_as_a_whole() {
        assert_eq!(
            fitted("```\n        a\n\n    b\n```\n"),
            "```\n    a\n\nb\n```\n"
        );
        assert_eq!(fitted("    not a fence\n"), "    not a fence\n");
    }
}
