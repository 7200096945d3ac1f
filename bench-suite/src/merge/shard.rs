//! The part of a comparison that this process measures, from the command line or the environment.

use std::fmt;

/// A part of a comparison: every `of`th workload and setting, from the `index`th on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shard {
    /// Counted from 1.
    pub(crate) index: u32,
    /// The number of parts.
    pub(crate) of: u32,
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

impl Shard {
    /// Parses `I/N`, `auto` or `auto/N`. With `auto`, the index comes from environment variables of the launcher, and
    /// under Slurm so does N; the other launchers don't provide it.
    ///
    /// # Errors
    /// One line: what is wrong with `text`, or with the variables.
    pub(crate) fn read(
        text: &str,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, String> {
        let refuse = |what: &str| Err(format!("--shard {text}: {what}"));
        let (index, of) = match text.split_once('/') {
            Some((index, of)) => (index, Some(of)),
            None => (text, None),
        };
        let Ok(of) = of.map(str::parse::<u32>).transpose() else {
            return refuse("N is not a number; write it as 2/8, auto/8 or, under Slurm, auto");
        };
        let (index, of) = if index == "auto" {
            let place = match found(variable) {
                Ok(place) => place,
                Err(what) => return refuse(&what),
            };
            match of.or(place.of) {
                Some(of) => (place.index, of),
                None => {
                    return refuse(&format!(
                        "{} gives the index but not the total; write auto/N",
                        place.variable
                    ));
                }
            }
        } else {
            match (index.parse(), of) {
                (Ok(index), Some(of)) => (index, of),
                _ => return refuse("write it as 2/8, auto/8 or, under Slurm, auto"),
            }
        };
        if index < 1 || index > of {
            return refuse(&format!(
                "there is no part {index} of {of}; parts count from 1"
            ));
        }
        Ok(Self { index, of })
    }

    /// Whether the setting at `position`, counted from 0, is in this part.
    pub(crate) fn has(self, position: usize) -> bool {
        position % self.of as usize == self.index as usize - 1
    }
}

struct ArrayIndex {
    variable: &'static str,
    /// Counted from 1.
    index: u32,
    of: Option<u32>,
}

/// Variables that contain an index, and the number from which they count.
const VARIABLES: [(&str, u32); 3] = [
    ("SLURM_ARRAY_TASK_ID", 0),
    ("JOB_COMPLETION_INDEX", 0),
    ("PARALLEL_SEQ", 1),
];

fn found(variable: impl Fn(&str) -> Option<String>) -> Result<ArrayIndex, String> {
    let there: Vec<(&'static str, u32, String)> = VARIABLES
        .into_iter()
        .filter_map(|(name, first)| Some((name, first, variable(name)?)))
        .collect();
    let number = |name: &str| -> Option<u32> { variable(name)?.trim().parse().ok() };
    match there.as_slice() {
        [] => {
            let names = VARIABLES.map(|(name, _)| name).join(", ");
            Err(format!("none of {names} is set; write it as 2/8"))
        }
        [(name, first, value)] => {
            let Ok(value) = value.trim().parse::<u32>() else {
                return Err(format!(
                    "{name} is `{}`, which is not an index",
                    value.escape_debug()
                ));
            };
            // A Slurm array may start at any index and have any constant step.
            let first = number("SLURM_ARRAY_TASK_MIN")
                .filter(|_| name.starts_with("SLURM"))
                .unwrap_or(*first);
            let step = number("SLURM_ARRAY_TASK_STEP")
                .filter(|_| name.starts_with("SLURM"))
                .unwrap_or(1);
            let Some(offset) = value
                .checked_sub(first)
                .filter(|offset| offset % step.max(1) == 0)
            else {
                return Err(format!(
                    "{name} is {value}, which is not in the array from {first} in steps of {step}"
                ));
            };
            Ok(ArrayIndex {
                variable: name,
                index: offset / step.max(1) + 1,
                of: number("SLURM_ARRAY_TASK_COUNT").filter(|_| name.starts_with("SLURM")),
            })
        }
        several => {
            let names: Vec<&str> = several.iter().map(|one| one.0).collect();
            Err(format!(
                "{} are all set; write it as 2/8",
                names.join(" and ")
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, variables: &[(&str, &str)]) -> Result<String, String> {
        let variable = |name: &str| {
            let found = variables.iter().find(|(other, _)| *other == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Shard::read(text, variable).map(|shard| shard.to_string())
    }

    fn ok(text: &str) -> Result<String, String> {
        Ok(text.to_owned())
    }

    #[test]
    fn a_shard_comes_from_the_argument_or_the_environment() {
        assert_eq!(read("2/8", &[("PARALLEL_SEQ", "5")]), ok("2/8"));
        let slurm = [
            ("SLURM_ARRAY_TASK_ID", "7"),
            ("SLURM_ARRAY_TASK_MIN", "3"),
            ("SLURM_ARRAY_TASK_STEP", "2"),
            ("SLURM_ARRAY_TASK_COUNT", "4"),
        ];
        assert_eq!(read("auto", &slurm), ok("3/4"));
        assert_eq!(read("auto/3", &slurm), ok("3/3"));
        assert_eq!(read("auto/4", &[("JOB_COMPLETION_INDEX", "0")]), ok("1/4"));
        assert_eq!(read("auto/4", &[("PARALLEL_SEQ", "4")]), ok("4/4"));
    }

    #[test]
    fn an_invalid_shard_is_refused_in_one_line() {
        for (text, variables, part) in [
            ("3", &[][..], "2/8"),
            ("0/3", &[], "no part 0 of 3"),
            ("4/3", &[], "no part 4 of 3"),
            ("1/0", &[], "no part 1 of 0"),
            ("a/b", &[], "not a number"),
            ("-1/3", &[], "2/8"),
            (
                "auto",
                &[],
                "none of SLURM_ARRAY_TASK_ID, JOB_COMPLETION_INDEX, PARALLEL_SEQ",
            ),
            ("auto", &[("PARALLEL_SEQ", "4")], "write auto/N"),
            ("auto/3", &[("PARALLEL_SEQ", "4")], "no part 4 of 3"),
            ("auto/3", &[("PARALLEL_SEQ", "x")], "not an index"),
            ("auto/3", &[("PARALLEL_SEQ", "0")], "not in the array"),
            (
                "auto/3",
                &[("PARALLEL_SEQ", "1"), ("JOB_COMPLETION_INDEX", "1")],
                "are all set",
            ),
            (
                "auto",
                &[("SLURM_ARRAY_TASK_ID", "1"), ("SLURM_ARRAY_TASK_MIN", "2")],
                "not in the array",
            ),
        ] {
            let line = read(text, variables).unwrap_err();
            assert!(
                line.contains(part) && !line.contains('\n'),
                "{text}: {line}"
            );
        }
    }

    #[test]
    fn every_setting_is_in_exactly_one_shard() {
        for of in 1..7 {
            for position in 0..20 {
                let shards = (1..=of).filter(|&index| Shard { index, of }.has(position));
                assert_eq!(shards.count(), 1);
            }
        }
    }
}
