//! Clause 13: a foreign waker that a handle was polled with, and that panics, harms nobody.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};

use super::Subject;
use super::event::Event;
use super::outcome::Outcome;
use runtime_kernel::TaskHandle;
use runtime_library::Runtime;

/// What of a waker panics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Panics {
    Wake,
    Drop,
    Both,
}

/// A waker that does.
struct Foreign(Panics);

impl Wake for Foreign {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        assert!(self.0 == Panics::Drop, "the waker panics as it was told to");
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        // A second panic while one unwinds would end the process.
        assert!(
            self.0 == Panics::Wake || std::thread::panicking(),
            "the waker's destructor panics as it was told to"
        );
    }
}

impl Panics {
    /// Polls the handle with such a waker, of which the task has the last copy then.
    fn poll<H: Future + Unpin>(self, handle: &mut H) {
        let waker = Waker::from(Arc::new(Foreign(self)));
        let polled = Pin::new(handle).poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
    }
}

/// What is done with the handle when it has been polled.
#[derive(Clone, Copy, Debug)]
enum Use {
    Await,
    AwaitWhenItHasEnded,
    Drop,
    Abort,
}

/// 13: whatever of the waker panics, and whenever: the task ends as it would, who awaits it is told, and other tasks
/// are served.
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
    let (of_task, tell) = (begin.clone(), ended.clone());
    let mut task = rt.spawn(async move {
        of_task.wait().await;
        tell.set();
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
