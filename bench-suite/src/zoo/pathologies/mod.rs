//! The pathologies, one file each, with the measurement, the bound, the paragraph, the issue and the program.

mod accept_emfile;
mod await_chain;
mod blocked_poller;
mod blocking_call;
mod cancelled_timers;
mod drop_million;
mod emfile_spin;
mod endless_poll;
mod futures_unordered;
mod herd;
mod idle_wakeups;
mod lifo_chain;
mod lifo_hostage;
mod mutex_convoy;
mod new_connections;
mod outside_spawns;
mod panic_storm;
mod priority_inversion;
mod queue_bound;
mod self_wake;
mod slow_reader;

use super::pathology::Pathology;

/// All pathologies in the table's order: fairness, sockets, wake-ups, tasks, memory.
pub(crate) const ALL: &[Pathology] = &[
    endless_poll::PATHOLOGY,
    blocking_call::PATHOLOGY,
    blocked_poller::PATHOLOGY,
    self_wake::PATHOLOGY,
    lifo_chain::PATHOLOGY,
    lifo_hostage::PATHOLOGY,
    priority_inversion::PATHOLOGY,
    new_connections::PATHOLOGY,
    accept_emfile::PATHOLOGY,
    emfile_spin::PATHOLOGY,
    herd::PATHOLOGY,
    idle_wakeups::PATHOLOGY,
    mutex_convoy::PATHOLOGY,
    outside_spawns::PATHOLOGY,
    futures_unordered::PATHOLOGY,
    panic_storm::PATHOLOGY,
    await_chain::PATHOLOGY,
    drop_million::PATHOLOGY,
    cancelled_timers::PATHOLOGY,
    slow_reader::PATHOLOGY,
    queue_bound::PATHOLOGY,
];

/// The pathology called `name`.
pub(crate) fn find(name: &str) -> Option<&'static Pathology> {
    ALL.iter().find(|pathology| pathology.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_a_name_of_its_own_a_paragraph_and_a_public_issue() {
        for (place, one) in ALL.iter().enumerate() {
            assert!(
                ALL[..place].iter().all(|other| other.name != one.name),
                "{}",
                one.name
            );
            assert!(one.about.len() > 100, "{}", one.name);
            assert!(one.issue.starts_with("https://github.com/"), "{}", one.name);
            let number = one.issue.rsplit('/').next().unwrap_or_default();
            assert!(number.parse::<u32>().is_ok(), "{}", one.issue);
            assert!(one.quick_size <= one.size, "{}", one.name);
        }
    }
}
