//! What happens to suspended green tasks when their runtime ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread::{self, ThreadId};

use runtime_core::green::{self, wait};
use runtime_core::sync::Semaphore;
use runtime_core::{JoinError, Native, yield_now};

/// Counts itself while it exists, and reports where it was dropped.
struct Alive {
    count: Arc<AtomicUsize>,
    begun_on: ThreadId,
    elsewhere: Arc<AtomicUsize>,
}

impl Alive {
    fn new(count: &Arc<AtomicUsize>, elsewhere: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, SeqCst);
        Self {
            count: Arc::clone(count),
            begun_on: thread::current().id(),
            elsewhere: Arc::clone(elsewhere),
        }
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.count.fetch_sub(1, SeqCst);
        if thread::current().id() != self.begun_on {
            self.elsewhere.fetch_add(1, SeqCst);
        }
    }
}

/// Starts this many green tasks that wait for ever, and waits until all of them wait. Drops the runtime by `end`.
fn suspended_tasks_are_unwound<R: Native>(tasks: usize, runtime: &R, end: impl FnOnce(Begun)) {
    let before = green::stack_stats();
    let (alive, elsewhere) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let begun = Arc::new(Semaphore::new(0));
    let handles: Vec<_> = (0..tasks)
        .map(|_| {
            let (alive, elsewhere) = (Arc::clone(&alive), Arc::clone(&elsewhere));
            let begun = Arc::clone(&begun);
            green::spawn_on(runtime, move || {
                let _alive = Alive::new(&alive, &elsewhere);
                begun.add_permits(1);
                wait(std::future::pending::<()>());
            })
        })
        .collect();
    end(Begun { begun, tasks });
    assert_eq!(alive.load(SeqCst), 0, "tasks that were not unwound");
    assert_eq!(
        elsewhere.load(SeqCst),
        0,
        "tasks that were unwound on another thread"
    );
    for handle in handles {
        let result = runtime_core::park::block_on_current_thread(handle);
        assert!(matches!(result, Err(JoinError::Cancelled)));
    }
    let after = green::stack_stats();
    assert_eq!(after.in_use, before.in_use);
    assert_eq!(after.abandoned, before.abandoned);
}

struct Begun {
    begun: Arc<Semaphore>,
    tasks: usize,
}

impl Begun {
    async fn all(self) {
        for _ in 0..self.tasks {
            self.begun.acquire().await.unwrap().forget();
        }
    }
}

/// A sanitizer keeps a separate mapping for each stack.
const MANY: usize = if cfg!(any(lab_asan, lab_tsan)) {
    1_000
} else {
    100_000
};

/// One test, because the count of stacks belongs to the process.
#[test]
fn a_runtime_that_ends_unwinds_all_stacks_on_their_threads() {
    let event_loop = runtime_n1::Loop::new().unwrap();
    let handle = event_loop.handle().clone();
    suspended_tasks_are_unwound(MANY, &handle, |begun| {
        event_loop.block_on(begun.all());
        drop(event_loop);
    });
    for _ in 0..3 {
        let runtime = runtime_mn::Runtime::builder().workers(2).build().unwrap();
        let handle = runtime.handle().clone();
        suspended_tasks_are_unwound(MANY, &handle, |begun| {
            runtime.block_on(begun.all());
            drop(runtime);
        });
    }
    let runtime = runtime_threads::Runtime::new().unwrap();
    let handle = runtime.handle().clone();
    suspended_tasks_are_unwound(200, &handle, |begun| {
        runtime.block_on(begun.all());
        drop(runtime);
    });
    // With tasks that were woken in the meantime, and tasks that never began.
    for _ in 0..100 {
        let runtime = runtime_mn::Runtime::builder().workers(2).build().unwrap();
        let alive = Arc::new(AtomicUsize::new(0));
        let elsewhere = Arc::new(AtomicUsize::new(0));
        for _ in 0..50 {
            let (alive, elsewhere) = (Arc::clone(&alive), Arc::clone(&elsewhere));
            drop(green::spawn_on(runtime.handle(), move || {
                let _alive = Alive::new(&alive, &elsewhere);
                loop {
                    green::yield_now();
                }
            }));
        }
        runtime.block_on(async {
            for _ in 0..10 {
                yield_now().await;
            }
        });
        drop(runtime);
        assert_eq!((alive.load(SeqCst), elsewhere.load(SeqCst)), (0, 0));
    }
}
