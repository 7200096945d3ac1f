//! A combinator against a simple model: children that are woken, end and are polled in any order.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use futures_core::Stream;
use proptest::prelude::*;

use super::as_completed;

#[derive(Clone, Debug)]
enum Step {
    /// Wakes a child with its newest waker.
    Wake(usize),
    /// Wakes it with its first waker, which may be from before its end.
    WakeByOld(usize),
    /// Makes it ready, without a wake.
    Ripen(usize),
    /// Polls the combinator until it waits.
    Poll,
}

fn step() -> impl Strategy<Value = Step> {
    use Step::*;
    prop_oneof![
        4 => any::<usize>().prop_map(Wake),
        2 => any::<usize>().prop_map(WakeByOld),
        3 => any::<usize>().prop_map(Ripen),
        3 => Just(Poll),
    ]
}

#[derive(Default)]
struct Shared {
    ripe: bool,
    polls: usize,
    first: Option<Waker>,
    newest: Option<Waker>,
}

fn child(shared: &Arc<Mutex<Shared>>) -> Pin<Box<dyn Future<Output = ()>>> {
    let shared = Arc::clone(shared);
    Box::pin(poll_fn(move |cx| {
        let mut shared = shared.lock().unwrap();
        shared.polls += 1;
        shared.first.get_or_insert_with(|| cx.waker().clone());
        shared.newest = Some(cx.waker().clone());
        if shared.ripe {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }))
}

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Relaxed);
    }
}

/// What a combinator should do.
struct Model {
    /// The children that are due, in the order in which they were woken.
    due: VecDeque<usize>,
    ripe: Vec<bool>,
    ended: Vec<bool>,
    polls: Vec<usize>,
    /// It waits, so the next wake-up must wake its task.
    parked: bool,
    wakes: usize,
}

impl Model {
    fn wake(&mut self, index: usize) {
        if self.due.contains(&index) {
            return;
        }
        self.due.push_back(index);
        if std::mem::take(&mut self.parked) {
            self.wakes += 1;
        }
    }

    /// The output of the next poll of the stream.
    fn poll(&mut self) -> Poll<Option<usize>> {
        while let Some(index) = self.due.pop_front() {
            if self.ended[index] {
                continue;
            }
            self.polls[index] += 1;
            if self.ripe[index] {
                self.ended[index] = true;
                return Poll::Ready(Some(index));
            }
        }
        if self.ended.iter().all(|ended| *ended) {
            return Poll::Ready(None);
        }
        self.parked = true;
        Poll::Pending
    }
}

proptest! {
    #[test]
    fn every_order_of_wakes_and_polls(count in 1_usize..8, steps in prop::collection::vec(step(), 0..80)) {
        let children: Vec<Arc<Mutex<Shared>>> = (0..count).map(|_| Arc::default()).collect();
        let mut stream = as_completed(children.iter().map(child));
        let mut model = Model {
            due: (0..count).collect(),
            ripe: vec![false; count],
            ended: vec![false; count],
            polls: vec![0; count],
            parked: false,
            wakes: 0,
        };
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(Arc::clone(&wakes));
        let last = [Step::Poll];
        for step in steps.iter().chain(&last) {
            match *step {
                Step::Wake(index) | Step::WakeByOld(index) => {
                    let index = index % count;
                    let shared = children[index].lock().unwrap();
                    let old = matches!(step, Step::WakeByOld(_));
                    let waker = if old { &shared.first } else { &shared.newest };
                    let waker = waker.clone();
                    drop(shared);
                    if let Some(waker) = waker {
                        waker.wake();
                        model.wake(index);
                    }
                }
                Step::Ripen(index) => {
                    children[index % count].lock().unwrap().ripe = true;
                    model.ripe[index % count] = true;
                }
                Step::Poll => loop {
                    let mut cx = Context::from_waker(&waker);
                    let polled = Pin::new(&mut stream).poll_next(&mut cx);
                    let polled = polled.map(|item| item.map(|(index, ())| index));
                    prop_assert_eq!(polled, model.poll());
                    if !matches!(polled, Poll::Ready(Some(_))) {
                        break;
                    }
                },
            }
            prop_assert_eq!(wakes.0.load(Relaxed), model.wakes);
            for (index, shared) in children.iter().enumerate() {
                prop_assert_eq!(shared.lock().unwrap().polls, model.polls[index], "polls of {}", index);
            }
        }
    }
}
