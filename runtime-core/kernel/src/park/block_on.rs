//! Polls a future to its end on a thread that has nothing else to do.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::{AdaptiveSpin, Parker};

/// What a thread uses to wait.
struct Own {
    parker: Parker,
    waker: Waker,
    spin: AdaptiveSpin,
}

thread_local! {
    /// The thread's own, while no `block_on_current_thread` uses it.
    static CACHED: RefCell<Option<Own>> = const { RefCell::new(None) };
}

crate::primitives::thread_local! {
    /// The calling thread is inside `block_on_current_thread`.
    static BLOCKED_ON: Cell<bool> = const { Cell::new(false) };
}

/// True if a future that is polled on the calling thread waits by blocking that thread.
pub(crate) fn is_blocked_on() -> bool {
    BLOCKED_ON.try_with(Cell::get).unwrap_or(false)
}

/// While it exists, the thread is marked as blocked on a future.
struct BlockedOn {
    before: bool,
}

impl BlockedOn {
    fn begin() -> Self {
        Self {
            before: BLOCKED_ON.try_with(|is| is.replace(true)).unwrap_or(true),
        }
    }
}

impl Drop for BlockedOn {
    fn drop(&mut self) {
        // A thread that has destroyed its thread-locals has nothing to restore.
        let _ = BLOCKED_ON.try_with(|is| is.set(self.before));
    }
}

/// Polls `future` to its end on the calling thread, which sleeps while there is nothing to do.
///
/// It drives neither timers nor sockets: use it for futures that other threads complete, such as those of `sync`. You
/// may nest calls.
///
/// # Panics
/// On a thread that runs tasks, because it would block them.
pub fn block_on_current_thread<F: Future>(future: F) -> F::Output {
    crate::context::assert_may_block(
        "block_on_current_thread",
        "await the future instead, or move the code into `spawn_blocking`",
    );
    let mut future = pin!(future);
    let own = take_own();
    let mut cx = Context::from_waker(&own.waker);
    let output = {
        // A blocking job runs inside a task's poll: nobody would renew its budget here.
        let _lifted = crate::budget::lift();
        let _blocked_on = BlockedOn::begin();
        loop {
            if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
                break output;
            }
            own.parker.park_after_spin(&own.spin);
        }
    };
    return_own(own);
    output
}

/// The thread's parker, or a new one if a caller further up the stack uses it. A token that was left over from the
/// last use costs one extra poll, nothing else.
fn take_own() -> Own {
    // The model checkers run all their threads on one system thread: nothing is cached there.
    let cached = if cfg!(any(lab_loom, lab_shuttle)) {
        None
    } else {
        CACHED
            .try_with(|cached| cached.borrow_mut().take())
            .ok()
            .flatten()
    };
    cached.unwrap_or_else(|| {
        let parker = Parker::new();
        Own {
            waker: Waker::from(parker.unparker()),
            parker,
            spin: AdaptiveSpin::new(),
        }
    })
}

fn return_own(own: Own) {
    if !cfg!(any(lab_loom, lab_shuttle)) {
        // A thread that has destroyed its thread-locals caches nothing.
        let _ = CACHED.try_with(|cached| cached.replace(Some(own)));
    }
}

#[cfg(all(test, not(any(lab_loom, lab_shuttle))))]
mod tests {
    use std::future::poll_fn;
    use std::thread;

    use super::*;

    /// Returns `Pending` once, and another thread wakes it.
    async fn woken_by_a_thread() {
        let mut started = false;
        poll_fn(|cx| {
            if std::mem::replace(&mut started, true) {
                return Poll::Ready(());
            }
            let waker = cx.waker().clone();
            thread::spawn(move || waker.wake());
            Poll::Pending
        })
        .await;
    }

    #[test]
    fn block_on_may_be_nested() {
        let output = block_on_current_thread(async {
            woken_by_a_thread().await;
            let inner = block_on_current_thread(async {
                woken_by_a_thread().await;
                1
            });
            woken_by_a_thread().await;
            inner + 1
        });
        assert_eq!(output, 2);
    }

    #[test]
    fn block_on_survives_a_panic_of_its_future() {
        let panicked = std::panic::catch_unwind(|| block_on_current_thread(async { panic!("no") }));
        assert!(panicked.is_err());
        block_on_current_thread(woken_by_a_thread());
    }

    #[test]
    fn block_on_is_not_limited_by_a_budget_around_it() {
        let _armed = crate::budget::arm();
        block_on_current_thread(poll_fn(|cx| {
            for _ in 0..1000 {
                std::task::ready!(crate::budget::poll_proceed(cx)).made_progress();
            }
            Poll::Ready(())
        }));
    }
}
