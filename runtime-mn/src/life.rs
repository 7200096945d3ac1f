//! The life of a worker's thread, before its first task and after its last.

use std::cell::{Cell, RefCell};
use std::mem;
use std::sync::Arc;

use runtime_core::context::{self, Ambient, Role};
use runtime_core::primitives::now;
use runtime_core::task::{SchedulerArc, home};

use crate::binding::Scheduler;
use crate::ending::own_this_thread;
use crate::policy::Policy;
use crate::scheduler::{Local, Shared};
use crate::seam::Hooks;
use crate::seam::facts::{Ended, Event};
use crate::seam::plan::Unstarted;

/// A panic of the scheduler itself, not of a task, ends the process: otherwise the runtime would lack a worker.
struct AbortOnUnwind;

impl Drop for AbortOnUnwind {
    fn drop(&mut self) {
        // Under shuttle the test reports it, with the seed.
        if !cfg!(lab_shuttle) {
            eprintln!("a worker of the M:N scheduler panicked outside of any task: this is a bug");
            std::process::abort();
        }
    }
}

/// A worker, and the scheduler whose policy decides for it.
pub(crate) struct Worker<P: Policy, H: Hooks> {
    scheduler: SchedulerArc<Scheduler<P, H>>,
    local: Local<H>,
}

impl<P: Policy, H: Hooks> Worker<P, H> {
    pub(crate) fn new(scheduler: SchedulerArc<Scheduler<P, H>>, worker: Unstarted) -> Self {
        let local = Local::new(Arc::clone(&scheduler.shared), worker);
        Self { scheduler, local }
    }

    /// The main function of the thread.
    pub(crate) fn main(self, ambient: Arc<dyn Ambient>) {
        let abort = AbortOnUnwind;
        let shared = Arc::clone(&self.local.shared);
        own_this_thread(Arc::as_ptr(&shared));
        let entered = context::enter(ambient, Role::Worker);
        let mut ended = Ended::WithTheRuntime;
        let live = || {
            H::observe(&self.local, Event::Wakes(now()));
            ended = H::live(&self.local, &|| self.local.work(self.scheduler.policy()));
            if ended == Ended::WithTheRuntime {
                self.local.end();
                let mut blocks = self.local.blocks.borrow_mut();
                blocks.flush(&shared.arena, &self.scheduler);
            }
        };
        self.scheduler.erased().serve(|| self.local.enter(live));
        drop(entered);
        if ended == Ended::Idle {
            let Local {
                queues,
                parker,
                blocks,
                parts,
                ..
            } = self.local;
            // Before the worker is taken back, because another thread may then begin with it.
            drop(parts);
            blocks.into_inner().flush(&shared.arena, &self.scheduler);
            H::take_back(&shared, Unstarted { queues, parker });
        }
        shared.threads.one_ended();
        // Not by `thread::panicking`: a stack that was left while it was being unwound makes the thread count as
        // panicking.
        mem::forget(abort);
    }
}

impl<H: Hooks> Local<H> {
    fn new(shared: Arc<Shared<H>>, worker: Unstarted) -> Self {
        // The default; a part may change it.
        home::pins_none();
        Self {
            in_driver: Cell::new(false),
            until_poll: Cell::new(shared.rules.knobs.poll_tick),
            until_injected: Cell::new(shared.rules.knobs.injector_tick),
            parts: H::local(&shared, worker.queues.index),
            remote: Arc::clone(&shared.remotes[worker.queues.index]),
            shared,
            queues: worker.queues,
            parker: worker.parker,
            blocks: RefCell::default(),
            is_asking: Cell::new(false),
            searching: Cell::new(false),
            has_overlooked: Cell::new(false),
            slot_streak: Cell::default(),
        }
    }
}

// A scheduler isolates its tasks' panics: none of them can leave it broken for a caller that catches one.
impl<H: Hooks> std::panic::UnwindSafe for Shared<H> {}
impl<H: Hooks> std::panic::RefUnwindSafe for Shared<H> {}
