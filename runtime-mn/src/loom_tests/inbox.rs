//! A task that is sent to one worker by name, while that worker goes to sleep or away.

#[cfg(not(any(lab_loom, lab_shuttle)))]
use crate::scheduler::idle::Idle;

#[cfg(not(any(lab_loom, lab_shuttle)))]
#[test]
fn a_sleeper_can_be_woken_by_name_and_the_others_sleep_on() {
    let idle = Idle::new(4);
    assert!(!idle.notify_worker(1), "no worker sleeps");
    for worker in 0..3 {
        idle.sleep(worker, false);
    }
    assert!(idle.notify_worker(1));
    assert!(!idle.notify_worker(1), "it is awake by now");
    assert!(!idle.notify_worker(3), "it never slept");
    assert!(!idle.cancel_sleep(1), "a waker has taken it off");
    assert!(idle.stop_searching(), "it counted as searching");
    // First a worker by choice; then the one that went to sleep last, because the chosen one does not sleep.
    assert_eq!(idle.notify_one(|| Some(0)), Some(0));
    assert!(idle.stop_searching());
    assert_eq!(idle.notify_one(|| Some(1)), Some(2));
}

#[cfg(lab_loom)]
mod loom_tests {
    use loom::sync::Arc;
    use loom::thread;
    use runtime_core::park::Parker;
    use runtime_core::primitives::atomic::{
        AtomicBool, AtomicUsize,
        Ordering::{Relaxed, SeqCst},
        fence,
    };

    use crate::scheduler::idle::Idle;

    /// loom fails the test if the worker is parked at the end.
    #[test]
    fn loom_a_task_sent_to_a_worker_that_falls_asleep_is_seen() {
        loom::model(|| {
            let parker = Parker::new();
            let unparker = parker.unparker();
            let model = Arc::new((Idle::new(2), AtomicUsize::new(0)));
            let sender = {
                let model = Arc::clone(&model);
                thread::spawn(move || {
                    model.1.fetch_add(1, Relaxed);
                    if model.0.notify_worker(0) {
                        unparker.unpark();
                    }
                })
            };
            let (idle, inbox) = &*model;
            while inbox.load(Relaxed) == 0 {
                idle.sleep(0, false);
                // Not only on the last check: no other worker serves this worker's inbox.
                if inbox.load(Relaxed) == 0 {
                    parker.park(None);
                }
                if !idle.cancel_sleep(0) {
                    idle.stop_searching();
                }
            }
            sender.join().unwrap();
        });
    }

    /// A worker that goes away empties its inbox; a sender checks again whether the worker is there. Nothing stays.
    #[test]
    fn loom_no_task_stays_in_the_inbox_of_a_worker_that_leaves() {
        loom::model(|| {
            let model = Arc::new((Idle::new(2), AtomicUsize::new(0), AtomicBool::new(false)));
            let sender = {
                let model = Arc::clone(&model);
                thread::spawn(move || {
                    let (idle, inbox, is_away) = &*model;
                    if is_away.load(Relaxed) {
                        return;
                    }
                    inbox.fetch_add(1, Relaxed);
                    assert!(!idle.notify_worker(0), "it is awake");
                    if is_away.load(Relaxed) {
                        inbox.store(0, Relaxed);
                    }
                })
            };
            let (_, inbox, is_away) = &*model;
            is_away.store(true, Relaxed);
            fence(SeqCst);
            inbox.swap(0, Relaxed);
            sender.join().unwrap();
            assert_eq!(inbox.load(Relaxed), 0);
        });
    }
}
