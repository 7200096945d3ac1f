//! Differences that prevent two results from being merged.

use std::collections::BTreeSet;

use clap::ValueEnum;

use crate::results::{Conditions, Environment, Results};

/// A kind of difference, as named by `--unlike`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Difference {
    /// Processor, number of cores, memory, virtual machine.
    Machines,
    /// The kernel's release, and its mitigations for processor vulnerabilities.
    Kernels,
    /// The frequency governor, and whether turbo is allowed.
    Governors,
    /// The memory allocator, and huge pages.
    Allocators,
    /// Program, commit, compiler, profile, and all libraries.
    Versions,
}

impl Difference {
    /// As it appears on the command line.
    pub(super) fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

/// The differences between two results, each described in words. Memory is compared in GiB, because the amount that a
/// kernel reserves varies.
pub(super) fn differences(one: &Results, other: &Results) -> Vec<(Difference, String)> {
    let (one_facts, other_facts) = (facts(one), facts(other));
    one_facts
        .into_iter()
        .zip(other_facts)
        .filter(|((_, _, one), (_, _, other))| one != other)
        .map(|((kind, name, one), (_, _, other))| (kind, format!("{name}: {one} and {other}")))
        .collect()
}

fn facts(results: &Results) -> Vec<(Difference, &'static str, String)> {
    use Difference::{Allocators, Governors, Kernels, Machines, Versions};
    let none = Environment::default();
    let one = results.environments.first().unwrap_or(&none);
    let unknown = Conditions::default();
    let conditions = one.conditions.as_ref().unwrap_or(&unknown);
    let said = |text: &Option<String>| text.clone().unwrap_or_else(|| "unknown".to_owned());
    let gibibytes = one
        .memory_bytes
        .map(|bytes| ((bytes as f64) / f64::from(1 << 30)).round());
    let allocators: BTreeSet<&str> = results
        .runs
        .iter()
        .filter_map(|run| run.config.allocator.as_deref())
        .collect();
    let versions: Vec<String> = one
        .versions
        .iter()
        .map(|(name, version)| format!("{name} {version}"))
        .collect();
    vec![
        (Machines, "processor", said(&one.cpu)),
        (Machines, "cores", one.cores.to_string()),
        (
            Machines,
            "GiB of memory",
            gibibytes.map_or_else(|| "unknown".to_owned(), |size| size.to_string()),
        ),
        (
            Machines,
            "virtual machine",
            said(&conditions.virtualization),
        ),
        (
            Machines,
            "CPU quota",
            format!("{:?}", conditions.cpu_quota_cores),
        ),
        (Kernels, "kernel", said(&one.kernel)),
        (
            Kernels,
            "mitigations",
            format!("{:?}", conditions.mitigations),
        ),
        (Governors, "governor", said(&conditions.governor)),
        (Governors, "turbo", format!("{:?}", conditions.turbo)),
        (Allocators, "allocator", said(&conditions.allocator)),
        (
            Allocators,
            "allocators of the runs",
            format!("{allocators:?}"),
        ),
        (
            Allocators,
            "huge pages",
            said(&conditions.transparent_huge_pages),
        ),
        (Versions, "program", said(&one.program)),
        (Versions, "commit", said(&one.commit)),
        (Versions, "lab", said(&one.lab)),
        (Versions, "compiler", said(&one.rustc)),
        (
            Versions,
            "profile",
            format!("{} {:?}", one.profile, one.profile_settings),
        ),
        (Versions, "libraries", versions.join(", ")),
    ]
}
