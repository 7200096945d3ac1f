//! Registers the rows of many loops.

use super::processes::ProcessLoops;
use super::threads::ThreadLoops;
use super::{Loops, parts, servers};
use crate::registry::{Registry, RuntimeInfo};

/// Adds `n1xP` and `n1xProc` under every workload that can be split over loops.
pub(crate) fn register(registry: &mut Registry) {
    let about =
        "N:1, P times: a loop on each of P threads, nothing shared; programs are split by hand";
    add::<ThreadLoops>(registry, RuntimeInfo::ours("n1xP", about));
    let about =
        "N:1 in P processes, like asyncio's process pool: programs are split, parts cross by pipe";
    add::<ProcessLoops>(registry, RuntimeInfo::ours("n1xProc", about));
}

fn add<L: Loops>(registry: &mut Registry, info: RuntimeInfo) {
    let name = info.name;
    registry.runtimes.push(info.served_by(servers::serve::<L>));
    registry.add("echo", name, servers::echo::<L>);
    registry.add("http", name, servers::http::<L>);
    registry.add("mixed", name, servers::mixed::<L>);
    registry.add("timers", name, parts::timers::<L>);
    registry.add("fib-spawn", name, parts::fib_spawn::<L>);
    registry.add("skynet-spawn", name, parts::skynet_spawn::<L>);
    registry.add("matmul", name, parts::matmul::<L>);
    registry.add("hash", name, parts::hash::<L>);
    registry.add("nqueens", name, parts::nqueens::<L>);
    registry.add("spawn", name, parts::spawn::<L, parts::Spawn>);
    registry.add("spawn-batch", name, parts::spawn::<L, parts::SpawnBatch>);
    registry.add("yield", name, parts::yielding::<L>);
}
