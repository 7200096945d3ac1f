//! Green twins: workloads written again as code that looks blocking, in tasks with their own stacks.
//!
//! A twin has the name, the parameters, the op and the check of its workload. `n1` and `n1-green` are therefore in one
//! table: {stackless, stackful} x {N:1, M:N, 1:1}. Twins only run under this project's three schedulers, because green
//! tasks belong to them. `mn-green` keeps a task on the worker that started it. `mn-green-moving` does not, which is
//! unsound in general ([`may_move`](runtime_core::green::Builder::may_move)); it exists to measure what that
//! restriction costs.

mod crawl;
mod download;
mod echo;
mod fetch;
pub(crate) mod idle;
mod memory;
mod mutex;
mod pingpong;
mod spawn;
mod style;
mod yielding;

use runtime_core::Launch;
use runtime_mn::Mn;
use runtime_n1::N1;
use runtime_threads::Threads;

use crate::launcher::Reactor;
use crate::registry::{Registry, RuntimeInfo};
use crate::workloads::{Program, under};
use style::{Moving, Staying, Style};

const ARMS: [&str; 4] = ["n1-green", "mn-green", "mn-green-moving", "threads-green"];

/// Adds the green arms.
pub(crate) fn register(registry: &mut Registry) {
    let [n1, mn, moving, threads] = ARMS;
    let about = "N:1 with green tasks: one loop on one thread, like gevent";
    let info = RuntimeInfo::ours(n1, about);
    add::<N1, Staying>(registry, served_by::<N1, Staying>(info, Reactor::Chosen));
    let about = "M:N with green tasks, each on the worker that began it, like goroutines that stay";
    let info = RuntimeInfo::ours(mn, about);
    add::<Mn, Staying>(registry, served_by::<Mn, Staying>(info, Reactor::Chosen));
    let about =
        "M:N with green tasks that are stolen at any time, like goroutines; unsound in general";
    let info = RuntimeInfo::ours(moving, about);
    add::<Mn, Moving>(registry, served_by::<Mn, Moving>(info, Reactor::Chosen));
    let about = "1:1 with green tasks: each on a stack of its own, and a thread";
    let info = RuntimeInfo::ours(threads, about);
    add::<Threads, Staying>(
        registry,
        served_by::<Threads, Staying>(info, Reactor::Fixed("poll")),
    );
}

/// The green arms of a workload.
pub(crate) fn twins_of(registry: &Registry, workload: &str) -> Vec<&'static str> {
    let has = |arm: &&str| registry.entry(workload, arm).is_some();
    ARMS.into_iter().filter(has).collect()
}

/// Has no choices, because they are measured with the stackless arm.
fn served_by<L: Launch, S: Style>(mut info: RuntimeInfo, reactor: Reactor) -> RuntimeInfo {
    info.reactor = reactor;
    info.served_by(echo::serve::<S, L>)
}

fn add<L: Launch, S: Style>(registry: &mut Registry, info: RuntimeInfo) {
    registry.runtimes.push(info);
    add_twin::<L, echo::EchoTwin<S>>(registry, info.name);
    add_twin::<L, echo::HttpTwin<S>>(registry, info.name);
    add_twin::<L, echo::MixedTwin<S>>(registry, info.name);
    add_twin::<L, crawl::CrawlTwin<S>>(registry, info.name);
    add_twin::<L, download::DownloadTwin<S>>(registry, info.name);
    add_twin::<L, spawn::SpawnTwin<S>>(registry, info.name);
    add_twin::<L, spawn::SpawnBatchTwin<S>>(registry, info.name);
    add_twin::<L, yielding::YieldTwin<S>>(registry, info.name);
    add_twin::<L, pingpong::PingPongTwin<S>>(registry, info.name);
    add_twin::<L, mutex::MutexTwin<S>>(registry, info.name);
    add_twin::<L, idle::IdleTwin<S>>(registry, info.name);
    add_twin::<L, idle::IdleTimerTwin<S>>(registry, info.name);
    add_twin::<L, idle::IdleSocketTwin<S>>(registry, info.name);
    add_twin::<L, idle::IdleStackTwin<S>>(registry, info.name);
}

fn add_twin<L: Launch, P: Program>(registry: &mut Registry, runtime: &'static str) {
    registry.add(P::INFO.name, runtime, under::<L, P>);
}
