//! The cost of a hundred thousand futures, counted in polls, which do not depend on the machine.

use std::future::Future;
use std::sync::Arc;
use std::task::Poll;

use super::tests::{Child, Wakes, poll_to_rest};
use super::*;

const CHILDREN: usize = 100_000;

/// Runs a combinator over children that end in a very different order, and checks that each was polled at the start
/// and when it ended.
fn each_is_polled_twice<F: Future + Unpin>(combinator: impl FnOnce(Vec<Child>) -> F) -> F::Output {
    let children: Vec<Child> = (0..CHILDREN).map(|_| Child::default()).collect();
    let total = || children.iter().map(Child::polls).sum::<usize>();
    let wakes = Arc::new(Wakes::default());
    let mut combinator = combinator(children.clone());
    assert!(poll_to_rest(&mut combinator, &wakes).is_pending());
    assert_eq!(total(), CHILDREN, "each once at the start");
    let mut output = None;
    // 7919 and the number of children have no common factor.
    for step in 0..CHILDREN {
        children[step * 7919 % CHILDREN].finish();
        // Sometimes one by one, sometimes many at once.
        let now = step % 100 < 50 || step + 1 == CHILDREN;
        if now && let Poll::Ready(ready) = poll_to_rest(&mut combinator, &wakes) {
            output = Some(ready);
        }
    }
    assert_eq!(total(), 2 * CHILDREN, "each once more, when it was woken");
    output.expect("all have ended")
}

#[test]
fn gathering_is_linear() {
    let outputs = each_is_polled_twice(join_all);
    assert_eq!(outputs.len(), CHILDREN);
}

#[test]
fn waiting_is_linear() {
    let waited = each_is_polled_twice(wait);
    assert_eq!((waited.done.len(), waited.pending.len()), (CHILDREN, 0));
    assert!(
        waited
            .done
            .iter()
            .enumerate()
            .all(|(step, (index, ()))| *index == step * 7919 % CHILDREN)
    );
}

#[test]
fn yielding_finished_children_is_linear() {
    let order = each_is_polled_twice(|children| {
        Box::pin(async move {
            let mut completed = as_completed(children);
            let mut order = Vec::new();
            while let Some((index, ())) = completed.next().await {
                order.push(index);
            }
            order
        })
    });
    assert!(
        order
            .into_iter()
            .eq((0..CHILDREN).map(|step| step * 7919 % CHILDREN))
    );
}

#[test]
fn the_first_of_many_leaves_the_others_as_they_are() {
    let children: Vec<Child> = (0..CHILDREN).map(|_| Child::default()).collect();
    let wakes = Arc::new(Wakes::default());
    let mut first = wait(children.clone()).first_completed();
    assert!(poll_to_rest(&mut first, &wakes).is_pending());
    children[CHILDREN / 2].finish();
    let Poll::Ready(waited) = poll_to_rest(&mut first, &wakes) else {
        panic!("one has ended");
    };
    assert_eq!((waited.done.len(), waited.pending.len()), (1, CHILDREN - 1));
    let polls = children.iter().map(Child::polls).sum::<usize>();
    assert_eq!(polls, CHILDREN + 1);
}
