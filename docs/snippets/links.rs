//! The modules' READMEs stand in rustdoc and in the book. In rustdoc a name in brackets is a link; the book has no such
//! names, so there it becomes plain text.

/// `markdown` with its rustdoc links replaced by their texts: ``[`Task`]`` and ``[the task](crate::task)``. Other links, code
/// blocks and code spans stay as they are.
///
/// ```
/// use docs::links::without_rustdoc_links;
///
/// assert_eq!(without_rustdoc_links("A [`Task`] is due."), "A `Task` is due.");
/// assert_eq!(without_rustdoc_links("its [budget](crate::budget)"), "its budget");
/// assert_eq!(without_rustdoc_links("[book](life.md)"), "[book](life.md)");
/// ```
pub fn without_rustdoc_links(markdown: &str) -> String {
    let mut plain = String::with_capacity(markdown.len());
    let mut fenced = false;
    let mut paragraph = String::new();
    for line in markdown.split_inclusive('\n') {
        let fence = line.trim_start().starts_with("```");
        if fence || fenced {
            unlink(&std::mem::take(&mut paragraph), &mut plain);
            plain.push_str(line);
            fenced ^= fence;
        } else {
            // A link may be broken over two lines.
            paragraph.push_str(line);
        }
    }
    unlink(&paragraph, &mut plain);
    plain
}

fn unlink(text: &str, plain: &mut String) {
    let mut rest = text;
    while let Some(at) = rest.find(['`', '[']) {
        plain.push_str(&rest[..at]);
        rest = &rest[at..];
        let taken = if rest.starts_with('`') {
            let end = code_span(rest);
            plain.push_str(&rest[..end]);
            end
        } else if let Some((text, end)) = rustdoc_link(rest) {
            plain.push_str(text);
            end
        } else {
            plain.push('[');
            1
        };
        rest = &rest[taken..];
    }
    plain.push_str(rest);
}

/// Where the code span ends with which `text` begins; after its first backtick if it is none.
fn code_span(text: &str) -> usize {
    let ticks = text.len() - text.trim_start_matches('`').len();
    let close = &text[..ticks];
    text[ticks..].find(close).map_or(ticks, |at| ticks + at + ticks)
}

/// If `text` begins with a link to a Rust item: what it reads, and where it ends.
fn rustdoc_link(text: &str) -> Option<(&str, usize)> {
    let close = text.find(']')?;
    let label = &text[1..close];
    let after = &text[close + 1..];
    if let Some(target) = after.strip_prefix('(') {
        let end = target.find(')')?;
        let path = target[..end].contains("::");
        return path.then_some((label, close + 1 + end + 2));
    }
    let one_name = label.len() > 2 && label.starts_with('`') && label.ends_with('`');
    // `[a][b]` and `[a]: b` are links that say where they lead.
    (one_name && !after.starts_with(['[', ':'])).then_some((label, close + 1))
}

#[cfg(test)]
mod tests {
    use super::without_rustdoc_links as plain;

    #[test]
    fn code_is_left_alone() {
        for text in ["`[x](a::b)`", "```rust\nlet x = [`a`](b::c);\n```\n", "#[doc = `x`]", "a `b` [c"] {
            assert_eq!(plain(text), text);
        }
    }

    #[test]
    fn links_that_lead_somewhere_stay() {
        for text in ["[a](b.md)", "[`a`](../b.rs)", "[`a`][b]", "[`a`]: b", "[a](https://b.example/c)"] {
            assert_eq!(plain(text), text);
        }
    }

    #[test]
    fn names_become_text_also_across_lines() {
        assert_eq!(plain("see [`a::b`]."), "see `a::b`.");
        assert_eq!(plain("see [a\nb](crate::c), d"), "see a\nb, d");
        assert_eq!(plain("[`A`] and [`B`](c::B)"), "`A` and `B`");
    }
}
