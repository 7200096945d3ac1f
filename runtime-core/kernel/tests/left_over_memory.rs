//! When a runtime has ended, no memory of its tasks' left-over work remains.
#![allow(unsafe_code)]
#![cfg(not(any(lab_loom, lab_shuttle)))]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::task::{Context, Poll};

use runtime_kernel::task::left_over::{Ending, LeftOver, leave};

thread_local! {
    // Per thread, because the test harness has threads of its own.
    static BLOCKS: Cell<isize> = const { Cell::new(0) };
}

/// The system's allocator, with a count of the blocks that the calling thread has allocated and not freed.
struct Counting;

fn count(change: isize) {
    // A thread that ends may free memory after its count was destroyed.
    let _ = BLOCKS.try_with(|blocks| blocks.set(blocks.get() + change));
}

// SAFETY: both methods are the system allocator's, which keeps the promises; the count itself allocates nothing. The
// other methods use these two.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1);
        // SAFETY: the caller's promises are the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count(-1);
        // SAFETY: the caller's promises are the same, and `alloc` got it from there.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Ends after it was continued this many times.
struct Rest(usize);

impl LeftOver for Rest {
    fn go_on(&mut self, _cx: &mut Context<'_>) -> Poll<()> {
        self.0 -= 1;
        if self.0 == 0 {
            return Poll::Ready(());
        }
        // Leaves another one while this one is served.
        assert!(leave(Box::new(Rest(1))).is_ok());
        Poll::Pending
    }
}

fn end_with(rests: usize) {
    let ending = Ending::begin();
    for _ in 0..rests {
        assert!(leave(Box::new(Rest(3))).is_ok());
    }
    ending.serve(|_| ());
}

#[test]
fn left_over_work_is_freed() {
    // Sets up what stays for the thread.
    end_with(1);
    let before = BLOCKS.get();
    for rests in 0..100 {
        end_with(rests);
    }
    assert_eq!(BLOCKS.get(), before, "blocks that were not freed");
    // Left, but not served.
    let ending = Ending::begin();
    assert!(leave(Box::new(Rest(1))).is_ok());
    drop(ending);
    assert_eq!(BLOCKS.get(), before, "blocks that were not freed");
}
