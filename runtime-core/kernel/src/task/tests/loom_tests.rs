//! Every interleaving of two threads.

use super::*;
use loom::thread;

/// Runs queued tasks until the task has ended.
fn run_until(queue: &SchedulerArc<Queue>, done: impl Fn() -> bool) {
    while !done() {
        match queue.pop() {
            Some(task) => {
                if let Ran::Woken(task) | Ran::Yielded(task) = task.run() {
                    queue.0.lock().push_back(task);
                }
            }
            None => thread::yield_now(),
        }
    }
}

#[test]
fn loom_a_wake_is_never_lost() {
    loom::model(|| {
        let queue = queue();
        let flag = loom::sync::Arc::new(loom::sync::atomic::AtomicBool::new(false));
        let slot = loom::sync::Arc::new(Mutex::new(None::<Waker>));
        let (of_task, of_slot) = (flag.clone(), slot.clone());
        let (task, handle) = bind(
            &queue.erase(),
            poll_fn(move |cx| {
                *of_slot.lock() = Some(cx.waker().clone());
                if of_task.load(loom::sync::atomic::Ordering::Relaxed) {
                    of_slot.lock().take();
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            }),
        );
        Queue::schedule(&queue, task);
        let waker = thread::spawn(move || {
            flag.store(true, loom::sync::atomic::Ordering::Relaxed);
            let waker = slot.lock().take();
            if let Some(waker) = waker {
                waker.wake();
            }
        });
        run_until(&queue, || handle.is_finished());
        waker.join().unwrap();
    });
}

#[test]
fn loom_join_against_completion() {
    loom::model(|| {
        let queue = queue();
        let (task, mut handle) = bind(&queue.erase(), async { Box::new(7) });
        let runner = thread::spawn(move || assert!(matches!(task.run(), Ran::Finished)));
        let output = loom::future::block_on(async move { (&mut handle).await });
        assert_eq!(*output.unwrap(), 7);
        runner.join().unwrap();
    });
}

#[test]
fn loom_a_task_that_awaits_a_task_is_woken_at_its_end() {
    loom::model(|| {
        let queue = queue();
        let (child, of_child) = bind(&queue.erase(), async { Box::new(7) });
        let (parent, handle) = bind(&queue.erase(), async move { *of_child.await.unwrap() });
        let runner = thread::spawn(move || assert!(matches!(child.run(), Ran::Finished)));
        Queue::schedule(&queue, parent);
        run_until(&queue, || handle.is_finished());
        runner.join().unwrap();
        assert!(queue.pop().is_none());
        drop(handle);
    });
}

#[test]
fn loom_a_task_that_stops_awaiting_a_task_releases_it() {
    loom::model(|| {
        let queue = queue();
        let (child, mut of_child) = bind(&queue.erase(), async {});
        let (parent, handle) = bind(
            &queue.erase(),
            poll_fn(move |cx| {
                let _ = Pin::new(&mut of_child).poll(cx).is_ready();
                Poll::Ready(())
            }),
        );
        let runner = thread::spawn(move || assert!(matches!(child.run(), Ran::Finished)));
        assert!(matches!(parent.run(), Ran::Finished));
        runner.join().unwrap();
        drop(handle);
        // At most woken after its end, which queues nothing.
        assert!(queue.pop().is_none());
    });
}

#[test]
fn loom_a_dropped_handle_against_completion() {
    loom::model(|| {
        let queue = queue();
        let drops = StdArc::new(AtomicUsize::new(0));
        let probe = Probe(drops.clone());
        let (task, mut handle) = bind(&queue.erase(), async move { probe });
        let runner = thread::spawn(move || assert!(matches!(task.run(), Ran::Finished)));
        let _ = poll(&mut handle).is_ready();
        drop(handle);
        runner.join().unwrap();
        assert_eq!(drops.load(SeqCst), 1);
    });
}

#[test]
fn loom_abort_wake_and_run() {
    loom::model(|| {
        let queue = queue();
        let drops = StdArc::new(AtomicUsize::new(0));
        let probe = Probe(drops.clone());
        let waker = loom::sync::Arc::new(Mutex::new(None::<Waker>));
        let of_task = waker.clone();
        let (task, handle) = bind(
            &queue.erase(),
            poll_fn(move |cx| {
                let _probe = &probe;
                *of_task.lock() = Some(cx.waker().clone());
                Poll::<()>::Pending
            }),
        );
        assert!(matches!(task.run(), Ran::Parked));
        let abort = handle.abort_handle();
        let aborter = thread::spawn(move || abort.abort());
        let waker = waker.lock().take().unwrap();
        waker.wake();
        run_until(&queue, || handle.is_finished());
        aborter.join().unwrap();
        assert!(queue.pop().is_none(), "a task is queued once");
        assert_eq!(drops.load(SeqCst), 1);
    });
}

/// A task that yields, hands out wakers and drops some of its own, while another thread uses a waker: the account of
/// its prepaid references is settled, whatever comes between.
#[test]
fn loom_yield_wake_and_end() {
    loom::model(|| {
        let queue = queue();
        let drops = StdArc::new(AtomicUsize::new(0));
        let probe = Probe(drops.clone());
        let waker = loom::sync::Arc::new(Mutex::new(None::<Waker>));
        let of_task = waker.clone();
        let (task, handle) = bind(&queue.erase(), async move {
            let _probe = probe;
            poll_fn(|cx| {
                drop(cx.waker().clone());
                *of_task.lock() = Some(cx.waker().clone());
                Poll::Ready(())
            })
            .await;
            yield_now().await;
        });
        Queue::schedule(&queue, task);
        let other = thread::spawn(move || {
            let waker = waker.lock().take();
            if let Some(waker) = waker {
                waker.wake();
            }
        });
        run_until(&queue, || handle.is_finished());
        other.join().unwrap();
        assert!(queue.pop().is_none(), "a task is queued once");
        drop(handle);
        assert_eq!(drops.load(SeqCst), 1);
    });
}

#[test]
fn loom_yield_and_abort() {
    loom::model(|| {
        let queue = queue();
        let drops = StdArc::new(AtomicUsize::new(0));
        let probe = Probe(drops.clone());
        let (task, handle) = bind(&queue.erase(), async move {
            let _probe = probe;
            yield_now().await;
            std::future::pending::<()>().await;
        });
        Queue::schedule(&queue, task);
        let abort = handle.abort_handle();
        let aborter = thread::spawn(move || abort.abort());
        run_until(&queue, || handle.is_finished());
        aborter.join().unwrap();
        assert!(queue.pop().is_none(), "a task is queued once");
        assert_eq!(drops.load(SeqCst), 1);
    });
}

/// The last waker is dropped on another thread while the poller ends: exactly one of the two frees the block.
#[test]
fn loom_the_last_reference_against_the_end_of_a_poll() {
    loom::model(|| {
        let queue = queue();
        let waker = loom::sync::Arc::new(Mutex::new(None::<Waker>));
        let of_task = waker.clone();
        let (task, handle) = bind(
            &queue.erase(),
            poll_fn(move |cx| {
                *of_task.lock() = Some(cx.waker().clone());
                Poll::Ready(Box::new(7))
            }),
        );
        drop(handle);
        let other = thread::spawn(move || drop(waker.lock().take()));
        assert!(matches!(task.run(), Ran::Finished));
        other.join().unwrap();
    });
}
