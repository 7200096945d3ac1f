//! Which parts of a scheduler are left out, and in which arms.

use std::collections::BTreeSet;

use crate::error::{CommandError, usage};
use crate::parts;
use crate::registry::{Registry, RuntimeInfo};

/// What the arms of runtimes with parts leave out.
#[derive(Clone, Debug)]
pub(super) enum Parts {
    /// One arm leaves out nothing, and one more for each of these sets leaves out the set.
    Without(Vec<BTreeSet<String>>),
    /// Arms that leave out nothing, everything, each part, and everything but each part.
    Ablation,
}

impl Parts {
    /// `without` are sets as the user wrote them: `PART,PART`.
    ///
    /// # Errors
    /// [`CommandError::Usage`] for a part that none of `runtimes` has, and for a matrix of runtimes without parts.
    pub(super) fn new(
        registry: &Registry,
        runtimes: &[&'static str],
        without: &[String],
        ablate: bool,
    ) -> Result<Self, CommandError> {
        let chosen = || runtimes.iter().filter_map(|name| registry.runtime(name));
        let known: BTreeSet<&str> = chosen().flat_map(names).collect();
        if (ablate || !without.is_empty()) && known.is_empty() {
            let who = registry
                .runtimes
                .iter()
                .filter(|info| !info.parts().is_empty());
            let who: Vec<&str> = who.map(|info| info.name).collect();
            let who = match who.as_slice() {
                [] => "no runtime here has any".to_owned(),
                who => format!("those that have are: {}", who.join(", ")),
            };
            return Err(usage(format!(
                "none of the chosen runtimes has parts that can be left out; {who}"
            )));
        }
        if ablate {
            return Ok(Self::Ablation);
        }
        let mut sets = Vec::new();
        for written in without {
            let set: BTreeSet<String> = written
                .split(',')
                .map(|part| part.trim().to_owned())
                .collect();
            for part in &set {
                if !known.contains(part.as_str()) {
                    return Err(usage(parts::unknown(part, known)));
                }
            }
            let has_all = |info: &RuntimeInfo| {
                let own: BTreeSet<&str> = names(info).collect();
                set.iter().all(|part| own.contains(part.as_str()))
            };
            if !chosen().any(has_all) {
                return Err(usage(format!(
                    "no chosen runtime has all of the parts {written}; use a separate --without for each runtime"
                )));
            }
            sets.push(set);
        }
        Ok(Self::Without(sets))
    }

    /// What each arm of one runtime leaves out. Each set occurs once, and the empty set comes first. Sets with a part
    /// that the runtime lacks are for other runtimes.
    pub(super) fn of(&self, info: &RuntimeInfo) -> Vec<BTreeSet<String>> {
        let parts: BTreeSet<&str> = names(info).collect();
        let owned = |names: &BTreeSet<&str>| -> BTreeSet<String> {
            names.iter().map(|&name| name.to_owned()).collect()
        };
        let mut sets = vec![BTreeSet::new()];
        match self {
            Self::Without(asked) => sets.extend(
                asked
                    .iter()
                    .filter(|set| set.iter().all(|part| parts.contains(part.as_str())))
                    .cloned(),
            ),
            Self::Ablation => {
                sets.push(owned(&parts));
                sets.extend(names(info).map(|part| owned(&BTreeSet::from([part]))));
                sets.extend(names(info).map(|part| {
                    let mut others = parts.clone();
                    others.remove(part);
                    owned(&others)
                }));
            }
        }
        let mut distinct: Vec<BTreeSet<String>> = Vec::new();
        for set in sets {
            if !distinct.contains(&set) {
                distinct.push(set);
            }
        }
        distinct
    }

    /// The matrix's rows over these runtimes, by name; `None` without a matrix.
    pub(super) fn rows(&self, runtimes: &[&RuntimeInfo]) -> Option<Vec<String>> {
        let Self::Ablation = self else { return None };
        let mut rows: Vec<String> = Vec::new();
        for info in runtimes {
            let all: BTreeSet<String> = names(info).map(str::to_owned).collect();
            for set in self.of(info) {
                let row = parts::in_matrix(&set, &all);
                if !rows.contains(&row) {
                    rows.push(row);
                }
            }
        }
        Some(rows)
    }
}

fn names(info: &RuntimeInfo) -> impl Iterator<Item = &'static str> {
    info.parts().iter().map(|part| part.name)
}

#[cfg(test)]
mod tests {
    use runtime_core::Choice;
    use runtime_n1::N1;

    use super::*;
    use crate::launcher::{Launcher, Reactor};

    const fn part(name: &'static str) -> Choice {
        Choice { name, about: "" }
    }

    fn runtime(name: &'static str, parts: &'static [Choice]) -> RuntimeInfo {
        let mut info = RuntimeInfo::new(name, "").launched_by::<N1>(Reactor::Chosen);
        let mut launcher = Launcher::of::<N1>();
        launcher.parts = parts;
        info.launcher = Some(launcher);
        info
    }

    fn asked(without: &[&str]) -> Result<Vec<usize>, String> {
        let registry = Registry {
            runtimes: vec![
                runtime("two", const { &[part("a"), part("b")] }),
                runtime("one", const { &[part("c")] }),
                runtime("none", &[]),
            ],
            ..Registry::default()
        };
        let without: Vec<String> = without.iter().map(|&set| set.to_owned()).collect();
        Parts::new(&registry, &["two", "one", "none"], &without, false)
            .map(|parts| {
                let arms = registry.runtimes.iter().map(|info| parts.of(info).len());
                arms.collect()
            })
            .map_err(|error| error.to_string())
    }

    #[test]
    fn each_set_is_for_the_runtimes_that_have_all_of_it() {
        assert_eq!(asked(&[]), Ok(vec![1, 1, 1]));
        assert_eq!(asked(&["b,a", "a", "c"]), Ok(vec![3, 2, 1]));
        // The same set, written twice in a different order.
        assert_eq!(asked(&["b,a", "a,b"]), Ok(vec![2, 1, 1]));
    }

    #[test]
    fn a_set_that_no_runtime_has_as_a_whole_is_refused() {
        let refused = asked(&["a,c"]).unwrap_err();
        assert!(
            refused.starts_with("no chosen runtime has all of the parts a,c"),
            "{refused}"
        );
        assert_eq!(
            asked(&["d"]).unwrap_err(),
            "unknown part `d`; the parts are: a, b, c"
        );
    }

    #[test]
    fn with_few_parts_no_row_of_the_matrix_is_repeated() {
        let rows = |parts| {
            let info = runtime("any", parts);
            Parts::Ablation.rows(&[&info]).unwrap()
        };
        assert_eq!(
            rows(const { &[part("a"), part("b")] }),
            ["all", "none", "-a", "-b"]
        );
        assert_eq!(rows(const { &[part("a")] }), ["all", "none"]);
        assert_eq!(rows(&[]), ["all"]);
    }
}
