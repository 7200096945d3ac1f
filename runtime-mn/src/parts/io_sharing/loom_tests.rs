//! The owner under loom, on a mock reactor: there is always a worker that serves the events.

use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;
use runtime_core::park::{Parker, Unparker};
use runtime_core::primitives::atomic::{
    AtomicBool, AtomicUsize,
    Ordering::{Acquire, Relaxed, Release, SeqCst},
    fence,
};

use super::IoOwner;

/// The poller's token. loom's own lock can't replace it, because a thread that only *tries* to get that one waits for
/// its holder.
#[derive(Default)]
struct Token(AtomicBool);

struct Held<'a>(&'a Token);

impl Token {
    fn try_lock(&self) -> Option<Held<'_>> {
        let taken = self.0.compare_exchange(false, true, Acquire, Relaxed);
        taken.is_ok().then_some(Held(self))
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.0.swap(false, Release);
    }
}

struct Model {
    owner: IoOwner,
    token: Token,
    /// How many events the reactor has to report.
    reactor: Mutex<usize>,
    reported: Condvar,
    served: AtomicUsize,
    total: usize,
    unparkers: Vec<Unparker>,
}

impl Model {
    fn new(total: usize, parkers: &[Parker]) -> Self {
        Self {
            owner: IoOwner::default(),
            token: Token::default(),
            reactor: Mutex::new(0),
            reported: Condvar::new(),
            served: AtomicUsize::new(0),
            total,
            unparkers: parkers.iter().map(Parker::unparker).collect(),
        }
    }

    fn arrive(&self) {
        *self.reactor.lock().unwrap() += 1;
        self.reported.notify_one();
    }

    /// Counts an event. The last one ends the model.
    fn serve(&self) {
        if self.served.fetch_add(1, SeqCst) + 1 == self.total {
            self.unparkers.iter().for_each(Unparker::unpark);
            // A waiting thread either has not checked yet, or is notified.
            drop(self.reactor.lock().unwrap());
            self.reported.notify_all();
        }
    }

    fn is_over(&self) -> bool {
        self.served.load(SeqCst) == self.total
    }

    /// Asks for an event, and waits for one if `waits`. The caller has the token.
    fn ask(&self, index: usize, waits: bool) -> bool {
        let mut events = self.reactor.lock().unwrap();
        while waits && *events == 0 && !self.is_over() {
            events = self.reported.wait(events).unwrap();
        }
        let found = *events > 0;
        *events -= usize::from(found);
        drop(events);
        self.owner.claim(index);
        found
    }

    /// Like `Hooks::poll_in_passing`.
    fn look(&self, index: usize) {
        let token = self.token.try_lock();
        if token.is_some() && self.ask(index, false) {
            drop(token);
            self.serve();
        }
    }

    /// Like `Hooks::wait`: sleeps in the reactor or elsewhere.
    fn sleep(&self, index: usize, parker: &Parker) {
        // The fence of `Idle::sleep`.
        fence(SeqCst);
        let again = || self.owner.step_back(index).then(|| self.token.try_lock());
        let token = if self.owner.is_other_than(index) {
            None
        } else {
            self.token.try_lock().or_else(|| again().flatten())
        };
        if token.is_none() {
            parker.park(None);
        } else if self.ask(index, true) {
            drop(token);
            self.serve();
        }
    }
}

/// Two workers that poll the reactor between tasks, and sleep, while sockets become ready. loom fails the test if both
/// sleep elsewhere.
#[test]
fn loom_a_worker_always_waits_for_the_sockets() {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(|| {
        let mut parkers = vec![Parker::new(), Parker::new()];
        let model = Arc::new(Model::new(2, &parkers));
        let other = {
            let (model, parker) = (model.clone(), parkers.pop().unwrap());
            thread::spawn(move || {
                model.look(1);
                while !model.is_over() {
                    model.sleep(1, &parker);
                }
            })
        };
        model.arrive();
        model.look(0);
        model.arrive();
        while !model.is_over() {
            model.sleep(0, &parkers[0]);
        }
        other.join().unwrap();
    });
}

/// The owner goes away and wakes a sleeper while the other worker goes to sleep: that one is either woken, or waits in
/// the reactor itself.
#[test]
fn loom_an_owner_that_leaves_is_replaced() {
    loom::model(|| {
        let parkers = vec![Parker::new(), Parker::new()];
        let model = Arc::new(Model::new(1, &parkers));
        let sleeps = Arc::new(AtomicUsize::new(0));
        assert!(model.owner.claim(0));
        let other = {
            let (model, sleeps) = (model.clone(), sleeps.clone());
            thread::spawn(move || {
                let parker = &parkers[1];
                sleeps.store(1, Relaxed);
                while !model.is_over() {
                    model.sleep(1, parker);
                }
            })
        };
        // As `hand_off::hand_off`, or `give_away`.
        assert!(model.owner.release(0));
        fence(SeqCst);
        if sleeps.load(Relaxed) == 1 {
            model.unparkers[1].unpark();
        }
        model.arrive();
        other.join().unwrap();
    });
}
