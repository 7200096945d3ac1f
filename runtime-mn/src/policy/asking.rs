//! How a policy is asked: its panic is contained, and it is not asked about what it does while it is being asked.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use runtime_core::primitives::thread_local;
use runtime_core::task::Task;

use super::view::{Shown, Sleepers};
use super::{Attempt, Place, Policy, SleeperView, Source, WokenBy};
use crate::scheduler::{Local, Shared};
use crate::seam::Hooks;

impl<H: Hooks> Local<H> {
    /// Returns the policy's answer. `None` if it has panicked, or if it has spawned or woken a task while it was
    /// asked, which leads to this second question. The caller then uses the default.
    ///
    /// The caller asks before it changes anything, so a panic interrupts nothing. If a policy can't panic, this is a
    /// plain call.
    #[inline]
    pub(crate) fn ask<T>(&self, question: impl FnOnce() -> T) -> Option<T> {
        if self.is_asking.replace(true) {
            return None;
        }
        // The payload's destructor is the policy's code, too.
        let answer = catch_unwind(AssertUnwindSafe(question))
            .map_err(dispose)
            .ok();
        self.is_asking.set(false);
        answer
    }
}

impl<H: Hooks> Local<H> {
    /// Where a new task goes.
    #[inline]
    pub(crate) fn ask_for_place_of_spawned<P: Policy>(&self, policy: &P, task: &Task) -> Place {
        let place = self.ask(|| policy.place_spawned(&Shown::task(self, task).view()));
        place.unwrap_or(Place::Newest)
    }

    /// Where a task goes that is due again.
    #[inline]
    pub(crate) fn ask_for_place_of_woken<P: Policy>(
        &self,
        policy: &P,
        task: &Task,
        by: WokenBy,
    ) -> Place {
        let place = self.ask(|| policy.place_woken(&Shown::task(self, task).view(), by));
        place.unwrap_or(Place::Back)
    }

    /// Where the worker takes its next task from.
    #[inline]
    pub(crate) fn ask_for_next<P: Policy>(&self, policy: &P) -> Option<Source> {
        let shown = Shown::worker(self);
        self.ask(|| policy.next(&shown.view())).flatten()
    }

    /// Searches where the policy says, in its order, until something is found.
    pub(crate) fn ask_where_to_look<P: Policy, T>(
        &self,
        policy: &P,
        look: impl FnMut(Attempt) -> Option<T>,
    ) -> Option<T> {
        let shown = Shown::worker(self);
        let view = shown.search_view();
        let mut order = self.ask(|| policy.search(&view))?;
        // The policy's order may be endless.
        let steps = 0..4 * view.workers() + 8;
        let attempts = steps.map_while(|_| self.ask(|| order.next()).flatten());
        let found = { attempts }.find_map(look);
        // Its destructor is the policy's code, too.
        let _ = self.ask(|| drop(order));
        found
    }
}

impl<H: Hooks> Shared<H> {
    /// Which sleeper the policy chooses. A policy is not asked about wake-ups that happen while it is being asked.
    #[cold]
    pub(crate) fn choose_sleeper(&self) -> Option<usize> {
        let sleepers = Sleepers {
            shared: self,
            teller: Local::current_index(self),
        };
        self.threads
            .starter()?
            .choose_sleeper(&SleeperView::new(&sleepers))
    }
}

thread_local! {
    /// A policy is being asked which sleeper to wake.
    static CHOOSES: Cell<bool> = const { Cell::new(false) };
}

/// Asks a policy which sleeper to wake, on any thread. `None` if it has panicked, or if it is already being asked.
pub(crate) fn ask_for_sleeper<P: Policy>(policy: &P, sleepers: &SleeperView<'_>) -> Option<usize> {
    if CHOOSES
        .try_with(|chooses| chooses.replace(true))
        .unwrap_or(true)
    {
        return None;
    }
    let chosen = catch_unwind(AssertUnwindSafe(|| policy.wake(sleepers)));
    CHOOSES.set(false);
    chosen.map_err(dispose).ok().flatten()
}

/// Drops a panic's payload. The panic hook has reported the panic. The payload's destructor may panic, too.
#[cold]
pub(crate) fn dispose(payload: Box<dyn Any + Send>) {
    if let Err(another) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(another);
    }
}
