//! What would change an answer, with the figures that say when.

use super::kinds::Kind;
use super::models::Model;
use crate::units;

/// What was measured of the winner.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    pub(super) winner: Model,
    pub(super) cores: u64,
    pub(super) cpu_ns_per_op: Option<f64>,
    /// Of the 1:1 model.
    pub(super) threads_rss_bytes: Option<f64>,
}

pub(super) fn change(kind: Kind, facts: Facts) -> String {
    use Model::{FewThreads, OneThread, ThreadEach};
    let cores = match facts.cores {
        0 => "the cores".to_owned(),
        1 => "1 core".to_owned(),
        cores => format!("{cores} cores"),
    };
    // One thread can do no more than one second of work a second.
    let full = facts.cpu_ns_per_op.filter(|cpu| *cpu > 0.0).map_or_else(
        || "what one core does".to_owned(),
        |cpu| {
            format!(
                "about {} a second, all that one core does",
                units::rate(1e9 / cpu)
            )
        },
    );
    let memory = facts.threads_rss_bytes.map_or_else(String::new, |bytes| {
        format!(", which took {} here", units::bytes(bytes))
    });
    match (kind, facts.winner) {
        (Kind::Sockets, OneThread) => format!(
            "M:N, for more than {full}, or when a request computes: all others wait while it does"
        ),
        (Kind::Fetching, OneThread) => format!(
            "M:N, for more than {full}, or when what is fetched is worked on: all others wait meanwhile"
        ),
        (Kind::Sockets | Kind::Fetching, FewThreads) => {
            "N:1, when one core is enough and nothing computes; 1:1, when calls block and sockets are few".to_owned()
        }
        (Kind::Sockets | Kind::Fetching, ThreadEach) => {
            format!("M:N, with more connections: each takes a thread{memory}")
        }
        (Kind::Waiting, OneThread) => {
            "M:N, when the tasks do more than wait: N:1 runs them on one core".to_owned()
        }
        (Kind::Waiting, FewThreads) => "N:1, when one core is enough for what they do".to_owned(),
        (Kind::Waiting, ThreadEach) => format!("M:N, with more tasks: each takes a thread{memory}"),
        (Kind::SmallTasks, OneThread) => format!(
            "M:N, when a task computes for longer than handing it over takes: N:1 leaves all but one of {cores} idle"
        ),
        (Kind::SmallTasks, FewThreads) => {
            "N:1, when tasks are so small that handing them over costs more than they do".to_owned()
        }
        (Kind::SmallTasks, ThreadEach) => {
            format!("M:N, with more tasks at once: each takes a thread{memory}")
        }
        (Kind::Pieces, OneThread) => format!(
            "M:N or 1:1, with larger pieces: N:1 leaves all but one of {cores} idle"
        ),
        (Kind::Pieces, FewThreads) => format!(
            "N:1, on a machine with 1 core instead of {cores}; 1:1 comes nearer with larger pieces"
        ),
        (Kind::Pieces, ThreadEach) => format!(
            "M:N, with smaller pieces: each takes a thread; N:1, on a machine with 1 core instead of {cores}"
        ),
        (Kind::Neighbours, OneThread) => {
            "any task that computes for long: under N:1 all others wait for it".to_owned()
        }
        (Kind::Neighbours, FewThreads) => {
            "1:1, with more tasks that compute than workers: only the kernel interrupts them".to_owned()
        }
        (Kind::Neighbours, ThreadEach) => {
            format!("M:N or N:1, when nothing computes for long, or with more connections{memory}")
        }
        (Kind::Switching, OneThread) => format!(
            "M:N, when there is work besides the waiting: N:1 leaves all but one of {cores} idle"
        ),
        (Kind::Switching, FewThreads) => {
            "N:1, when one core is enough: nothing has to be shared there".to_owned()
        }
        (Kind::Switching, ThreadEach) => {
            format!("M:N or N:1, with more tasks: each takes a thread{memory}")
        }
    }
}
