//! The monitor's sleep and the count of replacements under loom; taking over on a mock deque.

use loom::sync::{Arc, Mutex};
use loom::thread;
use runtime_core::park::Parker;
use runtime_core::primitives::atomic::{
    AtomicBool, AtomicUsize,
    Ordering::{Relaxed, SeqCst},
    fence,
};

use super::gate::Gate;
use super::replacements::Count;

/// A worker wakes up while the monitor goes to sleep: the monitor does not miss it. loom fails the test if the monitor
/// parks for ever.
#[test]
fn loom_a_worker_that_wakes_up_wakes_the_monitor() {
    loom::model(|| {
        let parker = Parker::new();
        let unparker = parker.unparker();
        let gate = Arc::new(Gate::new());
        let worker_asleep = Arc::new(AtomicBool::new(true));
        let worker = {
            let (gate, asleep) = (gate.clone(), worker_asleep.clone());
            thread::spawn(move || {
                asleep.store(false, Relaxed);
                fence(SeqCst);
                if gate.worker_woke() {
                    unparker.unpark();
                }
            })
        };
        gate.announce();
        if worker_asleep.load(Relaxed) {
            parker.park(None);
        }
        gate.take_back();
        worker.join().unwrap();
        assert!(!worker_asleep.load(Relaxed));
    });
}

/// Two replacements ask to end, and the monitor sends another one, while a stuck worker comes back: there are never
/// more replacements than were admitted, and none is counted twice.
#[test]
fn loom_replacements_start_and_leave_one_by_one() {
    loom::model(|| {
        let count = Arc::new(Count::new());
        count.set_caught(2);
        assert!(count.admit() && count.admit() && !count.admit());
        let gone = Arc::new(AtomicUsize::new(0));
        let replacements: Vec<_> = (0..2)
            .map(|_| {
                let (count, gone) = (count.clone(), gone.clone());
                thread::spawn(move || {
                    if count.retire_surplus() {
                        gone.fetch_add(1, Relaxed);
                    }
                })
            })
            .collect();
        count.set_caught(1);
        let admitted = usize::from(count.admit());
        for worker in replacements {
            worker.join().unwrap();
        }
        let replacing = 2 + admitted - gone.load(Relaxed);
        assert_eq!(replacing, count.replacing());
        assert!((1..=2).contains(&replacing), "{replacing}");
        // A surplus replacement ends when it asks again.
        while count.retire_surplus() {}
        assert_eq!(count.replacing(), 1);
    });
}

/// A stuck worker's task continues queueing while a replacement worker takes over and, when the poll is over, gives
/// away the rest: every task is taken once, by one of the two.
#[test]
fn loom_taking_over_neither_loses_nor_duplicates_tasks() {
    loom::model(|| {
        let deque = Arc::new(Mutex::new(vec![1_usize]));
        let slot = Arc::new(AtomicUsize::new(2));
        let injector = Arc::new(Mutex::new(Vec::new()));
        let replacement = {
            let (deque, slot, injector) = (deque.clone(), slot.clone(), injector.clone());
            thread::spawn(move || {
                let mut own = std::mem::take(&mut *deque.lock().unwrap());
                let task = slot.swap(0, SeqCst);
                if task != 0 {
                    own.push(task);
                }
                injector.lock().unwrap().append(&mut own);
            })
        };
        // Inside the long poll: it spawns one more task, and wakes one more, which displaces the task in the slot.
        deque.lock().unwrap().push(3);
        let displaced = slot.swap(4, SeqCst);
        if displaced != 0 {
            deque.lock().unwrap().push(displaced);
        }
        replacement.join().unwrap();
        let mut all = std::mem::take(&mut *deque.lock().unwrap());
        all.append(&mut injector.lock().unwrap());
        all.extend(Some(slot.load(SeqCst)).filter(|task| *task != 0));
        all.sort_unstable();
        assert_eq!(all, [1, 2, 3, 4]);
    });
}
