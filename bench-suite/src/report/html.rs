//! The two ways in which text from results may enter a page.

use std::fmt;

/// Text, escaped for an element or a quoted attribute.
pub(crate) struct Text<'a>(pub(crate) &'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                other => write!(f, "{other}")?,
            }
        }
        Ok(())
    }
}

/// JSON, escaped for a script element: nothing in it can look like a tag.
pub(crate) fn script_json(value: &serde_json::Value) -> String {
    value
        .to_string()
        .replace('&', "\\u0026")
        .replace('<', "\\u003c")
        .replace('>', "\\u003e")
}

/// The plural's `s`, or nothing.
pub(crate) fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

/// The link target of a section. The index distinguishes sections with different parameters.
pub(crate) fn anchor(index: usize, section: &str) -> String {
    format!("w{index}-{}", slug(section))
}

/// A name as an id or a link target: letters, digits and `-`.
fn slug(name: &str) -> String {
    name.chars()
        .map(|character| {
            if character.is_ascii_alphanumeric() {
                character.to_ascii_lowercase()
            } else {
                '-'
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_leave_its_place() {
        let hostile = r#"<script>alert("1")</script> & 'x'"#;
        let escaped = Text(hostile).to_string();
        assert!(!escaped.contains(['<', '>', '"', '\'']), "{escaped}");
        assert_eq!(Text("a & b").to_string(), "a &amp; b");
    }

    #[test]
    fn json_cannot_end_its_script() {
        let value = serde_json::json!({"</script><!--": "<b>&"});
        let text = script_json(&value);
        assert!(!text.contains(['<', '>', '&']), "{text}");
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&text).unwrap(),
            value
        );
    }

    #[test]
    fn slugs_are_plain() {
        assert_eq!(slug("Fib-spawn \"x\""), "fib-spawn--x-");
    }
}
