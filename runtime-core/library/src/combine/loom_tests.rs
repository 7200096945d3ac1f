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
struct Told {
    times: AtomicUsize,
    needed: usize,
    waker: loom::sync::Mutex<Option<Waker>>,
}

impl Told {
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
    fn teller(self: &Arc<Self>) -> impl FnOnce() + Send + 'static {
        let waker = self.waker.lock().unwrap().clone().expect("it was polled");
        let this = Arc::clone(self);
        move || {
            this.times.fetch_add(1, Relaxed);
            waker.wake();
        }
    }
}

type Child = Pin<Box<dyn Future<Output = ()> + Send>>;

fn children(all: &[Arc<Told>]) -> Vec<Child> {
    all.iter()
        .map(|told| Box::pin(Arc::clone(told).wait()) as Child)
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
        let told = [Told::new(1), Told::new(1)];
        let all: Gather<_, _> = polled(join_all(children(&told)));
        let tellers = told.each_ref().map(|told| thread::spawn(told.teller()));
        // Deadlocks, which loom reports, if a wake-up is lost.
        block_on(all);
        for teller in tellers {
            teller.join().unwrap();
        }
    });
}

#[test]
fn two_wakes_of_one_child_show_it_what_both_did() {
    model(|| {
        let told = [Told::new(2)];
        let all = polled(join_all(children(&told)));
        let tellers = [0, 1].map(|_| thread::spawn(told[0].teller()));
        block_on(all);
        for teller in tellers {
            teller.join().unwrap();
        }
    });
}

#[test]
fn a_combinator_that_changes_its_task_is_woken_there() {
    model(|| {
        let told = [Told::new(1), Told::new(1)];
        let mut completed = as_completed(children(&told));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(futures_core::Stream::poll_next(Pin::new(&mut completed), &mut cx).is_pending());
        let teller = thread::spawn(told[0].teller());
        let waiter = thread::spawn(move || {
            assert_eq!(block_on(completed.next()), Some((0, ())));
            completed
        });
        teller.join().unwrap();
        let mut completed = waiter.join().unwrap();
        told[1].teller()();
        assert_eq!(block_on(completed.next()), Some((1, ())));
    });
}

#[test]
fn a_wake_races_the_combinators_end() {
    model(|| {
        let told = [Told::new(1), Told::new(1)];
        let all = polled(join_all(children(&told)));
        let tellers = told.each_ref().map(|told| thread::spawn(told.teller()));
        drop(all);
        for teller in tellers {
            teller.join().unwrap();
        }
    });
}
