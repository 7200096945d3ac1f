//! Which parts of a scheduler are left out, and in which arms.

use std::collections::BTreeSet;

use crate::error::{CommandError, usage};
use crate::parts;
use crate::registry::{Registry, RuntimeInfo};

/// What is left out in the arms of the runtimes that have parts.
#[derive(Clone, Debug)]
pub(super) enum Parts {
    /// Nothing in one arm, and each of these sets in another.
    Without(Vec<BTreeSet<String>>),
    /// Nothing, everything, each part, and everything but each part.
    Ablation,
}

impl Parts {
    /// `without` are sets as they were written, `PART,PART`.
    ///
    /// # Errors
    /// [`CommandError::Usage`] for a part that none of `runtimes` has, and if the matrix is asked of runtimes that
    /// have none.
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
                [] => "no runtime has".to_owned(),
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
            sets.push(set);
        }
        Ok(Self::Without(sets))
    }

    /// What is left out in each arm of one runtime, each set once; first nothing. Sets with a part that the runtime
    /// does not have are for others.
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

    /// The matrix's rows, by name, over these runtimes; `None` without a matrix.
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
