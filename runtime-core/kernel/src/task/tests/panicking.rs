//! Panics at bad moments: in schedulers, foreign wakers, payloads, destructors and callbacks.

use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::sync::Mutex as StdMutex;
use std::task::{RawWaker, RawWakerVTable, Wake};

use super::soundness::Owner;
use super::*;

/// A scheduler that panics when it should queue a task, and counts its drop.
struct Refuses(#[allow(dead_code)] Probe);
// SAFETY: memory is from the default methods.
unsafe impl Schedule for Refuses {
    fn schedule(_: &SchedulerArc<Self>, _: Task) {
        panic!("this is part of the test");
    }
}

#[test]
fn a_scheduler_that_panics_loses_no_task_and_no_reference() {
    let ways: [fn(Waker); 2] = [Waker::wake, |waker| waker.wake_by_ref()];
    for wake in ways {
        let drops = StdArc::new(AtomicUsize::new(0));
        let scheduler = SchedulerArc::new(Refuses(Probe(drops.clone())));
        let kept = StdArc::new(Mutex::new(None));
        let of_task = StdArc::clone(&kept);
        let (task, mut handle) = bind(
            &scheduler.erase(),
            poll_fn(move |cx| {
                *of_task.lock() = Some(cx.waker().clone());
                Poll::<()>::Pending
            }),
        );
        drop(scheduler);
        assert!(matches!(task.run(), Ran::Parked));
        let waker = kept.lock().take().unwrap();
        assert!(catch_unwind(AssertUnwindSafe(|| wake(waker))).is_err());
        assert!(matches!(
            poll(&mut handle),
            Poll::Ready(Err(JoinError::Cancelled))
        ));
        drop(handle);
        assert_eq!(
            drops.load(SeqCst),
            1,
            "the block went, and its scheduler with it"
        );
    }
}

/// Which functions of a foreign waker panic.
#[derive(Clone, Copy, Default)]
struct Panics {
    clone: bool,
    wake: bool,
    drop: bool,
}

struct Foreign {
    panics: Panics,
    copies: AtomicUsize,
}

static FOREIGN: RawWakerVTable = RawWakerVTable::new(
    |data| {
        let it = foreign(data);
        assert!(!it.panics.clone, "clone");
        it.copies.fetch_add(1, SeqCst);
        RawWaker::new(data, &FOREIGN)
    },
    |data| {
        foreign(data).copies.fetch_sub(1, SeqCst);
        assert!(!foreign(data).panics.wake, "wake");
    },
    |data| assert!(!foreign(data).panics.wake, "wake"),
    |data| {
        foreign(data).copies.fetch_sub(1, SeqCst);
        assert!(!foreign(data).panics.drop, "drop");
    },
);

fn foreign(data: *const ()) -> &'static Foreign {
    // SAFETY: the data of such a waker is a leaked `Foreign`.
    unsafe { &*data.cast::<Foreign>() }
}

/// Keeps leaked values reachable, so that a leak checker does not report them.
static LEAKED: StdMutex<Vec<Box<dyn Send>>> = StdMutex::new(Vec::new());

/// A waker that is leaked: it is not dropped here, so that only its copies' drops panic.
fn foreign_waker(panics: Panics) -> (&'static Foreign, std::mem::ManuallyDrop<Waker>) {
    let copies = AtomicUsize::new(0);
    let it: &'static Foreign = Box::leak(Box::new(Foreign { panics, copies }));
    LEAKED.lock().unwrap().push(Box::new(it));
    // SAFETY: the table obeys the rules; panics are allowed.
    let waker = unsafe { Waker::new(std::ptr::from_ref(it).cast(), &FOREIGN) };
    (it, std::mem::ManuallyDrop::new(waker))
}

fn poll_with<T>(handle: &mut JoinHandle<T>, waker: &Waker) -> Poll<Result<T, JoinError>> {
    Pin::new(handle).poll(&mut Context::from_waker(waker))
}

#[test]
fn a_foreign_waker_that_panics_loses_no_task() {
    let every = |bit: u8| Panics {
        clone: false,
        wake: bit & 1 != 0,
        drop: bit & 2 != 0,
    };
    for panics in (0..4).map(every) {
        // What happens to the handle after it was polled with that waker.
        for then in 0..4 {
            let (owner, gone) = Owner::new();
            let (task, mut handle) = bind(&owner.erase(), async { Box::new(7) });
            drop(owner);
            let (foreign, waker) = foreign_waker(panics);
            assert!(poll_with(&mut handle, &waker).is_pending());
            assert_eq!(foreign.copies.load(SeqCst), 1);
            match then {
                0 => {
                    assert!(matches!(task.run(), Ran::Finished));
                    assert!(matches!(poll(&mut handle), Poll::Ready(Ok(value)) if *value == 7));
                }
                1 => {
                    // Another waker replaces it.
                    assert!(poll(&mut handle).is_pending());
                    assert!(matches!(task.run(), Ran::Finished));
                }
                2 => {
                    drop(handle);
                    assert!(matches!(task.run(), Ran::Finished));
                    assert_eq!(gone.load(SeqCst), 1);
                    assert_eq!(foreign.copies.load(SeqCst), 0);
                    continue;
                }
                _ => task.cancel(),
            }
            drop(handle);
            assert_eq!(gone.load(SeqCst), 1, "the block went");
            assert_eq!(foreign.copies.load(SeqCst), 0);
        }
    }
}

#[test]
fn a_foreign_waker_whose_clone_panics_changes_nothing() {
    let (owner, gone) = Owner::new();
    let (task, mut handle) = bind(&owner.erase(), async { 7 });
    drop(owner);
    let (_, waker) = foreign_waker(Panics {
        clone: true,
        ..Panics::default()
    });
    let (first, good) = foreign_waker(Panics::default());
    for _ in 0..2 {
        let polled = AssertUnwindSafe(|| poll_with(&mut handle, &waker));
        assert!(catch_unwind(polled).is_err(), "it is the caller's own");
        assert!(poll_with(&mut handle, &good).is_pending());
        assert_eq!(first.copies.load(SeqCst), 1);
    }
    assert!(matches!(task.run(), Ran::Finished));
    assert!(matches!(poll(&mut handle), Poll::Ready(Ok(7))));
    drop(handle);
    assert_eq!(gone.load(SeqCst), 1);
    assert_eq!(first.copies.load(SeqCst), 0);
}

/// Panics with itself when it is dropped, `self.0` times.
struct Bomb(u32);
impl Drop for Bomb {
    fn drop(&mut self) {
        if self.0 > 0 {
            panic_any(Bomb(self.0 - 1));
        }
    }
}

#[test]
fn a_payload_whose_destructor_panics_ends_with_its_handle() {
    for nested in 1..4 {
        let (owner, gone) = Owner::new();
        let (task, handle) = bind(&owner.erase(), async move { panic_any(Bomb(nested)) });
        assert!(matches!(task.run(), Ran::Finished));
        drop::<JoinHandle<()>>(handle);
        let (task, handle) = bind(&owner.erase(), async move { panic_any(Bomb(nested)) });
        drop::<JoinHandle<()>>(handle);
        assert!(matches!(task.run(), Ran::Finished));
        // The future's destructor panics after its poll has panicked.
        let (task, mut handle) = bind(&owner.erase(), async move {
            let _bomb = Bomb(nested);
            std::future::pending::<()>().await;
        });
        assert!(matches!(task.run(), Ran::Parked));
        handle.abort();
        owner.run_all();
        let Poll::Ready(Err(JoinError::Panicked(payload))) = poll(&mut handle) else {
            panic!("an error");
        };
        assert_eq!(
            payload.downcast_ref::<Bomb>().map(|bomb| bomb.0),
            Some(nested - 1)
        );
        LEAKED.lock().unwrap().push(Box::new(payload));
        drop((handle, owner));
        assert_eq!(gone.load(SeqCst), 1);
    }
}

/// A shutdown's walk ends each task, whatever the destructors of the earlier ones do.
#[test]
fn destructors_that_panic_at_a_shutdown_leave_no_task_behind() {
    const TASKS: usize = 100;
    let (owner, gone) = Owner::new();
    let drops = StdArc::new(AtomicUsize::new(0));
    for number in 0..TASKS {
        let (bomb, probe) = (Bomb(2), Probe(drops.clone()));
        let large = vec![[0_u8; 64]; 1];
        let small = async move {
            let (_probe, _bomb) = (probe, bomb);
            std::future::pending::<()>().await;
            drop(large);
        };
        let task = if number % 2 == 0 {
            bind(&owner.erase(), small).0
        } else {
            let on_stack = [1_u8; 2000];
            let large = async move {
                small.await;
                std::hint::black_box(on_stack);
            };
            bind(&owner.erase(), large).0
        };
        assert!(matches!(task.run(), Ran::Parked));
    }
    assert_eq!(owner.arena.abort_all(Task::cancel), TASKS);
    assert_eq!(drops.load(SeqCst), TASKS);
    assert_eq!(owner.arena.abort_all(Task::cancel), 0);
    drop(owner);
    assert_eq!(gone.load(SeqCst), 1);
}

/// The closure that gets the tasks of an arena panics half-way: the next walk finds the remaining ones.
#[test]
fn a_walk_that_panics_keeps_no_task() {
    let (owner, gone) = Owner::new();
    for _ in 0..3 {
        let (task, _) = bind(&owner.erase(), std::future::pending::<()>());
        assert!(matches!(task.run(), Ran::Parked));
    }
    let walk = || {
        owner
            .arena
            .abort_all(|_| panic!("this is part of the test"))
    };
    assert!(catch_unwind(AssertUnwindSafe(walk)).is_err());
    assert_eq!(
        owner.arena.abort_all(Task::cancel),
        2,
        "the first was dropped"
    );
    drop(owner);
    assert_eq!(gone.load(SeqCst), 1);
}

/// The destructor of an earlier waker ends the task while a callback is being registered.
#[test]
fn a_callback_is_called_even_if_an_earlier_wakers_destructor_ends_the_task() {
    struct Runs(Mutex<Option<Task>>);
    impl Wake for Runs {
        fn wake(self: StdArc<Self>) {}
    }
    impl Drop for Runs {
        fn drop(&mut self) {
            let task = self.0.lock().take();
            drop(task.map(Task::run));
        }
    }
    let queue = queue();
    let (task, mut handle) = bind(&queue.erase(), async { 7 });
    let waker = Waker::from(StdArc::new(Runs(Mutex::new(Some(task)))));
    assert!(poll_with(&mut handle, &waker).is_pending());
    drop(waker);
    let calls = StdArc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    handle.on_complete(move |outcome| {
        counted.fetch_add(outcome.unwrap(), SeqCst);
    });
    assert_eq!(calls.load(SeqCst), 7);
}
