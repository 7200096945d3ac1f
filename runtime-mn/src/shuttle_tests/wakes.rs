//! Wakers that other threads hold.

use std::future::poll_fn;
use std::task::{Poll, Waker};

use runtime_core::primitives::Mutex;
use runtime_core::primitives::atomic::{AtomicBool, Ordering::SeqCst};

use super::*;

/// A flag that one thread raises and one task waits for.
#[derive(Default)]
struct Flag {
    raised: AtomicBool,
    waiter: Mutex<Option<Waker>>,
}

impl Flag {
    fn raise(&self) {
        self.raised.store(true, SeqCst);
        let waiter = self.waiter.lock().take();
        if let Some(waiter) = waiter {
            waiter.wake();
        }
    }

    async fn wait(&self) {
        poll_fn(|cx| {
            let before = self.waiter.lock().replace(cx.waker().clone());
            drop(before);
            if self.raised.load(SeqCst) {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }
}

#[test]
fn wakes_from_foreign_threads_are_not_lost() {
    check_policies(|runtime| {
        let tally = Tally::new(3);
        let flags = [(); 3].map(|()| Arc::new(Flag::default()));
        let tasks: Vec<_> = flags
            .iter()
            .enumerate()
            .map(|(number, flag)| {
                let flag = Arc::clone(flag);
                runtime.spawn(tally.task(number, async move { flag.wait().await }))
            })
            .collect();
        let [one, two, three] = flags;
        let others = [
            thread::spawn(move || {
                one.raise();
                two.raise();
            }),
            thread::spawn(move || three.raise()),
        ];
        runtime.block_on(async move {
            for task in tasks {
                task.await.unwrap();
            }
        });
        for thread in others {
            thread.join().unwrap();
        }
        drop(runtime);
        tally.assert_all_ran_once();
    });
}

/// Two threads use the same waker at once, again and again, while the task is polled, queued and stolen.
#[test]
fn wakes_that_coincide_lead_to_a_poll_after_the_last_of_them() {
    check_policies(|runtime| {
        let flags = [(); 2].map(|()| Arc::new(Flag::default()));
        let others = flags
            .clone()
            .map(|flag| thread::spawn(move || flag.raise()));
        runtime.block_on(async move {
            let helper = runtime_core::spawn(yields(2));
            let mut waits: Vec<_> = flags.iter().map(|flag| Box::pin(flag.wait())).collect();
            poll_fn(|cx| {
                waits.retain_mut(|wait| wait.as_mut().poll(cx).is_pending());
                if waits.is_empty() {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            })
            .await;
            helper.await.unwrap();
        });
        for thread in others {
            thread.join().unwrap();
        }
    });
}

/// A waker that outlives its runtime wakes nothing, and lets the task's memory be freed.
#[test]
fn a_waker_that_outlives_its_runtime_does_no_harm() {
    check(|| {
        let runtime = runtime();
        let tally = Tally::new(1);
        let flag = Arc::new(Flag::default());
        let of_task = Arc::clone(&flag);
        drop(runtime.spawn(tally.task(0, async move { of_task.wait().await })));
        let other = thread::spawn(move || flag.raise());
        drop(runtime);
        other.join().unwrap();
        tally.assert_none_leaked();
    });
}
