//! Clauses 8 and 10: no task waits for ever because others always have work.
//!
//! Each case sets up tasks that always have work, more of them than there are workers, and then something that must
//! still get through. The watchdog detects what does not.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use super::Subject;
use super::event::{Count, Event};
use super::skip;
use runtime_library::{ChannelReceiver, ChannelSender, Runtime};

/// Tasks that always have work: two for each worker, and one more.
fn crowd<R: Runtime>(rt: &R) -> usize {
    2 * rt.capabilities().workers.unwrap_or(2) + 1
}

/// What must get through, whatever other tasks do: a new task, a foreign wake, a foreign spawn, a timer, a blocking
/// job.
async fn everything_gets_through<R: Runtime>(rt: &R) {
    rt.spawn(async {}).await.expect("a new task");

    let woken = Event::new();
    let wake = woken.clone();
    let waker = thread::spawn(move || wake.set());
    woken.wait().await;
    waker.join().expect("the waking thread");

    let spawned = Event::new();
    let (notify, handle) = (spawned.clone(), rt.clone());
    let spawner = thread::spawn(move || {
        drop(handle.spawn(async move { notify.set() }));
    });
    spawned.wait().await;
    spawner.join().expect("the spawning thread");

    rt.sleep(Duration::from_millis(5)).await;

    rt.spawn_blocking(|| ()).await.expect("a blocking job");
}

/// Runs `everything_gets_through` alongside a crowd of `busy` tasks, which end when the event is set.
fn beside<S, B, F>(busy: B)
where
    S: Subject,
    B: Fn(S::Runtime, Event) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    let subject = S::start();
    let rt = subject.handle();
    let stop = Event::new();
    let busy: Vec<_> = (0..crowd(&rt))
        .map(|_| rt.spawn(busy(rt.clone(), stop.clone())))
        .collect();
    subject.run(async move {
        for _ in 0..5 {
            everything_gets_through(&rt).await;
        }
        stop.set();
        for task in busy {
            task.await.expect("a busy task");
        }
    });
}

/// 10: tasks that yield in a loop starve no other task.
pub fn c10_yield_loops_starve_nobody<S: Subject>() {
    beside::<S, _, _>(|rt, stop| async move {
        while !stop.is_set() {
            rt.yield_now().await;
        }
    });
}

/// 10: tasks that wake themselves in each poll starve no other task.
pub fn c10_self_waking_tasks_starve_nobody<S: Subject>() {
    beside::<S, _, _>(|_, stop| {
        poll_fn(move |cx| {
            if stop.is_set() {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
    });
}

/// 10: tasks that each spawn their successor starve no other task, although the newest may run first.
pub fn c10_chains_of_spawns_starve_nobody<S: Subject>() {
    fn link<R: Runtime>(
        rt: R,
        stop: Event,
        ended: Event,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move {
            if stop.is_set() {
                ended.set();
            } else {
                drop(rt.spawn(link(rt.clone(), stop, ended)));
            }
        })
    }
    beside::<S, _, _>(|rt, stop| async move {
        let ended = Event::new();
        drop(rt.spawn(link(rt.clone(), stop, ended.clone())));
        ended.wait().await;
    });
}

/// 10: tasks that repeatedly spawn a child and await it starve no other task.
pub fn c10_spawn_and_await_loops_starve_nobody<S: Subject>() {
    beside::<S, _, _>(|rt, stop| async move {
        while !stop.is_set() {
            rt.spawn(async {}).await.expect("a child");
        }
    });
}

/// 10: pairs of tasks that wake each other starve no other task, although the task that was woken last may run first.
pub fn c10_pairs_that_wake_each_other_starve_nobody<S: Subject>() {
    beside::<S, _, _>(|rt, stop| async move {
        let (there, mut arrive) = rt.channel::<()>(1);
        let (back, mut arrive_back) = rt.channel::<()>(1);
        let echo = rt.spawn(async move {
            while arrive.recv().await.is_some() {
                if back.send(()).await.is_err() {
                    return;
                }
            }
        });
        while !stop.is_set() {
            there.send(()).await.expect("the echo lives");
            arrive_back.recv().await.expect("the echo lives");
        }
        drop(there);
        echo.await.expect("the echo");
    });
}

/// 10: timers of zero length in a loop starve no other task.
pub fn c10_loops_over_due_timers_starve_nobody<S: Subject>() {
    beside::<S, _, _>(|rt, stop| async move {
        while !stop.is_set() {
            rt.sleep(Duration::ZERO).await;
        }
    });
}

/// 10: a loop over a channel that always has room, and then always an item, starves nobody.
pub fn c10_loops_over_ready_channels_starve_nobody<S: Subject>() {
    beside::<S, _, _>(|rt, stop| async move {
        let (sender, mut receiver) = rt.channel::<u32>(4);
        while !stop.is_set() {
            sender.send(1).await.expect("we hold the receiver");
            assert_eq!(receiver.recv().await, Some(1));
        }
    });
}

/// Counts the polls of what it wraps.
struct Polls<F> {
    inner: Pin<Box<F>>,
    polls: usize,
}

impl<F: Future> Future for Polls<F> {
    type Output = (F::Output, usize);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.polls += 1;
        let polls = self.polls;
        self.inner.as_mut().poll(cx).map(|output| (output, polls))
    }
}

/// 10: a loop over always-ready leaf operations returns from its poll every so often.
pub fn c10_ready_leaf_operations_return_from_their_poll<S: Subject>() {
    const OPERATIONS: usize = 100_000;
    let subject = S::start();
    let rt = subject.handle();
    let task = rt.clone().spawn(Polls {
        inner: Box::pin(async move {
            let (sender, mut receiver) = rt.channel::<usize>(1);
            for number in 0..OPERATIONS {
                sender.send(number).await.expect("we hold the receiver");
                assert_eq!(
                    receiver.recv().await,
                    Some(number),
                    "an early return loses no item"
                );
            }
        }),
        polls: 0,
    });
    let ((), polls) = subject.run(async move { task.await.expect("the loop") });
    assert!(polls > 1, "{OPERATIONS} ready operations in a single poll");
}

/// 10: a future that always has work keeps no other future of the same task from being polled.
pub fn c10_a_busy_future_starves_no_sibling<S: Subject>() {
    let subject = S::start();
    let rt = subject.handle();
    let sleeper = rt.clone().spawn(async move {
        let (sender, mut receiver) = rt.channel::<u32>(1);
        let busy = async {
            loop {
                sender.send(1).await.expect("we hold the receiver");
                assert_eq!(receiver.recv().await, Some(1));
            }
        };
        let sleeps = rt.sleep(Duration::from_millis(5));
        // The busy one is always polled first.
        futures_lite::future::or(busy, sleeps).await;
    });
    subject.run(async move { sleeper.await.expect("the sleeper") });
}

/// Polls with its own waker until the future has ended, and never returns before that.
fn spin_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut cx = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return output;
        }
        // Not a yield: this loop would yield tens of thousands of times, which takes minutes on a busy machine.
        std::hint::spin_loop();
    }
}

/// 10: the budget applies to code that returns from the poll: an executor inside a task, which keeps polling, still
/// completes.
pub fn c10_another_executor_inside_a_task_comes_to_its_end<S: Subject>() {
    const OPERATIONS: usize = 2_000;
    let subject = S::start();
    let rt = subject.handle();
    let task = rt.clone().spawn(async move {
        let work = async || {
            let (sender, mut receiver) = rt.channel::<usize>(1);
            for number in 0..OPERATIONS {
                sender.send(number).await.expect("we hold the receiver");
                assert_eq!(receiver.recv().await, Some(number));
            }
        };
        futures_lite::future::block_on(work());
        spin_on(work());
        // Each of them begins with what the previous ones have left of the budget.
        for _ in 0..OPERATIONS / 10 {
            futures_lite::future::block_on(rt.sleep(Duration::ZERO));
        }
        futures_lite::future::block_on(futures_lite::future::zip(work(), work()));
    });
    subject.run(async move { task.await.expect("the task") });
}

/// 10: if a poll takes long, another worker runs the tasks that wait on that worker.
pub fn c10_a_long_poll_strands_nobody<S: Subject>() {
    let subject = S::start();
    let rt = subject.handle();
    if !rt.capabilities().parallel {
        skip("there is no other worker");
    }
    subject.run(async move {
        for children in 1..4 {
            let ran = Count::new();
            let tasks: Vec<_> = (0..children)
                .map(|_| {
                    let ran = ran.clone();
                    rt.spawn(async move { ran.add() })
                })
                .collect();
            // Not an await: this worker is busy until the children have run on others.
            ran.reach_blocking(children);
            for task in tasks {
                task.await.expect("a child");
            }
        }
    });
}

/// A set of tasks multiplies: each spawns two more, yields once, and then waits. Returns how many of them have begun
/// when a task alongside them returns from its `yields` yields; `most` ends the set. It counts tasks, and measures no
/// time.
///
/// `None` where the system decides which task runs: such a set needs more threads than the system has.
pub fn tasks_of_a_multiplying_set<S: Subject>(yields: usize, most: usize) -> Option<usize> {
    fn multiply<R: Runtime>(
        rt: R,
        begun: Arc<AtomicUsize>,
        most: usize,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move {
            if begun.fetch_add(1, Relaxed) >= most {
                return;
            }
            for _ in 0..2 {
                drop(rt.spawn(multiply(rt.clone(), Arc::clone(&begun), most)));
            }
            rt.yield_now().await;
            // Dropped when the runtime ends.
            std::future::pending::<()>().await;
        })
    }
    let subject = S::start();
    let rt = subject.handle();
    if rt.capabilities().preemptive {
        return None;
    }
    let tasks = subject.run(async move {
        let begun = Arc::new(AtomicUsize::new(0));
        let (of_yielder, yielder_rt) = (Arc::clone(&begun), rt.clone());
        let yielder = rt.spawn(async move {
            for _ in 0..yields {
                yielder_rt.yield_now().await;
            }
            // Ends the set.
            of_yielder.swap(most, Relaxed)
        });
        drop(rt.spawn(multiply(rt.clone(), begun, most)));
        yielder.await.expect("the task that yields")
    });
    Some(tasks)
}

/// 10: alongside a set of tasks that multiplies, a task that yields runs again before the set has grown out of
/// proportion.
pub fn c10_a_multiplying_set_starves_nobody<S: Subject>() {
    // If tasks are served in the order of arrival, the set doubles with each yield.
    const MAX_TASKS: usize = 100_000;
    let Some(tasks) = tasks_of_a_multiplying_set::<S>(3, MAX_TASKS) else {
        skip("the system decides who runs");
    };
    assert!(tasks < MAX_TASKS, "{tasks} tasks ran first");
}

/// 10: where tasks are preempted, computing tasks don't block other tasks, even if there are more than cores.
pub fn c10_computing_tasks_are_preempted<S: Subject>() {
    let subject = S::start();
    let rt = subject.handle();
    if !rt.capabilities().preemptive {
        skip("tasks are not preempted");
    }
    let stop = Event::new();
    let cpu_bound: Vec<_> = (0..2 * num_cpus::get())
        .map(|_| {
            let stop = stop.clone();
            rt.spawn(async move {
                while !stop.is_set() {
                    std::hint::spin_loop();
                }
            })
        })
        .collect();
    subject.run(async move {
        everything_gets_through(&rt).await;
        stop.set();
        for task in cpu_bound {
            task.await.expect("a CPU-bound task");
        }
    });
}

/// 10: `yield_now` lets a ready task run; with one worker, before it returns.
pub fn c10_yielding_lets_others_run<S: Subject>() {
    let subject = S::start();
    let rt = subject.handle();
    subject.run(async move {
        let ran = Count::new();
        let notify = ran.clone();
        let other = rt.spawn(async move { notify.add() });
        while ran.get() == 0 {
            rt.yield_now().await;
        }
        other.await.expect("the other task");
        // A yield returns even if there is no other task.
        let mut yields = pin!(async {
            for _ in 0..1000 {
                rt.yield_now().await;
            }
        });
        yields.as_mut().await;
    });
}
