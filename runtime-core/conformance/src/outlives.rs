//! Operations that continue after the runtime, or the task that began them, has ended.

use std::future::{Future, poll_fn};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use super::AmbientSubject;
use super::entered::ambient_of;
use super::event::Event;
use runtime_kernel::blocking::Executor;
use runtime_kernel::context::{self, Role};
use runtime_kernel::park::block_on_current_thread;
use runtime_kernel::{sleep, spawn};
use runtime_library::Runtime;

const MS: Duration = Duration::from_millis(1);
/// The length of a sleep; its runtime ends before that.
const LONG: Duration = Duration::from_millis(100);

/// 4, 9: a thread that has entered the runtime and sleeps is woken in time, even if the runtime ends.
pub fn c09_a_sleep_on_an_entered_thread_outlasts_the_runtime<S: AmbientSubject>() {
    for rounds in 0..8 {
        let subject = S::start();
        let runtime = ambient_of(&subject);
        let (begins, has_begun) = mpsc::channel();
        let sleeper = thread::spawn(move || {
            let _entered = context::enter(Arc::clone(&runtime), Role::NonWorker);
            let mut sleep = Box::pin(sleep(LONG));
            let begin = Instant::now();
            block_on_current_thread(poll_fn(|cx| {
                let polled = sleep.as_mut().poll(cx);
                _ = begins.send(());
                polled
            }));
            begin.elapsed()
        });
        if rounds % 2 == 0 {
            has_begun.recv().expect("it is polled");
        }
        drop(subject);
        let slept = sleeper.join().expect("the thread");
        assert!(slept >= LONG - MS, "{slept:?}");
    }
}

/// 4, 9: the same holds for a task of another runtime.
pub fn c09_a_sleep_in_another_runtimes_task_outlasts_the_runtime<S: AmbientSubject>() {
    let (ending, other) = (S::start(), S::start());
    let runtime = ambient_of(&ending);
    let (begun, released) = (Event::new(), Event::new());
    let (notify, go_on) = (begun.clone(), released.clone());
    let sleeper = Runtime::spawn(&other.handle(), async move {
        let mut sleep = Box::pin(sleep(LONG));
        poll_fn(move |cx| {
            let _entered = context::enter(Arc::clone(&runtime), Role::NonWorker);
            let polled = sleep.as_mut().poll(cx);
            notify.set();
            polled
        })
        .await;
    });
    let waits = begun.clone();
    other.run(async move { waits.wait().await });
    drop(ending);
    released.set();
    other.run(async move {
        go_on.wait().await;
        sleeper.await.expect("the sleeper");
    });
}

/// 5: a job of an executor is in the runtime from which it was sent, even after the task that sent it has ended.
pub fn c05_a_job_is_in_its_runtime_after_the_task_that_sent_it<S: AmbientSubject>() {
    let subject = S::start();
    subject.run(async {
        let executor = Executor::new("outlives", 1);
        let (go, wait) = mpsc::channel::<()>();
        let sender = executor.clone();
        let (hand, handed) = mpsc::channel();
        let sends = spawn(async move {
            let job = sender.spawn(move || {
                wait.recv().expect("the test sends");
                sleep_on_this_thread();
                spawn(async { 7 })
            });
            hand.send(job).expect("the test receives");
        });
        sends.await.expect("the task that sends");
        let job = handed.recv().expect("it has sent one");
        // Under 1:1 that task's thread ends a little later.
        sleep(20 * MS).await;
        go.send(()).expect("the job waits");
        let task = job.await.expect("the job is in its runtime");
        assert_eq!(task.await.expect("its task"), 7);
    });
}

fn sleep_on_this_thread() {
    block_on_current_thread(sleep(MS));
}
