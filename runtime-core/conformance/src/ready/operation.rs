//! An operation that can complete at once, a program that repeats it, and a task that runs the program alongside
//! another task.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll};

use super::super::AmbientSubject;
use super::super::event::Event;
use runtime_kernel::{spawn, yield_now};
use runtime_library::Runtime;

/// How often each program repeats its operation: more often than one poll may, including all reserves.
pub(super) const ROUNDS: usize = 2 * runtime_kernel::budget::UNITS_PER_POLL as usize + 44;

type Program = Pin<Box<dyn Future<Output = ()> + Send>>;

/// An operation that can complete at once, and a program that loops over it.
pub struct Operation<R> {
    name: &'static str,
    /// Where it is in the sources: `file: function`, or `file: Trait for Type`.
    places: &'static [&'static str],
    program: Box<dyn Fn(Loops<R>) -> Program + Send>,
}

impl<R> Operation<R> {
    /// Where it is in the sources.
    pub fn places(&self) -> &'static [&'static str] {
        self.places
    }
}

pub(super) fn operation<R, P, F>(
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

/// What a program gets: the runtime, and loops that check whether other tasks had their turn.
pub(super) struct Loops<R> {
    pub(super) runtime: R,
    name: &'static str,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    /// How often the program was polled.
    polls: AtomicUsize,
    /// How often another task was polled, if both share a single worker.
    others: Option<AtomicUsize>,
}

impl<R> Loops<R> {
    /// A loop with enough iterations. At its end it checks whether the task has returned from its poll meanwhile.
    ///
    /// # Panics
    /// At the end, if the task has not returned, or if no other task had its turn.
    pub(super) fn rounds(&self) -> impl Iterator<Item = usize> + use<R> {
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

/// Runs each program as a task, alongside another one that always has work.
pub(super) fn run<S: AmbientSubject>(operations: Vec<Operation<S::Runtime>>) {
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
