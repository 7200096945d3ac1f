//! The command's output: standard output, standard error, and the terminal's width.
//!
//! `print!` and `eprintln!` panic if the reader is gone or the disk is full. Here, a reader that has gone away, such as
//! `head`, has read enough. Any other write error becomes an error of one line. A message to standard error that can't
//! be written is lost.

use std::io::{self, Write as _};

use comfy_table::Table;

use crate::error::CommandError;

/// Writes to standard output. A closed pipe is not an error.
///
/// # Errors
/// Any other error, such as a full disk.
pub(crate) fn write_standard_output(bytes: &[u8]) -> io::Result<()> {
    let mut output = io::stdout().lock();
    match output.write_all(bytes).and_then(|()| output.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome,
    }
}

/// Prints `text` to standard output.
///
/// # Errors
/// One line; see [`write_standard_output`].
pub(crate) fn print(text: &str) -> Result<(), CommandError> {
    write_standard_output(text.as_bytes()).map_err(|error| {
        CommandError::Failed(format!(
            "cannot write to standard output ({error}); free some space or send it elsewhere"
        ))
    })
}

/// Writes a line to standard error; ignores errors.
pub(crate) fn say(line: &str) {
    // Write the line in one call, so that lines of several processes don't mix.
    let _ = io::stderr().write_all(format!("lab: {line}\n").as_bytes());
}

/// The line width in characters: the terminal's, or the value of `COLUMNS`. `None` if there is neither.
pub(crate) fn width() -> Option<usize> {
    let asked = std::env::var_os("COLUMNS");
    asked
        .and_then(|columns| columns.to_str()?.parse().ok())
        .filter(|&columns| columns > 0)
        .or_else(|| Table::new().width().map(usize::from))
}

/// Text from a file, without control characters that would affect the terminal.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .map(|character| {
            if character.is_control() {
                ' '
            } else {
                character
            }
        })
        .collect()
}

/// Breaks `text` between words into lines of at most `width` characters, and indents all but the first by `indent`. A
/// longer word gets its own line. Leading spaces are kept.
pub(crate) fn wrapped(text: &str, width: Option<usize>, indent: usize) -> String {
    let Some(width) = width else {
        return text.to_owned();
    };
    let start = text.len() - text.trim_start_matches(' ').len();
    let mut whole = " ".repeat(start);
    let mut column = start;
    let mut fresh = true;
    for (gap, word) in words(&text[start..]) {
        let length = word.chars().count();
        if !fresh && column + gap + length > width {
            whole.push('\n');
            whole.push_str(&" ".repeat(indent));
            column = indent;
        } else {
            whole.push_str(&" ".repeat(gap));
            column += gap;
        }
        whole.push_str(word);
        column += length;
        fresh = false;
    }
    whole
}

/// The words of `text`, each with the number of spaces before it.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut gap = 0;
    text.split(' ').filter_map(move |word| {
        if word.is_empty() {
            gap += 1;
            return None;
        }
        let before = gap;
        gap = 1;
        Some((before, word))
    })
}

#[cfg(test)]
mod tests {
    use super::wrapped;

    #[test]
    fn lines_break_between_words_and_hang() {
        assert_eq!(
            wrapped("  echo  a server that answers", Some(16), 8),
            "  echo  a server\n        that\n        answers"
        );
        assert_eq!(
            wrapped("a-very-long-word and more", Some(8), 2),
            "a-very-long-word\n  and\n  more"
        );
        let text = "  two  spaces stay, and no width is no limit";
        assert_eq!(wrapped(text, None, 4), text);
        assert_eq!(wrapped(text, Some(200), 4), text);
    }
}
