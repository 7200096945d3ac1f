//! Clause 5 for the primitives: their blocking forms panic inside a task, and work elsewhere.

use std::sync::Arc;
use std::thread;

use super::AmbientSubject;
use super::blocking_entry::assert_explains;
use super::outcome::Outcome;
use runtime_library::{Runtime, sync};

/// 5: the blocking forms of the primitives panic inside a task, and say what to use instead.
pub fn c05_blocking_forms_inside_a_task_panic<S: AmbientSubject>() {
    let subject = S::start();
    subject.run(async {
        // All would succeed without waiting: what matters is that this is a task.
        let (sender, receiver) = sync::oneshot::channel();
        sender.send(()).expect("the receiver is there");
        type Form = Box<dyn FnOnce() + Send>;
        let forms: [(&str, Form); 10] = [
            (
                "blocking_acquire",
                Box::new(|| drop(sync::Semaphore::new(1).blocking_acquire())),
            ),
            (
                "blocking_put",
                Box::new(|| _ = sync::Queue::new(1).blocking_put(1)),
            ),
            (
                "blocking_get",
                Box::new(|| _ = sync::Queue::<u8>::new(1).blocking_get()),
            ),
            ("blocking_recv", Box::new(|| _ = receiver.blocking_recv())),
            (
                "Mutex::blocking_lock",
                Box::new(|| drop(sync::Mutex::new(1).blocking_lock())),
            ),
            (
                "Event::blocking_wait",
                Box::new(|| sync::Event::new().blocking_wait()),
            ),
            (
                "Condition::blocking_wait`",
                Box::new(|| {
                    let (mutex, condition) = (sync::Mutex::new(1), sync::Condition::new());
                    drop(condition.blocking_wait(mutex.try_lock().expect("free")));
                }),
            ),
            (
                "Condition::blocking_wait_for`",
                Box::new(|| {
                    let (mutex, condition) = (sync::Mutex::new(1), sync::Condition::new());
                    let guard = mutex.try_lock().expect("free");
                    drop(condition.blocking_wait_for(guard, |_| true));
                }),
            ),
            (
                "Barrier::blocking_wait",
                Box::new(|| _ = sync::Barrier::new(1).blocking_wait()),
            ),
            (
                "blocking_join",
                Box::new(|| sync::Queue::<u8>::new(1).blocking_join()),
            ),
        ];
        for (name, form) in forms {
            let outcome = Outcome::of(runtime_kernel::spawn(async move { form() }).await);
            assert_explains(&outcome);
            assert!(
                matches!(&outcome, Outcome::Panicked(text) if text.contains(name)),
                "{outcome:?}"
            );
        }
    });
}

/// 5: elsewhere they work: in blocking jobs, and on foreign threads.
pub fn c05_blocking_forms_work_elsewhere<S: AmbientSubject>() {
    let subject = S::start();
    let rt = subject.handle();
    subject.run(async move {
        for foreign in [false, true] {
            let (there, back) = (Arc::new(sync::Queue::new(1)), Arc::new(sync::Queue::new(1)));
            let (get, put) = (Arc::clone(&there), Arc::clone(&back));
            let echo = move || {
                while let Some(item) = get.blocking_get() {
                    put.blocking_put(item).expect("open");
                }
            };
            let job = if foreign {
                drop(thread::spawn(echo));
                None
            } else {
                Some(rt.spawn_blocking(echo))
            };
            for item in 0..200 {
                there.put(item).await.expect("open");
                assert_eq!(back.get().await, Some(item));
            }
            there.close();
            if let Some(job) = job {
                job.await.expect("the job");
            }

            let rendezvous = Arc::new(Rendezvous::default());
            let own = Arc::clone(&rendezvous);
            let job = if foreign {
                drop(thread::spawn(move || own.block()));
                None
            } else {
                Some(rt.spawn_blocking(move || own.block()))
            };
            rendezvous.attend().await;
            if let Some(job) = job {
                job.await.expect("the job");
            }
        }
    });
}

/// At each of the primitives, a thread that blocks and a task that awaits wait for each other.
struct Rendezvous {
    turn: sync::Mutex<u32>,
    changed: sync::Condition,
    semaphore: sync::Semaphore,
    event: sync::Event,
    barrier: sync::Barrier,
}

impl Default for Rendezvous {
    fn default() -> Self {
        Self {
            turn: sync::Mutex::new(0),
            changed: sync::Condition::new(),
            semaphore: sync::Semaphore::new(0),
            event: sync::Event::new(),
            barrier: sync::Barrier::new(2),
        }
    }
}

impl Rendezvous {
    const ROUNDS: u32 = 100;

    /// The thread's side: the odd turns.
    fn block(&self) {
        for round in 0..Self::ROUNDS {
            let mut turn = self.turn.blocking_lock();
            while *turn != 2 * round + 1 {
                turn = self.changed.blocking_wait(turn);
            }
            *turn += 1;
            self.changed.notify_all(&turn);
            drop(turn);
            self.semaphore.blocking_acquire().expect("open").forget();
            self.event.blocking_wait();
            self.barrier.blocking_wait().expect("nobody breaks it");
        }
    }

    /// The task's side: the even turns. Each wait of the thread is for something that has not come yet, or that comes
    /// at the same time.
    async fn attend(&self) {
        for round in 0..Self::ROUNDS {
            let mut turn = self.turn.lock().await;
            *turn += 1;
            self.changed.notify_all(&turn);
            let next = 2 * round + 2;
            drop(self.changed.wait_for(turn, |turn| *turn == next).await);
            self.semaphore.add_permits(1);
            self.event.set();
            self.barrier.wait().await.expect("nobody breaks it");
            self.event.clear();
        }
        assert_eq!(self.semaphore.available_permits(), 0);
    }
}
