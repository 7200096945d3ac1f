//! Clause 10: each operation of this project that can complete at once returns from a task's poll when it is looped
//! over.
//!
//! The operations are in a table, with a program for each that does it so often that one poll's budget does not
//! suffice. A test of this crate reads the sources and compares: an operation that is not in the table fails it.

mod files;
mod sockets;
mod sync;
mod tasks;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll};

use super::AmbientSubject;
use super::event::Event;
use runtime_kernel::{spawn, yield_now};
use runtime_library::Runtime;

/// How often each program does its operation: more often than one poll may, with every reserve.
const ROUNDS: usize = 2 * runtime_kernel::budget::UNITS_PER_POLL as usize + 44;

type Program = Pin<Box<dyn Future<Output = ()> + Send>>;

/// An operation that can complete at once, and a program that loops over it.
pub struct Operation<R> {
    name: &'static str,
    /// Where it stands in the sources: `file: function`, or `file: Trait for Type`.
    places: &'static [&'static str],
    program: Box<dyn Fn(Loops<R>) -> Program + Send>,
}

impl<R> Operation<R> {
    /// Where it stands in the sources.
    pub fn places(&self) -> &'static [&'static str] {
        self.places
    }
}

fn operation<R, P, F>(
    name: &'static str,
    places: &'static [&'static str],
    program: P,
) -> Operation<R>
where
    P: Fn(Loops<R>) -> F + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    Operation {
        name,
        places,
        program: Box::new(move |loops| Box::pin(program(loops))),
    }
}

/// What a program has: the runtime, and loops that see whether others had their turn.
struct Loops<R> {
    runtime: R,
    name: &'static str,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    /// Polls of the program.
    polls: AtomicUsize,
    /// Polls of another task, where there is but one worker for both.
    others: Option<AtomicUsize>,
}

impl<R> Loops<R> {
    /// A loop of as many rounds as it takes. At its end it looks whether the task has returned from its poll meanwhile.
    ///
    /// # Panics
    /// At the end, if it has not, or if no other task had its turn.
    fn rounds(&self) -> impl Iterator<Item = usize> + use<R> {
        let (name, seen) = (self.name, Arc::clone(&self.seen));
        let polls = seen.polls.load(SeqCst);
        let others = seen.others.as_ref().map(|others| others.load(SeqCst));
        let mut rounds = 0..ROUNDS;
        std::iter::from_fn(move || {
            let next = rounds.next();
            if next.is_none() {
                assert!(
                    seen.polls.load(SeqCst) > polls,
                    "{name}: {ROUNDS} times in a single poll"
                );
                let others_now = seen.others.as_ref().map(|others| others.load(SeqCst));
                assert!(
                    others_now.is_none() || others_now > others,
                    "{name}: {ROUNDS} times, and no other task had its turn"
                );
            }
            next
        })
    }
}

/// Counts the polls of a program.
struct Counted {
    program: Program,
    seen: Arc<Seen>,
}

impl Future for Counted {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.seen.polls.fetch_add(1, SeqCst);
        self.program.as_mut().poll(cx)
    }
}

/// Runs each program as a task, beside one that always has work.
fn run<S: AmbientSubject>(operations: Vec<Operation<S::Runtime>>) {
    let subject = S::start();
    let runtime = subject.handle();
    subject.run(async move {
        for operation in operations {
            let name = operation.name;
            // Shown if it fails, or hangs.
            eprintln!("{name}");
            let alone = runtime.capabilities().workers == Some(1);
            let seen = Arc::new(Seen {
                others: alone.then(AtomicUsize::default),
                ..Seen::default()
            });
            let stop = Event::new();
            let (beside, stopped) = (Arc::clone(&seen), stop.clone());
            let other = spawn(async move {
                while let Some(others) = &beside.others
                    && !stopped.is_set()
                {
                    others.fetch_add(1, SeqCst);
                    yield_now().await;
                }
            });
            let program = (operation.program)(Loops {
                runtime: runtime.clone(),
                name,
                seen: Arc::clone(&seen),
            });
            let ended = spawn(Counted { program, seen }).await;
            stop.set();
            other.await.expect("the other task");
            if let Err(error) = ended {
                panic!("{name}: {}", error.panic_message().unwrap_or("it was lost"));
            }
        }
    });
}

/// 10: awaiting tasks, waiting for several, timers, scopes and tokens.
pub fn c10_ready_operations_on_tasks_let_others_run<S: AmbientSubject>() {
    run::<S>(tasks::operations());
}

/// 10: the primitives of synchronisation.
pub fn c10_ready_primitives_let_others_run<S: AmbientSubject>() {
    run::<S>(sync::operations());
}

/// 10: sockets, and all that is asked of them before there is one.
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

/// What has no program, and why: by its place in the sources.
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
    ("task/mod.rs: Future for YieldNow", "always waits once"),
    (
        "budget/mod.rs: Future for Unconstrained",
        "lifts the budget, as its name says",
    ),
    ("budget/mod.rs: poll_begin", "the budget itself"),
    ("budget/mod.rs: poll_proceed", "the budget itself"),
];
