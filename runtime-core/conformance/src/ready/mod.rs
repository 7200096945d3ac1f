//! Clause 10: if a task loops over an operation of this project that can complete at once, it still returns from its
//! poll.
//!
//! The operations are in a table. Each has a program that repeats it until the budget of one poll is exhausted. A test
//! of this crate compares the table with the sources: it fails if an operation is missing.

mod files;
mod operation;
mod sockets;
mod sync;
mod tasks;

pub use operation::Operation;

use super::AmbientSubject;
use operation::run;
use runtime_library::Runtime;

/// 10: awaiting tasks, waiting for several, timers, scopes and tokens.
pub fn c10_ready_operations_on_tasks_let_others_run<S: AmbientSubject>() {
    run::<S>(tasks::operations());
}

/// 10: the primitives of synchronisation.
pub fn c10_ready_primitives_let_others_run<S: AmbientSubject>() {
    run::<S>(sync::operations());
}

/// 10: sockets, and everything that you can do before there is one.
pub fn c10_ready_sockets_let_others_run<S: AmbientSubject>() {
    run::<S>(sockets::operations());
}

/// 10: files, processes and signals.
pub fn c10_ready_files_and_processes_let_others_run<S: AmbientSubject>() {
    run::<S>(files::operations());
}

/// The whole table.
pub fn operations<R: Runtime>() -> Vec<Operation<R>> {
    let mut all = tasks::operations();
    all.extend(sync::operations());
    all.extend(sockets::operations());
    all.extend(files::operations());
    all
}

/// Operations without a program, by their place in the sources, with the reason.
pub const WITHOUT_PROGRAM: &[(&str, &str)] = &[
    (
        "blocking/job.rs: Future for BlockingJob",
        "private: polled once, by the pool",
    ),
    ("calls/every.rs: run", "never completes"),
    (
        "process_pool/call.rs: Future for Call",
        "a oneshot's receiver, which has its own; its answer comes from another process",
    ),
    (
        "combine/wait_for.rs: wait_for",
        "a `timeout` and a handle, which have theirs",
    ),
    ("fs/offload.rs: Future for Job", "private: a handle"),
    ("owned_job.rs: Future for OwnedJob", "private: a handle"),
    (
        "hyper_rt.rs: Future for SyncSleep",
        "private: the runtime's sleep",
    ),
    ("hyper_rt.rs: Read for HyperIo", "hands on to its stream"),
    ("hyper_rt.rs: Write for HyperIo", "hands on to its stream"),
    ("native.rs: sleep", "a `Sleep`"),
    ("native.rs: sleep_until", "a `Sleep`"),
    ("native.rs: yield_now", "always waits once"),
    ("net/address.rs: look_up", "private: a job of the pool"),
    (
        "net/server.rs: accept_all",
        "private: a task of its own, over `acquire_owned` and `accept`",
    ),
    ("net/server.rs: next", "sealed: an `accept`"),
    ("process/child.rs: both", "private"),
    ("process/child.rs: read_all", "private: reads pipes"),
    (
        "process/child.rs: wait_with_output",
        "takes the child; a `read` of its pipes and a `wait`",
    ),
    ("runtime/traits.rs: accept", "declared only"),
    ("runtime/traits.rs: recv", "declared only"),
    ("runtime/traits.rs: send", "declared only"),
    ("runtime/traits.rs: sleep", "declared only"),
    ("runtime/traits.rs: sleep_until", "declared only"),
    ("runtime/traits.rs: yield_now", "declared only"),
    ("signal/stream.rs: ctrl_c", "a `recv` of a new stream"),
    (
        "sync/condition.rs: Future for WaitNotified",
        "always waits once",
    ),
    (
        "sync/permits.rs: Future for Take",
        "private: part of the mutex and the semaphore",
    ),
    ("sync/signal.rs: Future for Wait", "always waits once"),
    (
        "task/yield_now.rs: Future for YieldNow",
        "always waits once",
    ),
    (
        "budget/mod.rs: Future for Unconstrained",
        "lifts the budget, as its name says",
    ),
    (
        "trace/follow.rs: Future for Followed",
        "polls another runtime's future, and takes nothing itself",
    ),
    ("budget/mod.rs: poll_begin", "the budget itself"),
    ("budget/mod.rs: poll_proceed", "the budget itself"),
];
