//! Green twins: workloads written a second time as code that looks blocking, in tasks with a stack of their own.
//!
//! A twin has the name, the parameters, the op and the check of its workload, so that `n1` and `n1-green` stand in one
//! table: {stackless, stackful} x {N:1, M:N, 1:1}. It runs under this project's three schedulers only, as green tasks
//! are theirs. `mn-green` keeps a task on the worker that began it; `mn-green-moving` does not, which is unsound in
//! general ([`may_move`](runtime_core::green::Builder::may_move)) and is here to be compared: what does staying cost?

mod echo;
mod idle;
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

/// Adds the green arms.
pub(crate) fn register(registry: &mut Registry) {
    let about = "N:1 with green tasks: one loop on one thread, like gevent";
    let info = RuntimeInfo::ours("n1-green", about);
    add::<N1, Staying>(registry, served_by::<N1>(info, Reactor::Chosen));
    let about = "M:N with green tasks, each on the worker that began it, like goroutines that stay";
    let info = RuntimeInfo::ours("mn-green", about);
    add::<Mn, Staying>(registry, served_by::<Mn>(info, Reactor::Chosen));
    let about =
        "M:N with green tasks that are stolen at any time, like goroutines; unsound in general";
    let info = RuntimeInfo::ours("mn-green-moving", about);
    add::<Mn, Moving>(registry, served_by::<Mn>(info, Reactor::Chosen));
    let about = "1:1 with green tasks: each on a stack of its own, and a thread";
    let info = RuntimeInfo::ours("threads-green", about);
    add::<Threads, Staying>(registry, served_by::<Threads>(info, Reactor::Fixed("poll")));
}

/// Without the choices of the stackless arm: those are measured there.
fn served_by<L: Launch>(mut info: RuntimeInfo, reactor: Reactor) -> RuntimeInfo {
    info.reactor = reactor;
    info.served_by(echo::serve::<L>)
}

fn add<L: Launch, S: Style>(registry: &mut Registry, info: RuntimeInfo) {
    registry.runtimes.push(info);
    add_twin::<L, echo::EchoTwin<S>>(registry, info.name);
    add_twin::<L, echo::HttpTwin<S>>(registry, info.name);
    add_twin::<L, spawn::SpawnTwin<S>>(registry, info.name);
    add_twin::<L, spawn::SpawnBatchTwin<S>>(registry, info.name);
    add_twin::<L, yielding::YieldTwin<S>>(registry, info.name);
    add_twin::<L, pingpong::PingPongTwin<S>>(registry, info.name);
    add_twin::<L, mutex::MutexTwin<S>>(registry, info.name);
    add_twin::<L, idle::IdleTwin<S>>(registry, info.name);
}

fn add_twin<L: Launch, P: Program>(registry: &mut Registry, runtime: &'static str) {
    registry.add(P::INFO.name, runtime, under::<L, P>);
}
