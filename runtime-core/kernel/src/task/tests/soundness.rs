//! What safe code can do to a task's cell and its scheduler.

use std::alloc::Layout;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::process::Command;
use std::ptr::NonNull;

use super::*;
use crate::task::cell::Header;
use crate::task::state::PREPAID;

/// A scheduler with an arena, which records its drop.
pub(super) struct Owner {
    pub(super) arena: Arena,
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
    pub(super) fn new() -> (SchedulerArc<Self>, StdArc<AtomicUsize>) {
        let drops = StdArc::new(AtomicUsize::new(0));
        let owner = SchedulerArc::new(Self {
            arena: Arena::default(),
            queue: Mutex::default(),
            _probe: Probe(StdArc::clone(&drops)),
        });
        (owner, drops)
    }

    pub(super) fn run_all(&self) {
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
    // It is dropped with its memory, none of which is in the cache.
    let block = cache.allocate(&one.arena, &one, layout()).0;
    // SAFETY: a block of a live arena that nobody uses.
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
    // SAFETY: they were just taken.
    unsafe { owner.give_references(10) };
    drop(owner.clone());
    assert_eq!(gone.load(SeqCst), 0);
    drop(owner);
    assert_eq!(gone.load(SeqCst), 1);
}

/// Whether this very test, run in its own process, ends with `abort`. `name` is its own name.
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

/// About half of what the state word can count.
const NEARLY_TOO_MANY: u64 = 1 << 34;

fn preset(task: &Task, references: u64) {
    // SAFETY: the task is alive, by its entry.
    unsafe { &*(task.id().get() as *const Header) }
        .state
        .preset_references(references);
}

/// Clones that are forgotten within the poller's prepaid references are counted when the poll ends. Then, or when the
/// next poll begins, the process ends: the count does not wrap.
#[test]
#[cfg_attr(miri, ignore = "a process is started")]
fn forgotten_wakers_of_many_polls_end_the_process() {
    let aborts = aborts("forgotten_wakers_of_many_polls_end_the_process", || {
        let queue = queue();
        let (task, _handle) = bind(
            &queue.erase(),
            poll_fn(|cx| {
                // Nearly as many as a poll's prepaid references.
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

/// The same for a task that yields, and therefore stays with the poller.
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

/// If a poll makes more clones than it has prepaid references, the further ones are counted one by one, and none is
/// missed.
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

/// Threads that share an error can read its message, but none of them can reach a payload that is not `Sync`. A thread
/// that owns the error can.
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
