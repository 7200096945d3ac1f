//! A job of a scope takes one allocation, for the captures of its closure and its place in a worker's deque.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use runtime_core::ForkJoin;
use runtime_mn::Runtime;

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: everything goes to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        // SAFETY: by the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: by the caller's promise.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The only test of its binary, so that allocations of other tests are not counted.
#[test]
fn a_job_of_a_scope_allocates_once() {
    const JOBS: usize = 10_000;
    /// The deque grows, and the workers tick. A second allocation for each job would add [`JOBS`].
    const OTHERS: usize = 200;
    for workers in [1, 2] {
        let runtime = Runtime::builder().workers(workers).build().unwrap();
        let fork_join = runtime.handle().fork_join();
        let mut sums = vec![[0; 4]; JOBS];
        let before = ALLOCATIONS.load(Relaxed);
        fork_join.scope(|scope| {
            for (number, sum) in sums.iter_mut().enumerate() {
                scope.spawn(move |_| *sum = [number; 4]);
            }
        });
        let allocations = ALLOCATIONS.load(Relaxed) - before;
        assert!(
            (JOBS..JOBS + OTHERS).contains(&allocations),
            "{allocations} allocations for {JOBS} jobs on {workers} workers"
        );
        assert!(
            sums.iter()
                .enumerate()
                .all(|(number, sum)| *sum == [number; 4])
        );
    }
}
