//! The protocol under loom, on a mock queue, and a few facts without loom.

#[cfg(not(lab_shuttle))]
use crate::scheduler::idle::Idle;

#[cfg(not(any(lab_loom, lab_shuttle)))]
#[test]
fn a_notifier_wakes_one_sleeper_and_only_if_none_searches() {
    let idle = Idle::new(4);
    assert_eq!(idle.notify_one(|| None), None, "no worker sleeps");
    assert!(idle.sleep(0, false), "no worker searches: a last look");
    assert!(idle.sleep(1, false));
    assert_eq!(idle.notify_one(|| None), Some(1));
    assert_eq!(idle.notify_one(|| None), None, "worker 1 searches");
    assert!(idle.stop_searching(), "it was the last one");
    assert_eq!(idle.notify_one(|| None), Some(0));
    assert!(!idle.cancel_sleep(0), "a notifier has taken it off");
    assert_eq!(idle.sleeping(), 0);
}

#[cfg(not(any(lab_loom, lab_shuttle)))]
#[test]
fn at_most_half_search() {
    let idle = Idle::new(4);
    assert!(idle.start_searching() && idle.start_searching());
    assert!(!idle.start_searching());
    assert!(!idle.stop_searching() && idle.stop_searching());
}

#[cfg(lab_loom)]
mod loom_tests {
    use super::*;
    use loom::sync::Arc;
    use loom::thread;
    use runtime_core::park::{Parker, Unparker};
    use runtime_core::primitives::atomic::{
        AtomicUsize,
        Ordering::{Relaxed, SeqCst},
    };

    /// Workers over one mock queue, which is a count of tasks.
    struct Model {
        idle: Idle,
        queue: AtomicUsize,
        run: AtomicUsize,
        unparkers: Vec<Unparker>,
    }

    impl Model {
        fn take(&self) -> bool {
            let mut left = self.queue.load(Relaxed);
            while left > 0 {
                match self
                    .queue
                    .compare_exchange(left, left - 1, Relaxed, Relaxed)
                {
                    Ok(_) => return true,
                    Err(now) => left = now,
                }
            }
            false
        }

        fn push(&self) {
            self.queue.fetch_add(1, Relaxed);
            self.notify();
        }

        fn notify(&self) {
            if let Some(worker) = self.idle.notify_one(|| None) {
                self.unparkers[worker].unpark();
            }
        }

        /// A worker that works until `total` tasks have run. loom fails the test if all workers are parked before
        /// that.
        fn work(&self, index: usize, parker: &Parker, total: usize) {
            let mut is_searching = false;
            loop {
                is_searching = is_searching || self.idle.start_searching();
                if is_searching && self.take() {
                    is_searching = false;
                    if self.idle.stop_searching() {
                        self.notify();
                    }
                    if self.run.fetch_add(1, SeqCst) + 1 == total {
                        self.unparkers.iter().for_each(Unparker::unpark);
                    }
                    continue;
                }
                if self.run.load(SeqCst) == total {
                    return;
                }
                let last_look = self.idle.sleep(index, is_searching);
                is_searching = false;
                if last_look && self.queue.load(Relaxed) > 0 {
                    is_searching = !self.idle.cancel_sleep(index);
                    if is_searching {
                        // The waking thread's token is ours, or will be.
                        parker.park(None);
                    }
                    continue;
                }
                parker.park(None);
                // At the end, all workers are woken without being removed from the list of sleepers.
                is_searching = !self.idle.cancel_sleep(index);
            }
        }
    }

    fn check(workers: usize, tasks: usize) {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(3);
        builder.check(move || {
            let mut parkers: Vec<_> = (0..workers).map(|_| Parker::new()).collect();
            let model = Arc::new(Model {
                idle: Idle::new(workers),
                queue: AtomicUsize::new(0),
                run: AtomicUsize::new(0),
                unparkers: parkers.iter().map(Parker::unparker).collect(),
            });
            let own = parkers.remove(0);
            let others: Vec<_> = parkers
                .into_iter()
                .enumerate()
                .map(|(index, parker)| {
                    let model = model.clone();
                    thread::spawn(move || model.work(index + 1, &parker, tasks))
                })
                .collect();
            for _ in 0..tasks {
                model.push();
            }
            model.work(0, &own, tasks);
            for other in others {
                other.join().unwrap();
            }
            assert_eq!(model.run.load(SeqCst), tasks);
        });
    }

    #[test]
    fn loom_two_workers_lose_no_wake_up() {
        check(2, 2);
    }

    /// A task is queued from outside while the only worker goes to sleep.
    #[test]
    fn loom_one_worker_and_a_notifier() {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(3);
        builder.check(|| {
            let parker = Parker::new();
            let model = Arc::new(Model {
                idle: Idle::new(1),
                queue: AtomicUsize::new(0),
                run: AtomicUsize::new(0),
                unparkers: vec![parker.unparker()],
            });
            let notifier = {
                let model = model.clone();
                thread::spawn(move || {
                    model.push();
                    model.push();
                })
            };
            model.work(0, &parker, 2);
            notifier.join().unwrap();
        });
    }
}
