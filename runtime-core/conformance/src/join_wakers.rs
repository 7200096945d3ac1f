//! Clause 13: if a handle was polled with a foreign waker that panics, other tasks are not affected.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};

use super::Subject;
use super::event::Event;
use super::outcome::Outcome;
use runtime_kernel::TaskHandle;
use runtime_library::Runtime;

/// Which part of a waker panics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Panics {
    Wake,
    Drop,
    Both,
}

/// A waker of which that part panics.
struct Foreign(Panics);

impl Wake for Foreign {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        assert!(self.0 == Panics::Drop, "the waker panics on purpose");
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        // A second panic during unwinding would end the process.
        assert!(
            self.0 == Panics::Wake || std::thread::panicking(),
            "the waker's destructor panics on purpose"
        );
    }
}

impl Panics {
    /// Polls the handle with such a waker. Afterwards the task has the last copy.
    fn poll<H: Future + Unpin>(self, handle: &mut H) {
        let waker = Waker::from(Arc::new(Foreign(self)));
        let polled = Pin::new(handle).poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
    }
}

/// What is done with the handle after it was polled.
#[derive(Clone, Copy, Debug)]
enum Use {
    Await,
    AwaitWhenItHasEnded,
    Drop,
    Abort,
}

/// 13: whichever part of the waker panics, and whenever: the task ends as usual, the awaiting task is woken, and other
/// tasks are served.
pub fn c13_a_handles_waker_that_panics_harms_nobody<S: Subject>() {
    let subject = S::start();
    let rt = subject.handle();
    subject.run(async move {
        for panics in [Panics::Wake, Panics::Drop, Panics::Both] {
            for then in [Use::Await, Use::AwaitWhenItHasEnded, Use::Drop, Use::Abort] {
                for _ in 0..10 {
                    one(&rt, panics, then).await;
                }
            }
        }
    });
}

async fn one<R: Runtime>(rt: &R, panics: Panics, then: Use) {
    let (begin, ended) = (Event::new(), Event::new());
    let (of_task, notify) = (begin.clone(), ended.clone());
    let mut task = rt.spawn(async move {
        of_task.wait().await;
        notify.set();
        7
    });
    panics.poll(&mut task);
    match then {
        Use::Await => {
            begin.set();
            assert_eq!(task.await.expect("it returns"), 7, "{panics:?} {then:?}");
        }
        Use::AwaitWhenItHasEnded => {
            begin.set();
            while !task.is_finished() {
                rt.yield_now().await;
            }
            assert_eq!(task.await.expect("it returns"), 7, "{panics:?} {then:?}");
        }
        Use::Drop => {
            drop(task);
            begin.set();
            ended.wait().await;
        }
        Use::Abort => {
            task.abort();
            assert_eq!(
                Outcome::of(task.await),
                Outcome::Cancelled,
                "{panics:?} {then:?}"
            );
        }
    }
    rt.spawn(async {}).await.expect("others are served");
}
