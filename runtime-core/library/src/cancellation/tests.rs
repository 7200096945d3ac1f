use std::future::{Future, pending};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use proptest::prelude::*;

use super::*;
use runtime_kernel::park::block_on_current_thread as block_on;

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn a_cancel_goes_down_and_not_up() {
    let root = CancellationToken::new();
    let (left, right) = (root.child_token(), root.child_token());
    let leaf = left.child_token();
    left.cancel();
    assert!(left.is_cancelled() && leaf.is_cancelled());
    assert!(!root.is_cancelled() && !right.is_cancelled());
    root.cancel();
    assert!(right.is_cancelled());
    assert!(root.child_token().is_cancelled(), "born cancelled");
}

#[test]
fn a_cancel_passes_through_a_parent_without_handles() {
    let root = CancellationToken::new();
    let leaf = root.child_token().child_token();
    root.cancel();
    assert!(leaf.is_cancelled());
}

#[test]
fn dropped_children_leave_their_parent() {
    let root = CancellationToken::new();
    let kept = root.child_token();
    for _ in 0..100 {
        drop(root.child_token().child_token());
    }
    assert_eq!(root.node().children(), 1);
    root.cancel();
    assert!(kept.is_cancelled());
}

#[test]
fn a_deep_chain_overflows_no_stack() {
    const DEPTH: usize = if cfg!(miri) { 50 } else { 300_000 };
    let small = thread::Builder::new().stack_size(64 * 1024);
    let chain = small.spawn(|| {
        for cancels in [true, false] {
            let root = CancellationToken::new();
            let leaf = (0..DEPTH).fold(root.child_token(), |token, _| token.child_token());
            if cancels {
                root.cancel();
                assert!(leaf.is_cancelled());
            }
            drop(root);
            drop(leaf);
            let held: Vec<_> = (0..DEPTH).fold(vec![CancellationToken::new()], |mut all, _| {
                all.push(all[all.len() - 1].child_token());
                all
            });
            held[0].cancel();
            assert!(held[DEPTH].is_cancelled());
            drop(held);
        }
    });
    chain.unwrap().join().unwrap();
}

#[test]
fn all_waiters_are_woken_once() {
    #[derive(Default)]
    struct Wakes(AtomicUsize);
    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Relaxed);
        }
    }
    let (root, wakes) = (CancellationToken::new(), Arc::new(Wakes::default()));
    let waker = Waker::from(Arc::clone(&wakes));
    let mut waiting: Vec<_> = (0..100)
        .map(|number| match number % 2 {
            0 => Box::pin(root.cancelled_owned()) as Pin<Box<dyn Future<Output = ()>>>,
            _ => Box::pin(root.child_token().cancelled_owned()) as _,
        })
        .collect();
    let mut cx = Context::from_waker(&waker);
    assert!(
        waiting
            .iter_mut()
            .all(|wait| wait.as_mut().poll(&mut cx).is_pending())
    );
    root.cancel();
    root.cancel();
    assert_eq!(wakes.0.load(Relaxed), 100);
    assert!(
        waiting
            .iter_mut()
            .all(|wait| wait.as_mut().poll(&mut cx).is_ready())
    );
}

#[test]
fn a_waker_that_panics_does_not_keep_the_cancel_from_others() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            std::panic::resume_unwind(Box::new("as planned"));
        }
    }
    let root = CancellationToken::new();
    let (first, second) = (root.child_token(), root.child_token());
    let waker = Waker::from(Arc::new(Panics));
    let mut waits = pin!(root.cancelled());
    assert!(
        waits
            .as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_pending()
    );
    let waiter = {
        let first = first.clone();
        thread::spawn(move || block_on(first.cancelled()))
    };
    while first.node().signal.waiters() == 0 {
        thread::yield_now();
    }
    root.cancel();
    waiter.join().unwrap();
    assert!(second.is_cancelled());
}

#[test]
fn an_output_that_is_ready_beats_the_cancel() {
    let token = CancellationToken::new();
    token.cancel();
    let ready = pin!(token.run_until_cancelled(async { 1 }));
    assert_eq!(poll(ready), Poll::Ready(Some(1)));
    let never = pin!(token.run_until_cancelled(pending::<()>()));
    assert_eq!(poll(never), Poll::Ready(None));
}

#[test]
fn a_cancel_is_seen_beside_a_busy_sibling() {
    let token = CancellationToken::new();
    let _armed = runtime_kernel::budget::arm();
    let mut cx = Context::from_waker(Waker::noop());
    while runtime_kernel::budget::poll_consume(&mut cx).is_ready() {}
    let mut waits = pin!(token.cancelled());
    assert!(poll(waits.as_mut()).is_pending());
    token.cancel();
    assert!(poll(waits).is_ready());
}

#[test]
fn a_future_that_uses_up_the_budget_is_still_cancelled() {
    let token = CancellationToken::new();
    token.cancel();
    let _armed = runtime_kernel::budget::arm();
    let greedy = std::future::poll_fn(|cx| -> Poll<()> {
        while runtime_kernel::budget::poll_consume(cx).is_ready() {}
        // A refusal leaves a reserve to the operations that come next.
        while runtime_kernel::budget::has_remaining() {
            assert!(runtime_kernel::budget::poll_consume(cx).is_ready());
        }
        Poll::Pending
    });
    assert_eq!(
        poll(pin!(token.run_until_cancelled(greedy))),
        Poll::Ready(None)
    );
}

#[test]
fn a_loop_over_a_cancelled_token_returns_from_its_poll() {
    let token = CancellationToken::new();
    token.cancel();
    let _armed = runtime_kernel::budget::arm();
    let looping = async {
        loop {
            token.cancelled().await;
        }
    };
    assert!(poll(pin!(looping)).is_pending());
}

#[test]
fn a_drop_guard_cancels_unless_it_is_disarmed() {
    let token = CancellationToken::new();
    let kept = token.clone().drop_guard().disarm();
    assert!(!kept.is_cancelled());
    drop(token.clone().drop_guard());
    assert!(token.is_cancelled());
}

#[derive(Clone, Debug)]
enum Step {
    Child(usize),
    Cancel(usize),
    Drop(usize),
}

proptest! {
    /// A tree that grows, is cancelled in parts and loses tokens, against a table of each token's parent.
    #[test]
    fn a_tree_against_its_table(steps in prop::collection::vec(
        prop_oneof![
            6 => any::<usize>().prop_map(Step::Child),
            2 => any::<usize>().prop_map(Step::Cancel),
            3 => any::<usize>().prop_map(Step::Drop),
        ],
        0..60,
    )) {
        let mut tokens = vec![Some(CancellationToken::new())];
        let mut table = vec![(None::<usize>, false)];
        for step in steps {
            match step {
                Step::Child(of) => {
                    let of = of % tokens.len();
                    if let Some(parent) = &tokens[of] {
                        let child = parent.child_token();
                        tokens.push(Some(child));
                        table.push((Some(of), table[of].1));
                    }
                }
                Step::Cancel(which) => {
                    let which = which % tokens.len();
                    if let Some(token) = &tokens[which] {
                        token.cancel();
                        table[which].1 = true;
                        // Parents come before their children.
                        for index in which..table.len() {
                            if table[index].0.is_some_and(|parent| table[parent].1) {
                                table[index].1 = true;
                            }
                        }
                    }
                }
                Step::Drop(which) => {
                    let which = which % tokens.len();
                    tokens[which] = None;
                }
            }
            for (token, (_, cancelled)) in tokens.iter().zip(&table) {
                if let Some(token) = token {
                    prop_assert_eq!(token.is_cancelled(), *cancelled);
                }
            }
        }
    }
}
