//! What newcomers from asyncio ask first, in the order of the book's table: calls that no clause of the contract
//! covers.
//!
//! The bodies use the ambient runtime and are not generic, so that they are compiled once for all schedulers.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::AmbientSubject;
use super::event::{Count, Event};
use super::outcome::Outcome;
use super::probe::text_of;
use runtime_kernel::promise::Promise;
use runtime_kernel::{JoinError, sleep, spawn, yield_now};
use runtime_library::Runtime;
use runtime_library::sync::oneshot::Broken;
use runtime_library::sync::{Barrier, BrokenBarrier, Queue, Semaphore, TryGetError, TryPutError};

const LONG: Duration = Duration::from_secs(3600);

/// `Future`: set by a thread or a task, awaited by any number of tasks, and broken when nobody is left to set it.
pub fn promises_reach_all_who_await_them<S: AmbientSubject>() {
    S::start().run(async {
        for by_thread in [false, true] {
            let promise = Promise::<Result<u32, &str>>::new();
            let future = promise.future();
            let waiting: Vec<_> = (0..10).map(|_| spawn(promise.future())).collect();
            let gives_up = spawn(future.clone());
            yield_now().await;
            assert!(!future.is_finished() && future.try_result().is_none());
            gives_up.abort();
            if by_thread {
                thread::spawn(move || promise.set_result(Ok(7)));
            } else {
                drop(spawn(async move { promise.set_error("no") }));
            }
            let expected = if by_thread { Ok(7) } else { Err("no") };
            for task in waiting {
                assert_eq!(task.await.expect("it waits"), Ok(expected));
            }
            assert!(future.is_finished());
            assert_eq!(future.try_result(), Some(Ok(expected)));
            assert_eq!(future.await, Ok(expected));
        }
        let promise = Promise::<u32>::new();
        let waits = spawn(promise.future());
        drop(spawn(async move { drop(promise) }));
        assert_eq!(waits.await.expect("it waits"), Err(Broken));
    });
}

/// `Queue`: its properties, and the calls that do not wait.
pub fn queues_tell_what_is_in_them<S: AmbientSubject>() {
    S::start().run(async {
        let queue = Arc::new(Queue::new(2));
        assert_eq!((queue.capacity(), queue.len()), (2, 0));
        assert!(queue.is_empty() && !queue.is_full());
        assert_eq!(queue.try_get(), Err(TryGetError::Empty));
        let own = Arc::clone(&queue);
        let putter = spawn(async move {
            for item in 0..3 {
                own.put(item).await.expect("open");
            }
        });
        while !queue.is_full() {
            yield_now().await;
        }
        assert_eq!((queue.len(), queue.is_empty()), (2, false));
        assert_eq!(queue.try_put(9), Err(TryPutError::Full(9)));
        for item in 0..3 {
            assert_eq!(queue.get().await, Some(item));
            queue.task_done();
        }
        putter.await.expect("all are in");
        assert!(queue.is_empty());
        queue.join().await;
        let once_more = catch_unwind(AssertUnwindSafe(|| queue.task_done()));
        let payload = once_more.expect_err("nothing was taken that is not done");
        assert!(text_of(&*payload).contains("task_done"));
    });
}

/// `Semaphore.locked`, `BoundedSemaphore.release` and impossible requests, in a task.
pub fn semaphores_refuse_what_cannot_be<S: AmbientSubject>() {
    S::start().run(async {
        let semaphore = Arc::new(Semaphore::bounded(2));
        let two = semaphore.acquire_many(2).await.expect("open");
        assert!(semaphore.is_exhausted());
        let own = Arc::clone(&semaphore);
        let released = spawn(async move { own.add_permits(1) });
        assert!(
            matches!(Outcome::of(released.await), Outcome::Panicked(text) if text.contains("drop permits"))
        );
        let own = Arc::clone(&semaphore);
        let waits = spawn(async move { drop(own.acquire_many(3).await) });
        assert!(
            matches!(Outcome::of(waits.await), Outcome::Panicked(text) if text.contains("ask for fewer"))
        );
        drop(two);
        assert_eq!(semaphore.available_permits(), 2);
    });
}

/// `Barrier.abort` and `reset`: waiting tasks get an error, as threads do.
pub fn a_broken_barrier_sends_tasks_away<S: AmbientSubject>() {
    S::start().run(async {
        let barrier = Arc::new(Barrier::new(3));
        let come = || {
            let barrier = Arc::clone(&barrier);
            spawn(async move { barrier.wait().await.map(|arrival| arrival.index()) })
        };
        for broken in [false, true] {
            let waiting = [come(), come()];
            while barrier.waiting() < 2 {
                yield_now().await;
            }
            if broken {
                barrier.abort();
            } else {
                barrier.reset();
            }
            for task in waiting {
                assert_eq!(task.await.expect("it was there"), Err(BrokenBarrier));
            }
            assert_eq!(barrier.is_broken(), broken);
        }
        let late = come().await.expect("it comes");
        assert_eq!(late, Err(BrokenBarrier), "until it is reset");
        barrier.reset();
        let mut places = Vec::new();
        for task in [come(), come(), come()] {
            places.push(task.await.expect("it comes").expect("it was reset"));
        }
        places.sort_unstable();
        assert_eq!(places, [0, 1, 2]);
    });
}

/// `all_tasks`: live tasks are counted, and the code that spawned them can identify them.
pub fn tasks_that_live_are_counted<S: AmbientSubject>() {
    let subject = S::start();
    let rt = subject.handle();
    subject.run(async move {
        let before = rt.metrics().live_tasks;
        let (here, go) = (Count::new(), Event::new());
        let tasks: Vec<_> = (0..10)
            .map(|_| {
                let (here, go) = (here.clone(), go.clone());
                spawn(async move {
                    here.add();
                    go.wait().await;
                })
            })
            .collect();
        here.reach(10).await;
        assert_eq!(rt.metrics().live_tasks, before.map(|before| before + 10));
        go.set();
        for task in tasks {
            task.await.expect("it ends");
        }
    });
}

/// `result()`, `exception()`, `done()` and `cancelled()` of a task: a value, a panic with its message, a cancellation.
pub fn a_handle_tells_how_its_task_ended<S: AmbientSubject>() {
    S::start().run(async {
        let mut returns = spawn(async { 7 });
        assert!(matches!((&mut returns).await, Ok(7)));
        assert!(returns.is_finished());
        let panics = spawn(async { std::panic::panic_any("as planned") });
        let error: JoinError = panics.await.map(|(): ()| ()).expect_err("it panics");
        assert_eq!(error.panic_message(), Some("as planned"));
        let sleeps = spawn(sleep(LONG));
        sleeps.abort();
        assert!(sleeps.await.expect_err("cancelled").is_cancelled());
    });
}
