//! The hand-over through the injector under loom, on a mock injector: from non-worker threads, from workers that give
//! away their tasks, and while the runtime closes.

use loom::sync::Arc;
use loom::thread;
use runtime_core::park::{Parker, Unparker};
use runtime_core::primitives::atomic::AtomicUsize;

use crate::ending::Closed;
use crate::scheduler::idle::Idle;
use runtime_core::primitives::atomic::Ordering::{Relaxed, SeqCst};

/// Workers over an injector that is a count of tasks. The mock injector orders no memory accesses.
struct Model {
    closed: Closed,
    idle: Idle,
    injector: AtomicUsize,
    run: AtomicUsize,
    cancelled: AtomicUsize,
    unparkers: Vec<Unparker>,
}

impl Model {
    fn new(workers: usize) -> (Arc<Self>, Vec<Parker>) {
        let parkers: Vec<_> = (0..workers).map(|_| Parker::new()).collect();
        let model = Arc::new(Self {
            closed: Closed::new(),
            idle: Idle::new(workers),
            injector: AtomicUsize::new(0),
            run: AtomicUsize::new(0),
            cancelled: AtomicUsize::new(0),
            unparkers: parkers.iter().map(Parker::unparker).collect(),
        });
        (model, parkers)
    }

    fn push(&self) {
        self.injector.fetch_add(1, Relaxed);
    }

    fn take(&self) -> bool {
        let mut left = self.injector.load(Relaxed);
        while left > 0 {
            let taken = self
                .injector
                .compare_exchange(left, left - 1, Relaxed, Relaxed);
            match taken {
                Ok(_) => return true,
                Err(now) => left = now,
            }
        }
        false
    }

    fn notify_one(&self) {
        if let Some(worker) = self.idle.notify_one(|| None) {
            self.unparkers[worker].unpark();
        }
    }

    fn unpark_all(&self) {
        self.unparkers.iter().for_each(Unparker::unpark);
    }

    /// `Scheduler::launch` on a non-worker thread.
    fn launch(&self) {
        if self.closed.load(Relaxed) {
            self.cancelled.fetch_add(1, Relaxed);
            return;
        }
        self.push();
        if self.closed.since_push() {
            self.drain();
        } else {
            self.notify_one();
        }
    }

    /// `Shared::cancel_queued`.
    fn drain(&self) {
        while self.take() {
            self.cancelled.fetch_add(1, Relaxed);
        }
    }

    /// `Shared::close`.
    fn close(&self) {
        self.closed.set();
        self.unpark_all();
    }

    /// `Worker::work` and `Worker::end`. It closes after the `last` task, so that the model ends.
    fn work(&self, index: usize, parker: &Parker, last: usize) {
        let mut searching = false;
        while !self.closed.load(Relaxed) {
            searching = searching || self.idle.start_searching();
            if searching && self.take() {
                searching = false;
                if self.idle.stop_searching() {
                    self.notify_one();
                }
                if self.run.fetch_add(1, Relaxed) + 1 == last {
                    self.close();
                }
                continue;
            }
            let last_look = self.idle.sleep(index, searching);
            let stays = self.closed.load(SeqCst) || last_look && self.injector.load(Relaxed) > 0;
            if !stays {
                parker.park(None);
            }
            searching = !self.idle.cancel_sleep(index);
        }
        self.closed.before_drain();
        self.drain();
    }
}

fn check(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

/// A worker goes to sleep while a non-worker thread hands over a task: the task runs. (Otherwise all threads are
/// blocked, which loom reports.)
#[test]
fn loom_injected_tasks_are_run() {
    check(|| {
        let (model, parkers) = Model::new(1);
        let pusher = {
            let model = model.clone();
            thread::spawn(move || model.launch())
        };
        model.work(0, &parkers[0], 1);
        pusher.join().unwrap();
        assert_eq!(model.run.load(Relaxed), 1);
    });
}

/// `Local::give_away`: a replacement worker leaves two tasks to the others, and ends.
#[test]
fn loom_tasks_of_a_leaving_worker_are_run_by_the_others() {
    check(|| {
        let (model, parkers) = Model::new(1);
        let giver = {
            let model = model.clone();
            thread::spawn(move || {
                model.push();
                model.push();
                model.notify_one();
            })
        };
        model.work(0, &parkers[0], 2);
        giver.join().unwrap();
        assert_eq!(model.run.load(Relaxed), 2);
    });
}

/// `share_out`: the tasks of a stuck worker are shared out, and a sleeper is woken if there is one. A worker that is
/// just going to sleep is either seen, or sees the tasks.
#[test]
fn loom_shared_tasks_are_run() {
    check(|| {
        let (model, parkers) = Model::new(1);
        let sharer = {
            let model = model.clone();
            thread::spawn(move || {
                model.push();
                if model.idle.has_sleepers() {
                    model.notify_one();
                }
            })
        };
        model.work(0, &parkers[0], 1);
        sharer.join().unwrap();
        assert_eq!(model.run.load(Relaxed), 1);
    });
}

/// A task is handed over while the runtime closes: it is run, or it is cancelled, by the ending worker or by the
/// thread that handed it over.
#[test]
fn loom_closing_leaves_no_task_behind() {
    check(|| {
        let (model, mut parkers) = Model::new(1);
        let (pusher, closer) = (model.clone(), model.clone());
        let pusher = thread::spawn(move || pusher.launch());
        let closer = thread::spawn(move || closer.close());
        let parker = parkers.remove(0);
        model.work(0, &parker, usize::MAX);
        pusher.join().unwrap();
        closer.join().unwrap();
        assert_eq!(model.injector.load(Relaxed), 0);
        assert_eq!(
            model.run.load(Relaxed) + model.cancelled.load(Relaxed),
            1,
            "one task came to one end"
        );
    });
}
