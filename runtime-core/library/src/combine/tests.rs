//! What the combinators do, with children that follow orders and handles that record their aborts.

use std::future::{Future, pending, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use super::ready_list::{EMPTY, ReadyList};
use super::*;
use crate::runtime::TaskHandle;
use runtime_kernel::JoinError;

/// A task's waker that counts its wakes.
#[derive(Default)]
pub(super) struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Relaxed);
    }
}

/// A future that ends when it is told to, and counts its polls. Its clones control it.
#[derive(Clone, Default)]
pub(super) struct Child(Arc<ChildState>);

#[derive(Default)]
struct ChildState {
    polls: AtomicUsize,
    done: AtomicBool,
    aborts: AtomicUsize,
    waker: Mutex<Option<Waker>>,
}

impl Child {
    fn wake(&self) {
        self.waker().expect("it was polled").wake();
    }
    fn waker(&self) -> Option<Waker> {
        self.0.waker.lock().unwrap().clone()
    }
    pub(super) fn finish(&self) {
        self.0.done.store(true, Relaxed);
        if let Some(waker) = self.waker() {
            waker.wake();
        }
    }
    pub(super) fn polls(&self) -> usize {
        self.0.polls.load(Relaxed)
    }
    fn aborts(&self) -> usize {
        self.0.aborts.load(Relaxed)
    }
}

impl Future for Child {
    type Output = ();
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.polls.fetch_add(1, Relaxed);
        if self.0.done.load(Relaxed) {
            return Poll::Ready(());
        }
        *self.0.waker.lock().unwrap() = Some(cx.waker().clone());
        Poll::Pending
    }
}

/// A handle to a task that runs nowhere.
struct Handle<T>(Child, Option<Result<T, JoinError>>);

impl<T: Unpin> Future for Handle<T> {
    type Output = Result<T, JoinError>;
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match Pin::new(&mut self.0).poll(cx) {
            Poll::Ready(()) => Poll::Ready(self.1.take().expect("polled after the end")),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<T: Send + Unpin + 'static> TaskHandle<T> for Handle<T> {
    fn abort(&self) {
        self.0.0.aborts.fetch_add(1, Relaxed);
    }
    fn is_finished(&self) -> bool {
        self.0.0.done.load(Relaxed)
    }
}

fn some<const N: usize>() -> [Child; N] {
    [(); N].map(|()| Child::default())
}

fn handles<const N: usize>(children: &[Child; N]) -> [Handle<usize>; N] {
    let mut value = 0;
    children.clone().map(|child| {
        value += 1;
        Handle(child, Some(Ok(value)))
    })
}

fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// Polls until the future waits: repeatedly, as long as it wakes its own task.
pub(super) fn poll_to_rest<F: Future + Unpin>(
    future: &mut F,
    wakes: &Arc<Wakes>,
) -> Poll<F::Output> {
    let waker = Waker::from(Arc::clone(wakes));
    loop {
        wakes.0.store(0, Relaxed);
        let polled = Pin::new(&mut *future).poll(&mut Context::from_waker(&waker));
        if polled.is_ready() || wakes.0.load(Relaxed) == 0 {
            return polled;
        }
    }
}

/// If it were pushed twice, it would be its own successor, and the list would never end.
#[test]
fn a_child_that_is_woken_again_is_in_the_list_once() {
    let list = ReadyList::new(3);
    let mut due = list.take();
    assert_eq!(due, EMPTY, "all are in the first batch");
    for index in 0..3 {
        due = list.begin(index);
    }
    assert_eq!(due, EMPTY);
    for index in [1, 1, 0, 1, 0] {
        list.wake(index);
    }
    assert_eq!(list.take(), 1);
    assert_eq!(list.begin(1), 0);
    // It is being polled: from here on a wake counts again.
    list.wake(1);
    assert_eq!(list.begin(0), EMPTY);
    assert_eq!(list.take(), 1);
    assert_eq!(list.begin(1), EMPTY);
}

#[test]
fn one_wake_among_a_hundred_thousand_polls_one() {
    const CHILDREN: usize = if cfg!(miri) { 100 } else { 100_000 };
    let children: Vec<Child> = (0..CHILDREN).map(|_| Child::default()).collect();
    let total = || children.iter().map(Child::polls).sum::<usize>();
    let wakes = Arc::new(Wakes::default());
    let mut all = join_all(children.iter().cloned());
    assert!(poll_to_rest(&mut all, &wakes).is_pending());
    assert_eq!(total(), CHILDREN, "each once at the start");
    for (number, index) in [0, CHILDREN - 1, CHILDREN / 2, CHILDREN / 2]
        .into_iter()
        .enumerate()
    {
        children[index].wake();
        assert_eq!(wakes.0.load(Relaxed), 1, "the task is woken once");
        assert!(poll_to_rest(&mut all, &wakes).is_pending());
        assert_eq!(total(), CHILDREN + number + 1, "the woken one alone");
    }
    // In a very different order: 7919 and the number of children have no common factor.
    for step in 0..CHILDREN {
        children[step * 7919 % CHILDREN].finish();
    }
    assert_eq!(wakes.0.load(Relaxed), 1, "the task is woken once for all");
    assert!(poll_to_rest(&mut all, &wakes).is_ready());
    assert_eq!(total(), 2 * CHILDREN + 4, "each once more");
}

#[test]
fn values_come_in_the_order_of_the_tasks() {
    let children = some::<3>();
    let mut all = gather(handles(&children));
    for index in [2, 0, 1] {
        assert!(poll(&mut all).is_pending());
        children[index].finish();
    }
    assert!(matches!(poll(&mut all), Poll::Ready(Ok(values)) if values == [1, 2, 3]));
    drop(all);
    assert!(children.iter().all(|child| child.aborts() == 0));
}

#[test]
fn the_first_error_aborts_no_sibling() {
    let children = some::<3>();
    let mut tasks = handles(&children);
    tasks[1].1 = Some(Err(JoinError::Cancelled));
    let mut all = gather(tasks);
    assert!(poll(&mut all).is_pending());
    children[1].finish();
    assert!(matches!(
        poll(&mut all),
        Poll::Ready(Err(JoinError::Cancelled))
    ));
    drop(all);
    assert!(children.iter().all(|child| child.aborts() == 0));
}

#[test]
fn a_dropped_gather_aborts_unfinished_children() {
    let children = some::<3>();
    let mut all = gather_outcomes(handles(&children));
    children[0].finish();
    assert!(poll(&mut all).is_pending());
    drop(all);
    assert_eq!(children.each_ref().map(Child::aborts), [0, 1, 1]);
    let never_polled = some::<2>();
    drop(gather(handles(&never_polled)));
    assert_eq!(never_polled.each_ref().map(Child::aborts), [1, 1]);
}

#[test]
fn outcomes_include_the_errors() {
    let children = some::<3>();
    let mut tasks = handles(&children);
    tasks[0].1 = Some(Err(JoinError::Cancelled));
    children.iter().for_each(Child::finish);
    let Poll::Ready(outcomes) = poll(&mut gather_outcomes(tasks)) else {
        panic!("all have ended")
    };
    assert!(matches!(
        &outcomes[..],
        [Err(JoinError::Cancelled), Ok(2), Ok(3)]
    ));
}

#[test]
fn an_error_that_a_task_returns_counts_too() {
    let children = some::<2>();
    let mut number = 0;
    let mut all = try_gather(children.clone().map(|child| {
        number += 1;
        Handle(
            child,
            Some(Ok(if number == 2 { Err("two") } else { Ok(number) })),
        )
    }));
    assert!(poll(&mut all).is_pending());
    children[1].finish();
    assert!(matches!(
        poll(&mut all),
        Poll::Ready(Err(TaskError::Failed("two")))
    ));
}

#[test]
fn an_empty_gather_is_ready_at_once() {
    assert!(poll(&mut join_all([(); 0].map(|()| pending::<()>()))).is_ready());
    let nothing: [std::future::Pending<()>; 0] = [];
    assert_eq!(
        poll(&mut Box::pin(as_completed(nothing).next())),
        Poll::Ready(None)
    );
    let nothing: [std::future::Pending<()>; 0] = [];
    assert!(poll(&mut wait(nothing).first_completed()).is_ready());
}

#[test]
fn results_come_in_the_order_of_completion() {
    let children = some::<4>();
    let mut completed = as_completed(children.clone());
    assert!(poll(&mut Box::pin(completed.next())).is_pending());
    for index in [2, 0, 3, 1] {
        children[index].finish();
    }
    for index in [2, 0, 3, 1] {
        assert_eq!(
            poll(&mut Box::pin(completed.next())),
            Poll::Ready(Some((index, ())))
        );
    }
    assert_eq!(poll(&mut Box::pin(completed.next())), Poll::Ready(None));
}

#[test]
fn wait_returns_the_unfinished_children() {
    let children = some::<4>();
    let mut first = wait(handles(&children)).first_completed();
    assert!(poll(&mut first).is_pending());
    children[3].finish();
    children[1].finish();
    let Poll::Ready(waited) = poll(&mut first) else {
        panic!("two have ended")
    };
    let done: Vec<_> = waited.done.iter().map(|(index, _)| *index).collect();
    let pending: Vec<_> = waited.pending.iter().map(|(index, _)| *index).collect();
    assert_eq!((done, pending), (vec![3, 1], vec![0, 2]));
    let mut all = wait(waited.pending.into_iter().map(|(_, handle)| handle));
    children[0].finish();
    assert!(poll(&mut all).is_pending(), "it waits for all");
    children[2].finish();
    assert!(poll(&mut all).is_ready());
    assert!(children.iter().all(|child| child.aborts() == 0));
}

#[test]
fn wait_for_the_first_error_goes_on_over_values() {
    let children = some::<3>();
    let mut tasks = handles(&children);
    tasks[2].1 = Some(Err(JoinError::Cancelled));
    let mut first = wait(tasks).first_error();
    children[0].finish();
    assert!(poll(&mut first).is_pending());
    children[2].finish();
    let Poll::Ready(waited) = poll(&mut first) else {
        panic!("one has failed")
    };
    assert_eq!((waited.done.len(), waited.pending.len()), (2, 1));
}

#[test]
fn wait_takes_handles_by_reference() {
    let children = some::<2>();
    let mut tasks = handles(&children);
    children[0].finish();
    let mut first = wait(&mut tasks).first_completed();
    let Poll::Ready(waited) = poll(&mut first) else {
        panic!("one has ended")
    };
    assert_eq!(waited.done.len(), 1);
    drop((waited, first));
    assert!(tasks[0].is_finished() && !tasks[1].is_finished());
}

#[test]
fn a_child_that_always_has_work_does_not_starve_its_siblings() {
    let counted = AtomicUsize::new(0);
    let spinning = poll_fn(|cx| {
        counted.fetch_add(1, Relaxed);
        cx.waker().wake_by_ref();
        Poll::<()>::Pending
    });
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(Arc::clone(&wakes));
    let child = Child::default();
    let mut all = join_all::<Pin<Box<dyn Future<Output = ()>>>>([
        Box::pin(spinning) as _,
        Box::pin(child.clone()) as _,
    ]);
    for turn in 1..10 {
        let polled = Pin::new(&mut all).poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending(), "and the poll returns");
        assert_eq!(wakes.0.load(Relaxed), turn, "to be polled again");
        child.wake();
    }
    assert_eq!(
        child.polls(),
        9 + 1 - 1,
        "once at the start, once for each wake that was seen"
    );
    assert!(counted.load(Relaxed) <= 9 * 128);
}

#[test]
fn an_exhausted_budget_polls_no_child() {
    let children = some::<2>();
    let mut all = join_all(children.clone());
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(Arc::clone(&wakes));
    let mut cx = Context::from_waker(&waker);
    let _armed = runtime_kernel::budget::arm();
    while runtime_kernel::budget::has_remaining() {
        assert!(runtime_kernel::budget::poll_consume(&mut cx).is_ready());
    }
    let before = wakes.0.load(Relaxed);
    assert!(Pin::new(&mut all).poll(&mut cx).is_pending());
    assert_eq!(wakes.0.load(Relaxed), before + 1);
    assert_eq!(children[0].polls(), 0);
}

#[test]
fn wakers_outlive_the_combinator() {
    let children = some::<2>();
    let wakes = Arc::new(Wakes::default());
    let mut all = join_all(children.clone());
    assert!(poll_to_rest(&mut all, &wakes).is_pending());
    let kept: Vec<Waker> = children.iter().filter_map(Child::waker).collect();
    drop(all);
    assert_eq!(Arc::strong_count(&wakes), 1, "the task's waker is not kept");
    for waker in &kept {
        waker.wake_by_ref();
        waker.wake_by_ref();
    }
    assert_eq!(wakes.0.load(Relaxed), 0);
    assert_eq!(Arc::strong_count(&children[0].0), 1, "nor are the futures");
}

#[test]
fn an_ended_child_may_be_woken() {
    let children = some::<2>();
    let mut all = join_all(children.clone());
    assert!(poll(&mut all).is_pending());
    let old = children[0].waker().unwrap();
    children[0].finish();
    assert!(poll(&mut all).is_pending());
    old.wake();
    assert!(poll(&mut all).is_pending());
    assert_eq!(children[0].polls(), 2, "it is not polled again");
}

#[test]
fn a_child_that_panics_leaves_a_combinator_that_can_be_dropped() {
    let other = Child::default();
    let mut all = join_all::<Pin<Box<dyn Future<Output = ()>>>>([
        Box::pin(poll_fn(|_| -> Poll<()> {
            std::panic::resume_unwind(Box::new("as planned"))
        })) as _,
        Box::pin(other.clone()) as _,
    ]);
    let polled = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| poll(&mut all)));
    assert!(polled.is_err());
    drop(all);
    assert_eq!(Arc::strong_count(&other.0), 1);
}

#[test]
fn an_abort_ends_at_the_shield() {
    let [child] = some::<1>();
    let wakes = Arc::new(Wakes::default());
    let mut shielded = shield(Handle(child.clone(), Some(Ok(1))));
    assert!(poll_to_rest(&mut shielded, &wakes).is_pending());
    shielded.abort();
    assert_eq!(wakes.0.load(Relaxed), 1, "who waits is told");
    assert!(shielded.is_finished());
    assert!(matches!(
        poll(&mut shielded),
        Poll::Ready(Err(JoinError::Cancelled))
    ));
    assert_eq!(child.aborts(), 0);
    let mut task = shielded.into_inner();
    child.finish();
    assert!(matches!(poll(&mut task), Poll::Ready(Ok(1))), "it went on");
}
