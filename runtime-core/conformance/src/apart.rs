//! Clause 12: neither polling a handle nor any other call runs another task.

use std::cell::Cell;
use std::future::poll_fn;
use std::hint::spin_loop;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::{Duration, Instant};

use super::Subject;
use super::event::{Count, Event};
use super::outcome::Outcome;
use super::skip;
use runtime_kernel::TaskHandle;
use runtime_library::Runtime;

/// How long a child computes unless it is told to stop: far longer than a correct scheduler needs to tell it.
const COMPUTES: Duration = Duration::from_secs(20);

thread_local! {
    /// What a poll has set up around itself, for example a span.
    static AROUND: Cell<u32> = const { Cell::new(0) };
}

/// Polls `future` with `value` in [`AROUND`], as `.instrument(span)` does with a span.
async fn within<F: Future>(value: u32, future: F) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|cx| around(value, || future.as_mut().poll(cx))).await
}

/// Calls `body` with `value` in [`AROUND`].
fn around<R>(value: u32, body: impl FnOnce() -> R) -> R {
    struct Return(u32);
    impl Drop for Return {
        fn drop(&mut self) {
            AROUND.set(self.0);
        }
    }
    let _return = Return(AROUND.replace(value));
    body()
}

/// When it is dropped, panics if something that is not its own is set up there.
struct Apart;

impl Apart {
    fn check() {
        assert_eq!(
            AROUND.get(),
            0,
            "a task sees what another one's poll set up"
        );
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        Self::check();
    }
}

/// A task that checks what is set up around it whenever it is polled, and waits `waits` times.
async fn looks_around<R: Runtime>(rt: R, waits: usize) {
    let _apart = Apart;
    for _ in 0..waits {
        Apart::check();
        rt.yield_now().await;
    }
    Apart::check();
}

/// 12: a child that is awaited inside a span does not see the span, whichever thread runs it; nor does a grandchild
/// see its parent's.
pub fn c12_a_child_does_not_see_what_is_set_around_its_parents_poll<S: Subject>() {
    const ROUNDS: usize = 200;
    let subject = S::start();
    let rt = subject.handle();
    subject.run(async move {
        for round in 0..ROUNDS {
            let own = rt.clone();
            let parent = within(1, async move {
                let inner = own.clone();
                let child = own.spawn(async move {
                    Apart::check();
                    let grandchild = inner.spawn(looks_around(inner.clone(), round % 3));
                    within(2, grandchild).await.expect("the grandchild");
                    Apart::check();
                });
                child.await.expect("the child");
                // Several, of which it awaits the first one first.
                let children: Vec<_> = (0..round % 4)
                    .map(|waits| own.spawn(looks_around(own.clone(), waits)))
                    .collect();
                for child in children {
                    child.await.expect("one of many");
                }
                assert_eq!(AROUND.get(), 1, "its own, again and again");
            });
            rt.spawn(parent).await.expect("the parent");
        }
    });
}

/// 12: the child may take a lock that is held while its handle is polled.
pub fn c12_a_lock_held_around_the_poll_of_a_handle_is_free_for_the_child<S: Subject>() {
    const ROUNDS: usize = 200;
    let subject = S::start();
    let rt = subject.handle();
    subject.run(async move {
        let count = Arc::new(Mutex::new(0));
        for _ in 0..ROUNDS {
            let of_child = Arc::clone(&count);
            let mut child = rt.spawn(async move { *of_child.lock().unwrap() += 1 });
            let outcome = poll_fn(|cx| {
                let _held = count.lock().unwrap();
                Pin::new(&mut child).poll(cx)
            });
            outcome.await.expect("the child");
        }
        assert_eq!(*count.lock().unwrap(), ROUNDS);
    });
}

/// 12: a poll of a handle returns although the child computes: it does not wait for the child, and the poller
/// continues.
pub fn c12_a_poll_of_a_handle_returns_while_the_child_computes<S: Subject>() {
    const ROUNDS: usize = 20;
    let subject = S::start();
    let rt = subject.handle();
    subject.run(async move {
        for _ in 0..ROUNDS {
            let (finish, mut child) = computes(&rt);
            poll_fn(|cx| {
                let polled = Pin::new(&mut child).poll(cx);
                assert!(polled.is_pending(), "it computes until it is told");
                finish.store(true, SeqCst);
                Poll::Ready(())
            })
            .await;
            assert!(child.await.expect("the child"), "told in time");
        }
    });
}

/// 12: a time limit on a handle expires in time although the child computes, if another thread can run the child.
pub fn c12_a_limit_over_a_handle_ends_while_the_child_computes<S: Subject>() {
    let subject = S::start();
    let rt = subject.handle();
    if !rt.capabilities().parallel {
        skip("no other thread can compute");
    }
    subject.run(async move {
        let (finish, mut child) = computes(&rt);
        let limit = Duration::from_millis(30);
        assert!(rt.timeout(limit, &mut child).await.is_err(), "it computes");
        finish.store(true, SeqCst);
        assert!(child.await.expect("the child"), "told in time");
    });
}

/// A task that computes without a pause until the flag is set. It returns whether the flag was set.
fn computes<R: Runtime>(rt: &R) -> (Arc<AtomicBool>, R::JoinHandle<bool>) {
    let finish = Arc::new(AtomicBool::new(false));
    let of_child = Arc::clone(&finish);
    let child = rt.spawn(async move {
        let begun = Instant::now();
        while !of_child.load(SeqCst) && begun.elapsed() < COMPUTES {
            spin_loop();
        }
        of_child.load(SeqCst)
    });
    (finish, child)
}

/// 12: spawning, waking, aborting and dropping a handle run no other task inside the caller either: neither a poll nor
/// a destructor.
pub fn c12_no_call_runs_another_task_inside_of_the_caller<S: Subject>() {
    const ROUNDS: usize = 100;
    let subject = S::start();
    let rt = subject.handle();
    subject.run(async move {
        for _ in 0..ROUNDS {
            let (waits, ends, seen) = (Event::new(), Event::new(), Count::new());
            let waiting: Vec<_> = (0..4)
                .map(|_| {
                    let (own, waits, ends) = (rt.clone(), waits.clone(), ends.clone());
                    rt.spawn(async move {
                        let _apart = Apart;
                        waits.wait().await;
                        looks_around(own, 1).await;
                        ends.wait().await;
                        Apart::check();
                    })
                })
                .collect();
            rt.yield_now().await;
            let new = around(3, || {
                let looks = |waits| {
                    let (looks, seen) = (looks_around(rt.clone(), waits), seen.clone());
                    rt.spawn(async move {
                        looks.await;
                        seen.add();
                    })
                };
                let new: Vec<_> = (0..4).map(looks).collect();
                waiting[0].abort();
                waits.set();
                ends.set();
                waiting[1].abort();
                waiting[2].abort();
                new
            });
            around(4, || drop(new));
            seen.reach(4).await;
            for (number, task) in waiting.into_iter().enumerate() {
                let outcome = Outcome::of(task.await);
                let may_be = match number {
                    3 => [Outcome::Returned, Outcome::Returned],
                    _ => [Outcome::Cancelled, Outcome::Returned],
                };
                assert!(may_be.contains(&outcome), "task {number}: {outcome:?}");
            }
        }
    });
}

/// 12: a future that its owner polls itself is polled there, within everything that its owner has set up.
pub fn c12_an_owned_future_is_polled_within_its_owner<S: Subject>() {
    let subject = S::start();
    let rt = subject.handle();
    subject.run(async move {
        let own = rt.clone();
        let parent = within(5, async move {
            let owned = async {
                own.yield_now().await;
                AROUND.get()
            };
            assert_eq!(owned.await, 5);
        });
        rt.spawn(parent).await.expect("the parent");
    });
}
