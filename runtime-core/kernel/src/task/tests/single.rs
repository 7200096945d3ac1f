//! The life of a single task on one thread.

use super::*;
use crate::task::cell::Header;
use std::ptr::NonNull;
use std::sync::Mutex as StdMutex;

/// Each block holds a reference to the task that awaited it. Freeing the first one must not free the others
/// recursively, one call deeper each.
#[test]
fn the_blocks_of_a_long_chain_are_freed_on_a_small_stack() {
    let small = std::thread::Builder::new().stack_size(64 * 1024);
    let chain = small.spawn(|| {
        let queue = queue();
        let (task, mut handle) = bind(&queue.erase(), async { 0_u32 });
        let first = task.abort_handle();
        let mut tasks = vec![task];
        let links: u32 = if cfg!(miri) { 200 } else { 10_000 };
        for _ in 0..links {
            let awaited = handle;
            let (task, awaiting) = bind(&queue.erase(), async { awaited.await.unwrap() + 1 });
            tasks.push(task);
            handle = awaiting;
        }
        // The last ones first, so that each task is awaited before it ends.
        queue.0.lock().extend(tasks.into_iter().rev());
        queue.run_all();
        let ended = poll(&mut handle);
        assert!(matches!(ended, Poll::Ready(Ok(sum)) if sum == links));
        drop(handle);
        drop(first);
    });
    chain.unwrap().join().unwrap();
}

#[test]
fn a_task_runs_and_its_handle_yields_the_value() {
    let queue = queue();
    let (task, mut handle) = bind(&queue.erase(), async { 7 });
    assert!(!handle.is_finished() && poll(&mut handle).is_pending());
    assert!(matches!(task.run(), Ran::Finished));
    assert!(matches!(poll(&mut handle), Poll::Ready(Ok(7))));
}

#[test]
fn a_wake_while_running_means_one_more_poll() {
    let queue = queue();
    let mut polls = 0;
    let (task, _handle) = bind(
        &queue.erase(),
        poll_fn(move |cx| {
            polls += 1;
            cx.waker().wake_by_ref();
            cx.waker().wake_by_ref();
            if polls == 3 {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        }),
    );
    let Ran::Woken(task) = task.run() else {
        panic!("woken while running")
    };
    let Ran::Woken(task) = task.run() else {
        panic!("woken while running")
    };
    assert!(queue.pop().is_none(), "the poller queues it, not the waker");
    assert!(matches!(task.run(), Ran::Finished));
}

#[test]
fn a_yield_through_a_waker_in_between_wakes_that_waker() {
    use std::task::Wake;
    struct Between(Waker, AtomicUsize);
    impl Wake for Between {
        fn wake(self: StdArc<Self>) {
            self.1.fetch_add(1, SeqCst);
            self.0.wake_by_ref();
        }
    }
    let queue = queue();
    let woken = StdArc::new(StdMutex::new(None::<StdArc<Between>>));
    let seen = woken.clone();
    let (task, _handle) = bind(&queue.erase(), async move {
        let mut inner = yield_now();
        poll_fn(move |cx| {
            let between = StdArc::new(Between(cx.waker().clone(), AtomicUsize::new(0)));
            *seen.lock().unwrap() = Some(between.clone());
            Pin::new(&mut inner).poll(&mut Context::from_waker(&Waker::from(between)))
        })
        .await;
    });
    let Ran::Woken(task) = task.run() else {
        panic!("it was woken in its poll");
    };
    task.cancel();
    let between = woken.lock().unwrap().take().unwrap();
    assert_eq!(between.1.load(SeqCst), 1);
}

#[test]
fn an_abort_of_an_idle_task_drops_the_future_when_it_next_runs() {
    let queue = queue();
    let drops = StdArc::new(AtomicUsize::new(0));
    let probe = Probe(drops.clone());
    let (task, mut handle) = bind(&queue.erase(), async move {
        let _probe = probe;
        std::future::pending::<()>().await;
    });
    assert!(matches!(task.run(), Ran::Parked));
    handle.abort();
    handle.abort();
    assert_eq!(drops.load(SeqCst), 0);
    queue.run_all();
    assert_eq!(drops.load(SeqCst), 1);
    assert!(matches!(
        poll(&mut handle),
        Poll::Ready(Err(JoinError::Cancelled))
    ));
}

#[test]
fn an_abort_during_a_poll_takes_effect_at_the_suspension() {
    let queue = queue();
    let abort = StdArc::new(StdMutex::new(None::<AbortHandle>));
    let of_task = abort.clone();
    let (task, mut handle) = bind(
        &queue.erase(),
        poll_fn(move |_| {
            of_task.lock().unwrap().as_ref().unwrap().abort();
            Poll::<()>::Pending
        }),
    );
    *abort.lock().unwrap() = Some(handle.abort_handle());
    assert!(matches!(task.run(), Ran::Finished));
    assert!(matches!(
        poll(&mut handle),
        Poll::Ready(Err(JoinError::Cancelled))
    ));
}

#[test]
fn panics_in_polls_and_destructors_stay_on_the_handle() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            if !std::thread::panicking() {
                panic!("destructor");
            }
        }
    }
    let queue = queue();
    let (task, mut handle) = bind(&queue.erase(), async { panic!("poll") });
    assert!(matches!(task.run(), Ran::Finished));
    let Poll::Ready(Err(error)) = poll::<()>(&mut handle) else {
        panic!("an error")
    };
    assert_eq!(error.panic_message(), Some("poll"));

    let bomb = Bomb;
    let (task, mut handle) = bind(&queue.erase(), async move {
        let _bomb = bomb;
        std::future::pending::<()>().await;
    });
    assert!(matches!(task.run(), Ran::Parked));
    handle.abort();
    queue.run_all();
    let Poll::Ready(Err(error)) = poll(&mut handle) else {
        panic!("an error")
    };
    assert_eq!(error.panic_message(), Some("destructor"));

    // An output whose destructor panics, and no handle that takes it.
    let (task, handle) = bind(&queue.erase(), async { Bomb });
    drop(handle);
    assert!(matches!(task.run(), Ran::Finished));
}

#[test]
fn names_are_given_or_else_the_type() {
    let queue = queue();
    let (task, _handle) = bind_named(&queue.erase(), "given", async {});
    assert_eq!(task.name(), "given");
    task.cancel();
    let (task, _handle) = bind(&queue.erase(), async {});
    assert!(task.name().contains("names_are_given"));
    task.cancel();
}

#[test]
fn a_tag_is_what_the_task_was_spawned_with() {
    let queue = queue();
    for tag in [0, 1, u32::MAX] {
        let (task, handle) = bind_with(&queue.erase(), Attributes::tagged(tag), async { 7_u8 });
        assert_eq!(task.tag(), tag);
        drop(handle);
        task.cancel();
    }
    let (task, _handle) = bind(&queue.erase(), async {});
    assert_eq!(task.tag(), 0);
    task.cancel();
    let (task, _handle) = bind_named(&queue.erase(), "named", async {});
    assert_eq!((task.tag(), task.name()), (0, "named"));
    task.cancel();
    let (task, _handle) = bind_with(&queue.erase(), Attributes::default(), async {});
    assert!(
        task.name().contains("a_tag_is_what"),
        "the type's: {}",
        task.name()
    );
    task.cancel();
}

#[test]
fn a_task_without_a_tag_does_not_pay_for_one() {
    use std::cell::Cell;
    /// Counts the bytes of its blocks.
    #[derive(Default)]
    struct Weighs(std::sync::atomic::AtomicUsize);
    // SAFETY: memory is from the default methods, which these call.
    unsafe impl Schedule for Weighs {
        fn schedule(_: &SchedulerArc<Self>, task: Task) {
            task.cancel();
        }
        fn allocate(
            this: &SchedulerArc<Self>,
            layout: std::alloc::Layout,
        ) -> (NonNull<u8>, SchedulerRef) {
            this.0.store(layout.size(), SeqCst);
            (super::scheduler::allocate_global(layout), this.erase())
        }
    }
    let weighs = SchedulerArc::new(Weighs::default());
    let bytes = || weighs.0.load(SeqCst);
    let future = || async { Cell::new(7_u64) };
    drop(bind(weighs.erased(), future()));
    let plain = bytes();
    drop(bind_with(weighs.erased(), Attributes::tagged(3), future()));
    assert_eq!(bytes(), plain + 8);
    let header = size_of::<Header>();
    assert_eq!(
        plain,
        header + size_of::<Result<Cell<u64>, Box<u8>>>().max(size_of_val(&future()))
    );
}

/// A scheduler that ends each task that it should queue, and counts its drop.
struct Owner(#[allow(dead_code)] Probe);
impl SafeSchedule for Owner {
    fn schedule(_: &SchedulerArc<Self>, task: Task) {
        task.cancel();
    }
}

#[test]
fn the_scheduler_goes_with_its_last_task() {
    let drops = StdArc::new(AtomicUsize::new(0));
    let owner = SchedulerArc::new(Owner(Probe(drops.clone())));
    let (task, handle) = bind(&owner.erase(), async {});
    drop(owner);
    task.cancel();
    assert_eq!(drops.load(SeqCst), 0);
    drop(handle);
    assert_eq!(drops.load(SeqCst), 1);
}

/// Once the task is queued, another thread may run it to its end, while the waking thread must still wake a worker.
#[test]
fn the_scheduler_outlives_the_queueing_of_its_last_task() {
    struct RunsAtOnce(Probe);
    // SAFETY: memory is from the default methods.
    unsafe impl Schedule for RunsAtOnce {
        fn schedule(this: &SchedulerArc<Self>, task: Task) {
            let drops = StdArc::clone(&this.0.0);
            std::thread::spawn(|| drop(task.run())).join().unwrap();
            assert_eq!(drops.load(SeqCst), 0, "it is still used here");
        }
    }
    let drops = StdArc::new(AtomicUsize::new(0));
    let scheduler = SchedulerArc::new(RunsAtOnce(Probe(drops.clone())));
    let waker = StdArc::new(std::sync::Mutex::new(None));
    let (task, handle) = {
        let waker = waker.clone();
        let mut polled = false;
        let future = std::future::poll_fn(move |cx| {
            if std::mem::replace(&mut polled, true) {
                return Poll::Ready(());
            }
            *waker.lock().unwrap() = Some(cx.waker().clone());
            Poll::Pending
        });
        bind(&scheduler.erase(), future)
    };
    drop((scheduler, handle));
    drop(task.run());
    let waker = waker.lock().unwrap().take().unwrap();
    waker.wake();
    assert_eq!(drops.load(SeqCst), 1);
}

/// Whatever gives up the last reference, in the task's own poll or not: the block is freed, and with it the scheduler.
#[test]
fn the_block_goes_with_its_last_reference() {
    let ways: [fn(Waker); 4] = [
        Waker::wake,
        drop::<Waker>,
        |waker| {
            let more: Vec<_> = (0..3).map(|_| waker.clone()).collect();
            waker.wake_by_ref();
            more.into_iter().for_each(Waker::wake);
        },
        |waker| std::thread::spawn(|| waker.wake()).join().unwrap(),
    ];
    for last in ways {
        let drops = StdArc::new(AtomicUsize::new(0));
        let owner = SchedulerArc::new(Owner(Probe(drops.clone())));
        let wakers = StdArc::new(Mutex::new(Vec::new()));
        let of_task = StdArc::clone(&wakers);
        let (task, handle) = bind(
            &owner.erase(),
            poll_fn(move |cx| {
                let mut wakers = of_task.lock();
                wakers.extend((0..3).map(|_| cx.waker().clone()));
                // In its own poll. In the second poll, this drops one more than the poll created.
                wakers.truncate(2);
                Poll::<()>::Pending
            }),
        );
        let Ran::Parked = task.run() else {
            panic!("it waits")
        };
        drop(owner);
        handle.abort();
        drop(handle);
        let mut wakers = std::mem::take(&mut *wakers.lock());
        assert_eq!(wakers.len(), 2);
        drop(wakers.pop());
        assert_eq!(drops.load(SeqCst), 0, "a waker is left");
        wakers.into_iter().for_each(last);
        assert_eq!(drops.load(SeqCst), 1);
    }
}

/// A task's references to itself that are created and dropped in its polls are counted exactly, even while it yields.
#[test]
fn references_that_a_poll_takes_and_returns_are_settled() {
    let drops = StdArc::new(AtomicUsize::new(0));
    let owner = SchedulerArc::new(Owner(Probe(drops.clone())));
    let wakers = StdArc::new(Mutex::new(Vec::<Waker>::new()));
    let of_task = StdArc::clone(&wakers);
    let (task, handle) = bind(&owner.erase(), async move {
        for round in 0..6 {
            poll_fn(|cx| {
                let mut wakers = of_task.lock();
                if round % 2 == 0 {
                    wakers.extend((0..5).map(|_| cx.waker().clone()));
                } else {
                    // Drops more than this poll created.
                    wakers.truncate(1);
                }
                Poll::Ready(())
            })
            .await;
            yield_now().await;
        }
    });
    drop(owner);
    let mut due = Some(task);
    while let Some(task) = due {
        due = match task.run() {
            Ran::Yielded(task) => Some(task),
            Ran::Finished => None,
            Ran::Parked | Ran::Woken(_) => panic!("it only yields"),
        };
    }
    assert!(handle.is_finished());
    drop(handle);
    assert_eq!(drops.load(SeqCst), 0, "a waker is left");
    assert_eq!(wakers.lock().drain(..).len(), 1);
    assert_eq!(drops.load(SeqCst), 1);
}

#[test]
fn each_task_finds_its_own_scheduler() {
    // More than the numbers of one segment of the table.
    let schedulers = if cfg!(miri) { 300 } else { 5000 };
    let queues: Vec<_> = (0..schedulers).map(|_| queue()).collect();
    let tasks: Vec<_> = queues
        .iter()
        .map(|queue| {
            let (task, handle) = bind(&queue.erase(), std::future::pending::<()>());
            assert!(matches!(task.run(), Ran::Parked));
            handle
        })
        .collect();
    for (queue, handle) in queues.iter().zip(&tasks) {
        handle.abort();
        queue
            .pop()
            .expect("an abort queues an idle task with its scheduler")
            .cancel();
    }
}

#[test]
fn the_header_is_three_words() {
    assert_eq!(std::mem::size_of::<Header>(), 24);
}

#[test]
fn an_idle_task_is_found_by_a_walk_over_the_arena() {
    thread_local!(static CACHE: std::cell::RefCell<BlockCache> = std::cell::RefCell::default());
    #[derive(Default)]
    struct WithArena {
        arena: Arena,
        queue: Mutex<VecDeque<Task>>,
    }
    // SAFETY: memory is from the arena.
    unsafe impl Schedule for WithArena {
        fn schedule(this: &SchedulerArc<Self>, task: Task) {
            this.queue.lock().push_back(task);
        }
        fn allocate(
            this: &SchedulerArc<Self>,
            layout: std::alloc::Layout,
        ) -> (NonNull<u8>, SchedulerRef) {
            CACHE.with_borrow_mut(|cache| cache.allocate(&this.arena, this, layout))
        }
        unsafe fn deallocate(
            this: SchedulerArc<Self>,
            block: NonNull<u8>,
            layout: std::alloc::Layout,
        ) {
            let owner = this.clone();
            // SAFETY: by the contract.
            CACHE.with_borrow_mut(|cache| unsafe {
                cache.deallocate(&owner.arena, this, block, layout);
            });
        }
    }
    let scheduler = SchedulerArc::new(WithArena::default());
    let drops = StdArc::new(AtomicUsize::new(0));
    let each: usize = if cfg!(miri) { 50 } else { 1000 };
    let mut yielded = Vec::new();
    for size in [1, 3000] {
        for _ in 0..each {
            let probe = Probe(drops.clone());
            let load = vec![0_u8; size];
            let (task, handle) = bind(&scheduler.erase(), async move {
                let _probe = probe;
                let on_stack = [1_u8; 1500];
                if load.len() > 1 {
                    std::future::pending::<()>().await;
                }
                yield_now().await;
                std::future::pending::<()>().await;
                std::hint::black_box(on_stack);
            });
            drop(handle);
            match task.run() {
                Ran::Parked => {}
                Ran::Yielded(task) => yielded.push(task),
                _ => panic!("it waits or yields"),
            }
        }
    }
    let mut due = Vec::new();
    assert_eq!(scheduler.arena.abort_all(|task| due.push(task)), 2 * each);
    // This test holds the tasks that yielded: the walk only hands out the idle ones.
    assert_eq!(due.len(), each);
    due.into_iter().for_each(Task::cancel);
    assert_eq!(drops.load(SeqCst), each);
    assert_eq!(scheduler.arena.live_names().len(), each);
    yielded.into_iter().for_each(Task::cancel);
    assert_eq!(drops.load(SeqCst), 2 * each);
    CACHE.with_borrow_mut(|cache| cache.flush(&scheduler.arena, &scheduler));
}
