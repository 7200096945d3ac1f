//! Jobs that run on the thread that spawns them, but never nested in each other.

use std::collections::VecDeque;
use std::fmt;

use crate::primitives::Mutex;

/// Runs jobs one after the other: a job that arrives while another one runs waits until that one ends. A chain of
/// jobs, each of which brings the next, therefore needs no more stack than one job.
pub struct InTurn<J>(Mutex<State<J>>);

struct State<J> {
    waiting: VecDeque<J>,
    running: bool,
}

impl<J> Default for InTurn<J> {
    fn default() -> Self {
        Self(Mutex::new(State {
            waiting: VecDeque::new(),
            running: false,
        }))
    }
}

impl<J> InTurn<J> {
    /// Calls `run` with `job`, and then with each job that arrives meanwhile. If a `run` is already in progress,
    /// further down this stack or on another thread, `job` is left to it.
    ///
    /// `run` must not panic: the waiting jobs would be lost.
    pub fn run(&self, job: J, run: impl Fn(J)) {
        {
            let mut state = self.0.lock();
            if state.running {
                state.waiting.push_back(job);
                return;
            }
            state.running = true;
        }
        let mut next = Some(job);
        while let Some(job) = next {
            run(job);
            let mut state = self.0.lock();
            next = state.waiting.pop_front();
            state.running = next.is_some();
        }
    }
}

impl<J> fmt::Debug for InTurn<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InTurn")
            .field("waiting", &self.0.lock().waiting.len())
            .finish_non_exhaustive()
    }
}
