//! The table of this project: its workloads and runtimes, their peers, and the function for each pair.
//!
//! A line `program::<P>(..)` or `recursion::<C>(..)` adds a workload under every runtime that implements the seam it
//! is written over, `synchronised::<W>(..)` one that also chooses its locks by runtime; `entry(..)` adds a pair with a
//! function of its own. Order is the order of `lab list`.

use runtime_core::Sequential;
use runtime_mn::Mn;
use runtime_n1::N1;
use runtime_threads::{Threads, ThreadsForkJoin};

use crate::launcher::Reactor;
use crate::many_loops::processes::ProcessLoops;
use crate::many_loops::threads::ThreadLoops;
use crate::many_loops::{Loops, parts, servers};
use crate::peers::rayon::Rayon;
use crate::peers::smol::Smol;
use crate::peers::tokio::{TokioCt, TokioMt};
use crate::peers::{epoll_loop, external, pool, rayon, std_blocking};
use crate::registry::{Entry, Registry, RunFn, RuntimeInfo};
use crate::workloads::crawl::Crawl;
use crate::workloads::download::Download;
use crate::workloads::echo::Echo;
use crate::workloads::fib::{FibJoin, FibSpawn};
use crate::workloads::hash::Hash;
use crate::workloads::http::Http;
use crate::workloads::idle::Idle;
use crate::workloads::lock::Lock;
use crate::workloads::matmul::MatMul;
use crate::workloads::mixed::Mixed;
use crate::workloads::mpmc::Mpmc;
use crate::workloads::mutex_contended::MutexContended;
use crate::workloads::nqueens::NQueens;
use crate::workloads::pingpong::PingPong;
use crate::workloads::primitives::{Ours, Smols, Synchronised, Tokios, With};
use crate::workloads::semaphore::Semaphore;
use crate::workloads::skynet::{SkynetJoin, SkynetSpawn};
use crate::workloads::spawn::{Spawn, SpawnBatch};
use crate::workloads::timers::Timers;
use crate::workloads::yielding::Yield;
use crate::workloads::{Program, Recursion, joined_by, under};

/// The runtimes, in the order of `lab list`.
const RUNTIMES: &[RuntimeInfo] = &[
    ours("n1", "N:1: one loop on one thread, like asyncio").launched_by::<N1>(Reactor::Chosen),
    ours(
        "mn",
        "M:N: a few workers that steal from each other, like Go",
    )
    .launched_by::<Mn>(Reactor::Chosen),
    ours(
        "threads",
        "1:1: an OS thread for each task; the kernel schedules",
    )
    .launched_by::<Threads>(Reactor::Fixed("poll")),
    ours(
        "n1xP",
        "N:1, P times: a loop on each of P threads, nothing shared; programs are split by hand",
    ),
    ours(
        "n1xProc",
        "N:1 in P processes, like asyncio's process pool: programs are split, parts cross by pipe",
    ),
    RuntimeInfo::new(
        "std-blocking",
        "plain blocking sockets of the standard library, a thread for each connection",
    ),
    RuntimeInfo::new(
        "epoll-loop",
        "no runtime: one thread, one epoll instance, a loop written by hand",
    ),
    RuntimeInfo::new(
        "pool",
        "a plain thread pool as large as the cores: one queue under a lock",
    ),
    RuntimeInfo::new("tokio-mt", "tokio with several workers")
        .launched_by::<TokioMt>(Reactor::Fixed("epoll")),
    RuntimeInfo::new("tokio-ct", "tokio on one thread")
        .launched_by::<TokioCt>(Reactor::Fixed("epoll")),
    RuntimeInfo::new("smol", "smol: async-executor on several threads, async-io")
        .launched_by::<Smol>(Reactor::Fixed("polling")),
    RuntimeInfo::new(
        "rayon",
        "rayon: fork-join by work stealing, without tasks that wait",
    ),
];

const fn ours(name: &'static str, about: &'static str) -> RuntimeInfo {
    let mut info = RuntimeInfo::new(name, about);
    info.ours = true;
    info
}

/// All that this project measures.
pub(crate) fn standard() -> Registry {
    let mut registry = Registry {
        runtimes: RUNTIMES.to_vec(),
        ..Registry::default()
    };
    let table = &mut registry;

    program::<Echo>(table);
    entry(table, "echo", "std-blocking", std_blocking::echo);
    entry(table, "echo", "epoll-loop", epoll_loop::echo);
    program::<Http>(table);
    entry(table, "http", "std-blocking", std_blocking::http);
    program::<Timers>(table);
    program::<Crawl>(table);
    program::<Download>(table);
    program::<Mixed>(table);

    program::<FibSpawn>(table);
    entry(table, "fib-spawn", "rayon", rayon::fib_spawn);
    recursion::<FibJoin>(table);
    program::<SkynetSpawn>(table);
    entry(table, "skynet-spawn", "rayon", rayon::skynet_spawn);
    recursion::<SkynetJoin>(table);
    program::<MatMul>(table);
    entry(table, "matmul", "pool", pool::matmul);
    entry(table, "matmul", "rayon", rayon::matmul);
    program::<Hash>(table);
    entry(table, "hash", "pool", pool::hash);
    entry(table, "hash", "rayon", rayon::hash);
    program::<NQueens>(table);
    entry(table, "nqueens", "pool", pool::nqueens);
    entry(table, "nqueens", "rayon", rayon::nqueens);

    program::<Spawn>(table);
    entry(table, "spawn", "pool", pool::spawn);
    entry(table, "spawn", "rayon", rayon::spawn);
    program::<SpawnBatch>(table);
    entry(table, "spawn-batch", "pool", pool::spawn_batch);
    entry(table, "spawn-batch", "rayon", rayon::spawn_batch);
    program::<Yield>(table);
    program::<PingPong>(table);
    synchronised::<Lock>(table);
    synchronised::<MutexContended>(table);
    synchronised::<Semaphore>(table);
    synchronised::<Mpmc>(table);
    program::<Idle>(table);

    many_loops::<ThreadLoops>(table, "n1xP");
    many_loops::<ProcessLoops>(table, "n1xProc");
    external::register(table);
    registry
}

/// All that can be split over loops which share nothing.
fn many_loops<L: Loops>(registry: &mut Registry, name: &'static str) {
    entry(registry, "echo", name, servers::echo::<L>);
    entry(registry, "http", name, servers::http::<L>);
    entry(registry, "mixed", name, servers::mixed::<L>);
    entry(registry, "timers", name, parts::timers::<L>);
    entry(registry, "fib-spawn", name, parts::fib_spawn::<L>);
    entry(registry, "skynet-spawn", name, parts::skynet_spawn::<L>);
    entry(registry, "matmul", name, parts::matmul::<L>);
    entry(registry, "hash", name, parts::hash::<L>);
    entry(registry, "nqueens", name, parts::nqueens::<L>);
    entry(registry, "spawn", name, parts::spawn::<L, parts::Spawn>);
    entry(
        registry,
        "spawn-batch",
        name,
        parts::spawn::<L, parts::SpawnBatch>,
    );
    entry(registry, "yield", name, parts::yielding::<L>);
}

/// A workload over the one trait, under everything that implements it.
fn program<P: Program>(registry: &mut Registry) {
    registry.workloads.push(P::INFO);
    let name = P::INFO.name;
    entry(registry, name, "n1", under::<N1, P>);
    entry(registry, name, "mn", under::<Mn, P>);
    entry(registry, name, "threads", under::<Threads, P>);
    entry(registry, name, "tokio-mt", under::<TokioMt, P>);
    entry(registry, name, "tokio-ct", under::<TokioCt, P>);
    entry(registry, name, "smol", under::<Smol, P>);
}

/// A workload over synchronisation: as [`program`], each runtime with the primitives that go with it.
fn synchronised<W: Synchronised>(registry: &mut Registry) {
    registry.workloads.push(W::INFO);
    let name = W::INFO.name;
    entry(registry, name, "n1", under::<N1, With<W, Ours>>);
    entry(registry, name, "mn", under::<Mn, With<W, Ours>>);
    entry(registry, name, "threads", under::<Threads, With<W, Ours>>);
    entry(
        registry,
        name,
        "tokio-mt",
        under::<TokioMt, With<W, Tokios>>,
    );
    entry(
        registry,
        name,
        "tokio-ct",
        under::<TokioCt, With<W, Tokios>>,
    );
    entry(registry, name, "smol", under::<Smol, With<W, Smols>>);
}

/// A workload over fork-join, on every pool there is.
fn recursion<C: Recursion>(registry: &mut Registry) {
    registry.workloads.push(C::INFO);
    let name = C::INFO.name;
    entry(registry, name, "n1", joined_by::<Sequential, C>);
    entry(registry, name, "mn", joined_by::<Mn, C>);
    entry(registry, name, "threads", joined_by::<ThreadsForkJoin, C>);
    entry(registry, name, "rayon", joined_by::<Rayon, C>);
}

fn entry(registry: &mut Registry, workload: &'static str, runtime: &'static str, run: RunFn) {
    registry.entries.push(Entry {
        workload,
        runtime,
        run,
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_is_named_once_and_names_what_is_listed() {
        let registry = standard();
        let mut seen = std::collections::HashSet::new();
        for entry in &registry.entries {
            assert!(
                registry.workload(entry.workload).is_some(),
                "{}",
                entry.workload
            );
            assert!(
                registry.runtime(entry.runtime).is_some(),
                "{}",
                entry.runtime
            );
            assert!(seen.insert((entry.workload, entry.runtime)));
        }
    }

    #[test]
    fn every_workload_has_a_size_or_connections_within_their_bounds() {
        for workload in standard().workloads {
            assert!(!workload.parameters.is_empty(), "{}", workload.name);
            for parameter in workload.parameters {
                let range = parameter.min..=parameter.max;
                assert!(range.contains(&parameter.default), "{}", parameter.name);
            }
        }
    }
}
