//! What safe code could do to a task's cell and its scheduler, and what panics in the middle of something.

use std::alloc::Layout;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::process::Command;
use std::sync::Mutex as StdMutex;
use std::task::{RawWaker, RawWakerVTable, Wake};

use super::*;
use crate::task::cell::Header;
use crate::task::state::PREPAID;

/// A scheduler with an arena, that says when it goes.
struct Owner {
    arena: Arena,
    queue: Mutex<VecDeque<Task>>,
    _probe: Probe,
}

// SAFETY: memory is from the arena.
unsafe impl Schedule for Owner {
    fn schedule(this: &SchedulerArc<Self>, task: Task) {
        this.queue.lock().push_back(task);
    }
    fn allocate(this: &SchedulerArc<Self>, layout: Layout) -> (NonNull<u8>, SchedulerRef) {
        (this.arena.allocate(layout), this.erase())
    }
    unsafe fn deallocate(this: SchedulerArc<Self>, block: NonNull<u8>, layout: Layout) {
        // SAFETY: by the contract.
        unsafe { this.arena.deallocate(block, layout) };
    }
}

impl Owner {
    fn new() -> (SchedulerArc<Self>, StdArc<AtomicUsize>) {
        let drops = StdArc::new(AtomicUsize::new(0));
        let owner = SchedulerArc::new(Self {
            arena: Arena::default(),
            queue: Mutex::default(),
            _probe: Probe(StdArc::clone(&drops)),
        });
        (owner, drops)
    }

    fn run_all(&self) {
        loop {
            let task = self.queue.lock().pop_front();
            match task.map(Task::run) {
                Some(Ran::Woken(task) | Ran::Yielded(task)) => self.queue.lock().push_back(task),
                Some(Ran::Finished | Ran::Parked) => {}
                None => break,
            }
        }
    }
}

fn layout() -> Layout {
    Layout::from_size_align(64, 8).unwrap()
}

#[test]
fn a_cache_gives_no_references_of_one_scheduler_to_another() {
    let ((one, one_gone), (other, other_gone)) = (Owner::new(), Owner::new());
    let mut cache = BlockCache::default();
    let (_, reference) = cache.allocate(&one.arena, &one, layout());
    let flush = AssertUnwindSafe(|| cache.flush(&other.arena, &other));
    assert!(catch_unwind(flush).is_err(), "it is of another one");
    let also = AssertUnwindSafe(|| cache.flush(&other.arena, &one));
    assert!(
        catch_unwind(also).is_err(),
        "nor are the blocks of that arena"
    );
    let kept = other.clone();
    drop(other);
    assert_eq!(other_gone.load(SeqCst), 0, "a reference is left");
    drop(kept);
    assert_eq!(other_gone.load(SeqCst), 1);
    drop(reference);
    cache.flush(&one.arena, &one);
    drop(one);
    assert_eq!(one_gone.load(SeqCst), 1, "and this one's have come back");
}

#[test]
fn a_cache_serves_others_without_keeping_anything_of_theirs() {
    let ((one, _), (other, other_gone)) = (Owner::new(), Owner::new());
    let mut cache = BlockCache::default();
    let mut references = vec![cache.allocate(&one.arena, &one, layout()).1];
    let mut blocks = Vec::new();
    for _ in 0..1000 {
        let (block, reference) = cache.allocate(&other.arena, &other, layout());
        assert!(SchedulerRef::same(&reference, other.erased()));
        blocks.push(block);
        references.push(reference);
    }
    for block in blocks {
        // SAFETY: just allocated there, no task in it; a fresh block's state word is zero.
        unsafe { cache.deallocate(&other.arena, other.clone(), block, layout()) };
    }
    drop((references, other));
    assert_eq!(other_gone.load(SeqCst), 1, "nothing is kept");
    // With its memory, none of which is in the cache.
    let block = cache.allocate(&one.arena, &one, layout()).0;
    // SAFETY: a block of an arena that lives, which nobody uses.
    unsafe { block.as_ptr().write_bytes(0, layout().size()) };
    cache.flush(&one.arena, &one);
}

#[test]
fn a_cache_that_is_dropped_leaves_no_scheduler_behind() {
    let (owner, gone) = Owner::new();
    let mut cache = BlockCache::default();
    drop(cache.allocate(&owner.arena, &owner, layout()).1);
    drop(owner);
    assert_eq!(gone.load(SeqCst), 0, "the cache has references");
    drop(cache);
    assert_eq!(gone.load(SeqCst), 1);
}

#[test]
fn memory_of_any_layout_has_that_layout() {
    let arena = Arena::default();
    for (size, align) in [
        (0, 1),
        (1, 1),
        (0, 8192),
        (1, 8192),
        (24, 4096),
        (2000, 1),
        (9, 8),
    ] {
        let layout = Layout::from_size_align(size, align).unwrap();
        let blocks: Vec<_> = (0..3).map(|_| arena.allocate(layout)).collect();
        for block in &blocks {
            assert!(block.as_ptr().addr().is_multiple_of(align), "{layout:?}");
        }
        for block in blocks {
            // SAFETY: just allocated, no task in it; a fresh block's state word is zero.
            unsafe { arena.deallocate(block, layout) };
        }
    }
}

#[test]
fn a_scheduler_refuses_more_references_than_can_be_counted() {
    let (owner, gone) = Owner::new();
    for count in [usize::MAX, usize::MAX - 1, isize::MAX as usize] {
        let take = AssertUnwindSafe(|| owner.take_references(count));
        assert!(catch_unwind(take).is_err(), "{count}");
    }
    owner.take_references(10);
    // SAFETY: they were taken just now.
    unsafe { owner.give_references(10) };
    drop(owner.clone());
    assert_eq!(gone.load(SeqCst), 0);
    drop(owner);
    assert_eq!(gone.load(SeqCst), 1);
}

/// Whether this very test, run in a process of its own, ends by `abort`. `name` is its own.
fn aborts(name: &str, body: impl FnOnce()) -> bool {
    use std::os::unix::process::ExitStatusExt;
    const WITHIN: &str = "LAB_TEST_WITHIN";
    if std::env::var_os(WITHIN).is_some() {
        body();
        std::process::exit(0);
    }
    let name = format!("{}::{name}", module_path!().split_once("::").unwrap().1);
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &name, "--nocapture"])
        .env(WITHIN, "1")
        .status();
    status.unwrap().signal() == Some(6)
}

/// Some half of what the state word can count.
const NEARLY_TOO_MANY: u64 = 1 << 34;

fn preset(task: &Task, references: u64) {
    // SAFETY: the task is alive, by its entry.
    unsafe { task.0.as_ref() }
        .state
        .preset_references(references);
}

/// Clones that are forgotten within the poller's prepaid references are counted when the poll ends: then, or when the
/// next begins, the process ends, and the count does not wrap.
#[test]
#[cfg_attr(miri, ignore = "a process is started")]
fn forgotten_wakers_of_many_polls_end_the_process() {
    let aborts = aborts("forgotten_wakers_of_many_polls_end_the_process", || {
        let queue = queue();
        let (task, _handle) = bind(
            &queue.erase(),
            poll_fn(|cx| {
                // As many as a poll has prepaid, nearly.
                for _ in 0..PREPAID - 2 {
                    std::mem::forget(cx.waker().clone());
                }
                cx.waker().wake_by_ref();
                Poll::<()>::Pending
            }),
        );
        preset(&task, NEARLY_TOO_MANY - 3 * PREPAID as u64);
        let mut due = task;
        for _ in 0..8 {
            let Ran::Woken(task) = due.run() else {
                panic!("it wakes itself");
            };
            due = task;
        }
    });
    assert!(aborts);
}

/// The same for a task that yields, and so stays the poller's.
#[test]
#[cfg_attr(miri, ignore = "a process is started")]
fn forgotten_wakers_of_a_task_that_yields_end_the_process() {
    let aborts = aborts(
        "forgotten_wakers_of_a_task_that_yields_end_the_process",
        || {
            let queue = queue();
            let (task, _handle) = bind(&queue.erase(), async {
                loop {
                    poll_fn(|cx| {
                        for _ in 0..PREPAID - 2 {
                            std::mem::forget(cx.waker().clone());
                        }
                        Poll::Ready(())
                    })
                    .await;
                    yield_now().await;
                }
            });
            preset(&task, NEARLY_TOO_MANY - 3 * PREPAID as u64);
            let mut due = task;
            for _ in 0..8 {
                let Ran::Yielded(task) = due.run() else {
                    panic!("it yields");
                };
                due = task;
            }
        },
    );
    assert!(aborts);
}

#[test]
#[cfg_attr(miri, ignore = "a process is started")]
fn forgotten_abort_handles_end_the_process() {
    let aborts = aborts("forgotten_abort_handles_end_the_process", || {
        let queue = queue();
        let (task, _handle) = bind(&queue.erase(), async {});
        preset(&task, NEARLY_TOO_MANY - 2);
        for _ in 0..8 {
            std::mem::forget(task.abort_handle());
        }
    });
    assert!(aborts);
}

/// More clones than a poller has prepaid are counted one by one, and all of them.
#[test]
#[cfg_attr(miri, ignore = "a million steps")]
fn more_wakers_than_the_stock_are_counted() {
    let queue = queue();
    let wakers = StdArc::new(Mutex::new(Vec::new()));
    let of_task = StdArc::clone(&wakers);
    let more = PREPAID as usize + 5;
    let (task, handle) = bind(
        &queue.erase(),
        poll_fn(move |cx| {
            of_task.lock().extend((0..more).map(|_| cx.waker().clone()));
            Poll::Ready(())
        }),
    );
    let abort = task.abort_handle();
    assert!(matches!(task.run(), Ran::Finished));
    // SAFETY: alive by the references of both handles.
    let state = unsafe {
        &NonNull::new(abort.id().get() as *mut Header)
            .unwrap()
            .as_ref()
            .state
    };
    assert_eq!(state.references(), more as u64 + 2);
    wakers.lock().clear();
    assert_eq!(state.references(), 2);
    drop(handle);
}

#[test]
fn a_task_that_is_dropped_is_cancelled() {
    let queue = queue();
    let drops = StdArc::new(AtomicUsize::new(0));
    for yields in [false, true] {
        let probe = Probe(drops.clone());
        let (task, mut handle) = bind(&queue.erase(), async move {
            let _probe = probe;
            yield_now().await;
        });
        if yields {
            drop(task.run());
        } else {
            drop(task);
        }
        assert!(matches!(
            poll(&mut handle),
            Poll::Ready(Err(JoinError::Cancelled))
        ));
    }
    assert_eq!(drops.load(SeqCst), 2);
}

/// A scheduler that panics when it is to queue a task, and says when it goes.
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

/// What of a foreign waker panics, and how many there are.
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

/// What lives for ever stays reachable, so that a search for leaks does not find it.
static LEAKED: StdMutex<Vec<Box<dyn Send>>> = StdMutex::new(Vec::new());

/// A waker that is leaked: it is not dropped here, so that only its copies' drops panic.
fn foreign_waker(panics: Panics) -> (&'static Foreign, std::mem::ManuallyDrop<Waker>) {
    let copies = AtomicUsize::new(0);
    let it: &'static Foreign = Box::leak(Box::new(Foreign { panics, copies }));
    LEAKED.lock().unwrap().push(Box::new(it));
    // SAFETY: the table keeps the rules, but for the panics, which are allowed.
    let waker = unsafe { Waker::new(std::ptr::from_ref(it).cast(), &FOREIGN) };
    (it, std::mem::ManuallyDrop::new(waker))
}

fn poll_with<T>(handle: &mut JoinHandle<T>, waker: &Waker) -> Poll<Result<T, JoinError>> {
    Pin::new(handle).poll(&mut Context::from_waker(waker))
}

#[test]
fn a_foreign_waker_that_panics_takes_nothing_with_it() {
    let every = |bit: u8| Panics {
        clone: false,
        wake: bit & 1 != 0,
        drop: bit & 2 != 0,
    };
    for panics in (0..4).map(every) {
        // What is done with the handle after it was polled with that waker.
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
                    // Another waker takes its place.
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

/// Throws itself when it is dropped, so often.
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
        // The future's destructor panics after its poll has.
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

/// A shutdown's walk: each task is ended, whatever the destructors of those before it do.
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

/// Whoever asks for the tasks of an arena panics in between: those that are left are found by the next walk.
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
fn a_callback_is_called_whatever_an_earlier_wakers_destructor_does() {
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

/// Threads that share an error see what it says, and none of them gets at a payload that is not `Sync`; one that owns
/// it does.
#[test]
fn threads_share_an_error_but_not_its_payload() {
    let queue = queue();
    let thrown = || RefCell::new(vec![1, 2]);
    let (task, mut handle) = bind(&queue.erase(), async move { panic_any(thrown()) });
    assert!(matches!(task.run(), Ran::Finished));
    let Poll::Ready(Err(error)) = poll::<()>(&mut handle) else {
        panic!("an error");
    };
    let error = StdArc::new(error);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                assert!(error.is_panic() && error.panic_message().is_none());
                let JoinError::Panicked(payload) = &*error else {
                    panic!("a payload");
                };
                assert!(payload.is::<RefCell<Vec<i32>>>());
                assert!(payload.downcast_ref::<String>().is_none());
            });
        }
    });
    let mut payload = match StdArc::into_inner(error).unwrap() {
        JoinError::Panicked(payload) => payload,
        other => panic!("{other}"),
    };
    payload
        .downcast_mut::<RefCell<Vec<i32>>>()
        .unwrap()
        .get_mut()
        .push(3);
    let payload = payload.downcast::<RefCell<Vec<i32>>>().unwrap();
    assert_eq!(payload.into_inner(), [1, 2, 3]);
}
