//! Blocking inside a task, with an announcement.

use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};

use runtime_core::context;
use runtime_core::primitives::atomic::fence;
use runtime_core::task::TaskId;
use runtime_core::thread_stack::on_thread_stack;
use runtime_core::trace::blocking;

use super::hand_off;
use super::may_block::may_block_on_this_thread;
use super::state::Monitor;
use crate::parts::list::Installed;
use crate::parts::part::{Has, seen};
use crate::scheduler::{Local, Shared};

/// Calls `function`, which may block, on the calling worker's thread; another worker takes over its queues at once.
///
/// `spawn_blocking` is usually the better choice: it needs no worker, can be awaited with a timeout, and does not
/// delay the other futures of the same task, as this function does. Use this function for code that can't be moved to
/// another thread. Inside `function` you may call blocking entry points (`Handle::block_on`). Outside any runtime the
/// function is just called.
///
/// You can't cancel the task meanwhile. At most
/// [`Builder::max_replacement_workers`](crate::Builder::max_replacement_workers) workers take over at a time. Beyond
/// that, the worker's tasks wait until other workers take them.
///
/// # Panics
/// With the function's own panic. Also in a task of a runtime that is not M:N: under N:1 no other thread could take
/// over.
///
/// ```
/// let runtime = runtime_mn::Runtime::new()?;
/// let sum = runtime.block_on(async {
///     runtime_mn::block_in_place(|| (0..1000_u64).sum::<u64>())
/// });
/// assert_eq!(sum, 499_500);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn block_in_place<R>(function: impl FnOnce() -> R) -> R {
    // The stack of a green task may be left for ever, and the worker must come back.
    on_thread_stack(|| in_place(function))
}

fn in_place<R>(function: impl FnOnce() -> R) -> R {
    let mut function = Some(function);
    let mut call = || {
        let function = function.take().expect("called once");
        blocking(TaskId::current(), || context::as_non_worker(function))
    };
    // Meanwhile this thread is not a worker: what it spawns and wakes goes to the injector, so that others find it.
    let called = Local::<Installed>::leave(|local| {
        // A waker or the policy may call this in the middle of a search, and others must not rely on that search now.
        local.found();
        let _away = Away::new(&local.shared, local.index());
        call()
    });
    called.unwrap_or_else(|| {
        if !may_block_on_this_thread() {
            context::assert_may_block(
                "block_in_place",
                "it needs the M:N scheduler, where another worker can take over; use `spawn_blocking` and await its handle",
            );
        }
        // No other task waits behind this thread's task, if it has one.
        call()
    })
}

/// The worker is away until this is dropped.
struct Away<'a, H: Has<Monitor>> {
    shared: &'a Arc<Shared<H>>,
    index: usize,
}

impl<'a, H: Has<Monitor>> Away<'a, H> {
    fn new(shared: &'a Arc<Shared<H>>, index: usize) -> Self {
        seen::<Monitor, H>(shared, index)
            .in_place
            .store(true, Relaxed);
        // A thread that sends something to this worker from now on sees that it is away, or we see what was sent;
        // pairs with the fence in `Idle::notify_worker`.
        fence(SeqCst);
        hand_off::leave(shared, index);
        let away = Self { shared, index };
        // Its timers go to the wheels of the other workers. That calls wakers, which may panic.
        shared.remotes[index].timers.hand_on();
        away
    }
}

impl<H: Has<Monitor>> Drop for Away<'_, H> {
    fn drop(&mut self) {
        let observed = seen::<Monitor, H>(self.shared, self.index);
        observed.in_place.store(false, Relaxed);
        hand_off::come_back(self.shared);
    }
}
