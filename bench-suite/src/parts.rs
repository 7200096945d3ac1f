//! Names for a scheduler that runs without some of its parts.

use std::collections::BTreeSet;

/// The name of this dimension of the matrix.
pub(crate) const DIMENSION: &str = "parts";

/// The error for a part that does not exist.
pub(crate) fn unknown<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    let name = name.escape_debug();
    if known.is_empty() {
        return format!("unknown part `{name}`; there are no parts that can be left out");
    }
    format!("unknown part `{name}`; the parts are: {}", known.join(", "))
}

/// The suffix to a runtime's name: ` -wake-throttling -io-sharing`, or nothing if nothing is left out.
pub(crate) fn suffix(left_out: &BTreeSet<String>) -> String {
    left_out.iter().map(|part| format!(" -{part}")).collect()
}

/// A row's name in the matrix of parts: `all`, `none`, `only wake-throttling`, or `-wake-throttling`. `parts` are all
/// parts.
pub(crate) fn in_matrix(left_out: &BTreeSet<String>, parts: &BTreeSet<String>) -> String {
    let mut kept = parts.difference(left_out);
    match (kept.next(), kept.next()) {
        _ if left_out.is_empty() => "all".to_owned(),
        (None, _) => "none".to_owned(),
        // With two parts in all, name the one that is left out.
        (Some(part), None) if left_out.len() > 1 => format!("only {part}"),
        _ => suffix(left_out).trim_start().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn every_row_of_the_matrix_has_its_own_name() {
        let parts = set(&["a", "b", "c"]);
        let named = |left_out: &[&str]| in_matrix(&set(left_out), &parts);
        assert_eq!(named(&[]), "all");
        assert_eq!(named(&["a", "b", "c"]), "none");
        assert_eq!(named(&["b"]), "-b");
        assert_eq!(named(&["a", "c"]), "only b");
        assert_eq!(in_matrix(&set(&["a"]), &set(&["a", "b"])), "-a");
        assert_eq!(suffix(&set(&["b", "a"])), " -a -b");
    }
}
