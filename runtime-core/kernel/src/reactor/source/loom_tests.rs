//! A source under loom: its waiters and its events, in every interleaving.

use std::sync::atomic::AtomicUsize as Count;
use std::task::{Wake, Waker};

use loom::sync::Arc;
use loom::thread;

use super::*;
use crate::reactor::waiters::WaitKey;

pub(in crate::reactor) struct Counting(pub(in crate::reactor) Count);
impl Wake for Counting {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

pub(in crate::reactor) fn poll(
    source: &Source,
    woken: &std::sync::Arc<Counting>,
) -> Poll<ReadyEvent> {
    let waker = Waker::from(woken.clone());
    source.poll_ready(
        &mut Context::from_waker(&waker),
        Direction::Read,
        WaitAs::Caller,
        |_| {},
    )
}

/// One reader waits, and another one arrives together with the event: each either sees it or is woken. (With three
/// threads at the lock, the model would let the two that spin take turns for ever.)
#[test]
fn a_reader_that_misses_the_event_is_woken_by_it() {
    loom::model(|| {
        let source = Arc::new(Source::new());
        let first_woken = std::sync::Arc::new(Counting(Count::new(0)));
        assert!(poll(&source, &first_woken).is_pending());
        let reader = {
            let source = source.clone();
            thread::spawn(move || {
                let woken = std::sync::Arc::new(Counting(Count::new(0)));
                (poll(&source, &woken).is_pending(), woken)
            })
        };
        assert!(source.set_ready(0, ready::READABLE).is_some());
        let (waits, woken) = reader.join().unwrap();
        assert_eq!(usize::from(waits), woken.0.load(Ordering::SeqCst));
        assert_eq!(first_woken.0.load(Ordering::SeqCst), 1);
    });
}

/// A future is dropped while the event arrives: its waker is called, or removed, and none is left behind.
#[test]
fn a_cancelled_reader_leaves_nothing_behind() {
    loom::model(|| {
        let source = Arc::new(Source::new());
        let woken = std::sync::Arc::new(Counting(Count::new(0)));
        let waker = Waker::from(woken.clone());
        let mut key = WaitKey::default();
        let mut cx = Context::from_waker(&waker);
        let polled =
            source.poll_ready(&mut cx, Direction::Read, WaitAs::Together(&mut key), |_| {});
        assert!(polled.is_pending());
        drop(waker);
        let poller = {
            let source = source.clone();
            thread::spawn(move || assert!(source.set_ready(0, ready::READABLE).is_some()))
        };
        source.cancel(Direction::Read, key.number.expect("it waits"));
        poller.join().unwrap();
        assert_eq!(std::sync::Arc::strong_count(&woken), 1);
    });
}

/// A reader clears what it saw before its attempt, or marks it as used up, while the next event arrives: that event is
/// not erased.
fn a_newer_event_stays(clear: fn(&Source, ReadyEvent)) {
    loom::model(move || {
        let source = Arc::new(Source::new());
        let woken = std::sync::Arc::new(Counting(Count::new(0)));
        assert!(source.set_ready(0, ready::READABLE).is_some());
        let Poll::Ready(seen) = poll(&source, &woken) else {
            panic!("it is ready");
        };
        let poller = {
            let source = source.clone();
            thread::spawn(move || assert!(source.set_ready(0, ready::READABLE).is_some()))
        };
        clear(&source, seen);
        let waits = poll(&source, &woken).is_pending();
        poller.join().unwrap();
        assert_eq!(usize::from(waits), woken.0.load(Ordering::SeqCst));
        assert!(poll(&source, &woken).is_ready());
    });
}

#[test]
fn clearing_never_erases_a_newer_event() {
    a_newer_event_stays(|source, event| source.clear(event, |_| {}));
}

#[test]
fn a_short_transfer_never_uses_up_a_newer_event() {
    a_newer_event_stays(Source::use_up);
}

/// Two readers have seen the same event, and both use it up, in either order. The next event wakes both.
#[test]
fn readers_use_an_event_up_in_any_order() {
    loom::model(|| {
        let source = Arc::new(Source::new());
        assert!(source.set_ready(0, ready::READABLE).is_some());
        let reader = {
            let source = source.clone();
            move || {
                let woken = std::sync::Arc::new(Counting(Count::new(0)));
                if let Poll::Ready(seen) = poll(&source, &woken) {
                    source.use_up(seen);
                }
                (poll(&source, &woken).is_pending(), woken)
            }
        };
        let other = thread::spawn(reader.clone());
        let (waits, woken) = reader();
        assert!(waits, "it has used up the event itself");
        let (other_waits, other_woken) = other.join().unwrap();
        assert!(other_waits);
        assert!(source.set_ready(0, ready::READABLE).is_some());
        for woken in [woken, other_woken] {
            assert_eq!(woken.0.load(Ordering::SeqCst), 1);
        }
    });
}
