//! What would change an answer, and from which figures on, in whole sentences.

use super::kinds::Kind;
use super::models::Model;
use crate::units;

/// The winner's measurements.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    pub(super) winner: Model,
    pub(super) cores: u64,
    pub(super) cpu_ns_per_op: Option<f64>,
    /// Peak memory under the 1:1 model.
    pub(super) threads_rss_bytes: Option<f64>,
}

pub(super) fn change(kind: Kind, facts: Facts) -> String {
    use Model::{FewThreads, OneThread, ThreadEach};
    let cores = match facts.cores {
        0 => "one core".to_owned(),
        cores => format!("1 of {cores} {}", if cores == 1 { "core" } else { "cores" }),
    };
    // One thread computes at most one second per second.
    let full = facts.cpu_ns_per_op.filter(|cpu| *cpu > 0.0).map_or_else(
        || "what one core can do".to_owned(),
        |cpu| {
            format!(
                "about {} ops a second, the limit of one core",
                units::rate(1e9 / cpu)
            )
        },
    );
    let memory = facts.threads_rss_bytes.map_or_else(String::new, |bytes| {
        format!(", and the process took {} here", units::bytes(bytes))
    });
    match (kind, facts.winner) {
        (Kind::Sockets, OneThread) => format!(
            "Take M:N for more than {full}, or when a request computes: meanwhile all others wait."
        ),
        (Kind::Fetching, OneThread) => format!(
            "Take M:N for more than {full}, or when you compute with what you fetch: meanwhile the other fetches wait."
        ),
        (Kind::Sockets | Kind::Fetching, FewThreads) => {
            "Take N:1 when one core is enough and nothing computes. Take 1:1 when calls block and sockets are few."
                .to_owned()
        }
        (Kind::Sockets | Kind::Fetching, ThreadEach) => {
            format!("Take M:N for more connections: under 1:1 each takes a thread{memory}.")
        }
        (Kind::Waiting, OneThread) => {
            "Take M:N when the tasks do more than wait: N:1 runs all of them on one core.".to_owned()
        }
        (Kind::Waiting, FewThreads) => {
            "Take N:1 when one core is enough for what the tasks do.".to_owned()
        }
        (Kind::Waiting, ThreadEach) => {
            format!("Take M:N for more tasks: under 1:1 each takes a thread{memory}.")
        }
        (Kind::SmallTasks, OneThread) => format!(
            "Take M:N when a task computes for longer than it takes to hand it to another core: N:1 uses {cores}."
        ),
        (Kind::SmallTasks, FewThreads) => {
            "Take N:1 when a task does less than it costs to hand it to another core.".to_owned()
        }
        (Kind::SmallTasks, ThreadEach) => {
            format!("Take M:N for more tasks at once: under 1:1 each takes a thread{memory}.")
        }
        (Kind::Pieces, OneThread) => {
            format!("Take M:N or 1:1 for larger pieces: N:1 uses {cores}.")
        }
        (Kind::Pieces, FewThreads) => {
            "Take N:1 on a machine with 1 core. With larger pieces, 1:1 comes closer.".to_owned()
        }
        (Kind::Pieces, ThreadEach) => {
            "Take M:N for smaller pieces: under 1:1 each takes a thread. Take N:1 on a machine with 1 core.".to_owned()
        }
        (Kind::Neighbours, OneThread) => {
            "Take M:N or 1:1 as soon as any task computes for long: under N:1 all others wait for it.".to_owned()
        }
        (Kind::Neighbours, FewThreads) => {
            "Take 1:1 when more tasks compute than there are workers: only the kernel interrupts them.".to_owned()
        }
        (Kind::Neighbours, ThreadEach) => {
            format!(
                "Take M:N or N:1 when nothing computes for long, or for more connections: under 1:1 each takes a \
                 thread{memory}."
            )
        }
        (Kind::Switching, OneThread) => {
            format!("Take M:N when there is work besides the waiting: N:1 uses {cores}.")
        }
        (Kind::Switching, FewThreads) => {
            "Take N:1 when one core is enough: nothing has to be shared there.".to_owned()
        }
        (Kind::Switching, ThreadEach) => {
            format!("Take M:N or N:1 for more tasks: under 1:1 each takes a thread{memory}.")
        }
    }
}
