//! "Did you mean": finds names close to a misspelt one.

/// The error for an unknown name: `unknown workload `ecoh`; did you mean `echo`? `lab list` shows all`.
pub(crate) fn unknown<'a>(
    kind: &str,
    name: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> String {
    let name = name.escape_debug().to_string();
    match closest(&name, known) {
        Some(close) => {
            format!("unknown {kind} `{name}`; did you mean `{close}`? `lab list` shows all")
        }
        None => format!("unknown {kind} `{name}`; `lab list` shows all"),
    }
}

/// The known name closest to `name`, if one is close: errors in at most a third of the letters. Two swapped neighbours
/// count as one error.
fn closest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, candidate)| {
            *distance <= candidate.chars().count().max(3) / 3
                || (name.len() >= 3 && candidate.starts_with(name))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 4] = ["echo", "http", "fib-spawn", "fib-join"];

    #[test]
    fn a_typo_gets_a_suggestion() {
        for (slip, meant) in [
            ("ecoh", "echo"),
            ("htpp", "http"),
            ("fibspawn", "fib-spawn"),
            ("fib", "fib-join"),
        ] {
            assert_eq!(closest(slip, KNOWN), Some(meant), "{slip}");
        }
    }

    #[test]
    fn an_unrelated_word_gets_no_suggestion() {
        assert_eq!(closest("download", KNOWN), None);
        assert_eq!(closest("", KNOWN), None);
        assert!(unknown("workload", "x\n", KNOWN).contains("`x\\n`"));
    }
}
