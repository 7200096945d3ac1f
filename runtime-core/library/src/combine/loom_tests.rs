//! Every interleaving of waking, polling and dropping, in small models.
//!
//! `RUSTFLAGS="--cfg lab_loom" cargo test -p runtime-core --release --lib loom`

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use loom::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use loom::thread;

use super::{Gather, as_completed, join_all};
use runtime_kernel::park::block_on_current_thread as block_on;

/// Ready once it was told `needed` times. Only the wake-ups publish what it is told: the counter is relaxed.
struct Signal {
    times: AtomicUsize,
    needed: usize,
    waker: loom::sync::Mutex<Option<Waker>>,
}

impl Signal {
    fn new(needed: usize) -> Arc<Self> {
        Arc::new(Self {
            times: AtomicUsize::new(0),
            needed,
            waker: loom::sync::Mutex::new(None),
        })
    }

    /// Keeps only the waker of its first poll.
    async fn wait(self: Arc<Self>) {
        poll_fn(|cx| {
            self.waker
                .lock()
                .unwrap()
                .get_or_insert_with(|| cx.waker().clone());
            if self.times.load(Relaxed) == self.needed {
                return Poll::Ready(());
            }
            Poll::Pending
        })
        .await;
    }

    /// The function with which a thread tells it, using the waker from its first poll.
    fn signaller(self: &Arc<Self>) -> impl FnOnce() + Send + 'static {
        let waker = self.waker.lock().unwrap().clone().expect("it was polled");
        let this = Arc::clone(self);
        move || {
            this.times.fetch_add(1, Relaxed);
            waker.wake();
        }
    }
}

type Child = Pin<Box<dyn Future<Output = ()> + Send>>;

fn children(all: &[Arc<Signal>]) -> Vec<Child> {
    all.iter()
        .map(|signal| Box::pin(Arc::clone(signal).wait()) as Child)
        .collect()
}

/// A combinator whose children were polled once, by a task other than the one that finally polls it.
fn polled<F: Future + Unpin>(mut combinator: F) -> F {
    let mut cx = Context::from_waker(Waker::noop());
    assert!(Pin::new(&mut combinator).poll(&mut cx).is_pending());
    combinator
}

fn model(test: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(test);
}

#[test]
fn two_children_woken_at_once_are_both_polled() {
    model(|| {
        let signals = [Signal::new(1), Signal::new(1)];
        let all: Gather<_, _> = polled(join_all(children(&signals)));
        let signallers = signals
            .each_ref()
            .map(|signal| thread::spawn(signal.signaller()));
        // Deadlocks, which loom reports, if a wake-up is lost.
        block_on(all);
        for signaller in signallers {
            signaller.join().unwrap();
        }
    });
}

#[test]
fn after_two_wakes_a_child_sees_the_writes_of_both() {
    model(|| {
        let signals = [Signal::new(2)];
        let all = polled(join_all(children(&signals)));
        let signallers = [0, 1].map(|_| thread::spawn(signals[0].signaller()));
        block_on(all);
        for signaller in signallers {
            signaller.join().unwrap();
        }
    });
}

#[test]
fn a_combinator_that_changes_its_task_is_woken_there() {
    model(|| {
        let signals = [Signal::new(1), Signal::new(1)];
        let mut completed = as_completed(children(&signals));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(futures_core::Stream::poll_next(Pin::new(&mut completed), &mut cx).is_pending());
        let signaller = thread::spawn(signals[0].signaller());
        let waiter = thread::spawn(move || {
            assert_eq!(block_on(completed.next()), Some((0, ())));
            completed
        });
        signaller.join().unwrap();
        let mut completed = waiter.join().unwrap();
        signals[1].signaller()();
        assert_eq!(block_on(completed.next()), Some((1, ())));
    });
}

#[test]
fn a_wake_races_the_combinators_end() {
    model(|| {
        let signals = [Signal::new(1), Signal::new(1)];
        let all = polled(join_all(children(&signals)));
        let signallers = signals
            .each_ref()
            .map(|signal| thread::spawn(signal.signaller()));
        drop(all);
        for signaller in signallers {
            signaller.join().unwrap();
        }
    });
}
