//! A value that is set once and awaited by any number of tasks: asyncio's `Future`.
//!
//! `oneshot` has one receiver, and moves its value; a promise clones it for each. The wakers of the waiting futures
//! are under a short lock, each in its own slot, so cancelling one takes constant time.
//!
//! **The value is not under the lock.** Cloning it runs user code, which may use this very promise. It is set once and
//! never changed, so all futures read it in place, on several threads at a time. To send the promise to another
//! thread, its type must therefore be `Sync`. A lock would not need that, but would be held while foreign code runs.
//!
//! **Why it does not use the wait queue of `sync`.** There a waiter is a node inside its future, which must be pinned
//! and borrows what it waits for. A [`Promised`] is kept in structs and lists, cloned, sent to other tasks, and polled
//! as `&mut`: it owns its share, and you can move it between two polls. It does not need the queue's order either:
//! setting the value releases all waiters, so there are no turns, and a waiter that gives up has nothing to pass on.
//!
//! **Cost.** One allocation for a promise, and a list of wakers that grows with the number of waiters, where the wait
//! queue's waiters allocate nothing. Each poll and each drop of a waiting future takes the lock for a moment; setting
//! the value takes it once, and wakes outside it.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use crate::blocking_wait::wait_at_most;
use crate::budget;
use crate::primitives::Mutex;
use crate::saved_waker::{PollWaker, SavedWaker};
use crate::slots::Slots;
use crate::time::Elapsed;

/// The sender was dropped without a value, or the value has been taken already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the sender was dropped without sending")
    }
}

impl Error for Broken {}

struct Shared<T> {
    /// Set under the lock of `waiting`, read without it.
    outcome: OnceLock<Result<T, Broken>>,
    /// The wakers that wait for `outcome`; empty once that is set.
    waiting: Mutex<Slots<SavedWaker>>,
}

type SharedPromise<T> = Arc<Shared<T>>;

/// The side that sets the value, once. If it is dropped before that, the promise is broken. asyncio's
/// `loop.create_future()` combines both sides.
///
/// ```
/// use std::time::Duration;
/// use runtime_core::promise::Promise;
///
/// let promise = Promise::new();
/// let (one, other) = (promise.future(), promise.future());
/// std::thread::spawn(move || promise.set_result(42));
/// assert_eq!(one.result(Duration::MAX), Ok(Ok(42)));
/// assert_eq!(other.result(Duration::MAX), Ok(Ok(42)));
/// ```
#[must_use = "a dropped promise is broken"]
pub struct Promise<T> {
    place: SharedPromise<T>,
}

impl<T> Promise<T> {
    /// A promise without a value and without futures.
    pub fn new() -> Self {
        Self {
            place: Arc::new(Shared {
                outcome: OnceLock::new(),
                waiting: Mutex::new(Slots::new()),
            }),
        }
    }

    /// A future of the value. You can create as many as you want, or clone one.
    pub fn future(&self) -> Promised<T> {
        Promised {
            place: Arc::clone(&self.place),
            slot: None,
        }
    }

    /// Sets the value and wakes all waiters. For an outcome that may be an error, let `T` be a `Result`: asyncio's
    /// `set_exception` is `set_result(Err(..))`. This consumes the promise, so the compiler ensures that it is set
    /// only once.
    pub fn set_result(self, value: T) {
        settle(&self.place, Ok(value));
    }
}

impl<T, E> Promise<Result<T, E>> {
    /// Sets an error and wakes all waiters. asyncio's `set_exception`.
    pub fn set_error(self, error: E) {
        self.set_result(Err(error));
    }
}

impl<T> Default for Promise<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Drop for Promise<T> {
    fn drop(&mut self) {
        settle(&self.place, Err(Broken));
    }
}

/// Only the first outcome counts.
fn settle<T>(place: &SharedPromise<T>, outcome: Result<T, Broken>) {
    let waiting = {
        let mut waiting = place.waiting.lock();
        if place.outcome.set(outcome).is_err() {
            // Set already, and this is the drop of the `Promise`, which has no value to lose.
            return;
        }
        waiting.take_all()
    };
    // A waker that panics does not affect the others.
    waiting.for_each(SavedWaker::wake);
}

/// A future of a [`Promise`]'s value. Each of its clones yields a clone of it, as often as it is awaited.
///
/// - *Cancel safety*: cancel safe.
/// - *Fairness*: all are woken together, in no particular order.
/// - *Cost*: a promise is one allocation, which its futures share. A waiting future takes a place in a list that grows
///   with their number. Setting the value takes time linear in that number; giving up takes constant time.
#[must_use = "futures do nothing unless polled"]
pub struct Promised<T> {
    place: SharedPromise<T>,
    /// Our slot in `waiting`.
    slot: Option<usize>,
}

impl<T: Clone> Promised<T> {
    /// The value, if it is set, without waiting.
    ///
    /// # Errors
    /// [`Broken`] if there will be no value.
    pub fn try_result(&self) -> Option<Result<T, Broken>> {
        self.place.outcome.get().cloned()
    }

    /// Waits for the value on a thread that runs no tasks, for at most `limit`: blocks it. `Duration::MAX` waits
    /// without limit.
    ///
    /// # Errors
    /// [`Elapsed`] when the time is over; inside `Ok`, [`Broken`] if the promise was dropped without a value.
    ///
    /// # Panics
    /// Inside a task.
    pub fn result(&self, limit: Duration) -> Result<Result<T, Broken>, Elapsed> {
        wait_at_most(
            "Promised::result",
            "await it instead",
            limit,
            Pin::new(&mut self.clone()),
        )
    }
}

impl<T> Promised<T> {
    /// True if awaiting it would not wait. asyncio's `done()`.
    pub fn is_finished(&self) -> bool {
        self.place.outcome.get().is_some()
    }
}

impl<T> Unpin for Promised<T> {}

impl<T: Clone> Future for Promised<T> {
    type Output = Result<T, Broken>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let spent = ready!(budget::poll_proceed(cx));
        let this = &mut *self;
        let mut own = PollWaker::new(cx.waker());
        loop {
            if let Some(outcome) = this.place.outcome.get() {
                this.slot = None;
                let outcome = outcome.clone();
                spent.made_progress();
                return Poll::Ready(outcome);
            }
            if this.slot.is_none() {
                own.prepare();
            }
            let mut waiting = this.place.waiting.lock();
            if this.place.outcome.get().is_some() {
                continue;
            }
            let kept = match this.slot.and_then(|slot| waiting.get_mut(slot)) {
                Some(place) => own.replace(place),
                None => {
                    this.slot = Some(waiting.insert(own.take()));
                    true
                }
            };
            drop(waiting);
            if kept {
                return Poll::Pending;
            }
            own.prepare();
        }
    }
}

impl<T> fmt::Debug for Promise<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Promise").finish_non_exhaustive()
    }
}

impl<T: fmt::Debug> fmt::Debug for Promised<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Promised")
            .field("outcome", &self.place.outcome.get())
            .finish_non_exhaustive()
    }
}

impl<T> Clone for Promised<T> {
    fn clone(&self) -> Self {
        Self {
            place: Arc::clone(&self.place),
            slot: None,
        }
    }
}

impl<T> Drop for Promised<T> {
    fn drop(&mut self) {
        if let Some(slot) = self.slot {
            // Once the outcome is set, `waiting` is empty, and no slot is assigned any more.
            let waiting = self.place.waiting.lock().remove(slot);
            drop(waiting);
        }
    }
}

#[cfg(all(test, not(any(lab_loom, lab_shuttle))))]
mod tests {
    use std::pin::pin;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    use std::task::{Wake, Waker};
    use std::thread;

    use super::*;
    use crate::park::block_on_current_thread as block_on;

    const LONG: Duration = Duration::from_secs(60);

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    #[test]
    fn many_await_it_and_all_get_the_value() {
        let promise = Promise::<String>::new();
        let waiting: Vec<_> = (0..8)
            .map(|number| {
                let future = promise.future();
                thread::spawn(move || match number % 2 {
                    0 => block_on(future),
                    _ => future.result(LONG).expect("in time"),
                })
            })
            .collect();
        let late = promise.future().clone();
        promise.set_result("value".to_owned());
        for thread in waiting {
            assert_eq!(thread.join().unwrap().as_deref(), Ok("value"));
        }
        assert_eq!(block_on(late.clone()).as_deref(), Ok("value"));
        assert_eq!(late.try_result(), Some(Ok("value".to_owned())));
    }

    #[test]
    fn a_dropped_promise_is_broken_and_an_error_is_a_value() {
        let promise = Promise::<u32>::new();
        let future = promise.future();
        assert!(!future.is_finished());
        drop(promise);
        assert_eq!(future.result(LONG), Ok(Err(Broken)));
        let promise = Promise::<Result<u32, &str>>::new();
        let future = promise.future();
        promise.set_error("no");
        assert_eq!(block_on(future), Ok(Err("no")));
    }

    #[test]
    fn a_result_is_still_available_after_a_time_out() {
        let promise = Promise::new();
        let future = promise.future();
        let before = std::time::Instant::now();
        let limit = Duration::from_millis(5);
        assert_eq!(future.result(limit), Err(Elapsed));
        assert!(before.elapsed() >= limit);
        assert_eq!(future.result(Duration::ZERO), Err(Elapsed));
        promise.set_result(1);
        assert_eq!(future.result(Duration::ZERO), Ok(Ok(1)));
    }

    #[test]
    fn a_waiter_is_woken_at_its_latest_task_and_not_after_it_gave_up() {
        let promise = Promise::new();
        let wakes = [(); 3].map(|()| Arc::new(Wakes::default()));
        let wakers = wakes.each_ref().map(|wakes| Waker::from(Arc::clone(wakes)));
        let mut gives_up = Box::pin(promise.future());
        let mut moves = pin!(promise.future());
        assert!(
            gives_up
                .as_mut()
                .poll(&mut Context::from_waker(&wakers[0]))
                .is_pending()
        );
        for waker in &wakers[1..] {
            assert!(
                moves
                    .as_mut()
                    .poll(&mut Context::from_waker(waker))
                    .is_pending()
            );
        }
        drop(gives_up);
        promise.set_result(());
        assert_eq!(wakes.map(|wakes| wakes.0.load(Relaxed)), [0, 0, 1]);
    }
}

/// Every interleaving of setting the value, awaiting it and giving up.
///
/// `RUSTFLAGS="--cfg lab_loom" cargo test -p runtime-core --release --lib loom`
#[cfg(all(test, lab_loom))]
mod loom_tests {
    use std::task::Waker;

    use loom::thread;

    use super::*;
    use crate::park::block_on_current_thread as block_on;

    fn model(test: impl Fn() + Send + Sync + 'static) {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(3);
        builder.check(test);
    }

    /// A future that a task has polled, and that now waits with that task's waker.
    fn polled<T: Clone>(promise: &Promise<T>) -> Promised<T> {
        let mut future = promise.future();
        let mut cx = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut future).poll(&mut cx).is_pending());
        future
    }

    #[test]
    fn a_value_reaches_the_waiters_on_all_threads() {
        model(|| {
            let promise = Promise::new();
            // Deadlocks, which loom reports, if one of them is not woken.
            let waiting = [promise.future(), polled(&promise)]
                .map(|future| thread::spawn(move || assert_eq!(block_on(future), Ok(Box::new(7)))));
            promise.set_result(Box::new(7));
            for waiter in waiting {
                waiter.join().unwrap();
            }
        });
    }

    #[test]
    fn a_waiter_that_gives_up_during_the_set_affects_no_other() {
        model(|| {
            let promise = Promise::new();
            let (gives_up, waits) = (polled(&promise), promise.future());
            let leaver = thread::spawn(move || drop(gives_up));
            let waiter = thread::spawn(move || assert_eq!(block_on(waits), Ok(7)));
            promise.set_result(7);
            leaver.join().unwrap();
            waiter.join().unwrap();
        });
    }

    #[test]
    fn a_reused_place_belongs_to_its_new_waiter() {
        model(|| {
            let promise = Promise::new();
            let (gives_up, comes) = (polled(&promise), promise.future());
            let keeper = thread::spawn(move || promise.set_result(7));
            let waiter = thread::spawn(move || assert_eq!(block_on(comes), Ok(7)));
            drop(gives_up);
            keeper.join().unwrap();
            waiter.join().unwrap();
        });
    }

    #[test]
    fn a_dropped_promise_wakes_its_waiters() {
        model(|| {
            let promise = Promise::<u8>::new();
            let future = promise.future();
            let breaker = thread::spawn(move || drop(promise));
            assert_eq!(block_on(future), Err(Broken));
            breaker.join().unwrap();
        });
    }
}
