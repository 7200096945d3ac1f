//! Jobs that run where they are spawned, but not on top of each other.

use std::collections::VecDeque;
use std::fmt;

use crate::primitives::Mutex;

/// Runs jobs one after the other: one that comes while another one runs waits for that one's end. So a chain of jobs,
/// each of which brings the next, needs no more stack than one.
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
    /// Calls `run` with `job`, and with what comes meanwhile. If that is going on, further down this stack or on
    /// another thread, `job` is left to it.
    ///
    /// `run` must not panic: what waits would be lost.
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
