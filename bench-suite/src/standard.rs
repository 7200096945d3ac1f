//! Everything that this project measures: its own runtimes and every peer.
//!
//! This crate's unit tests don't use [`Registry::standard`]. Its many copies of the workloads are then compiled once,
//! in the library, and not again with the tests. `tests/registry.rs` checks it.

use runtime_core::Sequential;
use runtime_mn::Mn;
use runtime_n1::N1;
use runtime_threads::{Threads, ThreadsForkJoin};

use crate::launcher::Reactor;
use crate::registry::{Registry, RuntimeInfo};
use crate::workloads::primitives::Ours;
use crate::{catalogue, green, many_loops, peers};

impl Registry {
    /// Everything that this project measures: its workloads, under its runtimes and their peers.
    pub fn standard() -> Self {
        let mut registry = Self {
            workloads: catalogue::workloads(),
            ..Self::default()
        };
        add_ours(&mut registry);
        green::register(&mut registry);
        many_loops::register::register(&mut registry);
        for register in peers::IN_RUST {
            register(&mut registry);
        }
        peers::external::register(&mut registry);
        let workloads = &registry.workloads;
        let place = |name| workloads.iter().position(|workload| workload.name == name);
        registry.entries.sort_by_key(|entry| place(entry.workload));
        registry
    }
}

fn add_ours(registry: &mut Registry) {
    let info = RuntimeInfo::ours("n1", "N:1: one loop on one thread, like asyncio");
    registry.add_runtime::<N1, Ours>(info.launched_by::<N1>(Reactor::Chosen));
    registry.add_fork_join::<Sequential>("n1");

    let about = "M:N: a few workers that steal from each other, like Go";
    let info = RuntimeInfo::ours("mn", about).launched_by::<Mn>(Reactor::Chosen);
    registry.add_runtime::<Mn, Ours>(info);
    registry.add_fork_join::<Mn>("mn");

    let about = "1:1: an OS thread for each task; the kernel schedules";
    let info = RuntimeInfo::ours("threads", about).launched_by::<Threads>(Reactor::Fixed("poll"));
    registry.add_runtime::<Threads, Ours>(info);
    registry.add_fork_join::<ThreadsForkJoin>("threads");
}
